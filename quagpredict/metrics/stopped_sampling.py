"""Pass@k where a problem's own results decide how many samples it gets: unbiased, by counting paths.

The usual estimator, 1 - C(n-c, k) / C(n, k), is unbiased for a number of samples that was fixed. Stop at the first
success and it is not: problems are then left when they look best. What stays unbiased is the expectation, given where a
problem stopped, of "one of the first k samples is correct". Under a rule that looks at counts alone, all orders of
results that lead to the same end are equally likely, so this expectation is a ratio of two numbers of paths.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import comb, lgamma
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError


@dataclass(frozen=True)
class StoppingRule:
    """When a problem gets no more samples: rounds of samples, and which counts go on after each of them.

    Raises
    ------
    InvalidDataError
        If rounds do not rise, or there is not one range for each round but the last.

    Examples
    --------
    >>> rule = StoppingRule((8, 64), ((0, 1),))
    >>> rule.end([0, 1, 2], 0)
    array([False, False,  True])
    """

    rounds: tuple[int, ...]  #: Samples of a problem at the end of each round, rising.
    #: For each round but the last: a problem goes on if its correct samples lie in this range, both ends included.
    go_on: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        rising = all(first < second for first, second in pairwise((0, *self.rounds)))
        if not self.rounds or not rising or len(self.go_on) != len(self.rounds) - 1:
            raise InvalidDataError(
                f"a stopping rule needs rising rounds and a range after each but the last, got "
                f"{self.rounds}, {self.go_on}"
            )

    def end(self, correct: ArrayLike, position: int) -> NDArray[np.bool_]:
        """Return whether problems with so many correct samples stop after the round at `position`."""
        counts = np.asarray(correct)
        if position == len(self.rounds) - 1:
            return np.ones(counts.shape, dtype=bool)
        low, high = self.go_on[position]
        return (counts < low) | (counts > high)


def stopped_pass_at_k(rule: StoppingRule, n: ArrayLike, c: ArrayLike, k: int) -> NDArray[np.float64]:
    """Return the unbiased estimate of Pass@k of problems that were sampled under a stopping rule.

    Parameters
    ----------
    n : array_like of int, shape (problems,)
        Samples of each problem when it stopped; one of the rule's rounds.
    c : array_like of int, shape (problems,)
        Correct samples among them.

    Returns
    -------
    ndarray, shape (problems,)
        Fractions 0-1. NaN where the rule stops some problem before k samples without a success: no unbiased estimate
        exists. With a single round this is the usual estimator.

    Raises
    ------
    InvalidDataError
        If a problem cannot have stopped at its counts under the rule.

    References
    ----------
    M. A. Girshick, F. Mosteller and L. J. Savage, Unbiased estimates for certain binomial sampling problems with
    applications, Annals of Mathematical Statistics 17 (1946), theorem 3.

    Examples
    --------
    >>> stopped_pass_at_k(StoppingRule((6,)), [6, 6], [3, 0], 2)
    array([0.8, 0. ])
    >>> rule = StoppingRule((2, 4), ((0, 0),))  # a problem that is solved in its first two samples stops
    >>> stopped_pass_at_k(rule, [2, 2, 4, 4], [1, 2, 2, 0], 1)
    array([0.5, 1. , 0. , 0. ])
    """
    samples, correct = np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64)
    tables = _estimates(rule, k)
    values = np.empty(samples.shape)
    enough = np.zeros(samples.shape, dtype=bool)
    for position, end in enumerate(rule.rounds):
        here = samples == end
        values[here] = tables[position][np.clip(correct[here], 0, end)]
        enough |= here & rule.end(correct, position) & (correct >= 0) & (correct <= end)
    impossible = ~enough | (values < 0)
    if impossible.any():
        at = int(np.flatnonzero(impossible)[0])
        raise InvalidDataError(
            f"problem at position {at} cannot have stopped with {correct[at]} of {samples[at]} samples correct "
            f"under {rule}"
        )
    return np.full(samples.shape, np.nan) if _unknown(rule, k) else values


def _unknown(rule: StoppingRule, k: int) -> bool:
    """Say whether a problem can stop before k samples without a success."""
    early = [position for position, end in enumerate(rule.rounds) if end < k]
    return any(bool(rule.end(0, position)) for position in early)


@lru_cache(maxsize=4096)
def _estimates(rule: StoppingRule, k: int) -> tuple[NDArray[np.float64], ...]:
    """Return for each round the estimate at each count of correct samples, -1 where nobody can be."""
    paths: dict[int, int] = {0: 1}  # correct samples -> orders of results that lead there, of problems still going
    failing: dict[int, int] = {0: 1}  # ... of those, how many have no success among the first k samples
    start = 0
    tables = []
    for position, end in enumerate(rule.rounds):
        paths = _step(paths, end - start)
        if end > k:  # up to k there is one order without a success, and it leads to no correct sample
            failing = _step(failing, end - max(start, k))
        # Whole numbers of any size, so that the ratio is right to the last digit.
        table = [1 - failing.get(count, 0) / paths[count] if count in paths else -1.0 for count in range(end + 1)]
        tables.append(np.array(table))
        if position < len(rule.go_on):
            low, high = rule.go_on[position]
            paths = {count: number for count, number in paths.items() if low <= count <= high}
            failing = {count: number for count, number in failing.items() if low <= count <= high}
        start = end
    return tuple(tables)


def _step(paths: dict[int, int], draws: int) -> dict[int, int]:
    grown: dict[int, int] = {}
    ways = [comb(draws, more) for more in range(draws + 1)]
    for count, number in paths.items():
        for more, way in enumerate(ways):
            grown[count + more] = grown.get(count + more, 0) + number * way
    return grown


class RuleMoments(NamedTuple):
    """What a rule costs and how much it leaves open, for each success probability; arrays of shape (probabilities,)."""

    samples: NDArray[np.float64]  #: Expected number of samples.
    variance: NDArray[np.float64]  #: Variance of the estimate of Pass@k.


def rule_moments(rule: StoppingRule, k: int, p: ArrayLike) -> RuleMoments:
    """Return the expected samples and the variance of the Pass@k estimate of a problem under a stopping rule.

    Parameters
    ----------
    p : array_like, shape (probabilities,)
        Success probabilities of a sample.

    Returns
    -------
    RuleMoments
        The variance is NaN where no unbiased estimate exists.

    Examples
    --------
    >>> found = rule_moments(StoppingRule((4,)), 1, [0.0, 0.5])
    >>> found.samples, found.variance.round(6)
    (array([4., 4.]), array([0.    , 0.0625]))
    """
    chance = np.asarray(p, dtype=np.float64)
    tables = _estimates(rule, k)
    reached = np.ones((chance.size, 1))  # probability of each count of correct samples, of problems still going
    first = 0  # the count that the first column stands for
    samples, mean, square = (np.zeros(chance.size) for _ in range(3))
    start = 0
    for position, end in enumerate(rule.rounds):
        step = _binomial(end - start, chance)
        grown = np.zeros((chance.size, reached.shape[1] + end - start))
        for column in range(reached.shape[1]):
            grown[:, column : column + step.shape[1]] += reached[:, column : column + 1] * step
        counts = np.arange(first, first + grown.shape[1])
        stops = rule.end(counts, position)
        ended = grown[:, stops]
        value = tables[position][counts[stops]]
        samples += ended.sum(1) * end
        mean += ended @ value
        square += ended @ value**2
        if position < len(rule.go_on):
            low, high = rule.go_on[position]
            kept = (counts >= low) & (counts <= high)
            reached, first = grown[:, kept], int(counts[kept][0]) if kept.any() else 0
            if not kept.any():
                break
        start = end
    variance = np.maximum(square - mean**2, 0.0)
    return RuleMoments(samples, np.full(chance.size, np.nan) if _unknown(rule, k) else variance)


def _binomial(n: int, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of 0 to n successes, shape (probabilities, n + 1)."""
    counts = np.arange(n + 1)
    ways = np.array([lgamma(n + 1) - lgamma(c + 1) - lgamma(n - c + 1) for c in counts])
    inside = np.clip(p, 1e-300, 1 - 1e-16)[:, None]
    result = np.exp(ways + counts * np.log(inside) + (n - counts) * np.log1p(-inside))
    result[p <= 0] = counts == 0
    result[p >= 1] = counts == n
    return np.asarray(result, dtype=np.float64)
