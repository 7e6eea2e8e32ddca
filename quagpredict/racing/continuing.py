"""What to do next in a race: the expected gain of the final choice from each continuation, for what it costs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.curves.model import LOGIT
from quagpredict.curves.standing import Standing
from quagpredict.ranking.which_runs import normal_nodes

#: Runs that are compared; the others are too unlikely to be best.
SHORTLIST = 64
_NODES = normal_nodes(65)
# Steps of the run that is chosen in the end are not lost, but a free move would never be weighed against another.
_LEAST_COST = 0.02


class Ahead(NamedTuple):
    """Where each run may be measured next, arrays (n, r); NaN in `step` where it is past that."""

    step: Floats  #: RL steps.
    #: `own` and `loading`: What the variance of the forecast would be there, and how much of it is shared.
    own: Floats
    loading: Floats


@dataclass(frozen=True)
class Terms:
    """What a race costs and may cost, in one unit."""

    steps: float  #: RL steps of a whole run.
    #: `step_cost` and `measure_cost`: Of one RL step, of one measurement.
    step_cost: float = 1.0
    measure_cost: float = 0.0
    budget: float = np.inf  #: What is left to spend; infinite without a limit.
    parallel: int = 1  #: Runs that fit at once.
    #: Continuations that are expected to make the final choice better by less are not worth it.
    tolerance: float = 0.001

    def cost(self, step: Floats, until: Floats | float) -> Floats:
        """Return what it costs to go on from one step to another and measure there; nothing where there is no way."""
        return np.where(until > step, (until - step) * self.step_cost + self.measure_cost, 0.0)


class Move(NamedTuple):
    """A run to go on with."""

    row: int
    until: float  #: Step at which it is measured next.
    gain: float  #: How much better the choice is expected to be for it; 0 for finishing the run that is chosen.
    cost: float


class Plan(NamedTuple):
    """What to do now."""

    moves: list[Move]  #: At most one a run and `parallel` in all, the most worthwhile first. Empty: the race is over.
    #: Run that is chosen if nothing more is learnt; the best forecast that can still be finished. -1 without runs.
    leader: int
    gains: Floats  #: (n,): Largest gain of any continuation of each run that can be paid for; NaN where there is none.
    affordable: NDArray[np.bool_]  #: (n,): Whether the run can be finished within the budget.


def plan_moves(now: Standing, ahead: Ahead, terms: Terms, barred: NDArray[np.bool_] | None = None) -> Plan:
    """Return what to start and go on with now.

    Each continuation, of each run to each later rung, is worth what its measurement is expected to do for the score of
    the run that is chosen then; the best one is that of the largest gain for its cost. What a run is expected to be
    finished for anyway is not counted as its cost. A continuation is only open if the run that leads can be finished
    still after it was paid for. When none gains more than the tolerance, the leader is finished.

    Parameters
    ----------
    barred : array (n,) of bool, optional
        Runs that cannot go on, among them all of which nothing is known. A finished run may be chosen all the same.

    References
    ----------
    P. Frazier, W. Powell, S. Dayanik, The knowledge-gradient policy for correlated normal beliefs, INFORMS Journal on
    Computing 21 (2009), equation 13; several steps at once as P. Frazier, W. Powell, Paradoxes in learning and the
    marginal value of information, Decision Analysis 7 (2010), section 5.
    """
    n = len(now.mean)
    merits = _merits(now)
    finish = terms.cost(now.step, np.full(n, terms.steps))
    stuck = np.zeros(n, dtype=np.bool_) if barred is None else barred & (now.step < terms.steps)
    affordable = (finish <= terms.budget + 1e-9) & ~stuck
    if not n or not np.isfinite(merits).any():
        return Plan([], -1, np.full(n, np.nan), affordable)
    # If none can be finished, a choice is still made, and what is left may serve to make it well.
    eligible = affordable if affordable.any() else ~stuck if not stuck.all() else np.isfinite(merits)
    leader = int(np.argmax(np.where(eligible, merits, -np.inf)))
    reserve = float(finish[leader]) if affordable[leader] else 0.0
    gain, kept = _values(now, ahead, eligible)
    cost = terms.cost(now.step[:, None], ahead.step)
    # The leader's steps are in the reserve; a measurement on its way is not.
    extra = cost.copy()
    if affordable[leader]:
        extra[leader] = np.maximum(cost[leader] + terms.cost(ahead.step[leader], terms.steps) - reserve, 0.0)
    spendable = terms.budget - reserve
    open_ = np.isfinite(gain) & (cost > 0) & (extra <= spendable + 1e-9) & (~stuck & eligible)[:, None]
    gain = np.where(open_, gain, np.nan)
    gains = np.where(open_.any(axis=1), np.nan_to_num(gain, nan=0.0).max(axis=1, initial=0.0), np.nan)
    net = np.maximum(cost * (1.0 - kept), _LEAST_COST * cost)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(open_ & (gain > terms.tolerance), gain / net, -np.inf)
    moves: list[Move] = []
    rung = rate.argmax(axis=1) if rate.shape[1] else np.zeros(n, dtype=np.int64)
    spent = 0.0
    for row in np.argsort(-rate[np.arange(n), rung], kind="stable") if rate.shape[1] else ():
        at = rung[row]
        if not np.isfinite(rate[row, at]) or len(moves) == terms.parallel:
            break
        if spent + extra[row, at] > spendable + 1e-9:
            continue
        moves.append(Move(int(row), float(ahead.step[row, at]), float(gain[row, at]), float(cost[row, at])))
        spent += float(extra[row, at])
    if not moves and affordable[leader] and finish[leader] > 0:
        moves.append(Move(leader, terms.steps, 0.0, float(finish[leader])))
    return Plan(moves, leader, gains, affordable)


def _merits(now: Standing) -> Floats:
    return np.where(np.isfinite(now.result), now.result, LOGIT.inverse(now.mean))


def _values(now: Standing, ahead: Ahead, eligible: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return what each continuation gains, and how probable it is that its run is chosen then; (n, r) each."""
    n, rungs = ahead.step.shape
    merits = _merits(now)
    slope = LOGIT.slope(now.mean)
    shared = now.loading * now.spread
    reach = np.where(eligible, merits + 2.0 * slope * np.sqrt(now.own + shared**2), -np.inf)
    rows = np.sort(np.argsort(-reach, kind="stable")[:SHORTLIST])
    rows = rows[np.isfinite(reach[rows])]
    gain, kept = np.full((n, rungs), np.nan), np.full((n, rungs), np.nan)
    lever = (shared[:, None] - ahead.loading * now.spread[:, None])[rows]
    falls = np.maximum(now.own[rows, None] - ahead.own[rows], 0.0)
    deviation = np.sqrt(np.maximum(falls + lever**2, 1e-12))
    m, s = merits[rows], slope[rows]
    same = now.base[rows][:, None] == now.base[rows][None, :]
    itself = np.arange(len(rows))
    for rung in range(rungs):
        # Covariance of the move of forecast i with the end of run j: (i, j).
        moves = lever[:, rung, None] * np.where(same, shared[rows][None, :], 0.0)
        moves[itself, itself] += falls[:, rung]
        moves *= s / deviation[:, rung, None]
        after = m + _NODES[:, None, None] * moves  # (node, i, j)
        best = after.max(axis=-1).mean(axis=0) - m.max(initial=-np.inf)
        gain[rows, rung] = np.where(best > 1e-9, best, 0.0)
        kept[rows, rung] = (after.argmax(axis=-1) == itself).mean(axis=0)
    gain[~(ahead.step > now.step[:, None])] = np.nan
    return gain, kept
