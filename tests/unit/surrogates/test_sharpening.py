import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.corpus import design_matrix
from quagpredict.corpus.columns import LOGITS
from quagpredict.errors import CorpusError, UsageError
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit
from quagpredict.surrogates.kinds import kind_columns, prepare
from quagpredict.surrogates.sharpening import _PRIOR, PRIOR_DEVIATION, fit_sharpening, sharpened
from quagpredict.surrogates.transforms import expit
from quagpredict.testing.worlds import World, draw

SIGNAL = 1 - (1 / (1 + np.exp(-LOGITS))) ** 8 - (1 / (1 + np.exp(LOGITS))) ** 8


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_derivatives_are_those_of_the_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Z = rng.dirichlet(np.ones(len(LOGITS)), 4)
    shift, gain = rng.normal(0, 2, 2)
    for transform in ("identity", "logit(100)"):
        _, jacobian = sharpened(Z, LOGITS, SIGNAL, shift, gain, transform)
        for place, step in enumerate(([1e-5, 0], [0, 1e-5])):
            up, _ = sharpened(Z, LOGITS, SIGNAL, shift + step[0], gain + step[1], transform)
            down, _ = sharpened(Z, LOGITS, SIGNAL, shift - step[0], gain - step[1], transform)
            np.testing.assert_allclose(jacobian[:, place], (up - down) / 2e-5, rtol=1e-4, atol=1e-7)


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-0.5, 1.0), gain=st.floats(0.5, 3.0))
@settings(max_examples=40, deadline=None)
def test_shift_and_gain_are_found_where_the_law_holds(seed: int, shift: float, gain: float) -> None:
    Z = np.random.default_rng(seed).dirichlet(np.full(len(LOGITS), 0.1), 80)
    y, jacobian = sharpened(Z, LOGITS, SIGNAL, shift, gain)
    form = fit_sharpening(Z, y).form
    # Where the runs tell little, the prior pulls towards 0, by this much: at a gain of 3 by up to some 0.16.
    curvature, penalty = jacobian.T @ jacobian, np.diag((PRIOR_DEVIATION / _PRIOR) ** 2)
    expected = np.linalg.solve(curvature + penalty, curvature @ [shift, gain])
    assert (form.shift, form.gain) == (pytest.approx(expected[0], abs=0.02), pytest.approx(expected[1], abs=0.02))
    assert np.abs(expected - [shift, gain]).max() < 0.3


def test_shift_and_gain_are_found_from_noisy_counts() -> None:
    found = []
    for seed in range(6):
        form = fit(draw(World("sharpening", shift=0.5, gain=2.0, seed=seed, problems=40), 40).frame, "sharpening").form
        found.append((form.shift, form.gain))
        assert abs(form.gain - 2.0) < 4 * np.sqrt(form.covariance[1, 1]) + 0.2
    assert np.mean(found, axis=0) == pytest.approx([0.5, 2.0], abs=0.25)


def test_problems_without_a_success_still_move_and_the_more_samples_the_less() -> None:
    drawn = draw(World("sharpening", seed=1), 20)
    fitted = fit(drawn.frame, "sharpening")
    never = pl.DataFrame({"candidate": ["few", "many"], "pre_problems": [[{"n": n, "c": 0}] * 20 for n in (8, 1024)]})
    few, many = fitted.predict_frame(never).mean
    assert 0 < many < few < 0.9


def test_one_run_fits_the_gain_alone() -> None:
    drawn = draw(World("sharpening", seed=1), 5)
    fitted = fit(drawn.frame[:1], "sharpening")
    assert fitted.form.shift == 0.0
    assert fitted.form.gain > 0
    assert fitted.predict_frame(drawn.frame[:1]).mean == pytest.approx(drawn.frame["post_pass_at_1"][0], abs=0.01)


def test_counts_are_needed() -> None:
    with pytest.raises(CorpusError, match="pre_problems"):
        fit(draw(World("sharpening"), 10).frame.drop("pre_problems"), "sharpening")


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="logits must be 3"):
        fit_sharpening(np.ones((2, 3)), np.ones(2), logits=[0.0])
    with pytest.raises(UsageError, match="group_size"):
        fit_sharpening(np.ones((2, 3)), np.ones(2), group_size=1)


def test_the_lower_of_two_valleys_is_found() -> None:
    """On halves of these runs a fit that starts at zero ends in the higher one now and then."""
    runs = pl.read_parquet(shipped_path("datasets/lab/corpus.parquet")).filter(
        base_model="llama", recipe_scenario="dataset-level"
    )
    rows = prepare(
        runs.unique("candidate", keep="first", maintain_order=True), ["sharpening"], features="both", groups=None
    )
    X, y = design_matrix(rows, kind_columns("sharpening", rows, "both", None)), rows["post_pass_at_1"].to_numpy()
    weight = (PRIOR_DEVIATION / _PRIOR) ** 2
    rng = np.random.default_rng(0)
    for _ in range(12):
        half = rng.permutation(len(y))[: len(y) // 2]
        form = fit_sharpening(X[half], y[half]).form
        shift, gain = (axis.ravel() for axis in np.meshgrid(np.linspace(-2, 9, 23), np.linspace(-12, 9, 43)))
        moved = expit(form.logits + shift[:, None] + gain[:, None] * form.signal)
        grid = ((y[half] - moved @ X[half].T) ** 2).sum(axis=1) + weight[0] * shift**2 + weight[1] * gain**2
        missed = y[half] - sharpened(X[half], form.logits, form.signal, form.shift, form.gain)[0]
        assert missed @ missed + weight @ [form.shift**2, form.gain**2] <= grid.min()
