"""Ordinary least squares: the paper's surrogate, and the form of every surrogate that is linear in its features."""

from dataclasses import dataclass
from typing import Unpack

import numpy as np

from quagpredict.arrays import Floats
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import JointPrediction, TransformedPrediction, symmetric_root
from quagpredict.surrogates.json_object import JsonObject
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables


@dataclass(frozen=True, eq=False)
class LinearForm:
    """A linear predictor of the transformed target from the transformed features.

    Attributes
    ----------
    intercept : float
        Prediction at `center`.
    coefficients, center : array (p,)
    covariance : array (p + 1, p + 1)
        Of the intercept at `center` (first) and the coefficients.
    degrees_of_freedom : float
        Of the residual variance.
    t_factor : float
        Student's 95 % point over the normal one.
    """

    intercept: float
    coefficients: Floats
    center: Floats
    covariance: Floats
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the transformed features Z, (n, p)."""
        offset = Z - self.center
        mean = self.intercept + offset @ self.coefficients
        design = np.concatenate([np.ones((len(offset), 1)), offset], axis=1)
        spread = ((design @ self.covariance) * design).sum(axis=1)
        variance = self.residual_variance + np.maximum(spread, 0.0)
        return TransformedPrediction(mean, self.t_factor * np.sqrt(variance))

    def joint(self, Z: Floats) -> JointPrediction:
        """Return how the predictions at Z err together: all share the error of the coefficients."""
        offset = Z - self.center
        design = np.concatenate([np.ones((len(offset), 1)), offset], axis=1)
        noise = np.full(len(Z), self.t_factor * np.sqrt(self.residual_variance))
        root = self.t_factor * symmetric_root(self.covariance)
        return JointPrediction(self.intercept + offset @ self.coefficients, design @ root, noise)

    def seen(self, Z: Floats) -> Floats:
        """Return the features themselves."""
        return Z


def fit_linear(X: Floats, y: Floats, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit ordinary least squares with an intercept.

    Parameters
    ----------
    X : array (n, p)
        Finite features, n >= 2.
    y : array (n,)
        Finite target.
    features, target, feature_transforms, target_transform
        See `Names`.

    Returns
    -------
    FittedSurrogate
        Collinear or constant columns share the smallest coefficients that fit (minimum norm). Without a degree of
        freedom left the predictive standard deviation is infinite.

    Raises
    ------
    CorpusError
        If a value lies outside its transform's domain.

    References
    ----------
    Kang et al., arXiv 2510.01624, section on predicting the outcome of RL: a linear predictor on the generalization
    loss, on Pass@k, or on both.

    Examples
    --------
    >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]))
    >>> fitted.form.coefficients.round(6), fitted.predict([[10.0]]).mean.round(6)
    (array([2.]), array([21.]))
    """
    tables = training_tables(X, y, **names)
    n, p = tables.Z.shape
    center, level = tables.Z.mean(axis=0), float(tables.t.mean())
    error = tables.Z - center
    scale = np.sqrt((error**2).mean(axis=0))
    scale[scale <= 1e-12 * np.maximum(np.abs(center), 1e-300)] = np.inf  # a constant column explains nothing
    U, s, Vt = np.linalg.svd(error / scale, full_matrices=False)
    kept = s > (s.max(initial=0.0) * max(n, p) * np.finfo(float).eps)
    U, s, Vt = U[:, kept], s[kept], Vt[kept]
    coefficients = (Vt.T @ ((U.T @ (tables.t - level)) / s)) / scale
    residual = tables.t - level - error @ coefficients
    df = float(n - 1 - len(s))
    variance = float(residual @ residual) / df if df > 0 else np.inf
    inverse = (Vt.T / s**2) @ Vt / np.outer(scale, scale)
    covariance = np.zeros((p + 1, p + 1))
    if df > 0:
        covariance[0, 0] = variance / n
        covariance[1:, 1:] = variance * inverse
    form = LinearForm(level, coefficients, center, covariance, variance, df, t_factor(df))
    return assemble("linear", form, tables)


def _read(form: JsonObject, p: int) -> LinearForm:
    return LinearForm(
        intercept=form.number("intercept"),
        coefficients=form.array("coefficients", (p,)),
        center=form.array("center", (p,)),
        covariance=form.array("covariance", (p + 1, p + 1)),
        **form.noise(),
    )


KIND = Kind(fit_matrix=fit_linear, fewest=3, fewest_each=1, form=LinearForm, read=_read)
