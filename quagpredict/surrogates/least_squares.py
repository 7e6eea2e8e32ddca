"""Closed-form fits: ordinary least squares (the paper's surrogate) and the training mean."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.domain import training_domain
from quagpredict.surrogates.fitted import Z90, FittedSurrogate, transform_columns
from quagpredict.surrogates.forms import Form, LinearForm
from quagpredict.surrogates.transforms import parse_transform

Floats = NDArray[np.float64]


class TrainingTables(NamedTuple):
    """Transformed features (n, p) and target (n,), with the names of their transforms."""

    Z: Floats
    t: Floats
    feature_transforms: tuple[str, ...]
    target_transform: str


def fit_linear(
    X: Floats,
    y: Floats,
    *,
    features: Sequence[str] | None = None,
    target: str = "y",
    feature_transforms: str | Sequence[str] = "identity",
    target_transform: str = "identity",
) -> FittedSurrogate:
    """Fit ordinary least squares with an intercept.

    Parameters
    ----------
    X : array (n, p)
        Finite features, n >= 2.
    y : array (n,)
        Finite target.
    features : sequence of str, optional
        Names of the columns; ``x0``, ``x1``, ... by default.
    target : str
    feature_transforms : str or sequence of str
        One name for all features, or one for each.
    target_transform : str

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
    tables = training_tables(X, y, feature_transforms, target_transform, features)
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
    return assemble("linear", form, tables, features, target)


def fit_mean(
    X: Floats,
    y: Floats,
    *,
    features: Sequence[str] | None = None,
    target: str = "y",
    feature_transforms: str | Sequence[str] = "identity",
    target_transform: str = "identity",
) -> FittedSurrogate:
    """Fit the baseline that ignores its features and predicts the training mean of the (transformed) target.

    The parameters are those of `fit_linear`; the features still define the training domain.

    Examples
    --------
    >>> fit_mean(np.zeros((3, 1)), np.array([1.0, 2.0, 6.0])).predict([[7.0]]).mean
    array([3.])
    """
    tables = training_tables(X, y, feature_transforms, target_transform, features)
    n, p = tables.Z.shape
    df = float(n - 1)
    variance = float(tables.t.var(ddof=1)) if df > 0 else np.inf
    covariance = np.zeros((p + 1, p + 1))
    covariance[0, 0] = variance / n if df > 0 else 0.0
    form = LinearForm(
        float(tables.t.mean()), np.zeros(p), tables.Z.mean(axis=0), covariance, variance, df, t_factor(df)
    )
    return assemble("mean", form, tables, features, target)


def training_tables(
    X: Floats,
    y: Floats,
    feature_transforms: str | Sequence[str],
    target_transform: str,
    features: Sequence[str] | None = None,
) -> TrainingTables:
    """Transform features and target, or say which value cannot be."""
    p = X.shape[1]
    names = (feature_transforms,) * p if isinstance(feature_transforms, str) else tuple(feature_transforms)
    if len(names) != p:
        raise UsageError(f"feature_transforms must be one name or {p} names (one a feature), got {len(names)}")
    Z = transform_columns(np.asarray(X, dtype=np.float64), names)
    t = parse_transform(target_transform).forward(y)
    for row, column in np.argwhere(~np.isfinite(Z))[:1]:
        label = features[column] if features is not None else f"x{column}"
        raise CorpusError(
            f"feature '{label}' is {X[row, column]} in training row {row}, where '{names[column]}' is not defined: "
            "use identity, or logit(TRIALS), which keeps shares of 0 and 1"
        )
    for row in np.flatnonzero(~np.isfinite(t))[:1]:
        raise CorpusError(f"the target is {y[row]} in training row {row}, where '{target_transform}' is not defined")
    return TrainingTables(Z, t, names, target_transform)


@cache
def t_factor(df: float) -> float:
    """Return the 95 % point of Student's t over that of the normal distribution; 1 without degrees of freedom.

    Examples
    --------
    >>> round(t_factor(5), 4)
    1.2251
    """
    if df <= 0:
        return 1.0
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.95)) / Z90


def assemble(
    name: str,
    form: Form,
    tables: TrainingTables,
    features: Sequence[str] | None,
    target: str,
    *,
    notes: tuple[str, ...] = (),
) -> FittedSurrogate:
    """Return the fitted surrogate of a form, with the domain of what the form has seen in training."""
    n, p = tables.Z.shape
    return FittedSurrogate(
        name=name,
        features=tuple(features) if features is not None else tuple(f"x{i}" for i in range(p)),
        target=target,
        feature_transforms=tables.feature_transforms,
        target_transform=tables.target_transform,
        form=form,
        domain=training_domain(form.seen(tables.Z)),
        training_rows=n,
        notes=notes,
    )
