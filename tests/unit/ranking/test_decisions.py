"""Chances from joint draws: exact cases, shared errors, bars."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.ranking.belief import Bounds
from quagpredict.ranking.decisions import Bar, chances
from quagpredict.testing.beliefs import independent


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 0.5)), min_size=1, max_size=8), st.integers(0, 3))
def test_chances_are_chances(pairs, seed):
    mean, std = np.array(pairs).T
    belief = independent(mean, std)
    found = chances(belief, top_m=2, draws=400, seed=seed)
    assert found.p_best.sum() == pytest.approx(1.0)
    assert found.p_top.sum() == pytest.approx(min(2, len(mean)))
    assert (found.p_top >= found.p_best).all()
    assert (found.expected_regret >= 0).all()
    again = chances(belief, top_m=2, draws=400, seed=seed)
    assert np.array_equal(found.p_best, again.p_best)


def of_two(gap, std):
    """Exact chance of the better of two to be best, and its expected regret."""
    spread = std * math.sqrt(2)
    chance = 0.5 * (1 + math.erf(gap / spread / math.sqrt(2)))
    density = math.exp(-0.5 * (gap / spread) ** 2) / math.sqrt(2 * math.pi)
    return chance, spread * density - gap * (1 - chance)  # E max(0, other - better)


def test_chances_of_two_candidates_are_exact():
    found = chances(independent(np.array([0.5, 0.55]), np.array([0.1, 0.1])), draws=40_000)
    chance, regret = of_two(0.05, 0.1)
    assert found.p_best[1] == pytest.approx(chance, abs=0.01)
    assert found.expected_regret[1] == pytest.approx(regret, abs=0.002)
    assert found.expected_regret[0] - found.expected_regret[1] == pytest.approx(0.05, abs=0.003)


def test_an_error_that_all_share_does_not_make_the_choice_uncertain():
    alone = independent(np.array([0.5, 0.55]), np.array([0.03, 0.03]))
    shared = replace(alone, shared=np.full((2, 1), 0.5))
    chance, regret = of_two(0.05, 0.03)
    found = chances(shared, draws=40_000)
    assert found.p_best[1] == pytest.approx(chance, abs=0.01)
    assert found.expected_regret[1] == pytest.approx(regret, abs=0.002)
    as_if_alone = chances(independent(np.array([0.5, 0.55]), shared.std), draws=40_000)
    assert as_if_alone.p_best[1] < 0.6 < found.p_best[1]


def test_opposite_loadings_make_it_more_uncertain():
    belief = replace(independent(np.array([0.5, 0.6]), np.full(2, 1e-6)), shared=np.array([[0.1], [-0.1]]))
    found = chances(belief, draws=40_000)
    assert found.p_best[1] == pytest.approx(0.5 * (1 + math.erf(0.1 / 0.2 / math.sqrt(2))), abs=0.01)


def test_known_scores_have_no_error():
    belief = replace(independent(np.full(3, 0.5), np.full(3, 0.1)), result=np.array([0.9, np.nan, 0.5]))
    found = chances(belief, draws=4000)
    assert found.p_best[0] > 0.99
    assert found.p_best[2] == 0.0
    assert found.expected_regret[2] == pytest.approx(0.4, abs=0.01)


def test_few_degrees_of_freedom_have_heavy_tails():
    normal = independent(np.array([0.5, 0.8]), np.array([0.1, 0.1]))
    heavy = replace(normal, degrees_of_freedom=3.0, t_factor=1.43)
    assert chances(heavy).p_best[0] > 1.5 * chances(normal).p_best[0]


def test_a_lower_score_can_be_better():
    belief = independent(np.array([2.0, 2.5, np.nan]), np.array([0.1, 0.1, np.nan]), minimize=True)
    found = chances(belief, bar=Bar(-2.2, np.full(3, -1), 0.0))
    assert found.p_best[0] > 0.99
    assert found.expected_regret[1] == pytest.approx(0.5, abs=0.02)
    assert found.p_clear[0] == pytest.approx(0.977, abs=0.01)
    assert found.p_clear[1] < 0.01
    assert math.isnan(found.p_clear[2])


def test_regret_counts_only_what_a_score_can_reach():
    belief = independent(np.array([0.99, 1.5]), np.array([0.01, 0.01]), bounds=Bounds(0.0, 1.0))
    found = chances(belief)
    assert found.p_best[1] == 1.0
    assert found.expected_regret[0] < 0.02


def test_a_bar_that_is_another_candidate():
    belief = replace(independent(np.array([0.5, 0.6, 0.2]), np.full(3, 0.05)), shared=np.full((3, 1), 0.3))
    found = chances(belief, bar=Bar(float("nan"), np.array([0, 0, -1]), 0.05), draws=40_000)
    exact = 0.5 * (1 + math.erf(0.05 / (0.05 * math.sqrt(2)) / math.sqrt(2)))
    assert math.isnan(found.p_clear[0])
    assert math.isnan(found.p_clear[2])
    assert found.p_clear[1] == pytest.approx(exact, abs=0.01)
    assert found.p_any_clears == pytest.approx(exact, abs=0.01)


def test_blocks_of_draws_agree_with_one_block(monkeypatch):
    belief = independent(np.linspace(0.3, 0.5, 20), np.full(20, 0.1))
    whole = chances(belief, draws=1000)
    monkeypatch.setattr("quagpredict.ranking.decisions._AT_ONCE", 100)
    assert np.allclose(chances(belief, draws=1000).p_best, whole.p_best)
    assert chances(independent(np.array([]), np.array([]))).p_best.shape == (0,)


def test_equal_known_scores_share_the_places_that_are_left():
    known = independent(np.array([0.6, 0.5, 0.5, 0.1]), np.zeros(4))
    assert chances(known, top_m=2).p_top.tolist() == [1.0, 0.5, 0.5, 0.0]
