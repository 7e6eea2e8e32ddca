"""A line through each feature alone, and the mean of their predictions."""

from typing import Unpack

import numpy as np

from quagpredict.arrays import Floats
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.linear import LinearForm
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables


def fit_average(X: Floats, y: Floats, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit a line through each feature alone and predict the mean of their predictions.

    The parameters are those of `fit_linear`. The mean is taken on the transformed scale, so the result is linear
    again. A constant feature predicts the training mean. The residual variance is that of the mean of the predictions,
    with n - 2 degrees of freedom; the error of the coefficients is that of the weights that they put on the targets.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])
    >>> fit_average(X, X[:, 0]).form.coefficients.round(6)
    array([ 0.5, -0.5])
    """
    tables = training_tables(X, y, **names)
    n, p = tables.Z.shape
    center, level = tables.Z.mean(axis=0), float(tables.t.mean())
    error, t = tables.Z - center, tables.t - level
    squares = (error**2).sum(axis=0)
    varies = squares > n * (1e-12 * np.maximum(np.abs(center), 1e-300)) ** 2
    weights = np.divide(error, p * squares, out=np.zeros_like(error), where=varies)
    coefficients = weights.T @ t
    residual = t - error @ coefficients
    df = float(n - 2)
    variance = float(residual @ residual) / df if df > 0 else np.inf
    covariance = np.zeros((p + 1, p + 1))
    if df > 0:
        covariance[0, 0] = variance / n
        covariance[1:, 1:] = variance * weights.T @ weights
    form = LinearForm(level, coefficients, center, covariance, variance, df, t_factor(df))
    return assemble("average", form, tables)


KIND = Kind(fit_matrix=fit_average, poor_score=True)
