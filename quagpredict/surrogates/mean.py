"""The baseline that any surrogate has to beat, as a scikit-learn estimator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.least_squares import fit_mean

Floats = NDArray[np.float64]


class MeanSurrogate(SurrogateEstimator):
    """Predict the mean of the training targets, whatever the features.

    Parameters
    ----------
    target_transform : str, default="identity"

    Examples
    --------
    >>> MeanSurrogate().fit([[0.0], [1.0]], [0.2, 0.4]).predict([[9.0]]).round(3)
    array([0.3])
    """

    def __init__(self, target_transform: str = "identity"):
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_mean(X, y, features=features, target_transform=self.target_transform)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that a poor score is what this baseline is for."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags
