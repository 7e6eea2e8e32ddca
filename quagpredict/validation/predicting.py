"""Predictions of every row by the fit of every split, with the intervals that a user would be given."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.design import design_matrix
from quagpredict.errors import CorpusError
from quagpredict.surrogates.auto import chosen
from quagpredict.surrogates.kind import FitSettings, FitTask
from quagpredict.surrogates.kinds import kind_of
from quagpredict.surrogates.many_fits import ManyFits
from quagpredict.validation.baselines import OF_BASES, Model
from quagpredict.validation.batched_least_squares import predict_splits
from quagpredict.validation.conformal import calibration_of, learn_calibration, left_out_scores
from quagpredict.validation.splits import Split, repeated_k_fold

Floats = NDArray[np.float64]

#: Splits of which intervals are judged: each needs a calibration of its own, several fits on its training rows.
CALIBRATED = 10
FOLDS = 5

# Splits whose slow fits are sent to another process together.
_AT_ONCE = 5


class Rows(NamedTuple):
    """Finished candidates, ready to be split.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a candidate, with every column that a model reads.
    y : array (n,)
    bases : list of str
        Base model of each row; empty where unknown.
    target : str
    floor : float
        Half-width of the interval that evaluation noise alone gives the target.
    """

    frame: pl.DataFrame
    y: Floats
    bases: list[str]
    target: str
    floor: float

    def take(self, rows: NDArray[np.intp]) -> "Rows":
        """Return some of the rows."""
        return self._replace(frame=self.frame[rows], y=self.y[rows], bases=[self.bases[row] for row in rows])


class Predicted(NamedTuple):
    """Predictions, each (splits, n); those of a split's training rows are no test.

    Attributes
    ----------
    mean : array
    low, high : array or None
        Ends of the 90 % intervals; NaN for splits that were not calibrated, None for a proxy.
    order : array or None
        What orders the rows where the predictions themselves do not: fits of several splits that are judged together
        differ in their level, and always to the wrong side, because a fold of good candidates leaves a lower mean.
    """

    mean: Floats
    low: Floats | None
    high: Floats | None
    order: Floats | None = None


def predictions(
    model: Model, rows: Rows, splits: Sequence[Split], *, seed: int = 0, intervals: int = CALIBRATED
) -> Predicted:
    """Fit a model on the training rows of each split and predict all rows.

    Everything is learnt from the training rows of the split: coefficients, transforms, tuning, and the width of the
    intervals, by leaving out a fifth of them at a time. That is done for the first splits only, which is enough for
    a share of rows covered.

    Parameters
    ----------
    model : Model
    rows : Rows
        Without missing values in the model's columns.
    splits : sequence of Split
    seed : int
        Of models that draw random numbers, and of the folds for intervals.
    intervals : int
        How many splits, from the first on, get intervals.
    """
    calibrated = splits[:intervals]
    if model.kind == "proxy":
        values = model.sign * design_matrix(rows.frame, model.features)[:, 0]
        return Predicted(np.broadcast_to(values, (len(splits), len(values))), None, None)
    if model.kind == OF_BASES:
        return _of_bases(model, rows, splits)
    if model.transforms == "identity" and model.kind in ("linear", "mean"):
        predicted = _least_squares(model, rows, splits, calibrated, seed)
        # The training mean puts no candidate before another.
        return predicted._replace(order=np.zeros_like(predicted.mean)) if model.kind == "mean" else predicted
    mean = np.empty((len(splits), len(rows.y)))
    low, high = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    settings: FitSettings = {"features": model.features, "target": rows.target, "seed": seed}
    settings["transforms"] = model.transforms
    fits = ManyFits(FitTask(kind_of(model.kind), rows.frame, rows.y, **settings))
    for number, split in enumerate(splits):
        fitted = fits.fit(split.train)
        X = fits.design(fitted)
        mean[number] = fitted.predict(X).mean
        if number < len(calibrated):
            # What `auto` chose is not chosen again in each fold.
            kind, settings["transforms"] = chosen(fitted, model.transforms)
            learnt = learn_calibration(
                *(kind, rows.frame[split.train], rows.y[split.train]),
                folds=FOLDS,
                floor=rows.floor,
                **settings,
            )
            fitted = replace(fitted, calibration=learnt)
            low[number], high[number] = fitted.interval(X, groups=rows.bases)
    return Predicted(mean, low, high)


def predictions_of(
    models: Sequence[Model], rows: Rows, splits: Sequence[Split], *, seed: int = 0, pool: Executor | None = None
) -> Iterator[tuple[Model, Predicted | CorpusError]]:
    """Yield each model with its predictions; with a pool of processes slow fits are made there, the results the same.

    A model that cannot be fitted on the training rows of some split comes with the error instead: the others go on.

    Parameters
    ----------
    models : sequence of Model
    rows, splits, seed
        As for `predictions`.
    pool : Executor, optional
    """
    waiting: dict[str, list[Future[Predicted]]] = {}
    if pool is not None:
        for model in (model for model in models if model.is_surrogate and kind_of(model.kind).slow):
            waiting[model.name] = [
                pool.submit(
                    predictions,
                    model,
                    rows,
                    splits[start : start + _AT_ONCE],
                    seed=seed,
                    intervals=max(0, CALIBRATED - start),
                )
                for start in range(0, len(splits), _AT_ONCE)
            ]
    for model in models:
        try:
            if model.name in waiting:
                parts = [future.result() for future in waiting[model.name]]
                mean, low, high = (np.concatenate([part[field] for part in parts]) for field in range(3))
                predicted: Predicted | CorpusError = Predicted(mean, low, high)
            else:
                predicted = predictions(model, rows, splits, seed=seed)
        except CorpusError as error:
            predicted = error
        yield model, predicted


def _of_bases(model: Model, rows: Rows, splits: Sequence[Split]) -> Predicted:
    """Predict the mean of each base's training rows, and along a feature the slope that they share within bases.

    A base without a training row has the mean of the others' means. No interval is given. The mean alone puts no
    candidate of a base before another, so its order is the same in all splits of a repeat.
    """
    codes = np.unique(np.array(rows.bases), return_inverse=True)[1].reshape(-1)
    x = design_matrix(rows.frame, model.features)[:, 0] if model.features else np.zeros(len(rows.y))
    mean = np.empty((len(splits), len(rows.y)))
    for number, split in enumerate(splits):
        at = codes[split.train]
        count = np.bincount(at, minlength=codes.max() + 1)
        centre, level = (
            np.bincount(at, values[split.train], len(count)) / np.maximum(count, 1) for values in (x, rows.y)
        )
        centre, level = (np.where(count > 0, table, table[count > 0].mean()) for table in (centre, level))
        run, rise = x[split.train] - centre[at], rows.y[split.train] - level[at]
        slope = float(run @ rise) / float(run @ run) if run.any() else 0.0
        mean[number] = level[codes] + slope * (x - centre[codes])
    unknown = np.full_like(mean, np.nan)
    if model.features:
        return Predicted(mean, unknown, unknown)
    repeat = np.array([split.repeat for split in splits])
    order = np.stack([mean[repeat == own].mean(axis=0) for own in repeat])
    return Predicted(mean, unknown, unknown, order)


def _least_squares(
    model: Model, rows: Rows, splits: Sequence[Split], calibrated: Sequence[Split], seed: int
) -> Predicted:
    """Do the same for plain lines, all splits at once."""
    n = len(rows.y)
    X = design_matrix(rows.frame, model.features) if model.features else np.empty((n, 0))
    mean, std = predict_splits(X, rows.y, splits)
    low, high = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    inner: list[Split] = []
    for number, split in enumerate(calibrated):
        if len(split.train) > X.shape[1] + 4:
            folds = repeated_k_fold(np.arange(len(split.train)), FOLDS, 1, seed)
            inner += [Split(split.train[fold.train], split.train[fold.test], number) for fold in folds]
    left_out = np.full((len(calibrated), n), np.nan)
    if inner:
        inside = predict_splits(X, rows.y, inner)
        for number, fold in enumerate(inner):
            left_out[fold.repeat, fold.test] = left_out_scores(
                rows.y[fold.test], inside.mean[number, fold.test], inside.std[number, fold.test]
            )
    for number, split in enumerate(calibrated):
        names = [rows.bases[row] for row in split.train]
        learnt = calibration_of(left_out[number, split.train], names, rows.floor, len(split.train), FOLDS)
        factor = np.array([learnt.by_group.get(base, learnt.quantile) for base in rows.bases])
        half = np.maximum(factor * std[number], learnt.floor)
        low[number], high[number] = mean[number] - half, mean[number] + half
    return Predicted(mean, low, high)
