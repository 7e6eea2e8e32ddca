"""Bayesian ridge regression: the penalty of the largest marginal likelihood."""

from typing import Unpack

import numpy as np

from quagpredict.arrays import Floats
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.ridge import penalized
from quagpredict.surrogates.training_tables import Names


def fit_bayesian_ridge(X: Floats, y: Floats, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit Bayesian ridge regression: as `fit_ridge`, but the penalty is the one of the largest marginal likelihood.

    References
    ----------
    D. J. C. MacKay, Bayesian interpolation, Neural Computation 4 (1992).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 2))
    >>> bool(abs(fit_bayesian_ridge(X, X[:, 0] + 0.1 * rng.normal(size=50)).form.coefficients - [1, 0]).max() < 0.05)
    True
    """
    return penalized("bayesian_ridge", _evidence, X, y, **names)


def _evidence(U: Floats, s: Floats, t: Floats, penalties: Floats) -> Floats:
    """Return -2 log marginal likelihood for each penalty, up to a constant; the noise variance is profiled out."""
    moment = U.T @ t
    gain = 1.0 + s**2 / penalties[:, None]
    unexplained = max(float(t @ t - moment @ moment), 0.0)
    left = unexplained + (moment**2 / gain).sum(axis=1)
    tiny = np.finfo(float).tiny
    return np.asarray((len(t) - 1) * np.log(np.maximum(left, tiny)) + np.log(gain).sum(axis=1))


KIND = Kind(fit_matrix=fit_bayesian_ridge)
