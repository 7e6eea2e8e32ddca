"""What is worth going on with: by closed forms, and by races that are carried out to their end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.curves.model import LOGIT, Forecast
from quagpredict.curves.standing import Grid, Standing, standing
from quagpredict.racing.continuing import Ahead, Terms, plan_moves

RUNGS = np.array([0.0, 50.0, 100.0, 200.0, 400.0])


def standings(means, own, loading=0.0, step=0.0, result=None):
    n = len(means)
    fill = lambda value: np.broadcast_to(np.asarray(value, dtype=np.float64), n).copy()  # noqa: E731
    return Standing(
        fill(step), fill(np.nan), np.array(means, dtype=np.float64), fill(own), fill(loading), np.ones(n),
        np.zeros(n, dtype=np.int64), fill(np.nan) if result is None else np.array(result, dtype=np.float64),
    )  # fmt: skip


def ahead(n, own, loading=0.0, steps=(400.0,)):
    step = np.tile(np.array(steps), (n, 1))
    return Ahead(step, np.broadcast_to(own, step.shape), np.broadcast_to(loading, step.shape))


def test_the_gain_of_a_run_against_a_known_one_is_the_closed_form():
    # E[max(0, Z s - d)] for a challenger that is d below a known score.
    from statistics import NormalDist

    normal = NormalDist()
    level = LOGIT.forward(0.5)
    now = standings([level, level - 0.1], [0.0, 0.04], step=[400.0, 0.0], result=[0.5, np.nan])
    found = plan_moves(now, ahead(2, 0.0), Terms(400.0, budget=400.0))
    slope = float(LOGIT.slope(level - 0.1))
    s, d = 0.2 * slope, 0.5 - float(LOGIT.inverse(level - 0.1))
    expected = s * normal.pdf(d / s) - d * normal.cdf(-d / s)
    assert found.gains[1] == pytest.approx(expected, rel=0.02)
    assert np.isnan(found.gains[0])
    assert [(move.row, move.until, move.cost) for move in found.moves] == [(1, 400.0, 400.0)]


def test_an_error_that_all_share_is_not_worth_finding_out():
    now = standings([0.3, 0.0], 1e-8, loading=0.8)
    found = plan_moves(now, ahead(2, 0.0), Terms(400.0, budget=1e6))
    assert found.leader == 0
    assert [(move.row, move.gain) for move in found.moves] == [(0, 0.0)]  # finish the leader, learn nothing
    apart = standings([0.3, 0.0], 0.4)
    assert plan_moves(apart, ahead(2, 0.0), Terms(400.0, budget=1e6)).moves[0].gain > 0.01


def test_the_leader_can_always_be_finished():
    now = standings([0.5, 0.49], 0.3)
    ladder = ahead(2, np.array([[0.1, 0.0]]), steps=(50.0, 400.0))
    assert plan_moves(now, ladder, Terms(400.0, budget=399.0)).affordable.tolist() == [False, False]
    tight = plan_moves(now, ladder, Terms(400.0, budget=449.0))
    assert [move.row for move in tight.moves] == [0]
    enough = plan_moves(now, ladder, Terms(400.0, budget=900.0, parallel=2))
    assert sorted(move.row for move in enough.moves) == [0, 1]


def test_what_costs_more_is_worth_less():
    now = standings([0.5, 0.45, 0.0], 0.3, step=[400.0, 0.0, 0.0], result=[0.62, np.nan, np.nan])
    ladder = ahead(3, np.array([[0.15, 0.0]]), steps=(50.0, 400.0))
    cheap = plan_moves(now, ladder, Terms(400.0, budget=1e6)).moves[0]
    assert (cheap.row, cheap.until) == (1, 50.0)
    dear = plan_moves(now, ladder, Terms(400.0, budget=1e6, measure_cost=1000.0)).moves[0]
    assert (dear.row, dear.until) == (1, 400.0)


def test_nothing_is_done_without_runs_or_when_none_can_go_on():
    nobody = plan_moves(standings([], []), ahead(0, 0.0), Terms(400.0))
    assert (nobody.moves, nobody.leader) == ([], -1)
    now = standings([0.5, 0.4], 0.3)
    stuck = plan_moves(now, ahead(2, 0.0), Terms(400.0), np.array([True, True]))
    assert stuck.moves == []
    assert stuck.leader == 0
    one = plan_moves(now, ahead(2, 0.0), Terms(400.0), np.array([True, False]))
    assert one.leader == 1
    assert {move.row for move in one.moves} == {1}


@given(st.integers(1, 9), st.floats(1.0, 12.0), st.integers(1, 4), st.floats(0.0, 30.0), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_race_keeps_its_budget_and_ends_with_a_finished_run(n, runs, parallel, measure_cost, seed):
    random = np.random.default_rng(seed)
    h = 1.0 - np.sqrt(RUNGS / 400.0)
    end = random.normal(0.0, 0.5, n)
    own = np.tile(0.02 * (h > 0) + 0.1 * h**2, (n, 1))
    mean = end[:, None] + np.sqrt(own) * random.standard_normal(own.shape)
    step = np.tile(RUNGS, (n, 1))
    table = Grid(
        step, np.where(step == 400.0, LOGIT.inverse(end)[:, None], np.nan), Forecast(mean, own, np.zeros(own.shape))
    )
    seen, left = np.ones(n, dtype=np.int64), runs * (400.0 + 4 * measure_cost)
    while True:
        now = standing(table, seen, np.zeros(n, dtype=np.int64), 400.0)
        plan = plan_moves(now, Ahead(step, own, np.zeros(own.shape)), Terms(400.0, 1.0, measure_cost, left, parallel))
        if not plan.moves:
            break
        assert len({move.row for move in plan.moves}) == len(plan.moves) <= parallel
        for move in plan.moves:
            left -= move.cost
            assert move.cost == pytest.approx(move.until - now.step[move.row] + measure_cost)
            assert move.until > now.step[move.row]
            seen[move.row] = int(np.flatnonzero(move.until == RUNGS)[0]) + 1
        assert left >= -1e-6
    assert np.isfinite(now.result[plan.leader])
    assert now.result[plan.leader] == np.nanmax(now.result)
