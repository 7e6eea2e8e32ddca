"""Pass@k* before RL as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.effective_samples import fit_effective_k
from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate

Floats = NDArray[np.float64]


class EffectiveKSurrogate(SurrogateEstimator):
    """RL is worth k* samples: the score after RL is Pass@k* before it. See `fit_effective_k`.

    Parameters
    ----------
    ks : sequence of float, optional
        k of each column of X, rising; 1, 2, ... by default.
    feature_transforms : str or sequence of str, default="identity"
        As for `LinearSurrogate`.
    target_transform : str, default="identity"

    Examples
    --------
    >>> curves = [[0.1, 0.3, 0.5], [0.2, 0.5, 0.8], [0.0, 0.2, 0.3]]
    >>> model = EffectiveKSurrogate(ks=[1, 8, 64]).fit(curves, [0.3, 0.5, 0.2])
    >>> model.predict([[0.3, 0.6, 0.7]]).round(3)
    array([0.6])
    """

    def __init__(
        self,
        ks: Sequence[float] | None = None,
        feature_transforms: str | Sequence[str] = "identity",
        target_transform: str = "identity",
    ):
        self.ks = ks
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_effective_k(
            X,
            y,
            features=features,
            ks=self.ks,
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
        )

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the score is poor where columns are not one curve."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags
