"""The choice among kinds as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.choosing import choose_tables
from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate

Floats = NDArray[np.float64]


class AutoSurrogate(SurrogateEstimator):
    """The kind of surrogate whose cross-validation error on the training rows is smallest. See `choose_tables`.

    Parameters
    ----------
    seed : int, default=0
    feature_transforms : str or sequence of str, default="identity"
        As for `LinearSurrogate`.
    target_transform : str, default="identity"

    Examples
    --------
    >>> model = AutoSurrogate().fit([[0.0], [1.0], [2.0], [3.0]], [0.1, 0.4, 0.5, 0.8])
    >>> mean, std = model.predict([[1.5]], return_std=True)
    >>> float(mean[0].round(2)), bool(std[0] > 0)
    (0.45, True)
    """

    def __init__(
        self,
        seed: int = 0,
        feature_transforms: str | Sequence[str] = "identity",
        target_transform: str = "identity",
    ):
        self.seed = seed
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return choose_tables(
            X,
            y,
            features=features,
            seed=self.seed,
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
        )
