"""The paper's surrogate as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.least_squares import fit_linear

Floats = NDArray[np.float64]


class LinearSurrogate(SurrogateEstimator):
    """Ordinary least squares on held-out loss, on Pass@k or on both, with a predictive standard deviation.

    Parameters
    ----------
    feature_transforms : str or sequence of str, default="identity"
        ``identity`` (as in the paper), ``log`` (losses), ``logit(TRIALS)`` (Pass@k), for all features or for each.
    target_transform : str, default="identity"

    References
    ----------
    Kang et al., "Quagmires in SFT-RL Post-Training", arXiv 2510.01624.

    Examples
    --------
    >>> model = LinearSurrogate().fit([[0.0], [1.0], [2.0], [3.0]], [0.1, 0.4, 0.5, 0.8])
    >>> mean, std = model.predict([[1.5]], return_std=True)
    >>> float(mean[0].round(3)), float(std[0].round(3))
    (0.45, 0.126)
    """

    def __init__(self, feature_transforms: str | Sequence[str] = "identity", target_transform: str = "identity"):
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_linear(
            X,
            y,
            features=features,
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
        )
