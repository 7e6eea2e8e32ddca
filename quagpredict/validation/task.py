"""What a validation judges, on what: the finished rows with every column that a model reads, and the models."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.columns import is_derived, origin
from quagpredict.corpus.derived import with_derived
from quagpredict.corpus.design import design_matrix
from quagpredict.corpus.reading import checked_table
from quagpredict.corpus.weights import weighted
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import resolve_features
from quagpredict.surrogates.kinds import SURROGATES, kind_columns, kind_of, with_own_columns
from quagpredict.surrogates.training_rows import training_rows
from quagpredict.validation.baselines import (
    Model,
    baseline_names,
    default_surrogates,
    every_surrogate,
    models_of,
    models_of_bases,
)
from quagpredict.validation.conformal import noise_floor
from quagpredict.validation.free_orders import with_rules
from quagpredict.validation.predicting import Rows
from quagpredict.validation.probes import probe_columns, with_probes

_SINGLES = 20  # more features of a general table are not judged one by one


class Task(NamedTuple):
    """What is judged, on what: the same for every scenario and protocol.

    Attributes
    ----------
    rows : Rows
    runs : polars.DataFrame
        One row a run, before RL seeds were averaged.
    models : list of Model
    surrogates : tuple of str
        Names of the models that are no baselines.
    notes : list of str
    eval_protocol_id, rl_recipe_id : str
    grouped_by : str
        What a group of rows is called: ``base``, or the column that takes the place of ``base_model``.
    """

    rows: Rows
    runs: pl.DataFrame
    models: list[Model]
    surrogates: tuple[str, ...]
    notes: list[str]
    eval_protocol_id: str
    rl_recipe_id: str
    grouped_by: str


def task_of(
    frame: Any,
    surrogates: str | Sequence[str] | None,
    target: str,
    *,
    features: str | Sequence[str] | None = None,
    groups: str | None = None,
    split: str | None = "fit",
    weights: Mapping[str, float] | None = None,
    source: str = "corpus",
) -> Task:
    """Choose rows and models, and derive every column that a model reads; parameters as for `validate`."""
    frame = checked_table(frame, source)
    frame = weighted(frame, weights, source=source) if weights else frame
    if groups is not None:
        if groups not in frame.columns:
            raise CorpusError(f"{source}: column '{groups}' is missing, but rows are grouped by it")
        frame = frame.with_columns(pl.col(groups).cast(pl.String).alias("base_model"))
    rows = training_rows(frame, target, split=split, source=source)
    table = with_rules(with_probes(rows.frame))
    grouped_by = groups or "base"
    passed = (target, groups or "")
    if features is None:
        every = surrogates == "all" or (not isinstance(surrogates, str) and surrogates and "all" in surrogates)
        asked = (surrogates,) if isinstance(surrogates, str) else tuple(surrogates or ())
        wanted = default_surrogates(table) if surrogates is None else tuple(name for name in asked if name != "all")
        wanted += every_surrogate(table) if every else ()
        models = models_of((*wanted, *baseline_names(table)), table, exclude=passed)
    else:
        columns = resolve_features(features, table, exclude=passed)
        kinds = tuple(kind for kind in SURROGATES if kind != "mean" and _reads(kind, table, columns))
        asked = (surrogates,) if isinstance(surrogates, str) else tuple(surrogates or ())
        wanted = kinds if not asked or "all" in asked else asked
        # Not by their names, which would be parsed: anyone's column may hold a colon or a plus sign.
        alone = columns if 1 < len(columns) <= _SINGLES else ()
        singles = [Model(f"linear:{name}", "linear", (name,)) for name in alone]
        models = models_of((*wanted, "mean", *singles), table, columns, passed)
    models += models_of_bases(table, grouped_by)
    names = {column for model in models for column in model.features}
    for column in sorted(names):
        if column == target:
            raise UsageError(f"'{target}' is the target and cannot be a feature too")
        if not is_derived(column):  # a missing column is an error by name
            design_matrix(table, [column], allow_missing=True, source=source)
    notes: list[str] = []
    if rows.dropped_rows:
        notes.append(f"{rows.dropped_rows} rows without {target} were left out")
    notes += _probe_notes(table)
    for kind in {model.kind for model in models} & {*SURROGATES}:  # what a fit reads beside the features
        names |= {*kind_of(kind).teaching(table)}
    if any(model.kind == "auto" for model in models):  # it may choose a kind that reads the counts
        for kind in with_own_columns():
            with suppress(CorpusError):
                names |= {*kind_columns(kind, table)}
    table = with_derived(table, sorted(names), source=source)
    table = table.drop(name for name in ("pre_problems", "post_problems") if name in table.columns)
    prepared = Rows(table, rows.y, names_of(table, "base_model").tolist(), target, noise_floor(rows.runs, target))
    return Task(prepared, rows.runs, models, wanted, notes, rows.eval_protocol_id, rows.rl_recipe_id, grouped_by)


def _reads(kind: str, table: pl.DataFrame, columns: Sequence[str]) -> bool:
    """Return whether a kind reads these columns of anyone's table; one that wants weights of a mixture may not."""
    if kind_of(kind).reads != "weights":
        return kind_of(kind).reads != "own"
    with suppress(CorpusError):
        return bool(kind_columns(kind, table, columns))
    return False


def _probe_notes(table: pl.DataFrame) -> list[str]:
    notes = []
    for name in probe_columns(table):
        step = int(name.rpartition("_")[2])
        whole = table["rl_steps"].max() if "rl_steps" in table.columns else None
        share = f", {100 * step / float(whole):.0f} % of RL" if isinstance(whole, (int, float)) and whole else ""
        notes.append(f"{name}: known only after {step} steps of RL with every candidate{share}")
    return notes


def complete_models(models: Sequence[Model], frame: pl.DataFrame, notes: list[str], scenario: str) -> list[Model]:
    """Return the models whose columns every row has; note the others."""
    complete = []
    for model in models:
        design = design_matrix(frame, model.features, allow_missing=True) if model.features else None
        missing = [] if design is None else np.flatnonzero(np.isnan(design).any(axis=1)).tolist()
        if missing:
            notes.append(
                f"{scenario}: {model.name} is left out, {len(missing)} candidates lack a measurement, "
                f"e.g. '{frame['candidate'][missing[0]]}'"
            )
        else:
            complete.append(model)
    return complete


def shown_features(features: Sequence[str]) -> str:
    """Return the features of a model as one text; many derived columns by what they are derived from.

    Examples
    --------
    >>> shown_features(["pre_pass_at_1", "base_model=a", "base_model=b"])
    'pre_pass_at_1,base_model'
    """
    return ",".join(dict.fromkeys(map(origin, features)))


def names_of(frame: pl.DataFrame, column: str) -> NDArray[np.str_]:
    """Return a column of names as text, empty where unknown."""
    if column not in frame.columns:
        return np.full(frame.height, "", dtype=np.str_)
    return np.asarray(frame[column].cast(pl.String).fill_null("").to_list(), dtype=np.str_)
