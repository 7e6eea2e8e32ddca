"""The rows that a surrogate may learn from: finished, comparable, one a candidate."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.design import refuse_extremes
from quagpredict.corpus.reading import named_rows
from quagpredict.errors import CorpusError, IncomparableError


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Finished runs of one protocol and one RL recipe.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a candidate.
    y : array (n,)
        The target; the mean over RL seeds where a candidate was run with several.
    runs : polars.DataFrame
        One row a run, before the seeds were averaged.
    dropped_rows : int
        Rows of the table without target.
    eval_protocol_id, rl_recipe_id : str
        Empty where the table has none.
    """

    frame: pl.DataFrame
    y: NDArray[np.float64]
    runs: pl.DataFrame
    dropped_rows: int
    eval_protocol_id: str
    rl_recipe_id: str


def training_rows(
    frame: pl.DataFrame, target: str, *, split: str | None = "fit", source: str = "corpus", none_will_do: bool = False
) -> TrainingRows:
    """Choose the rows of a table from which `target` can be learnt.

    Parameters
    ----------
    frame : polars.DataFrame
        A table from `read_corpus`.
    target : str
        A numeric column.
    split : str or None
        Rows whose column ``split`` says otherwise are left out (nulls stay in); None takes all rows.
    none_will_do : bool
        Whether no finished row is fine, as for a surrogate that predicts from a prior alone.

    Raises
    ------
    CorpusError
        If the target or the column ``candidate`` is missing, the target is not numeric, no row has it, or one name
        stands for candidates of several base models.
    IncomparableError
        If the rows were measured under several eval protocols, or trained with several RL recipes.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "a", "b"], "rl_seed": [0, 1, 0], "post_pass_at_1": [0.25, 0.75, None]})
    >>> rows = training_rows(table, "post_pass_at_1")
    >>> rows.y, rows.dropped_rows
    (array([0.5]), 1)
    """
    frame = named_rows(frame)
    if none_will_do and target not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.Float64).alias(target))
    for name, role in (("candidate", "name of the rows"), (target, "target")):
        if name not in frame.columns:
            raise CorpusError(f"{source}: column '{name}' is missing, but it is the {role}")
    if not (frame[target].dtype.is_numeric() or frame[target].dtype == pl.Null):
        raise CorpusError(f"{source}: the target '{target}' must be numbers, found {str(frame[target].dtype).lower()}")
    if split is not None and "split" in frame.columns:
        frame = frame.filter(pl.col("split").fill_null(split) == split)
    values = frame[target].cast(pl.Float64)
    finished = values.is_not_null() & values.is_not_nan()
    refuse_extremes(frame[target], frame, source)
    runs = frame.with_columns(values).filter(finished)
    if runs.height == 0 and not none_will_do:
        where = f" with split '{split}'" if split is not None and "split" in frame.columns else ""
        raise CorpusError(f"{source}: no row{where} has the target '{target}': run RL for some candidates first")
    # Without a finished run, a prior speaks of candidates that are measured and will be trained as these.
    checked = runs if runs.height else frame
    protocol = _only(checked, "eval_protocol_id", "eval protocols", source)
    recipe = _only(checked, "rl_recipe_id", "RL recipes", source)
    _check_one_base(runs, source)
    means = runs.group_by("candidate", maintain_order=True).agg(pl.col(target).mean())
    candidates = runs.unique("candidate", keep="first", maintain_order=True).with_columns(means[target])
    return TrainingRows(
        frame=candidates,
        y=candidates[target].to_numpy().astype(np.float64),
        runs=runs,
        dropped_rows=frame.height - runs.height,
        eval_protocol_id=protocol,
        rl_recipe_id=recipe,
    )


def _check_one_base(runs: pl.DataFrame, source: str) -> None:
    """Refuse one name for candidates of two base models: their scores would be averaged as if seeds of one."""
    if "base_model" not in runs.columns:
        return
    bases = runs.group_by("candidate", maintain_order=True).agg(pl.col("base_model").unique(maintain_order=True))
    mixed = bases.filter(pl.col("base_model").list.len() > 1)
    if mixed.height:
        name, row = mixed.row(0)
        shown = ", ".join("unknown" if base is None else str(base) for base in row)
        raise CorpusError(
            f"{source}: candidate '{name}' is there with several base models ({shown}); give each its own name"
        )


def _only(runs: pl.DataFrame, column: str, what: str, source: str) -> str:
    """Return the only value of a column, empty if there is none."""
    if column not in runs.columns:
        return ""
    values = runs[column].unique().sort().to_list()
    if len(values) > 1:
        shown = ", ".join("unknown" if value is None else str(value) for value in values[:4])
        raise IncomparableError(
            f"{source}: the finished runs mix {len(values)} {what} (column '{column}': {shown}); their scores are not "
            "comparable: filter the table to one of them"
        )
    return "" if not values or values[0] is None else str(values[0])
