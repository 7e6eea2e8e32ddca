"""The score as a curve in RL steps as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.saturating import fit_budget

Floats = NDArray[np.float64]


class BudgetSurrogate(SurrogateEstimator):
    """``start + gain (1 - exp(-rate t))`` in RL steps t, the last column of X. See `fit_budget`.

    Parameters
    ----------
    feature_transforms : str or sequence of str, default="identity"
        As for `LinearSurrogate`.
    target_transform : str, default="identity"

    Examples
    --------
    >>> X = [[0.1, 50.0], [0.1, 200.0], [0.3, 50.0], [0.3, 200.0]]
    >>> model = BudgetSurrogate().fit(X, [0.25, 0.45, 0.45, 0.65])
    >>> short, long = model.predict([[0.2, 50.0], [0.2, 400.0]])
    >>> bool(short < long)
    True
    """

    def __init__(
        self,
        feature_transforms: str | Sequence[str] = "identity",
        target_transform: str = "identity",
    ):
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_budget(
            X,
            y,
            features=features,
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
        )

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the score is poor where the last column is no number of steps."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags
