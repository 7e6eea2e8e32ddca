"""Learning from finished candidates is what a fit on all runs together would give."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.ranking import rank
from quagpredict.ranking.belief import condition
from quagpredict.ranking.predicting import believe, interval
from quagpredict.surrogates import fit
from quagpredict.surrogates.linear import fit_linear
from quagpredict.testing.beliefs import independent
from quagpredict.testing.synthetic import synthetic_corpus


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(8, 20), st.integers(1, 12), st.integers(1, 3))
def test_conditioning_a_linear_surrogate_is_refitting_it(seed, before, more, p):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(before + more + 4, p))
    y = 0.3 + X @ rng.normal(size=p) + 0.2 * rng.normal(size=len(X))
    first, whole = fit_linear(X[:before], y[:before]), fit_linear(X[: before + more], y[: before + more])
    rest = X[before:]
    score = np.concatenate([y[before : before + more], np.full(4, np.nan)])
    after = condition(believe(first, rest), score).take(np.arange(more, more + 4))
    expected = believe(whole, X[-4:])
    assert np.allclose(after.mean, expected.mean)
    assert np.allclose(after.shared @ after.shared.T, expected.shared @ expected.shared.T)
    assert np.allclose(after.own, expected.own)
    assert after.degrees_of_freedom == expected.degrees_of_freedom
    assert np.allclose(interval(after), whole.interval(X[-4:]))


def test_a_group_beside_the_training_runs_gets_its_own_offset():
    belief = independent(np.full(6, 0.5), np.full(6, 0.02))
    score = np.array([0.3, 0.31, 0.29, np.nan, np.nan, np.nan])
    after = condition(belief, score, offset_of=np.array([0, 0, 0, 0, 1, -1]))
    assert after.merits()[3] == pytest.approx(0.3, abs=0.01)
    assert after.merits()[5] == pytest.approx(0.5)
    assert after.std[4] > 0.05  # a group without a result keeps its wide offset
    assert after.merits()[4] == pytest.approx(0.5)


def test_scores_without_a_prediction_are_known_and_teach_nothing():
    belief = independent(np.array([np.nan, 0.5]), np.array([np.nan, 0.1]))
    after = condition(belief, np.array([0.7, np.nan]))
    assert after.merits().tolist() == [0.7, 0.5]
    assert after.usable.all()


@pytest.fixture(scope="module")
def runs():
    return synthetic_corpus(40, seed=1, nested=False).frame


def half_finished(runs, count):
    """The last 16 candidates, `count` of which have their result."""
    here = pl.int_range(pl.len()) < count
    return runs[24:].with_columns(pl.when(here).then("post_pass_at_1").alias("post_pass_at_1"))


def test_finished_candidates_stay_candidates_and_correct_the_others(runs):
    fitted, table = fit(runs[:24]), half_finished(runs, 8)
    ranking, plain = rank(table, fitted), rank(table, fitted, condition=False)
    rows = {row["candidate"]: row for row in ranking.frame.iter_rows(named=True)}
    for row in table[:8].iter_rows(named=True):
        found = rows[row["candidate"]]
        assert found["prediction"] == found["low"] == found["high"] == found["actual"] == row["post_pass_at_1"]
    expected = fit(pl.concat([runs[:24], table[:8]])).predict_frame(table[8:]).mean
    assert np.allclose([rows[name]["prediction"] for name in table["candidate"][8:]], expected)
    assert any("8 candidates have a result already" in note for note in ranking.notes)
    before = dict(plain.frame.select("candidate", "prediction").iter_rows())
    assert np.allclose([before[name] for name in table["candidate"]], fitted.predict_frame(table).mean)
    # Results are compared with what was predicted before they were learnt from.
    assert ranking.outcome == plain.outcome


def test_training_rows_do_not_teach_twice(runs):
    fitted = fit(runs[:24])
    table = pl.concat([runs[:24], runs[24:].with_columns(post_pass_at_1=pl.lit(None, pl.Float64))])
    ranking = rank(table, fitted)
    assert any("fitted on the 24 with a result" in note for note in ranking.notes)
    assert any("fitted on 24 of the 30 with a result" in note for note in rank(runs[:30], fitted).notes)
    assert "prediction" not in [choice.rule for choice in ranking.outcome.choices]
    predicted = dict(ranking.frame.select("candidate", "prediction").iter_rows())
    assert np.allclose([predicted[name] for name in runs["candidate"][24:]], fitted.predict_frame(runs[24:]).mean)


def test_truth_is_never_learnt_from(runs):
    fitted = fit(runs[:24])
    fresh = runs[24:].drop("post_pass_at_1", "rl_recipe_id", "rl_seed")
    with_truth = rank(fresh, fitted, truth=runs[24:30])
    assert with_truth.frame.drop("actual").equals(rank(fresh, fitted).frame)
    assert with_truth.outcome.finished == 6


def test_another_rl_recipe_shifts_all_alike(runs):
    fitted = fit(runs[:24])
    shifted = half_finished(runs, 10).with_columns(
        pl.col("post_pass_at_1") - 0.2,
        rl_recipe_id=pl.when(pl.col("post_pass_at_1").is_not_null()).then(pl.lit("shorter")),
    )
    ranking = rank(shifted, fitted, allow_mixed_protocols=True)
    predicted = dict(ranking.frame.select("candidate", "prediction").iter_rows())
    left = runs[34:]
    moved = np.array([predicted[name] for name in left["candidate"]]) - fitted.predict_frame(left).mean
    assert moved.mean() == pytest.approx(-0.2, abs=0.05)


def test_a_surrogate_fitted_on_the_spot(runs):
    table = half_finished(runs, 10)
    ranking = rank(table, "fit")
    assert ranking.surrogate == "hierarchical"
    assert ranking.frame["prediction"].null_count() == 0
    known = ranking.frame.filter(pl.col("low") == pl.col("high"))["candidate"]
    assert set(known) == set(table["candidate"][:10])
    assert "prediction" not in [choice.rule for choice in ranking.outcome.choices]  # no prediction of what it saw
    assert rank(table, "ridge", features=["loss", "pass_at_8"]).surrogate == "ridge"


def test_a_target_with_a_transform_and_a_perfect_score():
    belief = replace(independent(np.zeros(2), np.ones(2)), target_transform="logit", shared=np.ones((2, 1)))
    after = condition(belief, np.array([1.0, np.nan]))
    assert after.merits()[0] == 1.0
    assert math.isclose(after.merits()[1], 0.5)  # logit(1) is not finite: it teaches nothing
