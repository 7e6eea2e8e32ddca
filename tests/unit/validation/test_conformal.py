from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import UsageError
from quagpredict.surrogates import fit, load_surrogate, save_surrogate
from quagpredict.surrogates.fitted import Z90, Calibration
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation import scores
from quagpredict.validation.conformal import (
    calibration_of,
    conformal_quantile,
    learn_calibration,
    noise_floor,
    with_calibration,
)


@given(st.integers(9, 60), st.integers(0, 2**32 - 1))
def test_a_new_score_stays_below_the_quantile_as_often_as_promised(n: int, seed: int) -> None:
    """Among n + 1 exchangeable scores each is as likely to be the new one."""
    whole = np.random.default_rng(seed).normal(size=n + 1)
    below = [whole[i] <= conformal_quantile(np.delete(whole, i)) for i in range(n + 1)]
    place = 0.9 * (n + 1)
    assert np.floor(place + 1e-9) <= np.sum(below) <= np.ceil(place - 1e-9)


def test_the_quantile_at_the_edge() -> None:
    assert conformal_quantile(np.arange(1.0, 10.0)) == 9.0
    assert conformal_quantile(np.arange(1.0, 9.0)) == np.inf
    assert conformal_quantile([np.nan, *range(9)]) == 8.0
    assert conformal_quantile([], 0.5) == np.inf


@pytest.mark.parametrize("kind", ["linear", "ridge", "effective_k"])
def test_calibrated_intervals_cover(kind: str) -> None:
    world = synthetic_corpus(1000, seed=11, nested=False).frame
    tests, covered, own = world[600:], [], []
    for start in range(0, 600, 50):
        frame = world[start : start + 50]
        y = frame["post_pass_at_1"].to_numpy()
        fitted = fit_frame(kind, frame, y)
        calibrated = replace(fitted, calibration=learn_calibration(kind, frame, y))
        X, true = fitted.design(tests), tests["post_pass_at_1"].to_numpy()
        covered.append(scores.interval_coverage(true, *calibrated.interval(X, groups=tests["base_model"].to_list())))
        own.append(scores.interval_coverage(true, *fitted.interval(X)))
    assert 0.87 <= np.mean(covered) <= 0.93
    assert abs(np.mean(covered) - 0.9) <= abs(np.mean(own) - 0.9) + 0.02


def test_a_model_that_is_too_sure_is_widened_and_one_that_is_not_is_narrowed() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=200)
    frame = pl.DataFrame({"candidate": [str(i) for i in range(200)], "x": x})
    heavy = learn_calibration("linear", frame, x + 0.1 * rng.standard_t(1.5, 200), features="x")
    assert heavy.quantile < Z90  # a few large misses widen the deviation, not the 90 % interval
    flat = learn_calibration("linear", frame, x + 0.1 * rng.uniform(-1, 1, 200), features="x")
    assert flat.quantile == pytest.approx(np.sqrt(3) * 0.9, abs=0.12)


def test_base_models_with_runs_enough_have_quantiles_of_their_own() -> None:
    rng = np.random.default_rng(1)
    names = ["calm"] * 60 + ["wild"] * 60 + ["few"] * 5
    x = rng.uniform(size=125)
    noise = np.where(np.array(names) == "wild", 0.2, 0.02) * rng.normal(size=125)
    frame = pl.DataFrame({"candidate": [str(i) for i in range(125)], "base_model": names, "x": x})
    learnt = learn_calibration("linear", frame, x + noise, features="x")
    assert set(learnt.by_group) == {"calm", "wild"}
    assert learnt.by_group["calm"] < learnt.quantile < learnt.by_group["wild"]
    fitted = replace(fit_frame("linear", frame, x + noise, features="x"), calibration=learnt)
    low, high = fitted.interval([[0.5]] * 4, groups=["calm", "wild", "unheard of", None])
    width = high - low
    assert width[0] < width[2] == width[3] < width[1]


def test_never_narrower_than_the_noise_of_the_target() -> None:
    frame = synthetic_corpus(40, problems=8, samples_after=2, seed=3).frame
    floor = noise_floor(frame, "post_pass_at_1")
    calibrated = with_calibration(fit(frame), frame)
    assert calibrated.calibration.floor == pytest.approx(floor)
    assert floor > 0.05
    sure = replace(calibrated, calibration=calibrated.calibration._replace(quantile=1e-6, by_group={}))
    low, high = sure.interval(sure.design(frame))
    np.testing.assert_allclose(high - low, 2 * floor)


def test_few_runs_keep_the_interval_of_the_model() -> None:
    frame = synthetic_corpus(8, seed=1).frame
    fitted = with_calibration(fit(frame, "ridge"), frame)
    assert "too few" in fitted.calibration.method
    X = fitted.design(frame)
    plain = replace(fitted, calibration=None).interval(X)
    for ours, own in zip(fitted.interval(X), plain, strict=True):
        np.testing.assert_allclose(ours, own)
    assert "too few" in learn_calibration("linear", frame[:5], np.arange(5.0)).method
    assert calibration_of(np.empty(0), [], 0.0, 0, 0).quantile == Z90
    with pytest.raises(UsageError, match="unknown surrogate"):
        learn_calibration("oracle", frame, np.arange(8.0))


def test_a_calibration_is_stored(tmp_path) -> None:
    frame = synthetic_corpus(60, seed=2).frame
    fitted = with_calibration(fit(frame), frame)
    save_surrogate(fitted, tmp_path)
    again = load_surrogate(tmp_path)
    assert again.calibration == fitted.calibration
    assert set(again.calibration.by_group) == {"base-0", "base-1"}
    X = fitted.design(frame)
    for ours, theirs in zip(fitted.interval(X), again.interval(X), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_level_is_that_of_the_model() -> None:
    frame = synthetic_corpus(40, seed=2).frame
    fitted = fit(frame)
    odd = replace(fitted, calibration=Calibration(0.9, 99.0, 0.0, 40, "test"))
    X = fitted.design(frame)
    np.testing.assert_allclose(odd.interval(X, 0.5).low, fitted.interval(X, 0.5).low)
    assert (odd.interval(X).low < fitted.interval(X).low).all()


def test_from_a_single_run_no_width_is_learnt() -> None:
    """A kind of data that all others were trained on can leave one run to fit on when it is left out."""
    frame = synthetic_corpus(1, seed=1).frame
    found = learn_calibration("effective_k", frame, frame["post_pass_at_1"].to_numpy())
    assert found.method == "Student's t, 1 runs are too few for conformal intervals"
