"""How good predictions are: of the value, of the order, of the choice, of the interval.

Every function takes arrays whose last axis is the m test rows; the axes before it are repeats. It returns one number a
repeat, and NaN where the score is not defined (fewer than two rows, a missing value, a constant where variation is
needed). `higher is
better` is assumed of the target wherever something is chosen.
"""

from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError

Floats = NDArray[np.float64]

_BLOCK = 1_000_000  # pairs held at a time


def r2(y: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return the coefficient of determination against the test rows' own mean.

    1 is perfect and 0 is as good as knowing the mean of the test rows. It is negative when the predictions are worse
    than that, which a useless surrogate fitted on other rows always is on average; there is no lower bound.

    Examples
    --------
    >>> float(r2([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])), float(r2([1.0, 2.0, 3.0], [3.0, 3.0, 3.0]))
    (1.0, -1.5)
    """
    y, predicted = _pair(y, predicted)
    total = ((y - y.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    missed = ((y - predicted) ** 2).sum(axis=-1)
    return _ratio(total - missed, total)


def rmse(y: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return the root mean squared error, in the unit of the target.

    Examples
    --------
    >>> float(rmse([0.1, 0.2], [0.1, 0.4]).round(4))
    0.1414
    """
    y, predicted = _pair(y, predicted)
    return np.asarray(np.sqrt(((y - predicted) ** 2).mean(axis=-1)))


def average_ranks(values: ArrayLike) -> Floats:
    """Return ranks from 1; ties share the mean of the ranks that they take up.

    Examples
    --------
    >>> average_ranks([0.5, 0.1, 0.5])
    array([2.5, 1. , 2.5])
    """
    table = np.asarray(values, dtype=np.float64)
    m = table.shape[-1]
    order = np.argsort(table, axis=-1, kind="stable")
    ordered = np.take_along_axis(table, order, axis=-1)
    position = np.broadcast_to(np.arange(m), table.shape)
    starts = np.concatenate([np.ones((*table.shape[:-1], 1), bool), ordered[..., 1:] != ordered[..., :-1]], axis=-1)
    ends = np.concatenate([starts[..., 1:], np.ones((*table.shape[:-1], 1), bool)], axis=-1)
    first = np.maximum.accumulate(np.where(starts, position, 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, position, m)[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty_like(table)
    np.put_along_axis(ranks, order, (first + last) / 2.0 + 1.0, axis=-1)
    return ranks


def spearman(y: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return Spearman's rank correlation: Pearson's of the average ranks. NaN if either is constant.

    Examples
    --------
    >>> float(spearman([1.0, 2.0, 3.0], [0.1, 0.2, 0.9]).round(6))
    1.0
    """
    y, predicted = _pair(y, predicted)
    a = average_ranks(y) - (y.shape[-1] + 1) / 2.0
    b = average_ranks(predicted) - (y.shape[-1] + 1) / 2.0
    correlation = _ratio((a * b).sum(axis=-1), np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1)))
    return _where_known(correlation, y, predicted)


def spearman_in_groups(y: ArrayLike, predicted: ArrayLike, groups: ArrayLike) -> Floats:
    """Return Spearman's rank correlation within each group: the mean over groups that have one; NaN if none has.

    Parameters
    ----------
    y, predicted : array (..., m)
    groups : array (..., m)
        Base model of each row. A group in which either is constant does not count.

    Examples
    --------
    >>> float(spearman_in_groups([0.1, 0.2, 0.3, 0.9, 0.8], [1.0, 2.0, 3.0, 0.0, 1.0], ["a", "a", "a", "b", "b"]))
    0.0
    """
    y, predicted = _pair(y, predicted)
    codes = np.broadcast_to(np.asarray(groups), y.shape)
    total, counted = np.zeros(y.shape[:-1]), np.zeros(y.shape[:-1])
    for code in np.unique(codes):
        inside = codes == code
        middle = (inside.sum(axis=-1, keepdims=True) + 1) / 2.0
        # Rows of other groups come after all of this one.
        a, b = (
            np.where(inside, average_ranks(np.where(inside, table, np.inf)) - middle, 0.0) for table in (y, predicted)
        )
        correlations = _ratio((a * b).sum(axis=-1), np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1)))
        finite = np.isfinite(correlations)
        total += np.where(finite, correlations, 0.0)
        counted += finite
    return _where_known(_ratio(total, counted), y, predicted)


def kendall(y: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return Kendall's tau-b. NaN if either is constant.

    References
    ----------
    M. G. Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).

    Examples
    --------
    >>> float(kendall([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]).round(6))
    0.333333
    """
    return _pairs(y, predicted, None).kendall


def pairwise_accuracy(y: ArrayLike, predicted: ArrayLike, groups: ArrayLike | None = None) -> Floats:
    """Return the share of pairs that the predictions put in the right order, within groups.

    Parameters
    ----------
    y, predicted : array (..., m)
    groups : array (..., m), optional
        Base model of each row: only pairs of one base model count. None: all pairs.

    Returns
    -------
    array (...)
        Pairs with equal targets have no order and do not count; a pair with equal predictions counts half. 0.5 is what
        chance gives. NaN without a pair.

    Examples
    --------
    >>> float(pairwise_accuracy([0.1, 0.2, 0.3], [1.0, 3.0, 2.0]).round(4))
    0.6667
    """
    return _pairs(y, predicted, groups).accuracy


class PairScores(NamedTuple):
    """Kendall's tau-b over all pairs, and pairwise accuracy within groups."""

    kendall: Floats
    accuracy: Floats


def pair_scores(y: ArrayLike, predicted: ArrayLike, weights: ArrayLike, groups: ArrayLike | None = None) -> PairScores:
    """Return both scores of pairs for many resamples, nearly at the price of one.

    Parameters
    ----------
    y, predicted : array (repeats, m)
    weights : array (repeats, draws, m)
        How often each row is there in each draw.
    groups : array (repeats, m), optional
        As in `pairwise_accuracy`; None: all pairs.

    Returns
    -------
    PairScores
        Arrays of shape (repeats, draws).

    Examples
    --------
    >>> y = np.array([[0.1, 0.2, 0.3]])
    >>> pair_scores(y, [[3.0, 1.0, 2.0]], [[[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]]]).accuracy.round(3)
    array([[0.333, 1.   ]])
    """
    y, predicted = _pair(y, predicted)
    weight = np.asarray(weights, dtype=np.float64)
    codes = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(y.shape)
    repeats, m = y.shape
    sums = np.zeros((5, repeats, weight.shape[1]))
    chunk = max(1, _BLOCK // max(1, m * m))  # repeats at a time; a long table goes by parts of its rows
    rows = max(1, _BLOCK // max(1, m * chunk))
    for begin in range(0, repeats, chunk):
        some = slice(begin, begin + chunk)
        for start in range(0, m, rows):
            part = slice(start, start + rows)
            a = np.sign(y[some, part, None] - y[some, None, :])
            b = np.sign(predicted[some, part, None] - predicted[some, None, :])
            both = a * b
            tables = [both, np.abs(a), np.abs(b)]
            if codes is not None:
                same = codes[some, part, None] == codes[some, None, :]
                tables += [both * same, tables[1] * same]
            for number, table in enumerate(tables):
                sums[number, some] += ((weight[some, :, part] @ table) * weight[some]).sum(axis=2)
    concordance, of_y, of_predicted, within, of_y_within = sums
    if codes is None:
        within, of_y_within = concordance, of_y
    return PairScores(_ratio(concordance, np.sqrt(of_y * of_predicted)), 0.5 + 0.5 * _ratio(within, of_y_within))


def top_regret(y: ArrayLike, predicted: ArrayLike, m: int = 1) -> Floats:
    """Return what is lost by running RL only on the m rows with the highest predictions.

    That is the best target of all minus the best target among the chosen, in the unit of the target; 0 is perfect.
    Where predictions tie at the border, the expectation over a random choice among them is taken. NaN unless there are
    more than m rows.

    Examples
    --------
    >>> top_regret([[0.5, 0.7, 0.6]], [[3.0, 1.0, 2.0], [0.0, 0.0, 0.0]]).round(6)
    array([0.2, 0.1])
    """
    y, predicted = _pair(y, predicted)
    if y.shape[-1] <= m:
        return np.full(y.shape[:-1], np.nan)
    order = np.argsort(-predicted, axis=-1, kind="stable")
    ordered = np.take_along_axis(predicted, order, axis=-1)
    best = np.array(np.take_along_axis(y, order, axis=-1)[..., :m].max(axis=-1))
    tied = predicted == ordered[..., [m]]
    # It matters which of the tied rows are drawn only where their targets differ; copies of one row do not count.
    differ = np.where(tied, y, -np.inf).max(axis=-1) > np.where(tied, y, np.inf).min(axis=-1)
    differ &= ordered[..., m - 1] == ordered[..., m]
    every = differ & tied.all(axis=-1)
    best[every] = -np.sort(-y[every], axis=-1)[..., : y.shape[-1] - m + 1] @ _chances_of_best(y.shape[-1], m)
    for index in np.argwhere(differ & ~every):
        where = tuple(index)
        best[where] = _expected_best(y[where], predicted[where], float(ordered[(*where, m)]), m)
    return _where_known(y.max(axis=-1) - best, y, predicted)


def regret_of_search(y: ArrayLike, predicted: ArrayLike, trials: int) -> float:
    """Return what a search loses that makes only some of the trials, at random, and takes the one predicted best.

    That is the best target of all rows minus the expected target of the row with the highest prediction among `trials`
    rows drawn without replacement, in the unit of the target. Where predictions tie, the mean of the tied targets is
    taken.

    Parameters
    ----------
    y, predicted : array (m,)
        Without NaN.
    trials : int
        At least 1, at most m. With 1 nothing is chosen: the regret of the mean; with m it is `top_regret`.

    Examples
    --------
    >>> [round(regret_of_search([0.5, 0.7, 0.6], [3.0, 1.0, 2.0], n), 3) for n in (1, 2, 3)]
    [0.1, 0.167, 0.2]
    """
    targets, by = np.asarray(y, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    m = len(targets)
    if targets.shape != by.shape or not 1 <= trials <= m or not np.isfinite(targets + by).all():
        raise InvalidDataError(f"expected two arrays without NaN of at least {trials} numbers, got {m} and {len(by)}")
    _, group = np.unique(-by, return_inverse=True)
    level = np.bincount(group, weights=targets) / np.bincount(group)
    # The row in place r, from the best down, is the first of those drawn if all others are drawn from behind it.
    chance = np.array([comb(m - rank, trials - 1) for rank in range(1, m + 1)], dtype=np.float64) / comb(m, trials)
    return float(targets.max() - chance @ level[np.sort(group)])


def regret_in_groups(y: ArrayLike, predicted: ArrayLike, groups: ArrayLike) -> Floats:
    """Return what is lost by choosing the row with the highest prediction in each group: the mean over groups.

    Where predictions tie at the top, the mean of the tied targets is taken. A group of one row leaves nothing to choose
    and does not count; NaN if no group counts.

    Parameters
    ----------
    y, predicted : array (..., m)
    groups : array (..., m)
        Base model of each row.

    Examples
    --------
    >>> float(regret_in_groups([0.5, 0.7, 0.6, 0.2], [3.0, 1.0, 0.0, 2.0], ["a", "a", "b", "b"]).round(6))
    0.3
    """
    y, predicted = _pair(y, predicted)
    codes = np.broadcast_to(np.asarray(groups), y.shape)
    total, counted = np.zeros(y.shape[:-1]), np.zeros(y.shape[:-1])
    for code in np.unique(codes):
        inside = codes == code
        several = inside.sum(axis=-1) > 1
        top = inside & (predicted == np.where(inside, predicted, -np.inf).max(axis=-1, keepdims=True))
        chosen = _ratio((y * top).sum(axis=-1), top.sum(axis=-1))
        total += np.where(several, np.where(inside, y, -np.inf).max(axis=-1) - chosen, 0.0)
        counted += several
    return _where_known(_ratio(total, counted), y, predicted)


def top_recall(y: ArrayLike, predicted: ArrayLike, m: int) -> Floats:
    """Return the share of the m best rows that are among the m with the highest predictions.

    Rows that tie at a border share the places that are left. NaN unless there are more than m rows.

    Examples
    --------
    >>> float(top_recall([0.5, 0.7, 0.6], [3.0, 1.0, 2.0], 2))
    0.5
    """
    y, predicted = _pair(y, predicted)
    if y.shape[-1] <= m:
        return np.full(y.shape[:-1], np.nan)
    return _where_known((_membership(y, m) * _membership(predicted, m)).sum(axis=-1) / m, y, predicted)


def interval_coverage(y: ArrayLike, low: ArrayLike, high: ArrayLike) -> Floats:
    """Return the share of targets inside their interval, ends included.

    Rows without an interval (NaN) do not count; NaN if no row has one.

    Examples
    --------
    >>> float(interval_coverage([0.1, 0.5, 0.5], [0.0, 0.0, np.nan], [0.2, 0.2, np.nan]))
    0.5
    """
    y, low = _pair(y, low)
    high = np.broadcast_to(np.asarray(high, dtype=np.float64), y.shape)
    inside = (low <= y) & (y <= high)
    return _ratio(inside.sum(axis=-1), (~np.isnan(low)).sum(axis=-1))


def interval_width(low: ArrayLike, high: ArrayLike) -> Floats:
    """Return the mean width of the intervals that are there, in the unit of the target; NaN without one.

    Examples
    --------
    >>> float(interval_width([0.0, 0.1], [0.2, 0.5]).round(6))
    0.3
    """
    low, high = _pair(low, high)
    finite = ~np.isnan(low)
    return _ratio(np.where(finite, high - low, 0.0).sum(axis=-1), finite.sum(axis=-1))


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    return first, second


def _where_known(score: Floats, y: Floats, predicted: Floats) -> Floats:
    """Return the score, NaN for a repeat in which a target or a prediction is missing: it has no place in an order."""
    missing = np.isnan(y).any(axis=-1) | np.isnan(predicted).any(axis=-1)
    return np.asarray(np.where(missing, np.nan, score))


def _ratio(top: Any, bottom: Any) -> Floats:
    """Return top / bottom, NaN where the bottom is 0."""
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    return np.asarray(np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0))


def _pairs(y: ArrayLike, predicted: ArrayLike, groups: ArrayLike | None) -> PairScores:
    """Return the scores of pairs of arrays (..., m), each row there once."""
    a, b = _pair(y, predicted)
    shape, m = a.shape[:-1], a.shape[-1]
    codes = None if groups is None else np.broadcast_to(np.asarray(groups), a.shape).reshape(-1, m)
    a, b = a.reshape(-1, m), b.reshape(-1, m)
    pairs = pair_scores(a, b, np.ones((len(a), 1, m)), codes)
    return PairScores(pairs.kendall.reshape(shape), pairs.accuracy.reshape(shape))


def _membership(values: Floats, m: int) -> Floats:
    """Return the probability of being among the m largest when ties are broken at random."""
    border = np.partition(values, values.shape[-1] - m, axis=-1)[..., [values.shape[-1] - m]]
    above, tied = values > border, values == border
    left = m - above.sum(axis=-1, keepdims=True)
    share = left / tied.sum(axis=-1, keepdims=True)
    return np.asarray(np.where(above, 1.0, np.where(tied, share, 0.0)))


def _expected_best(y: Floats, predicted: Floats, border: float, m: int) -> float:
    """Return the expected best target of m rows when the rows at the border are drawn at random."""
    sure = y[predicted > border]
    tied = np.sort(y[predicted == border])[::-1]
    left = m - len(sure)
    floor = sure.max(initial=-np.inf)
    chances = _chances_of_best(len(tied), left)
    return float(np.maximum(floor, tied[: len(chances)]) @ chances)


def _chances_of_best(count: int, left: int) -> Floats:
    """Return the probability that the i-th best of `count` rows is the best of `places` drawn at random."""
    # It is drawn, and none above it is.
    whole = comb(count, left)
    return np.array([comb(count - i - 1, left - 1) / whole for i in range(count - left + 1)])
