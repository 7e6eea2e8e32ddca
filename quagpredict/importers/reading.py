"""What a reader of another tool's files gives back, and the verdicts in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from quagpredict.errors import InvalidDataError

#: One row a problem of one file: what every reader makes.
PART = {
    "benchmark": pl.String(),
    "problem_id": pl.String(),
    "n": pl.Int64(),
    "c": pl.Int64(),
    "responses": pl.List(pl.String()),
    "gold": pl.String(),
    "truncated": pl.List(pl.Boolean()),
    "by_line": pl.Boolean(),
    "file": pl.Int32(),
}


class ProblemRow(NamedTuple):
    """One problem of a benchmark in one file.

    Attributes
    ----------
    n : int
        Samples that are there. A missing sample is not a wrong one.
    c : int or None
        Correct ones by the tool's own grader; None where the file does not say it of each sample.
    responses : tuple of str
        Texts of the samples; empty where the file has none.
    gold : str or None
        The reference answer, for grading again.
    truncated : tuple of bool
        Whether the budget cut each response; empty where the file does not say.
    by_line : bool
        Whether the record had no id and is known by its place in the file alone.
    """

    benchmark: str
    problem_id: str
    n: int
    c: int | None
    responses: tuple[str, ...] = ()
    gold: str | None = None
    truncated: tuple[bool, ...] = ()
    by_line: bool = False


class Reported(NamedTuple):
    """A number of the tool itself: its name there, the k of Pass@k that it stands for, and how the tool makes it."""

    benchmark: str
    name: str
    k: int
    value: float
    how: str


class Expected(NamedTuple):
    """How many problems of a benchmark the tool itself counts, where it says so, and of how many samples each.

    `problems` is 0 and `samples` None where it does not say.
    """

    benchmark: str
    problems: int
    where: str
    samples: int | None = None


@dataclass(frozen=True)
class Reading:
    """All that was found in the files of one run.

    Parameters
    ----------
    problems : polars.DataFrame
        Columns of `PART`, a row a problem of a file.
    settings : sequence of mappings, one a file
        What each file, and the results beside it, record of sampling (temperature, tokens, seed, ...).
    left_out : sequence of str
        Samples that the tool could not finish, and that are therefore not among the problems.
    notes : sequence of str
        What a user should know about how the files were read.
    stated : bool
        Whether the names of the benchmarks come from the tool, not from the name of a file or a folder.
    graded_by : sequence of str, one a file
        What the tool calls the verdict that was read, where there are several.
    undecided : str
        Why no verdict of the tool's own counts, and what decides it; empty where one does.
    """

    problems: pl.DataFrame
    settings: Sequence[Mapping[str, Any]] = ()
    reported: Sequence[Reported] = ()
    expected: Sequence[Expected] = ()
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()
    stated: bool = True
    graded_by: Sequence[str] = ()
    undecided: str = ""


def part_of(rows: Iterable[ProblemRow]) -> pl.DataFrame:
    """Return the rows of one file as a table of `PART`.

    Examples
    --------
    >>> part_of([ProblemRow("b", "p", 4, 1)]).select("problem_id", "n", "c").row(0)
    ('p', 4, 1)
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(ProblemRow._fields)
    named = zip(ProblemRow._fields, columns, strict=True)
    table = pl.DataFrame({name: pl.Series(name, list(values), PART[name]) for name, values in named})
    return table.with_columns(file=pl.lit(0, PART["file"])).select(list(PART))


def together(readings: Iterable[Reading]) -> Reading:
    """Return the readings of single files as one, each problem with the place of its file.

    Examples
    --------
    >>> files = [Reading(part_of([ProblemRow("b", "p", 4, 1)]), notes=[note]) for note in ("first", "second")]
    >>> whole = together(files)
    >>> whole.problems["file"].to_list(), whole.notes
    ([0, 1], ['first', 'second'])
    """
    files = list(readings)
    numbered = (file.problems.with_columns(file=pl.lit(index, PART["file"])) for index, file in enumerate(files))
    listed = ("settings", "reported", "expected", "left_out", "notes", "graded_by")
    return Reading(
        pl.concat(numbered),
        stated=all(file.stated for file in files),
        undecided=next((file.undecided for file in reversed(files) if file.undecided), ""),
        **{name: [value for file in files for value in getattr(file, name)] for name in listed},
    )


def part_of_samples(samples: pl.DataFrame) -> pl.DataFrame:
    """Return a table of `PART` from one row a sample.

    Parameters
    ----------
    samples : polars.DataFrame
        Columns benchmark, problem_id and correct (null: not known); optional response, gold, truncated.
    """
    has = samples.columns
    counted = samples.group_by("benchmark", "problem_id", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n"),
        pl.when(pl.col("correct").is_null().any())
        .then(None)
        .otherwise(pl.col("correct").sum())
        .cast(pl.Int64)
        .alias("c"),
        *([pl.col("response").alias("responses")] if "response" in has else []),
        *([pl.col("gold").drop_nulls().first()] if "gold" in has else []),
        *([pl.col("gold").drop_nulls().n_unique().alias("golds")] if "gold" in has else []),
        *([pl.col("truncated")] if "truncated" in has else []),
    )
    if "golds" in counted.columns and (torn := counted.filter(pl.col("golds") > 1)).height:
        raise InvalidDataError(
            f"problem '{torn['problem_id'][0]:.60}' of '{torn['benchmark'][0]}' has several gold answers in one file: "
            "its samples are of different problems"
        )
    absent = [pl.lit(None, PART[name]).alias(name) for name in ("responses", "gold", "truncated")]
    absent = [column for column in absent if column.meta.output_name() not in counted.columns]
    return as_part(counted.with_columns(*absent, by_line=False))


def as_part(problems: pl.DataFrame) -> pl.DataFrame:
    """Return the problems of one file with the columns of `PART` and their data types."""
    return problems.with_columns(file=0).select(pl.col(name).cast(dtype) for name, dtype in PART.items())


def graded_by(verdict: str, threshold: float | None) -> str:
    """Return what a verdict is called for `Reading.graded_by`, with the value from which on it is correct."""
    return verdict + ("" if threshold is None else f" >= {threshold:g}")


def without_key(path: Path, row: int, key: str) -> InvalidDataError:
    """Return the error about a record, counted from 0, that lacks a key."""
    return InvalidDataError(f"{path}: record {row + 1} lacks the key '{key}'")


def as_correct(value: Any, path: Path) -> bool:
    """Return whether a verdict of a tool means correct.

    Raises
    ------
    InvalidDataError
        If it is neither a truth value nor 0 or 1.

    Examples
    --------
    >>> as_correct(1.0, Path("a")), as_correct(False, Path("a"))
    (True, False)
    """
    if isinstance(value, bool) or value in (0, 1):
        return bool(value)
    raise InvalidDataError(f"{path}: a verdict must be true, false, 0 or 1, got {value!r:.60}")


def verdicts(values: pl.Series, path: Path, threshold: float | None = None, first: int = 0) -> pl.Series:
    """Return which texts of a column mean correct; null stays null.

    Parameters
    ----------
    values : polars.Series
        Texts such as "true", "False", "1", "0.0".
    path : Path
        Named in errors.
    threshold : float, optional
        A number of at least this is correct; without it only 0 and 1 are verdicts.
    first : int
        Place of the first of them in the file, for errors.

    Returns
    -------
    polars.Series
        Null where there is no value, and where it is NaN.

    Raises
    ------
    InvalidDataError
        If a value is not a verdict, or not a number where there is a threshold.

    Examples
    --------
    >>> verdicts(pl.Series("ok", ["true", "0", None]), Path("a")).to_list()
    [True, False, None]
    >>> verdicts(pl.Series("reward", ["0.5", "1.5"]), Path("a"), threshold=1.0).to_list()
    [False, True]
    """
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    number = text.replace_strict(["true", "false"], ["1", "0"], default=text).cast(pl.Float64, strict=False)
    wrong = values.is_not_null() & number.is_null()
    number = number.fill_nan(None)
    if threshold is None:
        wrong |= number.is_not_null() & ~number.is_in([0.0, 1.0])
    if wrong.any():
        row = int(wrong.arg_true()[0])
        if threshold is None and number[row] is not None:
            raise InvalidDataError(
                f"{path}: '{values.name}' is {values[row]!r:.60} in record {first + row + 1}, and only 0 and 1 are "
                "verdicts: say from which value on a sample is correct (`threshold`)"
            )
        raise InvalidDataError(
            f"{path}: '{values.name}' must be {'true, false, 0 or 1' if threshold is None else 'a number'}, "
            f"got {values[row]!r:.60} in record {first + row + 1}"
        )
    return number >= (0.5 if threshold is None else threshold)
