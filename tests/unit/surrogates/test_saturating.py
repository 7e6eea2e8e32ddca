import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import CorpusError, InvalidDataError, UsageError
from quagpredict.surrogates import fit
from quagpredict.surrogates.saturating import curve, fit_saturating, rl_points
from quagpredict.testing.worlds import World, draw, score_at

DRAWN = draw(World("saturating", seed=1, rl_noise=0.05), 40)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_derivatives_are_those_of_the_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(4), rng.normal(size=(4, 2))])
    start, t, gain, rate = rng.normal(size=4), rng.uniform(0, 3, 4), rng.normal(size=3), rng.normal(0, 0.5, 3)
    _, jacobian = curve(design, start, t, gain, rate)
    for place in range(6):
        step = np.zeros(6)
        step[place] = 1e-6
        up, _ = curve(design, start, t, gain + step[:3], rate + step[3:])
        down, _ = curve(design, start, t, gain - step[:3], rate - step[3:])
        np.testing.assert_allclose(jacobian[:, place], (up - down) / 2e-6, rtol=1e-4, atol=1e-7)


def test_more_and_fewer_steps_are_predicted_from_runs_of_one_length() -> None:
    fitted = fit(DRAWN.frame, "saturating")
    assert fitted.rl_steps == 200
    assert fitted.features[-1] == "rl_steps"
    new = draw(World("saturating", seed=1, rl_noise=0.05), 60, seed=9)
    for steps, tolerance in ((50, 0.05), (200, 0.05), (800, 0.08)):
        truth = draw(World("saturating", seed=1, rl_noise=0.0), 60, seed=9, steps=steps).true_mean
        missed = fitted.predict_frame(new.frame, rl_steps=steps).mean - truth
        assert np.sqrt((missed**2).mean()) < tolerance, steps
    short, long = (fitted.predict_frame(new.frame, rl_steps=steps).mean for steps in (200, 2000))
    assert (long > short).mean() > 0.9
    # The order may differ: who is fast is not who ends high.
    assert (np.argsort(short) != np.argsort(long)).any()


def test_a_candidate_without_steps_is_predicted_for_the_usual_ones() -> None:
    fitted = fit(DRAWN.frame, "saturating")
    blank = DRAWN.frame.with_columns(rl_steps=pl.lit(None, pl.Int64))
    np.testing.assert_allclose(fitted.predict_frame(blank).mean, fitted.predict_frame(DRAWN.frame).mean)
    np.testing.assert_allclose(fitted.predict_frame(blank.drop("rl_steps")).mean, fitted.predict_frame(blank).mean)
    with pytest.raises(UsageError, match="rl_steps must be above 0"):
        fitted.predict_frame(blank, rl_steps=0)


def test_the_training_log_serves_where_nothing_was_measured_along_the_way() -> None:
    def log(row: dict) -> list[dict]:
        return [{"step": point["step"], "reward": 0.8 * point["pass_at_1"]} for point in row["post_curve"]]

    steps = np.linspace(10, 200, 20)
    before = DRAWN.frame["pre_pass_at_1"].to_numpy()
    reward = before[:, None] + (DRAWN.frame["post_pass_at_1"].to_numpy() - before)[:, None] * (1 - np.exp(-steps / 60))
    curves = [[{"step": int(s), "reward": float(0.8 * r)} for s, r in zip(steps, row, strict=True)] for row in reward]
    frame = DRAWN.frame.drop("post_curve").with_columns(pl.Series("rl_curve", curves))
    points = rl_points(frame, frame["post_pass_at_1"].to_numpy())
    assert len(points.row) == 40 * 5
    fitted = fit(frame, "saturating")
    assert (fitted.predict_frame(frame, rl_steps=40).mean < fitted.predict_frame(frame).mean).mean() > 0.9


def test_runs_of_one_length_without_curves_are_refused() -> None:
    bare = DRAWN.frame.drop("post_curve")
    with pytest.raises(CorpusError, match=r"all runs have the same 'rl_steps'.*post_curve"):
        fit(bare, "saturating")
    with pytest.raises(CorpusError, match="rl_steps"):
        fit(bare.drop("rl_steps"), "saturating")
    several = pl.concat([draw(World("saturating", seed=1), 30, seed=s, steps=50 * 2**s).frame for s in range(4)])
    fitted = fit(several.drop("post_curve"), "saturating")
    assert fitted.predict_frame(bare, rl_steps=400).mean.mean() > fitted.predict_frame(bare, rl_steps=50).mean.mean()


def test_every_run_weighs_the_same() -> None:
    rng = np.random.default_rng(0)
    start = rng.uniform(0.1, 0.5, 12)
    rows = np.repeat(np.arange(12), 4)
    steps = np.tile([50.0, 100.0, 200.0, 400.0], 12)
    X = np.column_stack([start[rows], steps])
    y = start[rows] + 0.4 * (1 - np.exp(-steps / 100)) + rng.normal(0, 0.02, len(rows))
    once = fit_saturating(X, y, groups=rows)
    doubled = np.concatenate([np.arange(len(rows)), np.flatnonzero(rows == 3)])
    twice = fit_saturating(X[doubled], y[doubled], groups=rows[doubled])
    np.testing.assert_allclose(twice.predict(X).mean, once.predict(X).mean, atol=1e-4)
    assert once.training_rows == 12


def test_steps_are_needed() -> None:
    with pytest.raises(InvalidDataError, match="steps"):
        fit_saturating(np.ones((5, 1)), np.ones(5))


def test_the_world_saturates() -> None:
    before = np.full((1, 10), 0.2)
    scores = score_at(World("saturating"), before, np.array([0.5]), np.array([0.0, 80.0, 1e5]))[0]
    assert scores[0] == pytest.approx(0.2)
    assert scores[0] < scores[1] < scores[2]
