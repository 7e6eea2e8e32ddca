"""Plain counts: ``id, n, c`` and optionally ``benchmark``, as CSV, TSV, JSON lines or Parquet."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import stem_of
from quagpredict.importers.reading import PART, Reading, as_part, together, without_key
from quagpredict.importers.tables import header, text_columns

_NAME = "counts"


def recognises(path: Path) -> bool:
    """Say whether a file has records of id, n and c."""
    return {"id", "n", "c"} <= set(header(path))


def read(paths: Sequence[Path]) -> Reading:
    """Return the counts of the files.

    The benchmark of a record without one is "counts", or the file's name where there are several files.

    Raises
    ------
    InvalidDataError
        If a count is not a whole number or impossible.
    """
    alone = len(paths) == 1
    return together(_read(path, _NAME if alone else stem_of(path)) for path in paths)


def _read(path: Path, unnamed: str) -> Reading:
    table = text_columns(path, ["id", "n", "c"], ["benchmark"])
    named = "benchmark" in table.columns
    if (lacking := table["id"].is_null()).any():
        raise without_key(path, lacking.arg_true()[0], "id")
    counts = table.select("id", *(_whole(table, key, path) for key in ("n", "c")))
    wrong = counts.filter(~((pl.col("n") >= 1) & pl.col("c").is_between(0, pl.col("n"))))
    if wrong.height:
        name, n, c = wrong.row(0)
        raise InvalidDataError(f"{path}: problem '{name:.60}' has n = {n}, c = {c}; expected n >= 1, 0 <= c <= n")
    problems = counts.with_columns(
        benchmark=table["benchmark"].fill_null(unnamed) if named else pl.lit(unnamed),
        problem_id=pl.col("id"),
        by_line=False,
        gold=None,
        responses=pl.lit([], PART["responses"]),
        truncated=pl.lit([], PART["truncated"]),
    )
    return Reading(as_part(problems), [{}], stated=named and not table["benchmark"].is_null().any())


def _whole(table: pl.DataFrame, key: str, path: Path) -> pl.Series:
    """Return a column of counts; "8.0" is what pandas makes of 8."""
    texts = table[key]
    numbers = texts.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() | ~numbers.is_finite() | (numbers != numbers.round()) | (numbers.abs() > 2**53)
    if wrong.any():
        row = int(wrong.arg_true()[0])
        name = table["id"][row]
        if texts[row] is None:
            raise InvalidDataError(f"{path}: problem '{name:.60}' lacks the key '{key}'")
        raise InvalidDataError(f"{path}: problem '{name:.60}': {key} must be a whole number, got {texts[row]!r:.60}")
    return numbers.cast(pl.Int64)
