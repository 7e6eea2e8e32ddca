"""As many samples as the order of candidates needs: draw until one is told apart from each of the others.

Every step has one stopping rule for all problems, and the next step has one that leaves half the variance. Under each
rule the estimate is unbiased (`quagpredict.metrics.stopped_sampling`); that a candidate's own difference decides which
step is the last moves it a little away from the others. Steps are few, and a precision ends them;
docs/guide/evaluation.md has what is left. To stop each problem by the results of the others alone was tried and
gained little (docs/decisions/006-kept-samples.md).
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import NothingToRankError
from quagpredict.evaluation.adaptive import (
    FIRST,
    HALF_WIDTH,
    AdaptiveEstimate,
    allowances,
    cheapest_rule,
    check_request,
    estimate_under,
    follow,
    mixture_of,
    standard_error,
)
from quagpredict.metrics.stopped_sampling import StoppingRule, stopped_pass_at_k

# Variance that a step aims at, as a share of what is left: looking more often saves samples and costs honesty.
_STEP = 0.5
_PROGRESS = 0.95  # a rule that leaves more than this share of the variance is no step


class Other(NamedTuple):
    """A candidate to be told apart from.

    Attributes
    ----------
    values : ndarray, shape (problems,)
        Its unbiased Pass@k of each problem.
    error : float
        Standard error of their mean, from sampling alone.
    """

    name: str
    values: NDArray[np.float64]
    error: float


class Comparison(NamedTuple):
    """The measured candidate against another, on the same problems.

    Attributes
    ----------
    name : str
        The other.
    difference : float
        Pass@k of this candidate less that of the other.
    half_width : float
        Of the interval of the difference: what sampling both leaves open on these problems.
    other_half_width : float
        What of it would stay if this candidate were known exactly.
    apart : bool
        Whether the interval leaves out 0.
    """

    name: str
    difference: float
    half_width: float
    other_half_width: float
    apart: bool


class OrderEstimate(NamedTuple):
    """The estimate of a candidate's Pass@k, and its place among others."""

    estimate: AdaptiveEstimate
    comparisons: tuple[Comparison, ...]


def sample_for_order(
    problems: int,
    correct_among: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    others: Sequence[Other],
    *,
    k: int,
    precision: float,
) -> OrderEstimate:
    """Draw samples until Pass@k differs from that of each other candidate, or is known as well as is worth paying for.

    Parameters
    ----------
    correct_among : callable
        As for `sample_adaptively`.
    others : sequence of Other
        Measured on the same problems, in the same order.
    k : int
        Which Pass@k; at most 1024.
    precision : float
        Half-width of this candidate's own 90 % interval below which no more samples are drawn. That of each comparison
        is of 90 % by itself.

    Returns
    -------
    OrderEstimate
        ``estimate.reached`` says whether every pair is told apart or the precision is reached.

    Raises
    ------
    UsageError
        If k or the precision is out of range.
    NothingToRankError
        If there is no other candidate.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> chance = rng.beta(0.3, 0.7, 200)
    >>> results = (rng.random((200, 1024)) < chance[:, None]).cumsum(1)
    >>> far = Other("far", np.zeros(200), 0.0)
    >>> found = sample_for_order(200, lambda n: results[np.arange(200), n - 1], [far], k=64, precision=0.001)
    >>> found.comparisons[0].apart, found.estimate.n.mean() < 64
    (True, np.True_)
    """
    check_request(k, precision)
    if not others:
        raise NothingToRankError("the order of candidates needs at least one other candidate, got none")
    first = np.full(problems, FIRST)
    steps = allowances(k)
    rule = cheapest_rule(mixture_of(first, correct_among(first)), k, np.inf, steps[0])
    tried = set()
    while True:
        tried.add(rule)
        n, c = follow(rule, problems, correct_among)
        mixture = mixture_of(n, c)
        error = standard_error(mixture, rule, k, problems)
        comparisons = _compared(stopped_pass_at_k(rule, n, c, k), error, others)
        reached = HALF_WIDTH * error <= precision or all(comparison.apart for comparison in comparisons)
        if reached:
            break
        wanted = max(precision / HALF_WIDTH, error * _STEP**0.5)
        while steps:
            following = cheapest_rule(mixture, k, wanted**2 * problems, steps[0])
            left = standard_error(mixture, following, k, problems)
            if following not in tried and left <= _PROGRESS**0.5 * error:
                break
            del steps[0]  # only now may a problem get more samples: what few say of rare successes is not trusted
        if not steps:
            break
        rule = following
    return OrderEstimate(estimate_under(rule, n, c, k, HALF_WIDTH * error, reached), comparisons)


def _compared(values: NDArray[np.float64], error: float, others: Sequence[Other]) -> tuple[Comparison, ...]:
    comparisons = []
    for other in others:
        # What problems differ by drops out because both have the same ones. Given these, the variances add up: samples
        # count as independent. They share seeds, which makes candidates answer alike if anything.
        difference = float((values - other.values).mean())
        half_width = HALF_WIDTH * (error**2 + other.error**2) ** 0.5
        comparisons.append(
            Comparison(other.name, difference, half_width, HALF_WIDTH * other.error, abs(difference) > half_width)
        )
    return tuple(comparisons)


def adaptive_values(estimate: AdaptiveEstimate, order: Sequence[Comparison] = ()) -> dict[str, Any]:
    """Return an adaptive estimate, and this candidate against others, as plain values."""
    return {
        "target": f"{'order' if order else 'pass'}@{estimate.k}",
        "k": estimate.k,
        "value": estimate.value,
        "half_width": estimate.half_width,
        "reached": estimate.reached,
        "problems": estimate.n.size,
        "samples_mean": float(estimate.n.mean()),
        "samples_total": int(estimate.n.sum()),
        "fixed_samples_for_the_same_precision": estimate.fixed_samples,
        "saved": estimate.saved,
        "rounds": list(estimate.rule.rounds),
        "go_on": [list(pair) for pair in estimate.rule.go_on],
        "against": [comparison._asdict() for comparison in order],
    }


def place_of(name: str, n: ArrayLike, c: ArrayLike, k: int) -> Other:
    """Return the Pass@k of a candidate's problems with the error that sampling leaves in their mean.

    Parameters
    ----------
    n, c : array_like of int, shape (problems,)
        Samples and correct ones of each problem; all have as many samples, at least k.

    Raises
    ------
    InvalidDataError
        If more samples are correct than there are.

    Examples
    --------
    >>> found = place_of("a", [4, 4, 4], [0, 1, 4], 1)
    >>> found.values.tolist(), 0 < found.error < 0.3
    ([0.0, 0.25, 1.0], True)
    """
    samples, correct = np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64)
    rule = StoppingRule((int(samples[0]),))
    values = stopped_pass_at_k(rule, samples, correct, k)
    return Other(name, values, standard_error(mixture_of(samples, correct), rule, k, samples.size))


def open_places(measured: Sequence[Other], top: int, *, tolerance: float = 0.01) -> list[str]:
    """Return the candidates of which more samples may change who is among the best.

    A pair of one that is among the best `top` and one that is not is settled when the 90 % interval of its difference,
    of what sampling leaves open on these problems, leaves out 0 or is no wider than the tolerance to either side. Both
    of any other pair are open.

    Parameters
    ----------
    measured : sequence of Other
        From `place_of`, on the same problems in the same order.
    top : int
        How many are to be chosen; where there are no more, nothing is open.
    tolerance : float
        Half-width of a difference of Pass@k below which it is not worth samples, a fraction.

    Returns
    -------
    list of str
        In the order of `measured`. Of equal candidates the first by name counts as better.

    Examples
    --------
    >>> sure, rare = [8] * 50, [0] * 50
    >>> three = [place_of("a", [8] * 50, sure, 1), place_of("b", [8] * 50, rare, 1), place_of("c", [8] * 50, rare, 1)]
    >>> open_places(three, 1, tolerance=0.05), open_places(three, 2, tolerance=0.001)
    ([], ['b', 'c'])
    """
    ranked = sorted(measured, key=lambda candidate: (-float(candidate.values.mean()), candidate.name))
    undecided = set()
    for inside, outside in product(ranked[:top], ranked[top:]):
        half_width = HALF_WIDTH * (inside.error**2 + outside.error**2) ** 0.5
        if half_width > tolerance and abs(float((inside.values - outside.values).mean())) <= half_width:
            undecided |= {inside.name, outside.name}
    return [candidate.name for candidate in measured if candidate.name in undecided]
