"""The paper's surrogate as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from quagpredict.surrogates.least_squares import fit_linear

Floats = NDArray[np.float64]


class LinearSurrogate(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ordinary least squares on held-out loss, on Pass@k or on both, with a predictive standard deviation.

    Parameters
    ----------
    feature_transforms : str or sequence of str, default="identity"
        ``identity`` (as in the paper), ``log`` (losses), ``logit(TRIALS)`` (Pass@k), for all features or for each.
    target_transform : str, default="identity"

    Attributes
    ----------
    fitted_ : FittedSurrogate
        The numpy-only form, which can be stored.
    n_features_in_ : int
    feature_names_in_ : array of str
        Only if X was a table with string column names.

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

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LinearSurrogate":
        """Fit to features X, (n, p), and target y, (n,), n >= 2; neither may hold NaN."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        self.fitted_ = fit_linear(
            np.asarray(X, dtype=np.float64),
            np.asarray(y, dtype=np.float64),
            features=getattr(self, "feature_names_in_", None),
            feature_transforms=self.feature_transforms,
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
