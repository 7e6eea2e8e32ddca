"""Standard errors and seeded bootstraps over problems, with clusters where problems belong together."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError

_BLOCK = 4_000_000  # resampling weights held at a time: 32 MB


def ratio_standard_error(numerators: ArrayLike, denominators: ArrayLike, weights: ArrayLike | None = None) -> Any:
    """Return the standard error of ``sum(numerators) / sum(denominators)`` over independent units.

    Linearisation of the ratio: the residuals ``numerator - ratio * denominator`` of the units are independent with
    mean zero. With all denominators 1 this is the usual standard error of a mean.

    Parameters
    ----------
    numerators, denominators : array_like, shape (units,) or (units, columns)
        Sums of each independent unit (problem, or cluster of problems). A unit with denominator 0 is not counted.
    weights : array_like of int, shape (units,), optional
        How many units look like this one; 1 each by default.

    Returns
    -------
    float or ndarray, shape (columns,)
        In the unit of the ratio. NaN with fewer than two units.

    References
    ----------
    W. G. Cochran, Sampling Techniques, 3rd edition (1977), section 6.4, equation 6.13 without the finite population
    correction.

    Examples
    --------
    >>> float(ratio_standard_error([1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]).round(6))
    0.288675
    """
    top = np.asarray(numerators, dtype=np.float64)
    bottom = np.broadcast_to(np.asarray(denominators, dtype=np.float64), top.shape)
    weight = np.ones(top.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
    units = weight @ (bottom != 0)
    total = weight @ bottom
    with np.errstate(invalid="ignore", divide="ignore"):
        residuals = top - (weight @ top / total) * bottom
        scale = np.where(units > 1, units / (units - 1), np.nan)
        return np.sqrt(scale * (weight @ residuals**2)) / total


def cluster_sums(values: NDArray[np.float64], clusters: ArrayLike | None) -> NDArray[np.float64]:
    """Return the sums of the rows of `values` in each cluster, clusters in sorted order; the rows as they are for None.

    Raises
    ------
    InvalidDataError
        If there is not one cluster label for each row.

    Examples
    --------
    >>> cluster_sums(np.array([[1.0], [2.0], [4.0]]), ["b", "a", "b"])
    array([[2.],
           [5.]])
    """
    if clusters is None:
        return values
    labels = np.asarray(clusters)
    if labels.shape != (values.shape[0],):
        raise InvalidDataError(
            f"clusters must hold one label for each of the {values.shape[0]} problems, got shape {labels.shape}"
        )
    codes, inverse = np.unique(labels, return_inverse=True)
    sums = np.zeros((codes.size, values.shape[1]))
    np.add.at(sums, inverse.reshape(-1), values)
    return sums


def standard_error_of_mean(values: ArrayLike, clusters: ArrayLike | None = None) -> float:
    """Return the standard error of the mean over problems.

    When the values are per-problem scores estimated from samples, their spread over problems already holds the
    sampling noise: nothing is to be added.

    Parameters
    ----------
    values : array_like, shape (problems,)
        One score a problem; NaN (no score) is left out.
    clusters : array_like, shape (problems,), optional
        Label of the cluster that each problem belongs to; clusters, not problems, are then independent.

    Returns
    -------
    float
        In the unit of the values; NaN with fewer than two problems (clusters).

    Examples
    --------
    >>> round(standard_error_of_mean([0.0, 1.0, 1.0, 0.0]), 6)
    0.288675
    >>> standard_error_of_mean([0.0, 1.0, 1.0, 0.0], clusters=[0, 0, 1, 1])
    0.0
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    finite = ~np.isnan(array)
    sums = cluster_sums(np.where(finite, array, 0.0), clusters)
    counts = cluster_sums(finite.astype(np.float64), clusters)
    return float(ratio_standard_error(sums, counts)[0])


def bootstrap_means(
    values: ArrayLike,
    counts: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the means of each column over resampled problems.

    Parameters
    ----------
    values : array_like, shape (rows, columns)
        One row a problem; NaN (no score) is left out of its column's mean.
    counts : array_like of int, shape (rows,), optional
        How many problems have this row; 1 each by default. Resampling rows by counts is resampling problems.
    clusters : array_like, shape (rows,), optional
        Cluster labels; whole clusters are drawn. Not together with `counts`.
    resamples : int
        Number of resamples.
    seed : int
        The same seed gives the same resamples.

    Returns
    -------
    ndarray, shape (resamples, columns)
        NaN where a resample holds no score of a column, and everywhere if there is no problem at all.

    Raises
    ------
    InvalidDataError
        If both `counts` and `clusters` are given, or a shape does not fit.

    References
    ----------
    B. Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics 7 (1979).

    Examples
    --------
    >>> means = bootstrap_means([[0.0], [1.0]], resamples=4, seed=1)
    >>> means.shape, bool(((means >= 0) & (means <= 1)).all())
    ((4, 1), True)
    """
    if counts is not None and clusters is not None:
        raise InvalidDataError("give either counts or clusters to the bootstrap, not both")
    table = np.asarray(values, dtype=np.float64)
    finite = ~np.isnan(table)
    sums = cluster_sums(np.where(finite, table, 0.0), clusters)
    sizes = cluster_sums(finite.astype(np.float64), clusters)
    units, columns = sums.shape
    weight = np.ones(units) if counts is None else np.asarray(counts, dtype=np.float64)
    total = int(weight.sum())
    if total == 0:
        return np.full((resamples, columns), np.nan)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, columns))
    block = max(1, _BLOCK // units)
    for start in range(0, resamples, block):
        stop = min(start + block, resamples)
        drawn = rng.multinomial(total, weight / weight.sum(), size=stop - start).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            means[start:stop] = (drawn @ sums) / (drawn @ sizes)
    return means
