"""Every kind of surrogate as one scikit-learn regressor."""

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from quagpredict.arrays import Floats
from quagpredict.errors import UsageError
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kinds import KINDS, kind_of


class SurrogateRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A surrogate of any kind, for scikit-learn's pipelines, searches and cross-validation.

    Where the data are a corpus, `quagpredict.fit` does more: it chooses rows and columns, and makes what is derived.

    Parameters
    ----------
    kind : str, default="linear"
        One of `quagpredict.surrogates.SURROGATES`.
    feature_transforms : str or sequence of str, default="identity"
        ``identity``, ``log`` (losses), ``logit(TRIALS)`` (Pass@k), for all features or one for each.
    target_transform : str, default="identity"
    seed : int, default=0
        Of kinds that draw random numbers.
    options : mapping, optional
        Settings of the kind, as its fit has them: ``{"groups": 3}`` of ``mixed`` (how many of the last columns are
        indicators), ``{"ks": [1, 8, 64]}`` of ``effective_k``, ``{"group_size": 16}`` of ``sharpening``.

    Attributes
    ----------
    fitted_ : FittedSurrogate
        The numpy-only form, which can be stored.
    n_features_in_ : int
    feature_names_in_ : array of str
        Only if X was a table with string column names.

    References
    ----------
    Kang et al., "Quagmires in SFT-RL Post-Training", arXiv 2510.01624, for ``linear``; see each kind for its own.

    Examples
    --------
    >>> model = SurrogateRegressor("linear").fit([[0.0], [1.0], [2.0], [3.0]], [0.1, 0.4, 0.5, 0.8])
    >>> mean, std = model.predict([[1.5]], return_std=True)
    >>> float(mean[0].round(3)), float(std[0].round(3))
    (0.45, 0.126)
    """

    fitted_: FittedSurrogate

    def __init__(
        self,
        kind: str = "linear",
        feature_transforms: str | Sequence[str] = "identity",
        target_transform: str = "identity",
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ):
        self.kind = kind
        self.feature_transforms = feature_transforms
        self.target_transform = target_transform
        self.seed = seed
        self.options = options

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to features X, (n, p), and target y, (n,), n >= 2; neither may hold NaN.

        Raises
        ------
        UsageError
            If there is no such kind, or it has no such option.
        """
        kind = kind_of(self.kind)
        keywords = signature(kind.fit_matrix).parameters.values()
        options_of_kind = [
            each.name for each in keywords if each.kind is Parameter.KEYWORD_ONLY and each.name != "seed"
        ]
        options = dict(self.options or {})
        unknown = sorted(options.keys() - set(options_of_kind))
        if unknown:
            raise UsageError(
                f"surrogate '{self.kind}' has no option '{unknown[0]}'; it has {', '.join(options_of_kind) or 'none'}"
            )
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        if kind.seeded:
            options["seed"] = self.seed
        self.fitted_ = kind.fit_matrix(
            np.asarray(X, dtype=np.float64),
            np.asarray(y, dtype=np.float64),
            features=getattr(self, "feature_names_in_", None),
            feature_transforms=self.feature_transforms,
            target_transform=self.target_transform,
            **options,
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
        """Tell scikit-learn where the score is poor because columns are not what the kind models."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = self.kind in KINDS and kind_of(self.kind).poor_score
        return tags
