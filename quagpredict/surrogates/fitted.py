"""Fitted surrogates: frozen values that predict with numpy alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import UsageError
from quagpredict.surrogates.domain import TrainingDomain
from quagpredict.surrogates.transforms import parse_transform

Floats = NDArray[np.float64]

#: Half the width of a 90 % interval in units of `Prediction.std`: the 95 % point of the normal distribution.
Z90 = 1.6448536269514722


class Prediction(NamedTuple):
    """What a surrogate says of n candidates; every array has shape (n,).

    Attributes
    ----------
    mean : array
        Predicted target in its own unit (a score: a fraction). Not clipped: a linear surrogate may leave 0-1, and
        clipping would tie the candidates that it ranks. With a transformed target this is the median.
    std : array
        Predictive standard deviation, of a new observation: residual noise and the error of the fit. It is widened so
        that ``mean +- Z90 * std`` is exactly the 90 % interval of Student's t with the fit's degrees of freedom.
    distance : array
        Distance from the training set: 1 is its edge, see `TrainingDomain`.
    """

    mean: Floats
    std: Floats
    distance: Floats


class Interval(NamedTuple):
    """Lower and upper end of the predictive intervals, each of shape (n,)."""

    low: Floats
    high: Floats


class TransformedPrediction(NamedTuple):
    """Mean and standard deviation in the unit of the transformed target, each of shape (n,)."""

    mean: Floats
    std: Floats


@dataclass(frozen=True, eq=False)
class LinearForm:
    """A linear predictor of the transformed target from the transformed features.

    Attributes
    ----------
    intercept : float
        Prediction at `center`.
    coefficients, center : array (p,)
    covariance : array (p + 1, p + 1)
        Of the intercept at `center` (first) and the coefficients.
    residual_variance : float
    degrees_of_freedom : float
        Of the residual variance.
    t_factor : float
        Student's 95 % point over the normal one.
    """

    intercept: float
    coefficients: Floats
    center: Floats
    covariance: Floats
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the transformed features Z, (n, p)."""
        offset = Z - self.center
        mean = self.intercept + offset @ self.coefficients
        design = np.concatenate([np.ones((len(offset), 1)), offset], axis=1)
        spread = ((design @ self.covariance) * design).sum(axis=1)
        variance = self.residual_variance + np.maximum(spread, 0.0)
        return TransformedPrediction(mean, self.t_factor * np.sqrt(variance))


@dataclass(frozen=True, eq=False)
class FittedSurrogate:
    """A surrogate after its fit: everything needed to predict, to judge and to store it.

    Attributes
    ----------
    name : str
        Kind of surrogate, e.g. ``linear``.
    features : tuple of str
        Columns, in the order in which `predict` expects them.
    target : str
        Column that it predicts.
    feature_transforms : tuple of str
        One name a feature; applied inside `predict`.
    target_transform : str
    form : LinearForm
        The regressor itself, on transformed values.
    domain : TrainingDomain
    eval_protocol_id, rl_recipe_id : str
        The only protocol and RL recipe for which the predictions hold; empty where the table had none.
    base_models : tuple of str
        Base models in the training rows, sorted.
    cross_base_validated : bool
        Whether leave-one-base-model-out validation has shown that it carries over to an unseen base model.
    training_rows, dropped_rows : int
        Rows that were used, and rows without target that were not.
    corpus_digest : str
        Digest of the training rows' names, features and targets.
    versions : mapping of str to str
        Versions of the libraries that made it.
    """

    name: str
    features: tuple[str, ...]
    target: str
    feature_transforms: tuple[str, ...]
    target_transform: str
    form: LinearForm
    domain: TrainingDomain
    eval_protocol_id: str = ""
    rl_recipe_id: str = ""
    base_models: tuple[str, ...] = ()
    cross_base_validated: bool = False
    training_rows: int = 0
    dropped_rows: int = 0
    corpus_digest: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def predict(self, X: ArrayLike) -> Prediction:
        """Predict the target of n candidates.

        Parameters
        ----------
        X : array (n, p)
            The columns `features`, untransformed, in that order.

        Returns
        -------
        Prediction
            Arrays of shape (n,). A row with a NaN, an infinite value or one outside its transform's domain gets NaN
            in all three: a missing measurement is never replaced by a guess. No rows give empty arrays.

        Raises
        ------
        UsageError
            If X is not a table with one column for each feature.

        Examples
        --------
        >>> from quagpredict.surrogates.least_squares import fit_linear
        >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.3, 0.5, 0.7]))
        >>> fitted.predict([[4.0], [float("nan")]]).mean.round(6)
        array([0.9, nan])
        """
        Z = self._transformed(X)
        target = parse_transform(self.target_transform)
        prediction = self.form.predict(Z)
        return Prediction(
            target.inverse(prediction.mean), target.slope(prediction.mean) * prediction.std, self.domain.distance(Z)
        )

    def interval(self, X: ArrayLike, level: float = 0.9) -> Interval:
        """Return the predictive interval that holds a new observation with probability `level`.

        Its ends are found on the transformed scale and turned back, so they respect the bounds of a logit target.

        Raises
        ------
        UsageError
            If `level` is not strictly between 0 and 1, or X has the wrong shape.

        Examples
        --------
        >>> from quagpredict.surrogates.least_squares import fit_linear
        >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.4, 0.5, 0.8]))
        >>> low, high = fitted.interval([[1.5]])
        >>> float(low[0].round(3)), float(high[0].round(3))
        (0.244, 0.656)
        """
        if not 0.0 < level < 1.0:
            raise UsageError(f"level must lie strictly between 0 and 1, got {level}")
        prediction = self.form.predict(self._transformed(X))
        half = Z90 * prediction.std
        if level != 0.9:  # std is scaled for 90 %: only another level needs Student's distribution
            from scipy.special import stdtrit

            df = self.form.degrees_of_freedom
            half = half * (stdtrit(df, (1 + level) / 2) / stdtrit(df, 0.95))
        inverse = parse_transform(self.target_transform).inverse
        return Interval(inverse(prediction.mean - half), inverse(prediction.mean + half))

    def _transformed(self, X: ArrayLike) -> Floats:
        table = np.asarray(X, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != len(self.features):
            raise UsageError(
                f"surrogate '{self.name}' expects a table of shape (n, {len(self.features)}) with the columns "
                f"{', '.join(self.features)}; got shape {table.shape}"
            )
        return transform_columns(table, self.feature_transforms)


def transform_columns(X: Floats, names: tuple[str, ...]) -> Floats:
    """Return X (n, p) with each column transformed by the transform of that name."""
    Z = np.empty_like(X)
    for column, name in enumerate(names):
        Z[:, column] = parse_transform(name).forward(X[:, column])
    return Z
