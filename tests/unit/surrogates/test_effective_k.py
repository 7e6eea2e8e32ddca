import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.corpus.columns import curve_k
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates import fit
from quagpredict.surrogates.effective_k import fit_effective_k
from quagpredict.testing.worlds import World, draw

KS = 2.0 ** (np.arange(25) / 4)


@given(seed=st.integers(0, 2**32 - 1), k=st.floats(1, 64), rows=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_k_is_found_where_the_law_holds(seed: int, k: float, rows: int) -> None:
    p = np.random.default_rng(seed).uniform(0.005, 0.05, (rows, 1))
    fitted = fit_effective_k(1 - (1 - p) ** KS, 1 - (1 - p[:, 0]) ** k, ks=KS)
    assert np.exp(fitted.form.place) == pytest.approx(k, rel=0.03)


@pytest.mark.parametrize("k_star", [2.0, 12.0, 50.0])
def test_k_is_found_from_noisy_counts(k_star: float) -> None:
    places = []
    for seed in range(6):
        drawn = draw(World("effective_k", k_star=k_star, seed=seed, problems=40), 30)
        places.append(fit(drawn.frame, "effective_k").form.place)
    assert np.exp(np.mean(places)) == pytest.approx(k_star, rel=0.15)


def test_one_finished_run_is_enough() -> None:
    drawn = draw(World("effective_k", k_star=8, seed=3, rl_noise=0.02), 20)
    fitted = fit(drawn.frame[:1], "effective_k")
    rest = fitted.predict_frame(drawn.frame[1:])
    assert np.isfinite(rest.mean).all()
    assert (rest.std > 0.01).all()
    assert np.corrcoef(rest.mean, drawn.true_mean[1:])[0, 1] > 0.95
    assert fitted.training_rows == 1


def test_k_never_exceeds_the_samples() -> None:
    drawn = draw(World("effective_k", k_star=100, samples_before=16, seed=1), 12)
    fitted = fit(drawn.frame, "effective_k")
    assert max(map(curve_k, fitted.features)) == 16
    assert np.exp(fitted.form.place) <= 16
    assert "the largest k measured" in fitted.notes[0]
    # A candidate with fewer samples has no Pass@k at the end of the curve: no number is better than a wrong one.
    fewer = draw(World("effective_k", samples_before=8, seed=1), 3).frame
    assert np.isnan(fitted.predict_frame(fewer).mean).all()


def test_flat_tables_do() -> None:
    drawn = draw(World("effective_k", k_star=16, seed=2), 20)
    flat = drawn.frame.drop("pre_problems")
    assert fit(flat, "effective_k").form.place == pytest.approx(np.log(16), abs=0.25)
    with pytest.raises(CorpusError, match="pre_pass_at_K"):
        fit(flat.drop("^pre_pass_at_.*$"), "effective_k")


def test_flat_curves_say_nothing_and_are_told_so() -> None:
    fitted = fit_effective_k(np.full((4, 3), 0.5), np.array([0.5, 0.5, 0.5, 0.5]), ks=[1, 8, 64])
    assert fitted.form.place_variance == pytest.approx(np.log(64) ** 2 / 12)


@pytest.mark.parametrize("ks", [[1, 1, 2], [2, 1, 4], [1, 2]])
def test_places_must_rise(ks: list[int]) -> None:
    with pytest.raises(UsageError, match="rising"):
        fit_effective_k(np.ones((2, 3)), np.ones(2), ks=ks)
