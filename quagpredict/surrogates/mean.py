"""The baseline that any surrogate has to beat, as a scikit-learn estimator."""

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from quagpredict.surrogates.least_squares import fit_mean

Floats = NDArray[np.float64]


class MeanSurrogate(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predict the mean of the training targets, whatever the features.

    Parameters
    ----------
    target_transform : str, default="identity"

    Attributes
    ----------
    fitted_ : FittedSurrogate
        The numpy-only form, which can be stored.
    n_features_in_ : int
    feature_names_in_ : array of str
        Only if X was a table with string column names.

    Examples
    --------
    >>> MeanSurrogate().fit([[0.0], [1.0]], [0.2, 0.4]).predict([[9.0]]).round(3)
    array([0.3])
    """

    def __init__(self, target_transform: str = "identity"):
        self.target_transform = target_transform

    def fit(self, X: ArrayLike, y: ArrayLike) -> "MeanSurrogate":
        """Fit to features X, (n, p), which are ignored, and target y, (n,), n >= 2; neither may hold NaN."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        self.fitted_ = fit_mean(
            np.asarray(X, dtype=np.float64),
            np.asarray(y, dtype=np.float64),
            features=getattr(self, "feature_names_in_", None),
            target_transform=self.target_transform,
        )
        return self

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> Floats: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[Floats, Floats]: ...
    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Predict the target of X, (n, p): the mean (n,), and with `return_std` the predictive deviation (n,) too."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        prediction = self.fitted_.predict(X)
        return (prediction.mean, prediction.std) if return_std else prediction.mean

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that a poor score is what this baseline is for."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags
