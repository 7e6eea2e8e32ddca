"""Intervals that cover: how wide they must be, learnt from runs that the fit had not seen."""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Unpack

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import CorpusError
from quagpredict.surrogates.auto import chosen
from quagpredict.surrogates.feature_sets import Transforms
from quagpredict.surrogates.fitted import Z90, Calibration, FittedSurrogate
from quagpredict.surrogates.kind import FitSettings, FitTask
from quagpredict.surrogates.kinds import kind_of
from quagpredict.surrogates.many_fits import ManyFits
from quagpredict.surrogates.training_rows import training_rows
from quagpredict.surrogates.transforms import parse_transform
from quagpredict.validation.noise_ceiling import evaluation_noise
from quagpredict.validation.splits import repeated_k_fold

Floats = NDArray[np.float64]

#: A base model with fewer left-out runs shares the quantile of all: the largest of a few is a poor one.
MIN_GROUP = 29


def conformal_quantile(scores: ArrayLike, level: float = 0.9) -> float:
    """Return the value that the score of a new run stays below with probability `level`.

    Parameters
    ----------
    scores : array (n,)
        Scores of runs that the fit had not seen, exchangeable with the new one; NaN are left out.
    level : float

    Returns
    -------
    float
        The ``(n + 1) * level``-th smallest score, straight between two where that is not a whole number (rounding up
        would guarantee the level and exceed it on average, by 3 % with 25 runs); infinite if there are too few, below 9
        for 90 %.

    References
    ----------
    V. Vovk, A. Gammerman and G. Shafer, Algorithmic Learning in a Random World (2005), section 4.1; J. Lei et al.,
    Distribution-free predictive inference for regression, JASA 113 (2018).

    Examples
    --------
    >>> [conformal_quantile(np.arange(1.0, n)) for n in (3, 15, 20)]
    [inf, 13.5, 18.0]
    """
    ordered = np.asarray(scores, dtype=np.float64)
    ordered = np.sort(ordered[~np.isnan(ordered)])
    position = (len(ordered) + 1) * level
    if not 1.0 <= position <= len(ordered) + 1e-9:
        return float("inf")
    return float(np.interp(position, np.arange(1, len(ordered) + 1), ordered))


def learn_calibration(
    kind: str,
    frame: pl.DataFrame,
    y: Floats,
    *,
    folds: int = 10,
    floor: float | None = None,
    **settings: Unpack[FitSettings],
) -> Calibration:
    """Learn how wide the 90 % intervals of a surrogate must be, by leaving out each tenth of its training rows in turn.

    The score of a left-out run is its distance from the prediction in units of the predicted deviation, on the scale on
    which the surrogate is fitted: intervals are wide where the model says that it knows little, and as wide on the
    whole as it takes. The fit on all rows then uses the quantile of these scores, which are those of slightly smaller
    fits (CV without the plus: the worst case of jackknife+ is not proven for it; ``bench/interval_coverage.py``
    measures the coverage). A base model with 29 runs or more gets a quantile of its own (Mondrian).

    Parameters
    ----------
    kind, frame, y
        As for `fit_frame`.
    folds : int
        With fewer rows, each is left out alone.
    floor : float, optional
        Least half-width, in the unit of the target; by default that of its evaluation noise in `frame`.
    **settings
        See `FitSettings`. ``groups`` names the column whose values get quantiles of their own, ``base_model`` by
        default.

    Returns
    -------
    Calibration
        With fewer than 9 rows, or too few to fit without a fold, the model's own interval of Student's t is kept, and
        `method` says so. `floor` is 1.645 standard deviations of the target's evaluation noise, 0 where that is not
        known.

    References
    ----------
    R. F. Barber et al., Predictive inference with the jackknife+, Annals of Statistics 49 (2021); V. Vovk, Conditional
    validity of inductive conformal predictors, Machine Learning 92 (2013).

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(60, seed=1).frame
    >>> found = learn_calibration("linear", frame, frame["post_pass_at_1"].to_numpy())
    >>> found.method, found.rows, sorted(found.by_group)
    ('conformal, 10 folds', 60, ['base-0', 'base-1'])
    """
    task = FitTask(kind_of(kind), frame, y, **settings)
    if floor is None:
        floor = noise_floor(frame, task.target)
    n = len(y)
    folds = min(folds, n)
    scores = np.full(n, np.nan)
    try:
        fits, fitted = ManyFits(task), None
        # From a single run some kinds can be fitted; nothing is left to leave out.
        for split in repeated_k_fold(np.arange(n), folds, 1, task.seed) if n > 1 else ():
            fitted = fits.fit(split.train, fitted)
            left_out = fitted.predict_transformed(fits.design(fitted)[split.test])
            true = parse_transform(fitted.target_transform).forward(y[split.test])
            scores[split.test] = left_out_scores(true, left_out.mean, left_out.std)
    except CorpusError:
        scores = np.empty(0)
    return calibration_of(scores, _names(frame, task.groups or "base_model"), floor, n, folds)


def with_calibration(
    fitted: FittedSurrogate,
    frame: pl.DataFrame,
    *,
    features: str | Sequence[str] = "both",
    transforms: Transforms = "identity",
    groups: str | None = None,
    split: str | None = "fit",
    seed: int = 0,
) -> FittedSurrogate:
    """Return a surrogate that `fit` made of a table, with intervals calibrated on the same rows.

    Parameters
    ----------
    fitted : FittedSurrogate
    frame : polars.DataFrame
        The table that it was fitted on.
    features, transforms, groups, split, seed
        What `fit` was given.

    Examples
    --------
    >>> from quagpredict.surrogates import fit
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(40, seed=1).frame
    >>> with_calibration(fit(frame), frame).calibration.method
    'conformal, 10 folds'
    """
    rows = training_rows(frame, fitted.target, split=split)
    kind, transforms = chosen(fitted, transforms)  # what `auto` chose is not chosen again in each fold
    learnt = learn_calibration(
        kind,
        rows.frame,
        rows.y,
        features=features,
        transforms=transforms,
        target=fitted.target,
        groups=groups,
        seed=seed,
        floor=noise_floor(rows.runs, fitted.target),
    )
    return replace(fitted, calibration=learnt)


def noise_floor(runs: pl.DataFrame, target: str) -> float:
    """Return the half-width of the 90 % interval that evaluation noise alone gives the target; 0 if not known."""
    deviation = evaluation_noise(runs, target)
    return Z90 * deviation if np.isfinite(deviation) else 0.0


def left_out_scores(true: Floats, mean: Floats, std: Floats) -> Floats:
    """Return how far left-out runs lie from their prediction, in predicted deviations; NaN where that is unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(np.isfinite(std), np.abs(true - mean) / std, np.nan))


def calibration_of(scores: Floats, names: Sequence[str], floor: float, rows: int, folds: int) -> Calibration:
    """Return the calibration that scores of left-out runs give, one score a row, with the row's base model.

    Examples
    --------
    >>> calibration_of(np.array([0.5, 1.0]), ["a", "a"], 0.01, 2, 2).method
    "Student's t, 2 runs are too few for conformal intervals"
    """
    quantile = conformal_quantile(scores)
    if not np.isfinite(quantile):
        return Calibration(0.9, Z90, floor, rows, f"Student's t, {rows} runs are too few for conformal intervals")
    groups = np.asarray(names, dtype=np.str_)
    quantiles: dict[str, float] = {}
    distinct = np.unique(groups)
    for name in distinct if len(distinct) > 1 else ():
        own = scores[groups == name]
        if name and np.isfinite(own).sum() >= MIN_GROUP:
            quantiles[str(name)] = conformal_quantile(own)
    return Calibration(0.9, quantile, floor, rows, f"conformal, {folds} folds", MappingProxyType(quantiles))


def _names(frame: pl.DataFrame, column: str) -> list[str]:
    if column not in frame.columns:
        return [""] * frame.height
    return frame[column].cast(pl.String).fill_null("").to_list()
