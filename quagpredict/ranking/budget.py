"""Which B candidates to take through RL together: the set whose best is expected to be best."""

from itertools import combinations
from math import comb, e
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.ranking.belief import Belief
from quagpredict.surrogates.transforms import parse_transform

DRAWS = 4000
#: Sets that are tried one by one; if there are more, they are built greedily.
ENUMERATED = 3000
#: Candidates that can enter a set; the others are too unlikely to be best.
SHORTLIST = 256


class BestSet(NamedTuple):
    """A set of candidates for RL.

    Attributes
    ----------
    rows : tuple of int
        Rows of the candidates; greedy sets in the order in which they were added, others best first.
    expected_best : float
        Expected best merit after RL, what is already in hand included; from draws that did not choose the set.
    expected_best_of_top : float
        The same for the B candidates with the best predictions.
    exact : bool
        Whether every set was tried.
    at_most_lost : float
        How much better the best set can be at most, on the draws that chose: 0 if every set was tried.
    in_hand : float
        The best known merit; minus infinity without one.
    """

    rows: tuple[int, ...]
    expected_best: float
    expected_best_of_top: float
    exact: bool
    at_most_lost: float
    in_hand: float


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
    open_rows = np.flatnonzero(belief.usable & ~np.isfinite(belief.known) & (True if among is None else among))
    in_hand = belief.merits()[np.isfinite(belief.known)].max(initial=-np.inf)
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
