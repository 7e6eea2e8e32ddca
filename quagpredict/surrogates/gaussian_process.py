"""Gaussian process regression as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.processes import fit_gaussian_process

Floats = NDArray[np.float64]


class GaussianProcessSurrogate(SurrogateEstimator):
    """A linear trend, a smooth departure from it and noise. See `fit_gaussian_process`.

    Parameters
    ----------
    feature_transforms : str or sequence of str, default="identity"
        As for `LinearSurrogate`.
    target_transform : str, default="identity"

    Examples
    --------
    >>> model = GaussianProcessSurrogate().fit([[0.0], [1.0], [2.0], [3.0]], [0.1, 0.4, 0.5, 0.8])
    >>> mean, std = model.predict([[1.5]], return_std=True)
    >>> float(mean[0].round(2)), bool(std[0] > 0)
    (0.45, True)
    """

    def __init__(
        self,
        feature_transforms: str | Sequence[str] = "identity",
        target_transform: str = "identity",
    ):
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_gaussian_process(
            X,
            y,
            features=features,
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
        )
