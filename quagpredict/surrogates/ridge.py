"""Ridge regression whose penalty leave-one-out error chooses."""

from collections.abc import Callable
from typing import Unpack

import numpy as np

from quagpredict.arrays import Floats
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.linear import LinearForm
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables

#: Penalties that are tried, in units of the number of rows (features are scaled to variance 1).
PENALTIES = np.logspace(-6, 3, 91)


def fit_ridge(X: Floats, y: Floats, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit ridge regression on standardized features; leave-one-out error on the training rows chooses the penalty.

    The parameters are those of `fit_linear`; p may exceed n. The predictive variance is that of the Bayesian reading:
    coefficients with a normal prior of the penalty's precision.

    References
    ----------
    A. E. Hoerl and R. W. Kennard, Ridge regression, Technometrics 12 (1970). D. M. Allen, The relationship between
    variable selection and data augmentation and a method for prediction, Technometrics 16 (1974), on PRESS.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(30, 1))
    >>> copies = np.hstack([x, x + 1e-6 * rng.normal(size=(30, 1))])
    >>> fit_ridge(copies, x[:, 0]).form.coefficients.round(2)
    array([0.5, 0.5])
    """
    return penalized("ridge", _leave_one_out, X, y, **names)


#: From U and s of the singular value decomposition of the features, the centred target and the penalties to what is to
#: be smallest, one number a penalty.
Criterion = Callable[[Floats, Floats, Floats, Floats], Floats]


def penalized(name: str, criterion_of: Criterion, X: Floats, y: Floats, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit ridge regression with the penalty of the smallest criterion; the others are parameters of `fit_ridge`."""
    tables = training_tables(X, y, **names)
    n, p = tables.Z.shape
    center, level = tables.Z.mean(axis=0), float(tables.t.mean())
    error, t = tables.Z - center, tables.t - level
    scale = np.sqrt((error**2).mean(axis=0))
    varies = scale > 1e-12 * np.maximum(np.abs(center), 1e-300)
    inverse_scale = np.divide(1.0, scale, out=np.zeros(p), where=varies)
    U, s, Vt = np.linalg.svd(error * inverse_scale, full_matrices=False)
    moment = U.T @ t
    penalties = PENALTIES * n
    criterion = criterion_of(U, s, t, penalties)
    # A fit that reproduces its rows to the last digit would know nothing of its own error: one degree of freedom stays.
    spent = (s**2 / (s**2 + penalties[:, None])).sum(axis=1)
    criterion = np.where(n - 1 - spent >= 1, criterion, np.inf)
    penalty = float(penalties[np.argmin(criterion)]) if np.isfinite(criterion).any() else float(penalties[-1])
    kept = s**2 / (s**2 + penalty)
    coefficients = (Vt.T @ (moment * s / (s**2 + penalty))) * inverse_scale
    df = n - 1 - float(kept.sum())
    residual = t - error @ coefficients
    variance = float(residual @ residual) / df if df > 0 else np.inf
    covariance = np.zeros((p + 1, p + 1))
    if df > 0:
        # Directions that no row shows keep the prior's variance.
        unseen = (np.eye(p) - Vt.T @ Vt) / penalty
        seen = (Vt.T / (s**2 + penalty)) @ Vt
        covariance[0, 0] = variance / n
        covariance[1:, 1:] = variance * (unseen + seen) * np.outer(inverse_scale, inverse_scale)
    form = LinearForm(level, coefficients, center, covariance, variance, df, t_factor(df))
    return assemble(name, form, tables)


def _leave_one_out(U: Floats, s: Floats, t: Floats, penalties: Floats) -> Floats:
    """Return the mean squared leave-one-out error for each penalty (the mean of the rest is refitted too)."""
    kept = s**2 / (s**2 + penalties[:, None])
    residual = t - (kept * (U.T @ t)) @ U.T
    leverage = 1.0 / len(t) + kept @ (U**2).T
    # A leverage of 1 leaves nothing to predict the row with.
    return np.asarray(((residual / np.maximum(1.0 - leverage, 1e-9)) ** 2).mean(axis=1))


KIND = Kind(fit_matrix=fit_ridge)
