"""Counts of many rows as tables: Pass@k at any k, and how success probability is spread over the problems.

Rows hold problems with n samples and c correct ones; problems with equal (n, c) are computed once.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.arrays import Floats
from quagpredict.errors import InvalidDataError

_DECONVOLUTIONS = 8


def pass_at_any_k(n: int, k: ArrayLike) -> Floats:
    """Return the unbiased Pass@k of c = 0, 1, ..., n correct samples of n, shape (n + 1, ks), for any k >= 1.

    1 - Γ(n-c+1) Γ(n-k+1) / (Γ(n-c-k+1) Γ(n+1)), which is 1 minus the product of (n-k-i)/(n-i) over i < c: the estimator
    of Chen et al., arXiv 2107.03374, equation 1, continued from whole k to all; 1 once c >= n - k + 1. NaN for k > n.

    Examples
    --------
    >>> pass_at_any_k(4, [1, 1.5, 4]).round(4)[:, :2].tolist()
    [[0.0, 0.0], [0.25, 0.375], [0.5, 0.6875], [0.75, 0.9219], [1.0, 1.0]]
    """
    ks = np.atleast_1d(np.asarray(k, dtype=np.float64))
    if (ks < 1).any():
        raise InvalidDataError(f"k must be at least 1, got {ks.min():g}")
    i = np.arange(n, dtype=np.float64)[:, None]
    missed = np.cumprod(np.maximum(n - ks - i, 0.0) / (n - i), axis=0)
    # A ratio that is cut at 0 stays there; with c = n nothing can be missed.
    result = 1.0 - np.concatenate([np.ones((1, len(ks))), missed])
    result[n] = 1.0
    result[:, ks > n] = np.nan
    return result


class CountTables(NamedTuple):
    """Each distinct n, and for it how many problems of each row have c = 0, ..., n correct: (rows, n + 1)."""

    sizes: list[int]
    counts: list[Floats]


def count_tables(rows: NDArray[np.int64], n: NDArray[np.int64], c: NDArray[np.int64], height: int) -> CountTables:
    """Return the counts of each row, from the row, n and c of each problem; there are `height` rows.

    Examples
    --------
    >>> count_tables(np.array([0, 0, 1]), np.array([2, 2, 2]), np.array([0, 2, 1]), 2).counts[0].tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    distinct = np.unique(n).tolist()
    counts = []
    for size in distinct:
        here = n == size if len(distinct) > 1 else slice(None)
        cells = np.bincount(rows[here] * (size + 1) + c[here], minlength=height * (size + 1))
        counts.append(cells.reshape(height, size + 1).astype(np.float64))
    return CountTables(distinct, counts)


def mean_curve(sizes: list[int], counts: list[Floats], ks: Floats) -> Floats:
    """Return mean Pass@k over the problems of each row, (rows, ks); NaN if one has fewer than k samples.

    `sizes` and `counts` are those of `CountTables`.

    Examples
    --------
    >>> mean_curve(*count_tables(np.array([0, 0]), np.array([4, 4]), np.array([1, 4]), 1), np.array([1.0, 1.5, 5.0]))
    array([[0.625 , 0.6875,    nan]])
    """
    total = np.zeros((len(counts[0]), len(ks)))
    for size, count in zip(sizes, counts, strict=True):
        curve = np.nan_to_num(pass_at_any_k(size, ks))
        # One k at a time: training rows are told again by the last bit, whatever else was asked for.
        total += np.column_stack([count @ curve[:, [at]] for at in range(len(ks))])
        total[np.ix_(count.any(axis=1), ks > size)] = np.nan
    problems = sum(count.sum(axis=1) for count in counts)
    return np.asarray(total / np.maximum(problems, 1)[:, None])


def success_shares(sizes: list[int], counts: list[Floats], logits: Floats) -> Floats:
    """Return the share of problems in each bin of success probability that counts suggest, (rows, bins).

    Parameters
    ----------
    sizes, counts : list
        Those of `CountTables`; no row without problems.
    logits : array (bins,)
        Centres of the bins, on the logit scale.

    Notes
    -----
    From the same mass in every bin, a few steps of expectation-maximisation towards the maximum likelihood mixture
    (Laird, JASA 73, 1978). One step is the mean posterior; few steps keep it smooth: the start is the prior that moves
    problems with no success, the more the fewer samples they had, off probability 0.

    Examples
    --------
    >>> tables = count_tables(np.array([0, 0]), np.array([64, 64]), np.array([0, 64]), 1)
    >>> success_shares(*tables, np.array([-8.0, 0.0, 8.0])).round(3)
    array([[0.5, 0. , 0.5]])
    """
    table = np.concatenate(counts, axis=1)
    likelihood = np.concatenate([_binomial_shape(size, logits) for size in sizes])
    total = table.sum(axis=1, keepdims=True)
    mass = np.full((len(table), likelihood.shape[1]), 1.0 / likelihood.shape[1])
    seen = table.sum(axis=0) > 0
    table, likelihood = table[:, seen], likelihood[seen]
    for _ in range(_DECONVOLUTIONS):
        expected = mass @ likelihood.T
        mass = mass * ((table / expected) @ likelihood) / total
    return mass


def _binomial_shape(n: int, logits: Floats) -> Floats:
    """Return the binomial likelihood of c = 0, ..., n at each bin, up to a factor for each c."""
    c = np.arange(n + 1, dtype=np.float64)[:, None]
    log = -c * np.log1p(np.exp(-logits)) - (n - c) * np.log1p(np.exp(logits))
    return np.asarray(np.exp(log - log.max(axis=1, keepdims=True)))
