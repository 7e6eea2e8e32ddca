"""Which RL runs to pay for: the B candidates to take together, and the one whose run would teach most."""

from itertools import combinations
from math import comb, e
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.ranking.belief import Belief
from quagpredict.surrogates.transforms import parse_transform

DRAWS = 4000
#: Sets that are tried one by one; if there are more, they are built greedily.
ENUMERATED = 3000
#: Candidates that can enter a set, and that are compared for the next run; the others are too unlikely to be best.
SHORTLIST, COMPARED = 256, 512
# Midpoints of as many equally likely parts of the normal distribution.
_NODES = 201


class BestSet(NamedTuple):
    """A set of candidates for RL."""

    #: Rows of the candidates; greedy sets in the order in which they were added, others best first.
    rows: tuple[int, ...]
    #: Expected best merit after RL, what is already in hand included; from draws that did not choose the set.
    expected_best: float
    expected_best_of_top: float  #: The same for the B candidates with the best predictions.
    exact: bool  #: Whether every set was tried.
    #: How much better the best set can be at most, on the draws that chose: 0 if every set was tried.
    at_most_lost: float
    in_hand: float  #: The best known merit; minus infinity without one.


def best_set(belief: Belief, size: int, *, among: NDArray[np.bool_] | None = None, seed: int = 0) -> BestSet:
    """Choose `size` candidates without a known score so that the best of them is expected to be best.

    Two candidates whose errors are shared are worth less together than two that may fail apart, so the set is not
    always that of the best predictions; it is where the difference is within the error of the draws.

    If there are at most `ENUMERATED` sets, each is tried. Otherwise the set is built greedily: the expected maximum is
    monotone and submodular in the set, so the greedy gain over what is in hand (known scores; without one, the lowest
    score) is at least 1 - 1/e of the best one. The bound that is reported is tighter: no set gains more over the greedy
    one than its `size` best additions do one by one.

    Parameters
    ----------
    belief : Belief
        Known scores are in hand and cost nothing.
    size : int
        1 or more; if fewer candidates are left, all are taken.
    among : array (n,), optional
        Who may be taken; everyone without it.

    References
    ----------
    G. L. Nemhauser, L. A. Wolsey, M. L. Fisher, An analysis of approximations for maximizing submodular set functions,
    Mathematical Programming 14 (1978), theorem 4.2 and the bound of section 4.

    Examples
    --------
    >>> from quagpredict.testing.beliefs import independent
    >>> best_set(independent(np.array([0.5, 0.4, 0.1]), np.array([0.1, 0.1, 0.1])), 2).rows
    (0, 1)
    """
    open_rows = np.flatnonzero(belief.usable & ~np.isfinite(belief.result) & (True if among is None else among))
    in_hand = belief.merits()[np.isfinite(belief.result)].max(initial=-np.inf)
    merits = belief.merits()
    reach = merits + 2.0 * parse_transform(belief.target_transform).slope(belief.mean) * belief.std
    contenders = open_rows[np.argsort(-reach[open_rows], kind="stable")][:SHORTLIST]
    contenders = contenders[np.argsort(-merits[contenders], kind="stable")]
    size = min(size, len(contenders))
    if size == 0:
        return BestSet((), float(in_hand), float(in_hand), True, 0.0, float(in_hand))
    part = belief.take(contenders)
    random = np.random.default_rng(seed)
    choosing, judging = (part.bounded(part.draw(random, DRAWS)) for _ in range(2))
    floor = np.float32(in_hand if np.isfinite(in_hand) else choosing.min())
    choosing = np.maximum(choosing, floor)
    exact = comb(len(contenders), size) <= ENUMERATED
    chosen = _enumerated(choosing, size) if exact else _greedy(choosing, size)
    lost = 0.0 if exact else _at_most_lost(choosing, chosen, float(floor))
    judged = np.maximum(judging, np.float32(in_hand)) if np.isfinite(in_hand) else judging

    of_top, of_chosen = judged[:, :size].max(axis=1), judged[:, chosen].max(axis=1)
    gain = of_chosen.astype(np.float64) - of_top
    if gain.mean() <= 2.0 * gain.std() / np.sqrt(len(gain)):  # within the error of the draws: the plain choice
        chosen, of_chosen = list(range(size)), of_top
        lost = 0.0 if exact else _at_most_lost(choosing, chosen, float(floor))
    rows = tuple(int(contenders[row]) for row in chosen)
    return BestSet(rows, _mean(of_chosen), _mean(of_top), exact, lost, float(in_hand))


def _mean(draws: NDArray[np.float32]) -> float:
    return float(draws.mean(dtype=np.float64))


def _enumerated(draws: NDArray[np.float32], size: int) -> list[int]:
    best, chosen = -np.inf, list(range(size))
    columns = np.ascontiguousarray(draws.T)
    for places in combinations(range(len(columns)), size):
        value = float(columns[list(places)].max(axis=0).mean(dtype=np.float64))
        if value > best:
            best, chosen = value, list(places)
    return chosen


def _greedy(draws: NDArray[np.float32], size: int) -> list[int]:
    chosen: list[int] = []
    reached = np.full(len(draws), -np.inf, dtype=np.float32)
    for _ in range(size):
        values = np.maximum(draws, reached[:, None]).mean(axis=0, dtype=np.float64)
        values[chosen] = -np.inf
        chosen.append(int(values.argmax()))
        reached = np.maximum(reached, draws[:, chosen[-1]])
    return chosen


def _at_most_lost(draws: NDArray[np.float32], chosen: list[int], floor: float) -> float:
    reached = draws[:, chosen].max(axis=1)
    value = float(reached.mean(dtype=np.float64))
    additions = np.maximum(draws, reached[:, None]).mean(axis=0, dtype=np.float64) - value
    one_by_one = float(np.sort(additions)[-len(chosen) :].sum())
    return max(min(one_by_one, (value - floor) / (e - 1.0)), 0.0)


def regret_reductions(belief: Belief) -> Floats:
    """Return by how much seeing the candidate's RL result would lower the expected regret of the final choice, (n,).

    The choice after RL of candidate i is the one of the highest expected merit, given its result. What is known about
    the others changes with it as far as their errors are shared. The expected gain of that choice over choosing now,

        E[max_j (m_j + s_ij Z)] - max_j m_j,    s_ij = cov(score_j, score_i) / sd(score_i),  Z standard normal,

    is the knowledge gradient; as the expected best score does not depend on what is looked at, it is also the expected
    fall of the regret. Scores are taken as jointly normal in the unit of the target (for a transformed target by its
    slope at the prediction).

    Returns
    -------
    array (n,)
        Never below 0, in the unit of the target. NaN for candidates whose score is known already or not predicted, and
        beyond the `COMPARED` candidates of the highest upper end.

    References
    ----------
    P. Frazier, W. Powell, S. Dayanik, The knowledge-gradient policy for correlated normal beliefs, INFORMS Journal on
    Computing 21 (2009), equation 13.

    Examples
    --------
    >>> from quagpredict.testing.beliefs import independent
    >>> regret_reductions(independent(np.array([0.5, 0.5, 0.1]), np.array([0.02, 0.1, 0.1]))).round(3)
    array([0.008, 0.04 , 0.   ])
    """
    result = np.full(len(belief.mean), np.nan)
    open_rows = np.flatnonzero(belief.usable & ~np.isfinite(belief.result))
    if not len(open_rows):
        return result
    merits = belief.merits()
    slope = parse_transform(belief.target_transform).slope(belief.mean)
    reach = merits + 2.0 * slope * belief.std
    rows = open_rows[np.argsort(-reach[open_rows], kind="stable")][:COMPARED]
    scale = belief.t_factor * slope[rows]
    covariance = (belief.shared[rows] @ belief.shared[rows].T + np.diag(belief.own[rows] ** 2)) * np.outer(scale, scale)
    deviation = np.sqrt(covariance.diagonal())
    in_hand = merits[np.isfinite(belief.result)].max(initial=-np.inf)
    now = max(float(merits[rows].max()), float(in_hand))
    nodes = normal_nodes(_NODES)
    for position, row in enumerate(rows):
        moves = covariance[position] / deviation[position] if deviation[position] > 0 else np.zeros(len(rows))
        best = np.maximum((merits[rows] + nodes[:, None] * moves).max(axis=1), in_hand)
        result[row] = max(float(best.mean()) - now, 0.0)
    return result


def normal_nodes(count: int) -> Floats:
    """Return the midpoints of equally likely parts of the standard normal distribution, with variance 1.

    Examples
    --------
    >>> normal_nodes(3).round(3) + 0.0
    array([-1.225,  0.   ,  1.225])
    """
    from statistics import NormalDist

    nodes = np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])
    return np.asarray(nodes / np.sqrt((nodes**2).mean()))
