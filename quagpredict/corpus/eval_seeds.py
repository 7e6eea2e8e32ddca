"""One candidate that was measured with several eval seeds: its rows become one, where that is asked for."""

from typing import Any, NamedTuple

import polars as pl

from quagpredict.corpus.columns import pass_at_columns
from quagpredict.errors import CorpusError, did_you_mean
from quagpredict.metrics.measuring import count_values
from quagpredict.schema import BY_NAME, PROBLEM_COLUMNS

#: What makes rows of one candidate others than eval seeds of it.
_KEY = ("candidate", "eval_protocol_id", "rl_recipe_id", "rl_seed")
_SUMMED = ("n", "c", "truncated", "no_answer")
_PROBLEM = ("benchmark", "problem_id")


class Joined(NamedTuple):
    """A table with one row where there was one for each eval seed.

    Attributes
    ----------
    notes : tuple of str
        What was joined.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...]


def joined_seeds(frame: pl.DataFrame, column: str, source: str = "table") -> Joined:
    """Join the rows of each candidate that differ by their eval seed.

    Counts of a problem are added, and what follows from them is computed again, so that more samples give a larger k.
    Without counts a score, a loss or a length is the mean over the seeds, weighted by ``samples_per_problem`` where
    that is known; a standard error is then unknown, and null. Costs add up.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows with the schema's names.
    column : str
        Holds the eval seed; any values that differ. It goes.

    Raises
    ------
    CorpusError
        If there is no such column, a candidate has a seed twice or none, its seeds were measured on different
        problems, or its rows contradict each other in what it is.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "a", "b"], "seed": [0, 1, 0], "pre_pass_at_1": [0.4, 0.6, 0.3]})
    >>> joined_seeds(table, "seed").frame.rows()
    [('a', 0.5), ('b', 0.3)]
    """
    if column not in frame.columns:
        hint = did_you_mean(column, frame.columns, rest=f"; it has {', '.join(frame.columns[:8])}")
        raise CorpusError(f"{source}: there is no column '{column}' of eval seeds{hint}")
    if column in BY_NAME:
        what = BY_NAME[column].description
        raise CorpusError(f"{source}: column '{column}' is no eval seed ({what}); name the column of the eval seeds")
    key = [name for name in _KEY if name in frame.columns and name != column]
    rows = []
    for part in frame.partition_by(key, maintain_order=True):
        name = part["candidate"][0]
        seeds = part[column]
        if part.height > 1 and seeds.null_count():
            raise CorpusError(f"{source}: column '{column}': candidate '{name}' has a row without an eval seed")
        if seeds.is_duplicated().any() and part.height > 1:
            twice = seeds.filter(seeds.is_duplicated())[0]
            raise CorpusError(f"{source}: column '{column}': candidate '{name}' has the eval seed {twice} twice")
        rows.append(part.drop(column) if part.height == 1 else _one_row(part.drop(column), key, source))
    joined = pl.concat(rows, how="diagonal_relaxed")
    each = frame.height / joined.height
    note = f"{source}: {frame.height} rows are joined to {joined.height} by '{column}', {each:.3g} eval seeds each"
    return Joined(joined, (f"{note} on average",) if each > 1 else ())


def _one_row(part: pl.DataFrame, key: list[str], source: str) -> pl.DataFrame:
    name = part["candidate"][0]
    values: dict[str, Any] = {}
    weights = {}
    for stage in ("pre", "post"):
        _same_number_of_problems(part, f"{stage}_problems_count", source)
        samples = f"{stage}_samples_per_problem"
        has_samples = samples in part.columns and not part[samples].null_count()
        weights[stage] = part[samples].cast(pl.Float64) if has_samples else pl.repeat(1.0, part.height, eager=True)
    for header in part.columns:
        series, column = part[header], BY_NAME.get(header)
        if header in key or series.drop_nulls().is_empty():
            values[header] = series[0]
        elif header in PROBLEM_COLUMNS:
            values[header] = _added(part, header, source)
        elif header.startswith("cost_") or header.endswith("_samples_per_problem"):
            values[header] = series.sum()
        elif header.endswith("_se"):
            values[header] = None  # of problems and samples together: the seeds alone do not say it
        elif series.dtype.is_numeric() and (column is None or column.role in ("feature", "target")):
            weight = weights["post" if header.startswith("post_") else "pre"]
            weight = weight.filter(series.is_not_null())
            values[header] = float((series.drop_nulls().cast(pl.Float64) * weight).sum()) / float(weight.sum())
        elif len({*map(repr, series.drop_nulls().to_list())}) == 1:
            values[header] = series.drop_nulls()[0]
        else:
            shown = ", ".join(f"{value!r:.40}" for value in series.unique(maintain_order=True).head(2))
            raise CorpusError(
                f"{source}: column '{header}': rows of candidate '{name}' differ ({shown}): they are not eval seeds of "
                "one checkpoint"
            )
    for stage in ("pre", "post"):
        if values.get(f"{stage}_problems"):
            recounted = count_values(pl.DataFrame(values[f"{stage}_problems"], infer_schema_length=None))
            wanted = {*part.columns, *(f"{stage}_{suffix}" for suffix in recounted if suffix.startswith("pass_at_"))}
            values |= {
                f"{stage}_{suffix}": value for suffix, value in recounted.items() if f"{stage}_{suffix}" in wanted
            }
    schema = {header: part.schema.get(header) or BY_NAME[header].dtype for header in values}
    whole = [header for header in pass_at_columns(part) if schema[header].is_integer()]
    schema |= dict.fromkeys(whole, pl.Float64())
    return pl.DataFrame({header: [value] for header, value in values.items()}, schema=schema, strict=False)


def _added(part: pl.DataFrame, header: str, source: str) -> list[dict[str, Any]]:
    """Return the counts of each problem, added over the seeds; refuses other problems under another seed."""
    name = part["candidate"][0]
    total: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row, problems in enumerate(part[header].to_list()):
        by_problem = {tuple(problem.get(field) for field in _PROBLEM): problem for problem in problems or ()}
        if len(by_problem) != len(problems or ()):
            raise CorpusError(
                f"{source}: column '{header}': problems of candidate '{name}' have no ids to join them by"
            )
        if row and by_problem.keys() != total.keys():
            odd = next(iter(by_problem.keys() ^ total.keys()), ("", ""))
            raise CorpusError(
                f"{source}: column '{header}': the eval seeds of candidate '{name}' were measured on different "
                f"problems, e.g. '{odd[-1]}' under one of them alone: their mean compares with nothing"
            )
        for which, problem in by_problem.items():
            seen = total.setdefault(which, {**problem, "distinct_answers": None, **dict.fromkeys(_SUMMED, 0)})
            for field in _SUMMED:
                counted = problem.get(field) is not None and seen[field] is not None
                seen[field] = seen[field] + problem[field] if counted else None
    return list(total.values())


def _same_number_of_problems(part: pl.DataFrame, header: str, source: str) -> None:
    if header in part.columns and part[header].drop_nulls().n_unique() > 1:
        shown = ", ".join(map(str, part[header].unique(maintain_order=True)))
        raise CorpusError(
            f"{source}: column '{header}': the eval seeds of candidate '{part['candidate'][0]}' were measured on "
            f"different problems ({shown} of them): their mean compares with nothing"
        )
