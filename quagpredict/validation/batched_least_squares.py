"""Ordinary least squares on many splits of one table at once; what `fit_linear` gives, split by split, but faster."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.linear import fit_linear
from quagpredict.surrogates.training_tables import t_factor
from quagpredict.validation.splits import Split

Floats = NDArray[np.float64]

_BLOCK = 4_000_000  # numbers held at a time


class SplitPredictions(NamedTuple):
    """Predictions of every row by the fit of every split, each (splits, n); those of training rows are no test."""

    mean: Floats
    std: Floats


def predict_splits(X: Floats, y: Floats, splits: Sequence[Split]) -> SplitPredictions:
    """Fit least squares with an intercept on the training rows of each split and predict all rows.

    Parameters
    ----------
    X : array (n, p)
        Finite; p = 0 predicts the training mean.
    y : array (n,)
    splits : sequence of Split

    Returns
    -------
    SplitPredictions
        As `fit_linear(X[train], y[train]).predict(X)` for each split; a std is infinite without a degree of freedom.
        Features that are collinear to within 1e-6 of their spread count as one, as `fit_linear` treats exact copies.

    Examples
    --------
    >>> splits = [Split(np.array([0, 1, 2]), np.array([3]), 0)]
    >>> predict_splits(np.arange(4.0)[:, None], np.array([0.0, 2.0, 4.0, 9.0]), splits).mean.round(6)
    array([[0., 2., 4., 6.]])
    """
    n, p = X.shape
    if n * (p + 1) ** 2 > _BLOCK:  # many features: the table of products would not fit
        fits = [fit_linear(X[split.train], y[split.train]) for split in splits]
        return SplitPredictions(*_stack(fits, X))
    if p == 0:  # a constant column explains nothing and spares the code below a special case
        X, p = np.zeros((n, 1)), 1
    inside = np.zeros((len(splits), n))
    for row, split in enumerate(splits):
        inside[row, split.train] = 1.0
    # A common shift and scale changes no prediction and keeps the products well conditioned.
    scale = X.std(axis=0) if n else np.ones(p)
    Z = (X - X.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    products = (Z[:, :, None] * Z[:, None, :]).reshape(n, p * p)
    block = max(1, _BLOCK // max(1, n * (p + 1)))
    parts = [_fit_block(Z, products, y, inside[at : at + block]) for at in range(0, len(splits), block)]
    return SplitPredictions(np.concatenate([part.mean for part in parts]), np.concatenate([part.std for part in parts]))


def _fit_block(Z: Floats, products: Floats, y: Floats, inside: Floats) -> SplitPredictions:
    p = Z.shape[1]
    count = inside.sum(axis=1)
    center = inside @ Z / count[:, None]
    level = inside @ y / count
    covariance = (inside @ products / count[:, None]).reshape(-1, p, p) - center[:, :, None] * center[:, None, :]
    spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-7)
    correlation = covariance * weight[:, :, None] * weight[:, None, :]
    values, vectors = np.linalg.eigh(correlation)
    kept = values > 1e-12 * np.maximum(values.max(axis=1, keepdims=True, initial=0.0), 1.0)
    inverse_values = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    root = weight[:, :, None] * vectors * np.sqrt(inverse_values)[:, None, :]  # inverse covariance = root root'
    moment = (inside * y) @ Z / count[:, None] - center * level[:, None]
    coefficients = np.einsum("sij,skj,sk->si", root, root, moment)
    mean = level[:, None] + coefficients @ Z.T - (center * coefficients).sum(axis=1, keepdims=True)
    df = count - 1.0 - kept.sum(axis=1)
    missed = (inside * (y - mean) ** 2).sum(axis=1)
    variance = np.divide(missed, df, out=np.full_like(missed, np.inf), where=df > 0)
    whitened = np.einsum("ni,sij->snj", Z, root) - np.einsum("si,sij->sj", center, root)[:, None, :]
    leverage = (1.0 + (whitened**2).sum(axis=2)) / count[:, None]
    factors = {value: t_factor(value) for value in np.unique(df)}
    factor = np.array([factors[value] for value in df])
    return SplitPredictions(mean, factor[:, None] * np.sqrt(variance[:, None] * (1.0 + leverage)))


def _stack(fits: Sequence[FittedSurrogate], X: Floats) -> tuple[Floats, Floats]:
    predictions = [fitted.predict(X) for fitted in fits]
    return np.stack([prediction.mean for prediction in predictions]), np.stack(
        [prediction.std for prediction in predictions]
    )
