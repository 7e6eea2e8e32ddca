"""Partial pooling over groups as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.pooling import fit_mixed

Floats = NDArray[np.float64]


class MixedSurrogate(SurrogateEstimator):
    """A linear model whose intercept and slopes vary with the group (base model). See `fit_mixed`.

    Parameters
    ----------
    groups : int, default=0
        How many of the last columns of X are indicators of groups, the last of "any other".
    feature_transforms : str or sequence of str, default="identity"
        As for `LinearSurrogate`.
    target_transform : str, default="identity"

    Examples
    --------
    >>> X = [[x, g == 0, g == 1, 0.0] for g in (0, 1) for x in (0.0, 1.0, 2.0)]
    >>> model = MixedSurrogate(groups=3).fit(X, [0.0, 1.0, 2.0, 0.5, 1.6, 2.5])
    >>> known, unknown = model.predict([[1.0, 0, 1, 0], [1.0, 0, 0, 1]], return_std=True)[1]
    >>> bool(known < unknown)
    True
    """

    def __init__(
        self,
        groups: int = 0,
        feature_transforms: str | Sequence[str] = "identity",
        target_transform: str = "identity",
    ):
        self.groups = groups
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_mixed(
            X,
            y,
            features=features,
            groups=self.groups,
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
        )
