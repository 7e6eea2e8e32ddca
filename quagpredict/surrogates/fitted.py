"""Fitted surrogates: frozen values that predict with numpy alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from quagpredict.arrays import Floats
from quagpredict.corpus.derived import with_derived
from quagpredict.corpus.design import design_matrix
from quagpredict.errors import UsageError
from quagpredict.surrogates.forms import Form, FormWithParts, JointPrediction, TrainingDomain, TransformedPrediction
from quagpredict.surrogates.transforms import parse_transform

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


class Calibration(NamedTuple):
    """How wide intervals must be to cover, learnt from runs that the fit had not seen.

    Attributes
    ----------
    level : float
        The share of new observations that the interval is to hold.
    quantile : float
        Half of the interval in units of `Prediction.std`.
    floor : float
        The least half-width, in the unit of the target: the noise of its evaluation.
    rows : int
        On how many runs it rests.
    method : str
        How it was found.
    by_group : mapping of str to float
        The quantile of each base model that has runs enough for one of its own.
    """

    level: float
    quantile: float
    floor: float
    rows: int
    method: str
    by_group: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class FittedSurrogate:
    """A surrogate after its fit: everything needed to predict, to judge and to store it.

    Attributes
    ----------
    name : str
        Kind of surrogate, e.g. ``linear``.
    features : tuple of str
        Columns, in the order in which `predict` expects them; some may be derived, see `quagpredict.corpus.columns`.
    target : str
        Column that it predicts.
    feature_transforms : tuple of str
        One name a feature; applied inside `predict`.
    form : Form
        The regressor itself, on transformed values.
    eval_protocol_id, rl_recipe_id : str
        The only protocol and RL recipe for which the predictions hold; empty where the table had none.
    base_models : tuple of str
        Base models in the training rows, sorted.
    cross_base_validated : bool
        Whether leave-one-base-model-out validation has shown that it carries over to an unseen base model.
    training_rows, dropped_rows : int
        Rows that were used, and rows without target that were not.
    rl_steps : float or None
        RL steps that predictions are for unless others are asked for; None where the surrogate does not depend on them.
    choice : str
        What ``auto`` chose, ``KIND`` or ``KIND:log-logit``; empty for any other kind.
    notes : tuple of str
        What a reader should know of the fit: what was chosen, what was found.
    calibration : Calibration or None
        Width of intervals that cover, where it was learnt.
    corpus_digest : str
        Digest of the training rows' names, features and targets.
    row_digests : tuple of str
        The same of each row, sorted; empty where they were not recorded.
    weights : mapping of str to float
        Of benchmarks, as they were given for the fit, see `quagpredict.corpus.weights`; empty where scores are means
        over problems.
    versions : mapping of str to str
        Versions of the libraries that made it.
    """

    name: str
    features: tuple[str, ...]
    target: str
    feature_transforms: tuple[str, ...]
    target_transform: str
    form: Form
    domain: TrainingDomain
    eval_protocol_id: str = ""
    rl_recipe_id: str = ""
    base_models: tuple[str, ...] = ()
    cross_base_validated: bool = False
    training_rows: int = 0
    dropped_rows: int = 0
    rl_steps: float | None = None
    choice: str = ""
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = None
    corpus_digest: str = ""
    row_digests: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return one line: what predicts what, learnt from how many rows.

        Examples
        --------
        >>> from quagpredict.surrogates.linear import fit_linear
        >>> fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.3, 0.5, 0.7]))
        FittedSurrogate('linear' of x0 for y, 4 training rows)
        """
        shown = ", ".join(self.features[:4]) + (f" and {len(self.features) - 4} more" if len(self.features) > 4 else "")
        return f"FittedSurrogate('{self.name}' of {shown} for {self.target}, {self.training_rows} training rows)"

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
        >>> from quagpredict.surrogates.linear import fit_linear
        >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.3, 0.5, 0.7]))
        >>> fitted.predict([[4.0], [float("nan")]]).mean.round(6)
        array([0.9, nan])
        """
        Z = self._transformed(X)
        return Prediction(*self._turned_back(self.form.predict(Z)), self.domain.distance(self.form.seen(Z)))

    def design(self, frame: pl.DataFrame, *, rl_steps: float | None = None, source: str = "candidates") -> Floats:
        """Return the features of a table's rows, (n, p), as `predict` takes them; NaN where one is missing.

        Parameters
        ----------
        frame : polars.DataFrame
            Flat columns, and ``pre_problems`` where derived columns are needed and not there yet.
        rl_steps : float, optional
            RL steps to predict for; by default the row's own, or `FittedSurrogate.rl_steps` where it has none.

        Raises
        ------
        CorpusError
            If a column is missing or not numeric.
        UsageError
            If `rl_steps` is not above 0.
        """
        if "rl_steps" in self.features:
            if rl_steps is not None and not rl_steps > 0:
                raise UsageError(f"rl_steps must be above 0, got {rl_steps}")
            own_steps = pl.col("rl_steps").cast(pl.Float64) if "rl_steps" in frame.columns else pl.lit(None, pl.Float64)
            steps = own_steps.fill_null(self.rl_steps) if rl_steps is None else pl.lit(float(rl_steps))
            frame = frame.with_columns(steps.alias("rl_steps"))
        frame = with_derived(frame, self.features, source=source)
        return design_matrix(frame, self.features, allow_missing=True, source=source)

    def predict_frame(
        self, frame: pl.DataFrame, *, rl_steps: float | None = None, source: str = "candidates"
    ) -> Prediction:
        """Predict the target of the rows of a table; see `design` for the parameters, `predict` for the result.

        Examples
        --------
        >>> from quagpredict.surrogates import fit
        >>> from quagpredict.testing.synthetic import synthetic_corpus
        >>> frame = synthetic_corpus(40, seed=1).frame
        >>> fit(frame).predict_frame(frame.head(2)).mean.shape
        (2,)
        """
        return self.predict(self.design(frame, rl_steps=rl_steps, source=source))

    def parts(self, X: ArrayLike) -> dict[str, Prediction]:
        """Predict what the target is made of, such as the score on each benchmark; empty for a kind without parts.

        Each part has the arrays of `predict`; the distance is that of the whole.
        """
        if not isinstance(self.form, FormWithParts):
            return {}
        Z = self._transformed(X)
        distance = self.domain.distance(self.form.seen(Z))
        parts = self.form.parts(Z)
        return {name: Prediction(*self._turned_back(part), distance) for name, part in parts.items()}

    def joint(self, X: ArrayLike) -> JointPrediction:
        """Return how the predictions for X err together, on the transformed scale; NaN rows as in `predict`."""
        return self.form.joint(self._transformed(X))

    def draw(self, X: ArrayLike, draws: int, seed: int = 0) -> Floats:
        """Draw outcomes of all candidates together, (draws, n), in the unit of the target.

        Examples
        --------
        >>> from quagpredict.surrogates.linear import fit_linear
        >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.4, 0.5, 0.8]))
        >>> fitted.draw([[1.0], [2.0]], 5).shape
        (5, 2)
        """
        mean, factor, noise = self.joint(X)
        rng = np.random.default_rng(seed)
        shared = rng.standard_normal((draws, factor.shape[1])) @ factor.T
        outcome = mean + shared + noise * rng.standard_normal((draws, len(mean)))
        return parse_transform(self.target_transform).inverse(outcome)

    def interval(self, X: ArrayLike, level: float = 0.9, groups: Sequence[str | None] | None = None) -> Interval:
        """Return the predictive interval that holds a new observation with probability `level`.

        Its ends are found on the transformed scale and turned back, so they respect the bounds of a logit target. If
        the surrogate carries a `Calibration` for this level, the interval is as wide as that says: by what was seen on
        left-out runs, and never narrower than the noise of the target. Otherwise it is that of the model.

        Parameters
        ----------
        X : array (n, p)
        groups : sequence of str, optional
            Base model of each row: one that has a quantile of its own in the calibration gets that.

        Raises
        ------
        UsageError
            If `level` is not strictly between 0 and 1, or X has the wrong shape.

        Examples
        --------
        >>> from quagpredict.surrogates.linear import fit_linear
        >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.4, 0.5, 0.8]))
        >>> low, high = fitted.interval([[1.5]])
        >>> float(low[0].round(3)), float(high[0].round(3))
        (0.244, 0.656)
        """
        if not 0.0 < level < 1.0:
            raise UsageError(f"level must lie strictly between 0 and 1, got {level}")
        prediction = self.form.predict(self._transformed(X))
        learnt = self.calibration if self.calibration is not None and self.calibration.level == level else None
        factor: Floats | float = Z90
        if learnt is not None:
            quantiles = [
                learnt.quantile if group is None else learnt.by_group.get(group, learnt.quantile)
                for group in (() if groups is None else groups)
            ]
            factor = np.array(quantiles) if quantiles else learnt.quantile
        elif level != 0.9:  # std is scaled for 90 %: only another level needs Student's distribution
            from scipy.special import stdtrit

            df = self.form.degrees_of_freedom
            factor = Z90 * float(stdtrit(df, (1 + level) / 2) / stdtrit(df, 0.95))
        half = factor * prediction.std
        inverse = parse_transform(self.target_transform).inverse
        low, high = inverse(prediction.mean - half), inverse(prediction.mean + half)
        if learnt is not None:
            middle = inverse(prediction.mean)
            low, high = np.minimum(low, middle - learnt.floor), np.maximum(high, middle + learnt.floor)
        return Interval(low, high)

    def predict_transformed(self, X: ArrayLike) -> TransformedPrediction:
        """Return mean and standard deviation in the unit of the transformed target; NaN rows as in `predict`."""
        return self.form.predict(self._transformed(X))

    def _turned_back(self, prediction: TransformedPrediction) -> tuple[Floats, Floats]:
        """Return mean and standard deviation in the unit of the target."""
        target = parse_transform(self.target_transform)
        return target.inverse(prediction.mean), target.slope(prediction.mean) * prediction.std

    def _transformed(self, X: ArrayLike) -> Floats:
        if hasattr(X, "columns"):  # a pandas or polars frame, whose columns have names and any order
            named: Any = X
            missing = [name for name in self.features if name not in named.columns]
            if missing:
                raise UsageError(f"surrogate '{self.name}' expects the column '{missing[0]}'; the table lacks it")
            X = named[list(self.features)]
        table = np.asarray(X, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != len(self.features):
            raise UsageError(
                f"surrogate '{self.name}' expects a table of shape (n, {len(self.features)}) with the columns "
                f"{', '.join(self.features)}; got shape {table.shape}"
            )
        return transform_columns(table, self.feature_transforms)


def transform_columns(X: Floats, names: tuple[str, ...]) -> Floats:
    """Return X (n, p) with each column transformed by the transform of that name."""
    if set(names) == {"identity"}:
        return parse_transform("identity").forward(X)
    Z = np.empty_like(X)
    for column, name in enumerate(names):
        Z[:, column] = parse_transform(name).forward(X[:, column])
    return Z
