"""What a measured trial is worth: a surrogate's lower bound, or a measurement; and how far it is from what is known."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus import check_corpus, design_matrix, read_corpus
from quagpredict.corpus.columns import column_of, origin
from quagpredict.errors import CorpusError, UsageError
from quagpredict.mixture_search.recipes import MixtureRecipe
from quagpredict.schema import BY_NAME, MEASUREMENT
from quagpredict.surrogates import fit, load_surrogate
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.hierarchical import level_of, prior_surrogate
from quagpredict.surrogates.kinds import asked, is_spec
from quagpredict.surrogates.stored_prior import shipped_prior
from quagpredict.validation.conformal import with_calibration

#: ``lower_bound``, or the suffix of the measurement that is the score.
Objective = str

#: What a measurement may be given as: columns by name, with or without ``pre_``, or a table of one row.
Measurement = Mapping[str, Any] | pl.DataFrame


class Scored(NamedTuple):
    """What a trial is worth.

    Attributes
    ----------
    value : float
        What the study maximises.
    prediction : float or None
        Predicted score after RL; None without a surrogate.
    distance : float or None
        Distance from the surrogate's training runs, 1 is their edge.
    excess : float or None
        Distance beyond what is allowed: the trial is feasible if it is 0 or less. None where nothing is extrapolated.
    level : str or None
        What the prior read, see `quagpredict.surrogates.stored_prior.LEVELS`; None where it does not score.
    """

    value: float
    prediction: float | None = None
    distance: float | None = None
    excess: float | None = None
    level: str | None = None


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores measurements.

    Attributes
    ----------
    objective : str
        ``lower_bound``, the surrogate's; or a measurement before RL by its suffix, such as ``pass_at_64``: its value,
        or minus it where lower is better.
    surrogate : FittedSurrogate or None
        None with ``lower_bound``: the prior of `rank`. With the other objectives its prediction is only noted.
    order : float
        The bound is the quantile of this order of the predicted distribution.

    Examples
    --------
    >>> Scorer("pass_at_1").score(pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.25]})).value
    0.25
    """

    objective: Objective
    surrogate: FittedSurrogate | None = None
    order: float = 0.1
    max_distance: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.order <= 0.5:
            raise UsageError(f"the order of the lower bound must lie in (0, 0.5], got {self.order}")

    @property
    def by_prior(self) -> bool:
        """Whether the prior scores."""
        return self.objective == "lower_bound" and self.surrogate is None

    def score(self, row: pl.DataFrame, level: str | None = None) -> Scored:
        """Return what a measured candidate is worth.

        Parameters
        ----------
        row : polars.DataFrame
            One row, columns of the table; see `measured_row`.
        level : str, optional
            What the prior reads, where it scores: scores compare only at one level. By default the most that is there.

        Raises
        ------
        CorpusError, UsageError
            If a column is missing, or its value is; the message names it. A trial without a score is a failed one.
        """
        surrogate, level = _prior_of(row, level) if self.by_prior else (self.surrogate, None)
        prediction = distance = None
        bound = np.nan
        X = self._design(row, surrogate)
        if X is not None and surrogate is not None:
            predicted = surrogate.predict(X)
            prediction, distance = float(predicted.mean[0]), float(predicted.distance[0])
            half = self.order == 0.5
            bound = prediction if half else float(surrogate.interval(X, 1.0 - 2.0 * self.order).low[0])
        if self.objective == "lower_bound":
            assert surrogate is not None
            columns = tuple(dict.fromkeys(map(origin, surrogate.features)))
            value = bound
        else:
            columns = (f"pre_{self.objective}",)
            sign = column_of(columns[0]).sign
            value = sign * float(design_matrix(row, columns, source="measurement")[0, 0])
        if not np.isfinite(value):
            raise UsageError(f"the measurement gives no finite score from {', '.join(columns)}")
        excess = None
        if self.objective == "lower_bound" and distance is not None:
            excess = distance - self.max_distance
        return Scored(value, prediction, distance, excess, level)

    def _design(self, row: pl.DataFrame, surrogate: FittedSurrogate | None) -> NDArray[np.float64] | None:
        """Return what the surrogate takes; None without one, or where it only notes and a measurement is missing."""
        if surrogate is None:
            return None
        try:
            X = surrogate.design(row, source="measurement")
        except CorpusError:
            if self.objective == "lower_bound":
                raise
            return None
        return X if self.objective == "lower_bound" or np.isfinite(X).all() else None


def _prior_of(row: pl.DataFrame, level: str | None) -> tuple[FittedSurrogate, str]:
    """Return the prior for a measurement, and the level at which it reads it."""
    prior = shipped_prior()
    if level is not None:
        if not level_of(row, [level]):
            raise CorpusError(f"the study's first trial was scored by {level}, and this measurement lacks some of it")
        prior = replace(prior, levels={level: prior.levels[level]})
    return prior_surrogate(row, prior), level_of(row, prior.levels)


def measured_row(measurement: Measurement, recipe: MixtureRecipe, candidate: str) -> pl.DataFrame:
    """Return a measurement as one row of the table, with what the recipe says about itself.

    Parameters
    ----------
    measurement : mapping or polars.DataFrame
        Columns by name; the suffix of a measurement, such as ``pass_at_1``, means the one before RL.

    Raises
    ------
    UsageError
        If a table has not exactly one row, the measurement is empty, or a value cannot be that of its column.
    CorpusError
        If a value is out of its column's range.

    Examples
    --------
    >>> from quagpredict.testing.search_worlds import synthetic_space
    >>> from quagpredict.mixture_search.recipes import recipe_of
    >>> recipe = recipe_of(synthetic_space(2), {"mixture.s0": 0.5, "epochs": 2.0, "learning_rate": 1e-3})
    >>> measured_row({"pass_at_1": 0.5}, recipe, "a").columns[-1]
    'pre_pass_at_1'
    """
    if isinstance(measurement, pl.DataFrame):
        if measurement.height != 1:
            raise UsageError(f"a measurement is one row, got a table of {measurement.height}")
        given: dict[str, Any] = measurement.row(0, named=True)
    elif isinstance(measurement, Mapping):
        given = dict(measurement)
    else:
        raise UsageError(
            "a measurement is a mapping of columns such as {'pass_at_1': 0.4, 'held_out_loss_nats': 0.9}, or a table "
            f"of one row, got {measurement!r:.80}"
        )
    if odd := [name for name in given if not isinstance(name, str)]:
        raise UsageError(f"the columns of a measurement are named by text, got {odd[0]!r:.80}")
    values = {f"pre_{name}" if name in MEASUREMENT else name: value for name, value in given.items()}
    if not values:
        raise UsageError("the measurement is empty; give at least the columns that the score is made of")
    known = {
        "candidate": candidate,
        "recipe_id": recipe.recipe_id,
        "recipe_unique_examples": recipe.unique_examples,
        "recipe_epochs": recipe.epochs,
        "recipe_learning_rate": recipe.learning_rate,
        "recipe_seed": recipe.seed,
        "recipe_examples_seen": round(recipe.unique_examples * recipe.epochs),
    }
    columns = {**known, **{name: value for name, value in values.items() if name not in known}}
    types = {name: BY_NAME[name].dtype for name in columns if name in BY_NAME}
    try:
        row = pl.DataFrame({name: [value] for name, value in columns.items()}, schema_overrides=types)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"the measurement holds a value that its column cannot have: {error}") from None
    return check_corpus(row, "measurement")


def scoring_surrogate(
    named: FittedSurrogate | str | Path | None, corpus: str | Path | pl.DataFrame | None = None
) -> FittedSurrogate | None:
    """Return the surrogate that is named: itself, the one in a folder, or the one that a spec asks to fit on a corpus.

    Parameters
    ----------
    corpus : source, optional
        Finished runs for a spec; its intervals are conformal, as those of `quagpredict fit`.

    Raises
    ------
    UsageError
        If a spec is named without a corpus.

    Examples
    --------
    >>> scoring_surrogate("ridge:loss", "datasets/lab-pilot/corpus.parquet").features
    ('pre_held_out_loss_nats',)
    """
    if not isinstance(named, (str, Path)):
        return named
    if not is_spec(str(named)):
        return load_surrogate(named)
    if corpus is None:
        raise UsageError(
            f"surrogate '{named}' is a spec: name the finished runs to fit it on (`corpus` in the section `score`), or "
            "a folder that `quagpredict fit` made"
        )
    runs = read_corpus(corpus)
    kind, features, transforms = asked(str(named))
    settings: dict[str, Any] = {"features": features or "both", "transforms": transforms or "identity"}
    return with_calibration(fit(runs, kind, source=str(corpus), **settings), runs, **settings)
