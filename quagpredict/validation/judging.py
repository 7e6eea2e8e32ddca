"""From predictions on splits to one line a metric: mean, spread, interval and the gain over the baseline."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import UsageError
from quagpredict.validation import scores
from quagpredict.validation.predicting import Predicted
from quagpredict.validation.splits import Indices, Split

Floats = NDArray[np.float64]

#: Scores of a model that predicts values; a proxy only orders, so it has the others.
OF_VALUES = ("r2", "rmse", "coverage_90", "width_90")


def metric_names(top_m: int = 3) -> tuple[str, ...]:
    """Return the metrics in their order; regret and recall of the best `top_m` carry it in their names.

    Raises
    ------
    UsageError
        If `top_m` is below 1.

    Examples
    --------
    >>> metric_names(5)[6:9]
    ('regret_1', 'regret_1_in_base', 'regret_5')
    """
    if top_m < 1:
        raise UsageError(f"top_m must be at least 1, got {top_m}")
    top = dict.fromkeys(("regret_1", "regret_1_in_base", f"regret_{top_m}", f"recall_{top_m}"))
    of_order = ("pairwise_accuracy", "spearman_in_base", "spearman", "kendall", *top)
    return ("r2", "rmse", *of_order, "coverage_90", "width_90")


class Block(NamedTuple):
    """Repeats with equally many test rows.

    Attributes
    ----------
    rows : array (repeats, m)
        Test rows of each repeat, pooled over its splits.
    fits : array (repeats, m)
        The split whose fit predicts them.
    """

    rows: Indices
    fits: Indices


class Arrangement(NamedTuple):
    """All repeats of a protocol, with the resamples of their test rows that every model is judged on.

    Attributes
    ----------
    blocks : list of Block
    resamples : list of array (repeats, draws, m), or None
        Of each block: the places in each repeat that each draw takes. None: the protocol's own repeats give the
        interval.
    share : float
        Test rows over training rows, from which the interval follows where there are no resamples.
    """

    blocks: list[Block]
    resamples: list[Indices] | None
    share: float


class Judged(NamedTuple):
    """Scores by metric: of each repeat, and of each resample (empty where there are none)."""

    repeats: dict[str, Floats]
    draws: dict[str, Floats]


class Line(NamedTuple):
    """Summary of one metric; `low` and `high` bound the mean with 90 % confidence."""

    mean: float
    sd: float
    low: float
    high: float


def arrange(splits: Sequence[Split], *, bootstrap: int, seed: int, share: float | None = None) -> Arrangement:
    """Pool the test rows of each repeat and draw the resamples.

    Parameters
    ----------
    splits : sequence of Split
    bootstrap : int
        Number of resamples of the candidates, spread over the repeats. 0 where repeats share rows without each row
        being tested once in each (random halves), or where each is a group of its own: the standard error of the mean
        is then that of Nadeau and Bengio, ``sd * sqrt(1 / repeats + test rows / training rows)``, and the interval
        that of Student's t with repeats - 1 degrees of freedom; a repeat without a score is none.
    seed : int
    share : float, optional
        Test rows over training rows; by default that of the splits.

    References
    ----------
    C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning 52 (2003), section 4.
    """
    repeats: dict[int, list[tuple[int, Split]]] = {}
    for number, split in enumerate(splits):
        repeats.setdefault(split.repeat, []).append((number, split))
    by_size: dict[int, list[tuple[Indices, Indices]]] = {}
    for members in repeats.values():
        rows = np.concatenate([split.test for _, split in members])
        fits = np.concatenate([np.full(len(split.test), number) for number, split in members])
        by_size.setdefault(len(rows), []).append((rows, fits))
    blocks = [Block(np.stack([r for r, _ in pairs]), np.stack([f for _, f in pairs])) for pairs in by_size.values()]
    if not bootstrap:
        if share is None:
            share = float(np.mean([len(split.test) / len(split.train) for split in splits]))
        return Arrangement(blocks, None, share)
    rng = np.random.default_rng(seed)
    resamples = []
    for block in blocks:
        count, m = block.rows.shape
        resamples.append(rng.integers(0, m, (count, -(-bootstrap // count), m)))
    return Arrangement(blocks, resamples, 0.0)


def judge(
    arrangement: Arrangement,
    y: Floats,
    predicted: Predicted,
    groups: NDArray[np.intp],
    *,
    minimize: bool = False,
    merit: bool = False,
    top_m: int = 3,
) -> Judged:
    """Score one model's predictions.

    Parameters
    ----------
    arrangement : Arrangement
    y : array (n,)
    predicted : Predicted
        Of every row by every split's fit.
    groups : array (n,)
        Base model of each row, as a code.
    minimize : bool
        Whether the lowest target is best, for regret and recall.
    merit : bool
        True for a proxy: higher is better whatever the target, so where a lower target is better its order is turned.
    top_m : int
        How many candidates are chosen, for regret and recall.
    """
    mean, low, high, order = predicted
    up = -1.0 if minimize else 1.0
    if order is None:
        order = up * mean if merit else mean
    repeats: dict[str, list[Floats]] = {}
    draws: dict[str, list[Floats]] = {}
    for number, block in enumerate(arrangement.blocks):
        at = (block.fits, block.rows)
        ends = (None, None) if low is None or high is None else (low[at], high[at])
        tables = _Tables(y[block.rows], mean[at], order[at], *ends)
        count, m = block.rows.shape
        whole = np.broadcast_to(np.arange(m), (count, 1, m))
        for metric, values in _scores(tables, groups[block.rows], whole, up, top_m).items():
            repeats.setdefault(metric, []).append(values)
        if arrangement.resamples is not None:
            scores = _scores(tables, groups[block.rows], arrangement.resamples[number], up, top_m)
            for metric, values in scores.items():
                draws.setdefault(metric, []).append(values)
    return Judged(
        {metric: np.concatenate(parts) for metric, parts in repeats.items()},
        # A draw resamples within every block, and its score is the mean over blocks, as the reported one is.
        {metric: _mean_over_blocks(parts, arrangement.blocks) for metric, parts in draws.items()},
    )


def summarize(repeats: Floats, draws: Floats | None, share: float) -> Line | None:
    """Return mean, standard deviation over repeats and 90 % interval; None where no repeat has a score.

    Without draws the interval is that of `arrange`, from the repeats that have a score.

    Examples
    --------
    >>> summarize(np.array([0.5, 0.7, np.nan]), None, 0.5).mean
    0.6
    """
    finite = repeats[np.isfinite(repeats)]
    if not len(finite):
        return None
    mean = float(finite.mean())
    sd = float(finite.std(ddof=1)) if len(finite) > 1 else float("nan")
    if draws is not None:
        drawn = draws[np.isfinite(draws)]
        if len(drawn) < 20:
            return Line(mean, sd, float("nan"), float("nan"))
        drawn.sort()
        low, high = np.interp([0.05, 0.95], np.linspace(0.0, 1.0, len(drawn)), drawn)  # quantiles
        return Line(mean, sd, float(low), float(high))
    half = half_width(len(finite), share) * sd
    return Line(mean, sd, mean - half, mean + half)


def half_width(repeats: int, share: float) -> float:
    """Return half the 90 % interval of a mean over repeats, in standard deviations over repeats; infinite for one.

    Examples
    --------
    >>> round(half_width(100, 1.0), 2), half_width(1, 1.0)
    (1.67, inf)
    """
    from scipy.special import stdtrit

    return float(stdtrit(repeats - 1, 0.95)) * float(np.sqrt(1.0 / repeats + share)) if repeats > 1 else np.inf


class _Tables(NamedTuple):
    """Targets, predictions, what to order by and ends of intervals (or None) of the test rows, each (repeats, m)."""

    y: Floats
    mean: Floats
    order: Floats
    low: Floats | None
    high: Floats | None


def _scores(tables: _Tables, groups: NDArray[np.intp], chosen: Indices, up: float, top_m: int) -> dict[str, Floats]:
    """Return the scores of each draw of places, (repeats, draws, m), as arrays (repeats * draws,)."""
    at = (np.arange(len(chosen))[:, None, None], chosen)
    drawn = _Tables(*(None if table is None else table[at] for table in tables))  # type: ignore[arg-type]
    weights = np.zeros(chosen.shape)
    np.add.at(weights, (at[0], np.arange(chosen.shape[1])[:, None], chosen), 1.0)
    pairs = scores.pair_scores(tables.y, tables.order, weights, groups)
    result = _row_scores(drawn, up, top_m) | {"kendall": pairs.kendall, "pairwise_accuracy": pairs.accuracy}
    result["regret_1_in_base"] = scores.regret_in_groups(up * drawn.y, up * drawn.order, groups[at])
    result["spearman_in_base"] = scores.spearman_in_groups(drawn.y, drawn.order, groups[at])
    return {metric: values.reshape(-1) for metric, values in result.items()}


def _row_scores(tables: _Tables, up: float, top_m: int) -> dict[str, Floats]:
    y, mean, order, low, high = tables
    result = {
        "spearman": scores.spearman(y, order),
        "regret_1": scores.top_regret(up * y, up * order, 1),
        f"regret_{top_m}": scores.top_regret(up * y, up * order, top_m),
        f"recall_{top_m}": scores.top_recall(up * y, up * order, top_m),
    }
    if low is not None and high is not None:
        result |= {
            "r2": scores.r2(y, mean),
            "rmse": scores.rmse(y, mean),
            "coverage_90": scores.interval_coverage(y, low, high),
            "width_90": scores.interval_width(low, high),
        }
    return result


def _mean_over_blocks(parts: list[Floats], blocks: list[Block]) -> Floats:
    weights = np.array([len(block.rows) for block in blocks], dtype=np.float64)
    # Blocks of several splits draw rounded up to a multiple of them, so some have a few draws more than others.
    draws = min(map(len, parts))
    return np.asarray(weights @ np.stack([part[:draws] for part in parts]) / weights.sum())
