"""Sharpening of each problem's success as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.estimator import SurrogateEstimator
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.sharpened import fit_sharpening

Floats = NDArray[np.float64]


class SharpeningSurrogate(SurrogateEstimator):
    """Success moves along the logit by an amount that depends on its learning signal. See `fit_sharpening`.

    Parameters
    ----------
    logits : sequence of float, optional
        Centre of the bin that each column of X is the share of; from -8 to 8 by default.
    group_size : int, default=8
        Completions of one prompt in a GRPO group.
    target_transform : str, default="identity"

    Examples
    --------
    >>> X = [[0.2, 0.8, 0.0], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0], [0.1, 0.8, 0.1]]
    >>> model = SharpeningSurrogate().fit(X, [0.7, 0.95, 0.45, 0.82])
    >>> mean, std = model.predict(X, return_std=True)
    >>> bool(mean[1] > mean[0] > mean[2]), bool((std > 0).all())
    (True, True)
    """

    def __init__(
        self,
        logits: Sequence[float] | None = None,
        group_size: int = 8,
        target_transform: str = "identity",
    ):
        self.logits = logits
        self.group_size = group_size
        self.target_transform = target_transform

    def _fit_tables(self, X: Floats, y: Floats, features: Any) -> FittedSurrogate:
        return fit_sharpening(
            X,
            y,
            features=features,
            logits=self.logits,
            group_size=self.group_size,
            target_transform=self.target_transform,
        )

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the score is poor where columns are not shares of problems."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags
