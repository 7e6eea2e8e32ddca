"""The baseline that any surrogate has to beat: the training mean."""

from typing import Unpack

import numpy as np

from quagpredict.arrays import Floats
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.linear import LinearForm
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables


def fit_mean(X: Floats, y: Floats, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit the baseline that ignores its features and predicts the training mean of the (transformed) target.

    The parameters are those of `fit_linear`; the features still define the training domain.

    Examples
    --------
    >>> fit_mean(np.zeros((3, 1)), np.array([1.0, 2.0, 6.0])).predict([[7.0]]).mean
    array([3.])
    """
    tables = training_tables(X, y, **names)
    n, p = tables.Z.shape
    df = float(n - 1)
    variance = float(tables.t.var(ddof=1)) if df > 0 else np.inf
    covariance = np.zeros((p + 1, p + 1))
    covariance[0, 0] = variance / n if df > 0 else 0.0
    form = LinearForm(
        float(tables.t.mean()), np.zeros(p), tables.Z.mean(axis=0), covariance, variance, df, t_factor(df)
    )
    return assemble("mean", form, tables)


KIND = Kind(fit_matrix=fit_mean, fewest=3, raw_and_transformed=False, poor_score=True)
