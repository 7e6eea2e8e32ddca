"""Differences between candidates before and after RL, and whether their order reverses beyond the noise of both."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.replication.problem_scores import StageScores

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Difference(NamedTuple):
    """Differences of scores; every array has one entry a comparison.

    Attributes
    ----------
    mean : array
        First less second.
    error : array
        Standard error; NaN where unknown.
    freedom : array
        Degrees of freedom of `error`; infinite where it is taken as known.
    """

    mean: Floats
    error: Floats
    freedom: Floats

    def p_above(self) -> Floats:
        """Return the one-sided p-value of a difference above 0: 1 less it is that of one below 0; NaN if unknown."""
        from scipy.special import ndtr, stdtr

        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = self.mean / self.error
        # Without noise and without difference nothing is known; a difference without noise is certain.
        ratio = np.where((self.error == 0) & (self.mean == 0), 0.0, ratio)
        finite = np.isfinite(self.freedom)
        return np.asarray(np.where(finite, stdtr(np.where(finite, self.freedom, 1.0), -ratio), ndtr(-ratio)))

    def half_width(self, level: float) -> Floats:
        """Return half the width of the interval that holds the true difference with probability `level`."""
        from scipy.special import ndtri, stdtrit

        finite = np.isfinite(self.freedom)
        upper = (1.0 + level) / 2.0
        factor = np.where(finite, stdtrit(np.where(finite, self.freedom, 1.0), upper), ndtri(upper))
        return np.asarray(self.error * factor)


def pair_differences(scores: StageScores, first: Indices, second: Indices) -> Difference:
    """Compare candidates one to one, on the same problems where their counts are there.

    The standard error is that of a mean of differences over problems: problems are drawn, and each brings its samples
    along. A bootstrap that draws whole problems estimates the same variance; this is its closed form. The variance of
    the RL seed is added where it is known, with degrees of freedom by Satterthwaite's rule. Without counts the standard
    errors of both scores are added as if the two were independent, which is too wide where both solve the same
    problems.

    Examples
    --------
    >>> table = np.array([[1.0, 1.0, 0.5], [0.5, 0.5, 0.1]])
    >>> scores = StageScores(table.mean(axis=1), table, np.zeros(2), np.zeros(2))
    >>> found = pair_differences(scores, np.array([0]), np.array([1]))
    >>> found.mean.round(4), found.error.round(4), found.freedom
    (array([0.4667]), array([0.0333]), array([2.]))
    """
    mean = scores.mean[first] - scores.mean[second]
    seeds = scores.seed_variance[first] + scores.seed_variance[second]
    of_seeds = _freedom_of_seeds(scores, first, second)
    if scores.by_problem is None:
        variance = scores.variance[first] + scores.variance[second] + seeds
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(seeds > 0, of_seeds * (variance / seeds) ** 2, np.inf)
        return Difference(mean, np.sqrt(variance), np.where(np.isnan(freedom), np.inf, freedom))
    problems = scores.problems
    centered = scores.by_problem - scores.mean[:, None]
    # Var(a - b) = Var(a) + Var(b) - 2 Cov(a, b): one product of matrices for all pairs.
    covariance = centered @ centered.T / (problems - 1)
    own = np.diag(covariance)
    of_problems = np.maximum(own[first] + own[second] - 2.0 * covariance[first, second], 0.0) / problems
    variance = of_problems + seeds
    variance[variance < 1e-18] = 0.0  # equal rows, but for rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (of_problems**2 / (problems - 1) + seeds**2 / of_seeds)
    # Without any variance, and with that of the problems alone, they are those of the problems.
    return Difference(mean, np.sqrt(variance), np.where(seeds > 0, freedom, float(problems - 1)))


def _freedom_of_seeds(scores: StageScores, first: Indices, second: Indices) -> Floats:
    freedom = np.broadcast_to(np.asarray(scores.seed_freedom, dtype=np.float64), scores.mean.shape)
    return np.asarray(np.minimum(freedom[first], freedom[second]))


def mean_difference(
    scores: StageScores, first: Indices, second: Indices, clusters: NDArray[np.generic] | None = None
) -> Difference:
    """Return the mean difference over matched pairs, as one comparison.

    Problems and pairs are both a sample: the variance is the sum of that of the mean over problems and that over
    pairs, as a bootstrap that draws rows and columns independently gives it, slightly too wide (Owen 2007, the
    pigeonhole bootstrap); degrees of freedom by Satterthwaite's rule. The spread over pairs holds the noise of SFT and
    RL. With one pair it is not known, and the noise is that of the problems (and of the RL seed) alone.

    Pairs of one cluster (a base model and a kind of data) are not independent: with two clusters or more the variance
    over pairs is that over clusters, with one degree of freedom less than there are clusters, but no less than that
    over pairs, since a few clusters can agree by chance. Within a single cluster the pairs are all that is known.

    References
    ----------
    A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1 (2007).
    F. E. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2 (1946).

    Examples
    --------
    >>> table = np.array([[1.0, 0.8, 0.5], [0.5, 0.5, 0.1], [0.9, 0.7, 0.3], [0.5, 0.4, 0.2]])
    >>> scores = StageScores(table.mean(axis=1), table, np.zeros(4), np.zeros(4))
    >>> found = mean_difference(scores, np.array([0, 2]), np.array([1, 3]))
    >>> found.mean.round(3), found.error.round(3)
    (array([0.333]), array([0.09]))
    """
    pairs = len(first)
    each = scores.mean[first] - scores.mean[second]
    if scores.by_problem is None:
        variance = scores.variance[first] + scores.variance[second]
        parts = [(float(variance.mean()) / pairs, np.inf)]
    else:
        of_problems = (scores.by_problem[first] - scores.by_problem[second]).mean(axis=0)
        parts = [(float(of_problems.var(ddof=1)) / scores.problems, scores.problems - 1.0)]
    codes = np.arange(pairs) if clusters is None else np.unique(clusters, return_inverse=True)[1].reshape(-1)
    groups = int(codes.max()) + 1
    if pairs > 1:
        over_pairs = float(each.var(ddof=1)) / pairs
        sums = np.bincount(codes, each - each.mean())
        over_clusters = float((sums**2).sum()) * groups / (groups - 1) / pairs**2 if groups > 1 else 0.0
        parts.append((max(over_pairs, over_clusters), (groups if groups > 1 else pairs) - 1.0))
    else:
        seeds = float((scores.seed_variance[first] + scores.seed_variance[second])[0])
        parts.append((seeds, float(_freedom_of_seeds(scores, first, second)[0])))
    total = sum(variance for variance, _ in parts)
    weight = sum(variance**2 / freedom for variance, freedom in parts)
    freedom = total**2 / weight if weight > 0 else np.inf
    return Difference(np.array([each.mean()]), np.array([np.sqrt(total)]), np.array([freedom]))


def reversal_p(before: Difference, after: Difference) -> Floats:
    """Return the p-value of a reversal: the two differences have opposite signs, in whichever direction they point.

    Both differences must be established, so the larger of the two one-sided p-values counts (an intersection-union
    test; for two subsets the test of Gail and Simon). Pairs in the same order get 0.5 or more.

    References
    ----------
    M. Gail and R. Simon, Testing for qualitative interactions between treatment effects and patient subsets,
    Biometrics 41 (1985). R. L. Berger, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24
    (1982).

    Examples
    --------
    >>> up = Difference(np.array([0.2, 0.2]), np.array([0.1, 0.1]), np.array([np.inf, np.inf]))
    >>> down = Difference(np.array([-0.3, 0.3]), np.array([0.1, 0.1]), np.array([np.inf, np.inf]))
    >>> reversal_p(up, down).round(4)
    array([0.0228, 0.9772])
    """
    up, down = before.p_above(), after.p_above()
    return np.minimum(np.maximum(up, 1.0 - down), np.maximum(1.0 - up, down))


def benjamini_hochberg(p: Floats, *, any_dependence: bool = False) -> Floats:
    """Return q-values: the smallest share of false discoveries at which each would be listed; NaN stays.

    Parameters
    ----------
    p : array (m,)
    any_dependence : bool
        Whether to bound the share however the tests depend on each other (Benjamini and Yekutieli): q is larger by the
        factor 1 + 1/2 + ... + 1/m.

    References
    ----------
    Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, JRSS B 57 (1995). Y. Benjamini and D. Yekutieli,
    The control of the false discovery rate in multiple testing under dependency, Annals of Statistics 29 (2001),
    theorem 1.3.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03, 0.5])).round(4)
    array([0.04  , 0.0533,    nan, 0.0533, 0.5   ])
    >>> benjamini_hochberg(np.array([0.01, 0.04]), any_dependence=True).round(4)
    array([0.03, 0.06])
    """
    finite = np.flatnonzero(np.isfinite(p))
    q = np.full(p.shape, np.nan)
    if len(finite):
        order = finite[np.argsort(p[finite], kind="stable")]
        ranks = np.arange(1, len(finite) + 1)
        scaled = p[order] * len(finite) / ranks * ((1 / ranks).sum() if any_dependence else 1.0)
        q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q
