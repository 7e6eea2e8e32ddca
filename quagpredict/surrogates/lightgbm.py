"""Bags of boosted trees as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.boosted_trees import fit_lightgbm
from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate

Floats = NDArray[np.float64]


class LightGBMSurrogate(SurrogateEstimator):
    """Bags of boosted trees with settings for few rows, monotone where that is known. See `fit_lightgbm`.

    Parameters
    ----------
    monotone : sequence of int, optional
        -1, 0 or 1 for each feature; by default after the names of the columns: losses down, Pass@k up.
    seed : int, default=0
    feature_transforms : str or sequence of str, default="identity"
        As for `LinearSurrogate`.
    target_transform : str, default="identity"

    Examples
    --------
    >>> X = [[i / 20] for i in range(20)]
    >>> mean, std = LightGBMSurrogate().fit(X, [i // 10 for i in range(20)]).predict([[0.2], [0.8]], return_std=True)
    >>> bool(mean[0] < 0.2 < 0.8 < mean[1]), bool((std > 0).all())
    (True, True)
    """

    def __init__(
        self,
        monotone: Sequence[int] | None = None,
        seed: int = 0,
        feature_transforms: str | Sequence[str] = "identity",
        target_transform: str = "identity",
    ):
        self.monotone = monotone
        self.seed = seed
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_lightgbm(
            X,
            y,
            features=features,
            monotone=self.monotone,
            seed=self.seed,
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
        )
