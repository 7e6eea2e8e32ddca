"""As many samples as a wanted precision needs: a stopping rule from a first round, an estimate unbiased under it.

A problem gets no more samples once its own counts say that they would hardly narrow the interval: for Pass@k at a
large k that is a handful of correct samples. `quagpredict.metrics.stopped_sampling` keeps the estimate unbiased then.
Which rule is followed depends on all problems together, and on any one of them only a little; what bias that leaves is
measured by simulation (docs/guide/evaluation.md).
"""

from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import UsageError
from quagpredict.metrics.stopped_sampling import RuleMoments, StoppingRule, rule_moments, stopped_pass_at_k

FIRST = 16
#: Of a 90 % interval, in standard errors.
HALF_WIDTH = NormalDist().inv_cdf((1 + 0.9) / 2)
ROUNDS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_SUCCESSES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_EXTREMES = (1, 2, 3, 4)
# Where no rule reaches the precision with the samples allowed so far, the variance may be this much above the least.
_SLACK = 1.15
# Weight, in problems, of probabilities that are spread evenly: what few problems have not shown may be there.
_UNSEEN = 5.0
_STEPS = 200  # of the expectation-maximisation
# Success probabilities on which the mixture of problems is estimated: 0, 1, and evenly in log-odds between.
_ODDS = np.linspace(np.log(2e-4), np.log(500.0), 118)
GRID = np.concatenate([[0.0], 1 / (1 + np.exp(-_ODDS)), [1.0]])


class AdaptiveEstimate(NamedTuple):
    """Pass@k of a set of problems, and how it was measured.

    Attributes
    ----------
    value : float
        Pass@k, mean over problems.
    half_width : float
        Of the interval: what sampling leaves open on these problems. It says nothing about other problems.
    rule : StoppingRule
        The rule that was followed.
    n, c : ndarray, shape (problems,)
        Samples used and correct ones among them.
    fixed_samples : int or None
        The smallest number of samples for every problem that would have given as narrow an interval; None beyond 1024.
    reached : bool
        Whether the wanted precision was reached.
    """

    k: int
    value: float
    half_width: float
    rule: StoppingRule
    n: NDArray[np.int64]
    c: NDArray[np.int64]
    fixed_samples: int | None
    reached: bool

    @property
    def saved(self) -> float | None:
        """Share of the samples of a fixed number, of the same precision, that were not needed."""
        if self.fixed_samples is None:
            return None
        return 1 - float(self.n.sum()) / (self.fixed_samples * self.n.size)


def sample_adaptively(
    problems: int,
    correct_among: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    *,
    k: int,
    precision: float,
) -> AdaptiveEstimate:
    """Draw samples until the 90 % interval of Pass@k is as narrow as is asked.

    Parameters
    ----------
    correct_among : callable
        Is given a number of samples for each problem, sees to it that they are drawn, and returns how many of the first
        so many samples of each are correct.
    k : int
        Which Pass@k; at most 1024.
    precision : float
        Wanted half-width of the interval, a fraction.

    Raises
    ------
    UsageError
        If k or the precision is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> chance = rng.beta(0.3, 0.7, 200)
    >>> results = (rng.random((200, 1024)) < chance[:, None]).cumsum(1)
    >>> found = sample_adaptively(200, lambda n: results[np.arange(200), n - 1], k=64, precision=0.01)
    >>> found.reached, bool(abs(found.value - (1 - (1 - chance) ** 64).mean()) < 0.015), found.n.mean() < 128
    (True, True, np.True_)
    """
    check_request(k, precision)
    first = np.full(problems, FIRST)
    mixture = mixture_of(first, correct_among(first))
    # The first rounds say little about rare successes, so no problem gets many samples on their word: the most that one
    # may get is doubled only when the precision was not reached.
    for most in allowances(k):
        rule = cheapest_rule(mixture, k, (precision / HALF_WIDTH) ** 2 * problems, most)
        n, c = follow(rule, problems, correct_among)
        mixture = mixture_of(n, c)
        half_width = HALF_WIDTH * standard_error(mixture, rule, k, problems)
        if half_width <= precision:
            break
    return estimate_under(rule, n, c, k, half_width, half_width <= precision)


def estimate_under(
    rule: StoppingRule, n: NDArray[np.int64], c: NDArray[np.int64], k: int, half_width: float, reached: bool
) -> AdaptiveEstimate:
    """Return the estimate of problems that have followed a rule, with what a fixed number of samples would cost."""
    mixture, value = mixture_of(n, c), float(stopped_pass_at_k(rule, n, c, k).mean())
    fixed = next(
        (
            samples
            for samples in sorted({*ROUNDS, k})
            if samples >= k
            and HALF_WIDTH * standard_error(mixture, StoppingRule((samples,)), k, n.size) <= half_width * 1.0001
        ),
        None,
    )
    return AdaptiveEstimate(k, value, half_width, rule, n, c, fixed, reached)


def check_request(k: int, precision: float) -> None:
    """Refuse a k or a precision that cannot be measured.

    Raises
    ------
    UsageError
        If one of them is out of range.
    """
    if not 1 <= k <= ROUNDS[-1]:
        raise UsageError(f"adaptive sampling measures Pass@k for k from 1 to {ROUNDS[-1]}, got {k}")
    if not 0 < precision < 1:
        raise UsageError(f"precision is a half-width between 0 and 1, such as 0.01, got {precision}")


def allowances(k: int) -> list[int]:
    """Return how many samples the most sampled problem may get, step by step; the least measures Pass@k at all."""
    return [end for end in ROUNDS if end >= max(k, 2 * FIRST)]


def follow(
    rule: StoppingRule, problems: int, correct_among: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take every problem from its first sample to where the rule stops it; return samples and correct ones."""
    n = np.full(problems, rule.rounds[0])
    c = correct_among(n)
    going = np.ones(problems, dtype=bool)
    for position, end in enumerate(rule.rounds[1:]):
        going &= ~rule.end(c, position)
        if not going.any():
            break
        n = np.where(going, end, n)
        c = correct_among(n)
    return n, c


def mixture_of(n: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weights over `GRID`: the nonparametric maximum likelihood mixture, by expectation-maximisation.

    The likelihood of counts does not depend on why sampling stopped. Few steps from equal weights keep it smooth.
    """
    pairs, counts = np.unique(np.stack([n, c]), axis=1, return_counts=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(pairs[1][:, None] > 0, pairs[1][:, None] * np.log(GRID), 0.0)
        left = (pairs[0] - pairs[1])[:, None]
        log = log + np.where(left > 0, left * np.log1p(-GRID), 0.0)
    likelihood = np.exp(log - log.max(1, keepdims=True))
    weights = np.full(GRID.size, 1 / GRID.size)
    for _ in range(_STEPS):
        weights = weights * ((counts / (likelihood @ weights)) @ likelihood) / counts.sum()
    problems = counts.sum()
    return np.asarray((problems * weights + _UNSEEN / GRID.size) / (problems + _UNSEEN))


def standard_error(mixture: NDArray[np.float64], rule: StoppingRule, k: int, problems: int) -> float:
    """Return the standard error, from sampling alone, of the mean Pass@k of problems of a mixture under a rule."""
    return float(np.sqrt(mixture @ _moments(rule, k).variance / problems))


def cheapest_rule(mixture: NDArray[np.float64], k: int, variance: float, most: int) -> StoppingRule:
    """Return the rule that draws least among those that leave at most `variance` a problem, or nearly the least."""
    rules, samples, variances = _family(k)
    expected, left = samples @ mixture, variances @ mixture
    small = np.array([rule.rounds[-1] <= most for rule in rules])
    allowed = small & (left <= max(variance, _SLACK * left[small].min()))
    return rules[int(np.argmin(np.where(allowed, expected, np.inf)))]


@lru_cache(maxsize=64)
def _family(k: int) -> tuple[tuple[StoppingRule, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Return the rules to choose from, with their expected samples and variances on the grid, shape (rules, grid)."""
    rules = [StoppingRule((last,)) for last in ROUNDS if last >= k]
    for last in ROUNDS[1:]:
        rounds = tuple(end for end in ROUNDS if end <= last)
        if last >= k:  # stop a problem that has been solved often enough
            rules += [StoppingRule(rounds, ((0, often - 1),) * (len(rounds) - 1)) for often in _SUCCESSES]
        if k == 1:  # stop a problem that is always, or never, solved
            rules += [StoppingRule((FIRST, last), ((few, FIRST - few),)) for few in _EXTREMES]
    moments = [_moments(rule, k) for rule in rules]
    return (
        tuple(rules),
        np.array([moment.samples for moment in moments]),
        np.array([moment.variance for moment in moments]),
    )


@lru_cache(maxsize=4096)
def _moments(rule: StoppingRule, k: int) -> RuleMoments:
    return rule_moments(rule, k, GRID)
