"""What the scikit-learn estimators share: checked input, the fitted form, and predicting through it."""

from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from quagpredict.surrogates.fitted import FittedSurrogate

Floats = NDArray[np.float64]


class SurrogateEstimator(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A surrogate as a scikit-learn regressor; each kind says in `_fit_tables` how its form is made.

    Attributes
    ----------
    fitted_ : FittedSurrogate
        The numpy-only form, which can be stored.
    n_features_in_ : int
    feature_names_in_ : array of str
        Only if X was a table with string column names.
    """

    fitted_: FittedSurrogate

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to features X, (n, p), and target y, (n,), n >= 2; neither may hold NaN."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        features = getattr(self, "feature_names_in_", None)
        self.fitted_ = self._fit_tables(np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64), features)
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
