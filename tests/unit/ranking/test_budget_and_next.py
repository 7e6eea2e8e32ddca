"""The best set under a budget, and the run that teaches most."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.ranking import which_runs as budget
from quagpredict.ranking.which_runs import best_set, regret_reductions
from quagpredict.testing.beliefs import independent


def with_factors(mean, own, shared):
    return replace(independent(np.array(mean), np.array(own)), shared=np.array(shared, dtype=float))


def test_candidates_that_fail_together_are_not_taken_together():
    # The first two share all their error; the third is a little worse but fails for reasons of its own.
    belief = with_factors([0.52, 0.51, 0.50], [0.001, 0.001, 0.1], [[0.1], [0.1], [0.0]])
    found = best_set(belief, 2)
    assert set(found.rows) == {0, 2}
    assert found.exact
    assert found.expected_best > found.expected_best_of_top + 0.02


def test_what_is_known_is_in_hand_and_costs_nothing():
    belief = replace(independent(np.array([0.9, 0.5, 0.6]), np.full(3, 0.01)), result=np.array([0.9, np.nan, np.nan]))
    found = best_set(belief, 1)
    assert found.rows == (2,)
    assert found.expected_best == pytest.approx(0.9)
    everything = replace(belief, result=np.array([0.9, 0.5, 0.6]))
    assert best_set(everything, 2).rows == ()


def test_a_budget_beyond_the_candidates_takes_them_all():
    assert set(best_set(independent(np.array([0.1, 0.2]), np.full(2, 0.1)), 5).rows) == {0, 1}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.integers(2, 4))
def test_the_greedy_set_keeps_its_promises(seed, size):
    rng = np.random.default_rng(seed)
    draws = rng.random((200, 8)).astype(np.float32) ** 3
    greedy = budget._greedy(draws, size)
    values = {s: draws[:, list(s)].max(axis=1).mean() for s in itertools.combinations(range(8), size)}
    best, reached = max(values.values()), draws[:, greedy].max(axis=1).mean()
    assert sorted(budget._enumerated(draws, size)) == list(max(values, key=values.get))
    assert reached >= (1 - 1 / math.e) * best
    assert best - reached <= budget._at_most_lost(draws, greedy, 0.0) + 1e-6


def test_many_candidates_are_chosen_greedily_with_a_bound():
    rng = np.random.default_rng(0)
    belief = independent(rng.normal(0.5, 0.1, 300), np.full(300, 0.05))
    found = best_set(belief, 4)
    assert not found.exact
    assert len(set(found.rows)) == 4
    assert 0 <= found.at_most_lost < 0.05
    assert found.expected_best >= found.expected_best_of_top - 0.003


def test_the_lowest_can_be_best():
    belief = independent(np.array([2.0, 3.0, 2.1]), np.full(3, 0.05), minimize=True)
    assert set(best_set(belief, 2).rows) == {0, 2}


def gain_of_one(gap, std):
    """Exact expected gain of seeing one of two candidates whose errors are independent."""
    z = gap / std
    return std * (math.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)) - gap * 0.5 * math.erfc(z / math.sqrt(2))


def test_the_knowledge_gradient_of_independent_candidates_is_exact():
    found = regret_reductions(independent(np.array([0.5, 0.45]), np.array([0.02, 0.1])))
    assert found[0] == pytest.approx(gain_of_one(0.05, 0.02), abs=3e-4)
    assert found[1] == pytest.approx(gain_of_one(0.05, 0.1), abs=3e-4)
    assert found[1] > found[0]


def test_a_run_that_tells_about_two_groups_teaches_more():
    # Whether the shared effect is good decides between the first and the third; the second shows it as well.
    belief = with_factors([0.50, 0.40, 0.50], [0.01, 0.01, 0.01], [[0.1], [0.1], [0.0]])
    found = regret_reductions(belief)
    assert found[0] > 0.03
    assert found[1] == pytest.approx(found[0], rel=0.05)
    assert found[2] < 0.01


def test_an_error_that_all_share_teaches_nothing():
    belief = with_factors([0.50, 0.45], [1e-4, 1e-4], [[0.2], [0.2]])
    assert np.allclose(regret_reductions(belief), 0.0, atol=1e-6)


def test_what_is_known_or_not_predicted_teaches_nothing():
    belief = replace(
        independent(np.array([0.5, np.nan, 0.6]), np.array([0.1, np.nan, 0.1])), result=np.array([0.5, np.nan, np.nan])
    )
    found = regret_reductions(belief)
    assert np.isnan(found).tolist() == [True, True, False]
    assert found[2] == pytest.approx(gain_of_one(0.1, 0.1), abs=3e-4)
