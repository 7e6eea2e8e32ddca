"""Unbiased Pass@k from counts, exact to rounding, for many problems at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError
from quagpredict.metrics.uncertainty import bootstrap_means, cluster_sums, ratio_standard_error

_DENSE = 4  # a lookup table of this many cells a problem costs less than sorting the problems


def checked_counts(n: ArrayLike, c: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return samples `n` and correct samples `c` of each problem as int64 arrays of one shape.

    Raises
    ------
    InvalidDataError
        If a count is not a whole number, is negative, or c > n: the message names the first such position.

    Examples
    --------
    >>> checked_counts([4, 4], [0, 3])[1]
    array([0, 3])
    """
    samples, correct = _whole(n, "n"), _whole(c, "c")
    try:
        samples, correct = np.broadcast_arrays(samples, correct)
    except ValueError:
        raise InvalidDataError(
            f"n and c must have one count for each problem, got shapes {samples.shape} and {correct.shape}"
        ) from None
    wrong = (samples < 0) | (correct < 0) | (correct > samples)
    if wrong.any():
        at = int(np.flatnonzero(wrong.reshape(-1))[0])
        raise InvalidDataError(
            f"counts at position {at} are impossible: n={samples.reshape(-1)[at]} samples, "
            f"c={correct.reshape(-1)[at]} correct; expected 0 <= c <= n"
        )
    return samples, correct


def no_success_at_k(n: NDArray[np.int64], c: NDArray[np.int64], k: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return C(n-c, k) / C(n, k): the share of k-subsets of the samples without a correct one; NaN where n < k.

    `n` and `c` are checked counts of shape (problems,), `k` has shape (ks,); the result has shape (problems, ks).

    Problems with equal (n, c) are computed once. The ratio is the product of (n-c-i)/(n-i) for i < k, and also the
    product of (n-k-i)/(n-i) for i < c; the first, followed to the largest k, gives all ks on the way. Each step adds
    one relative rounding error of 2**-52, so that the result is good to 1e-12 for k up to several thousand.

    Examples
    --------
    >>> no_success_at_k(np.array([5]), np.array([2]), np.array([1, 3, 6])).round(3)
    array([[0.6, 0.1, nan]])
    """
    pair_n, pair_c, inverse = _distinct_pairs(n, c)
    order = np.argsort(k, kind="stable")
    ratios = np.ones((pair_n.size, k.size))
    product = np.ones(pair_n.size)
    top, bottom = (pair_n - pair_c).astype(np.float64), pair_n.astype(np.float64)
    done = 0
    for column in order:
        for i in range(done, min(int(k[column]), int(pair_n.max(initial=0)))):
            product *= np.maximum(top - i, 0.0) / np.maximum(bottom - i, 1.0)
        done = max(done, int(k[column]))
        ratios[:, column] = product
    ratios[pair_n[:, None] < k[None, :]] = np.nan
    return ratios[inverse]


def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> NDArray[np.float64]:
    """Return the unbiased estimate of Pass@k of each problem, 1 - C(n-c, k) / C(n, k).

    Pass@k is the probability that at least one of k samples is correct. The estimate is its mean over all subsets of
    k of the n samples that were drawn.

    Parameters
    ----------
    n : array_like of int, shape (problems,) or scalar
        Samples drawn; may differ from problem to problem.
    c : array_like of int, shape (problems,) or scalar
        Correct samples, 0 <= c <= n.
    k : int or array_like of int, shape (ks,)
        Positive.

    Returns
    -------
    ndarray, shape of the counts followed by the shape of k: (problems,) for one k, (problems, ks) for several
        Fractions 0-1. NaN where n < k: there is no unbiased estimate. Exactly 0 for c = 0, exactly 1 for n - c < k.
        No problems give an empty array.

    Raises
    ------
    InvalidDataError
        For c > n, a negative count, a count that is not a whole number (the position is named), or k < 1.

    References
    ----------
    Chen et al., Evaluating Large Language Models Trained on Code, arXiv 2107.03374 (2021), equation 1.

    Examples
    --------
    >>> pass_at_k([6, 6, 2], [3, 0, 1], [1, 2, 4]).round(6)
    array([[0.5, 0.8, 1. ],
           [0. , 0. , 0. ],
           [0.5, 1. , nan]])
    >>> float(pass_at_k(10, 1, 5))
    0.5
    """
    samples, correct = checked_counts(n, c)
    ks = checked_ks(k)
    failing = no_success_at_k(samples.reshape(-1), correct.reshape(-1), ks.reshape(-1))
    np.subtract(1.0, failing, out=failing)
    return failing.reshape(samples.shape + ks.shape)


def checked_ks(k: ArrayLike) -> NDArray[np.int64]:
    """Return `k` as an int64 array, or raise InvalidDataError if one is below 1 or not whole.

    Examples
    --------
    >>> checked_ks([1, 2])
    array([1, 2])
    """
    ks = _whole(k, "k")
    if (ks < 1).any():
        raise InvalidDataError(f"k must be at least 1, got {int(ks.min())}")
    return ks


@dataclass(frozen=True, eq=False)
class PassAtKCurve:
    """Pass@k over problems; every array has shape (ks,)."""

    k: NDArray[np.int64]
    mean: NDArray[np.float64]  #: Mean over the problems with n >= k, a fraction 0-1; NaN if there is none.
    standard_error: NDArray[np.float64]  #: Over problems (clusters), sampling noise contained; NaN with fewer than two.
    #: `low` and `high`: Percentile bootstrap interval over problems (clusters). All problems equal give an interval of
    #: width 0.
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    problems: NDArray[np.int64]  #: How many problems had n >= k.
    confidence: float  #: Nominal coverage of the interval, e.g. 0.9.


def pass_at_k_curve(
    n: ArrayLike,
    c: ArrayLike,
    ks: ArrayLike,
    confidence: float = 0.9,
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> PassAtKCurve:
    """Return mean Pass@k over problems with its standard error and bootstrap interval.

    Problems with fewer than k samples are left out of that k, never counted as solved or failed. The result does not
    depend on the order of the problems.

    Parameters
    ----------
    n, c : array_like of int, shape (problems,)
        Samples and correct samples of each problem.
    ks : array_like of int, shape (ks,)
        Positive.
    confidence : float
        Coverage of the interval, between 0 and 1.
    clusters : array_like, shape (problems,), optional
        Problems with one label (variants of one question, several prompts) are resampled together.
    resamples, seed : int
        Of the bootstrap.

    Raises
    ------
    InvalidDataError
        For impossible counts, k < 1, or a confidence outside (0, 1).

    References
    ----------
    Chen et al., arXiv 2107.03374 (2021), equation 1; E. Miller, Adding Error Bars to Evals, arXiv 2411.00640 (2024),
    sections 2.1 (the standard error over questions holds the sampling noise) and 2.2 (clusters).

    Examples
    --------
    >>> curve = pass_at_k_curve([4, 4, 4, 2], [1, 2, 4, 0], [1, 4])
    >>> curve.mean, curve.problems
    (array([0.4375, 1.    ]), array([4, 3]))
    """
    if not 0 < confidence < 1:
        raise InvalidDataError(f"confidence must lie between 0 and 1, got {confidence}")
    samples, correct = checked_counts(n, c)
    samples, correct = samples.reshape(-1), correct.reshape(-1)
    k = checked_ks(ks).reshape(-1)
    # Rows of equal counts are resampled by how often they occur, in sorted order: fast, and blind to the order given.
    counts = None
    if clusters is None:
        pair_n, pair_c, inverse = _distinct_pairs(samples, correct)
        counts = np.bincount(inverse, minlength=pair_n.size)
        samples, correct = pair_n, pair_c
    values = pass_at_k(samples, correct, k)
    finite = ~np.isnan(values)
    sums = cluster_sums(np.where(finite, values, 0.0), clusters)
    sizes = cluster_sums(finite.astype(np.float64), clusters)
    weights = np.ones(sums.shape[0]) if counts is None else counts.astype(np.float64)
    problems = weights @ sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (weights @ sums) / problems
    drawn = bootstrap_means(values, counts=counts, clusters=clusters, resamples=resamples, seed=seed)
    low, high = _quantiles(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return PassAtKCurve(
        k=k,
        mean=mean,
        standard_error=ratio_standard_error(sums, sizes, weights),
        low=low,
        high=high,
        problems=problems.astype(np.int64),
        confidence=confidence,
    )


def _quantiles(drawn: NDArray[np.float64], levels: list[float]) -> NDArray[np.float64]:
    """Return quantiles of each column over the resamples that have a value, shape (levels, columns)."""
    result = np.full((len(levels), drawn.shape[1]), np.nan)
    for column in range(drawn.shape[1]):
        kept = drawn[~np.isnan(drawn[:, column]), column]
        if kept.size:
            result[:, column] = np.quantile(kept, levels)
    return result


def _distinct_pairs(n: NDArray[np.int64], c: NDArray[np.int64]) -> tuple[Any, Any, NDArray[np.int64]]:
    """Return the distinct (n, c) in sorted order and the index of each problem's pair among them."""
    if n.size == 0:
        return n, c, np.zeros(0, dtype=np.int64)
    low_n, low_c = int(n.min()), int(c.min())
    width = int(c.max()) - low_c + 1
    span = (int(n.max()) - low_n + 1) * width
    key = (n - low_n) * width + (c - low_c)
    if span <= _DENSE * n.size:
        seen = np.zeros(span, dtype=bool)
        seen[key] = True
        distinct = np.flatnonzero(seen)
        lookup = np.empty(span, dtype=np.int64)
        lookup[distinct] = np.arange(distinct.size)
        inverse = lookup[key]
    else:
        distinct, inverse = np.unique(key, return_inverse=True)
    return distinct // width + low_n, distinct % width + low_c, inverse


def _whole(values: ArrayLike, name: str) -> NDArray[np.int64]:
    """Return whole numbers as int64, or name the first that is not one."""
    array = np.asarray(values)
    if array.dtype.kind in "iu" and array.dtype != np.uint64:
        return array.astype(np.int64, copy=False)
    if array.size == 0:
        return array.astype(np.int64)
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        raise InvalidDataError(f"{name} must hold whole numbers, got {array.dtype} values") from None
    bad = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53))
    if bad.any():
        at = int(np.flatnonzero(bad.reshape(-1))[0])
        raise InvalidDataError(f"{name} at position {at} must be a whole number, got {array.reshape(-1)[at]!r}")
    return numbers.astype(np.int64)
