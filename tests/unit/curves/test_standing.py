"""What is believed now, held against the same by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.curves.model import LOGIT, Forecast
from quagpredict.curves.standing import CORRELATION, Grid, prior_forecast, standing, with_prior
from quagpredict.ranking.partial_runs import belief_of

positive = st.floats(0.01, 2.0)


@given(positive, positive, st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
@settings(max_examples=80, deadline=None)
def test_two_forecasts_together_are_no_worse_than_either(first, second, m1, m2):
    one = [np.array([[value]]) for value in (m1, first, 0.1)]
    other = [np.array([value]) for value in (m2, second, 0.3)]
    found = with_prior(Forecast(*one), np.array([[10.0]]), Forecast(*other))
    assert found.own[0, 0] <= min(first, second) + 1e-12
    # No other weight between 0 and 1 has less variance.
    both = CORRELATION * np.sqrt(first * second)
    weights = np.linspace(0.0, 1.0, 101)
    variances = (1 - weights) ** 2 * first + weights**2 * second + 2 * weights * (1 - weights) * both
    assert found.own[0, 0] <= variances.min() + 1e-12
    assert min(m1, m2) - 1e-12 <= found.mean[0, 0] <= max(m1, m2) + 1e-12


def test_before_rl_the_prediction_speaks_alone_and_where_there_is_none_the_curve():
    curve = Forecast(np.array([[1.0], [1.0]]), np.array([[0.2], [0.2]]), np.array([[0.1], [0.1]]))
    prior = Forecast(np.array([2.0, np.nan]), np.array([0.3, np.nan]), np.array([0.4, np.nan]))
    found = with_prior(curve, np.zeros((2, 1)), prior)
    assert found.mean[:, 0].tolist() == [2.0, 1.0]
    assert found.own[:, 0].tolist() == [0.3, 0.2]
    assert found.loading[:, 0].tolist() == [0.4, 0.1]


def test_a_prediction_keeps_its_interval_up_to_what_is_known_before_rl_anyway(model):
    found = prior_forecast(model, np.full(3, 0.5), np.array([0.05, 0.35, 0.49]), np.array([0.95, 0.65, 0.51]))
    total = np.sqrt(found.own + found.loading**2)
    for deviation, high in zip(total[1:], (0.65, 0.51), strict=True):
        assert LOGIT.inverse(1.6448536 * deviation) == pytest.approx(high, abs=1e-3)
    assert found.loading[2] == 0.0  # narrower than candidates of one base differ by: all its own
    # Doubts of the level of a base that all its candidates share are no doubts of their order.
    assert found.own[0] == model.with_k.own.sum()
    assert found.loading[0] ** 2 == pytest.approx(model.with_k.shared)


def grid(means, owns, loadings, scores=None):
    step = np.tile(np.array([0.0, 100.0, 400.0]), (len(means), 1))
    score = np.full(step.shape, np.nan) if scores is None else np.array(scores)
    return Grid(step, score, Forecast(np.array(means), np.array(owns), np.array(loadings)))


def test_what_forecasts_show_of_a_base_is_learnt_as_by_brute_force():
    random = np.random.default_rng(0)
    means = random.normal(size=(3, 3))
    owns = np.array([[0.3, 0.1, 0.0]] * 3)
    loadings = np.array([[0.5, 0.3, 0.0]] * 3)
    seen, base = np.array([3, 2, 1]), np.array([0, 0, 1])
    found = standing(grid(means, owns, loadings), seen, base, 400.0)
    # Moves of forecasts are (fall of the loading) b + noise: ordinary least squares with a standard normal prior of b.
    moves = [means[0, 1] - means[0, 0], means[0, 2] - means[0, 1], means[1, 1] - means[1, 0]]
    lever, noise = np.array([0.2, 0.3, 0.2]), np.array([0.2, 0.1, 0.2]) + 1e-6
    covariance = np.outer(lever, lever) + np.diag(noise)
    b = lever @ np.linalg.solve(covariance, moves)
    left = 1.0 - lever @ np.linalg.solve(covariance, lever)
    np.testing.assert_allclose(found.mean, [means[0, 2], means[1, 1] + 0.3 * b, means[2, 0]])
    np.testing.assert_allclose(found.spread, [np.sqrt(left), np.sqrt(left), 1.0])
    assert found.own.tolist() == [0.0, 0.1, 0.3]
    assert found.loading.tolist() == [0.0, 0.3, 0.5]


def test_a_finished_run_is_known_and_no_forecast_falls_below_what_was_measured():
    scores = [[0.2, 0.4, 0.6], [0.2, 0.9, np.nan]]
    found = standing(
        grid([[0.0, 0.0, 0.1]] * 2, [[0.3, 0.1, 0.0]] * 2, [[0.5, 0.3, 0.0]] * 2, scores),
        np.array([3, 2]),
        np.zeros(2, dtype=np.int64),
        400.0,
    )
    np.testing.assert_array_equal(found.result, [0.6, np.nan])
    assert found.score.tolist() == [0.6, 0.9]
    assert found.mean[1] == LOGIT.forward(0.9)
    belief = belief_of(found)
    assert belief.shared.shape == (2, 1)
    draws = belief.draw(np.random.default_rng(0), 5)
    assert (draws[:, 0] == np.float32(0.6)).all()


def test_runs_of_one_base_share_an_error_and_those_of_two_do_not():
    given = grid([[0.0, 0.0, 0.0]] * 3, [[0.3, 0.1, 0.0]] * 3, [[0.5, 0.3, 0.0]] * 3)
    shared = belief_of(standing(given, np.ones(3, dtype=np.int64), np.array([0, 1, 1]), 400.0)).shared
    np.testing.assert_allclose(shared @ shared.T, [[0.25, 0, 0], [0, 0.25, 0.25], [0, 0.25, 0.25]])
