"""Hold a table against the schema: data types first, then values, then what makes rows comparable."""

from collections.abc import Iterator
from difflib import get_close_matches

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import CorpusError, IncomparableError, NothingToRankError
from quagpredict.schema import BY_NAME, CURVES, KEY, PROBLEM_FIELDS, Column

# A mean of fractions may pass 1 by a rounding error; anything larger is a mistake.
_ROUNDING = 1e-9
# Rows are unnested so many problems at a time: 100,000 candidates of 500 problems would not fit in memory at once.
_PROBLEMS_AT_ONCE = 2_000_000
# Not everyone whose tables are checked here joins rows.
_JOINERS = "`quagpredict.rank` and `quagpredict.race`"


def check_corpus(frame: pl.DataFrame, source: str = "table", *, allow_mixed_protocols: bool = False) -> pl.DataFrame:
    """Check a table and return it with the schema's data types.

    Columns that the schema does not know are kept as they are; of those it knows only ``candidate`` must be there.
    A null is a missing value and allowed everywhere but in ``candidate``; a NaN or an infinity in a column of the
    schema is an error.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate.
    source : str
        What to call the table in errors, usually the file.
    allow_mixed_protocols : bool
        If true, rows may come from several eval protocols.

    Returns
    -------
    polars.DataFrame
        The same rows in the same order. Casts lose nothing, or are refused.

    Raises
    ------
    NothingToRankError
        If the table has no row.
    CorpusError
        If a column has the wrong data type, a value is out of its range, counts contradict each other, or a row
        appears twice.
    IncomparableError
        If rows come from several eval protocols and that was not allowed.

    Examples
    --------
    >>> import polars as pl
    >>> check_corpus(pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0, 1]}))["pre_pass_at_1"].to_list()
    [0.0, 1.0]
    >>> check_corpus(pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [41.5]}), "a.csv")
    Traceback (most recent call last):
        ...
    quagpredict.errors.CorpusError: a.csv: column 'pre_pass_at_1': 41.5 of candidate 'a' is outside 0 to 1 (a score is
    a fraction: is this per cent?)
    """
    frame = check_types(frame, source)
    check_values(frame, source)
    check_rows(frame, source, allow_mixed_protocols=allow_mixed_protocols)
    return frame


def check_types(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return the table with the schema's data types, or say which column cannot have them.

    In a column that the schema does not know, what is no number (NaN) is missing, and null.
    """
    if "candidate" not in frame.columns:
        near = get_close_matches("candidate", frame.columns, 1)
        hint = f"; '{near[0]}' looks like it" if near else ""
        shown = ", ".join(frame.columns[:8]) + (", ..." if frame.width > 8 else "")
        raise CorpusError(f"{source}: column 'candidate' is missing; it has {shown or 'no column'}{hint}")
    if frame.height == 0:
        raise NothingToRankError(f"{source}: the table has no row")
    changed = []
    for name, dtype in frame.schema.items():
        column = BY_NAME.get(name)
        if column is None and dtype.is_float() and frame[name].is_nan().any():
            # Of anyone's numbers, such as a feature or a target: a missing one, as in a frame of pandas.
            changed.append(frame[name].fill_nan(None))
        if column is None or dtype == column.dtype:
            continue
        if frame[name].null_count() == frame.height:
            # An empty column has whatever type the other tool gave it: text, from CSV and pandas.
            changed.append(pl.repeat(None, frame.height, dtype=column.dtype, eager=True).alias(name))
            continue
        convert = conform_nested if column.role == "nested" else _conform
        changed.append(convert(frame[name], column, source))
    return frame.with_columns(changed) if changed else frame


def _conform(series: pl.Series, column: Column, source: str) -> pl.Series:
    have, want = series.dtype, column.dtype
    if want == pl.String:
        fits = have.is_integer() or have in (pl.Null, pl.Categorical, pl.Enum)
    else:
        fits = have.is_numeric() or have == pl.Null
    if fits and want == pl.Int64 and have.is_float():
        # What pandas makes of whole numbers beside a missing one. NaN and infinity are caught here too.
        fits = bool((series.is_null() | (series.is_finite() & (series == series.round()))).all())
    try:
        if fits:
            return series.cast(want)
    except pl.exceptions.PolarsError:
        pass  # a value that the type cannot hold, e.g. a whole number beyond 64 bits
    wrong = series.is_not_null()
    if have == pl.String and want != pl.String:
        wrong &= series.cast(want, strict=False).is_null()
    rows = (wrong if wrong.any() else series.is_not_null()).arg_true()
    # Through a list: an item of a nested column would be shown as polars prints it, in several lines.
    shown = f" such as {series.slice(rows[0], 1).to_list()[0]!r:.60} in row {rows[0] + 1}" if len(rows) else ""
    raise CorpusError(f"{source}: column '{column.name}' must be {_spoken(want)}, found {_spoken(have)}{shown}")


def _spoken(dtype: pl.DataType) -> str:
    if dtype == pl.String:
        return "text"
    if dtype.is_integer():
        return "whole numbers"
    return "numbers" if dtype.is_numeric() else str(dtype).lower()


def check_values(frame: pl.DataFrame, source: str) -> None:
    """Check ranges, texts and nested counts; the data types must be the schema's already."""
    names = frame["candidate"]
    if names.null_count() or (names == "").any():
        row = (names.is_null() | (names == "")).arg_true()[0]
        raise CorpusError(f"{source}: column 'candidate' is empty in row {row + 1}; every row needs a name")
    columns = [BY_NAME[name] for name in frame.columns if name in BY_NAME]
    bad = {column.name: rule for column in columns if (rule := _rule_of(column)) is not None}
    if bad:
        breaks = frame.select(pl.any_horizontal(expression).any().alias(name) for name, expression in bad.items())
        for name in (name for name, is_bad in breaks.row(0, named=True).items() if is_bad):
            row = frame.select(bad[name].fill_null(False).arg_max()).item()
            raise CorpusError(f"{source}: column '{name}': {_complaint(frame, BY_NAME[name], row)}")
    for name in ("pre_problems", "post_problems"):
        if name in frame.columns:
            check_problems(frame[name], names, source)


def _rule_of(column: Column) -> pl.Expr | None:
    """Return an expression that is true where a value of the column is invalid; None if any value is valid."""
    if column.values:
        return ~pl.col(column.name).is_in(column.values)
    if column.dtype == pl.Float64:
        return ~pl.col(column.name).is_finite() | _outside(column)
    if column.dtype == pl.Int64 and (column.low is not None or column.high is not None):
        return _outside(column)
    return None


def _outside(column: Column) -> pl.Expr:
    value, outside = pl.col(column.name), pl.lit(False)
    if column.low is not None:
        outside = outside | (value < column.low - _ROUNDING)
    if column.high is not None:
        outside = outside | (value > column.high + _ROUNDING)
    return outside


def _complaint(frame: pl.DataFrame, column: Column, row: int) -> str:
    value, candidate = frame[column.name][row], frame["candidate"][row]
    where = f"{value!r} of candidate '{candidate}'"
    if column.values:
        return f"{where} is none of {', '.join(column.values)}"
    if value != value or abs(value) == float("inf"):
        return f"{where} is not a number; leave a missing value empty (null)"
    if column.low is not None and column.high is not None:
        hint = " (a score is a fraction: is this per cent?)" if column.high < value <= 100 else ""
        return f"{where} is outside {column.low:g} to {column.high:g}{hint}"
    bound = f"below {column.low:g}" if column.low is not None else f"above {column.high:g}"
    return f"{where} is {bound}" + (f" {column.unit}" if len(column.unit) > 1 else "")


def check_rows(frame: pl.DataFrame, source: str, *, allow_mixed_protocols: bool = False) -> None:
    """Check that no row appears twice and that all were measured alike."""
    key = [name for name in KEY if name in frame.columns]
    twice = frame.select(key).is_duplicated()
    if twice.any():
        name = frame["candidate"].filter(twice)[0]
        copies = frame.filter(twice & (frame["candidate"] == name))
        count = copies.height
        seeds = [other for other in frame.columns if "seed" in other.lower() and copies[other].is_unique().all()]
        raise CorpusError(
            f"{source}: column 'candidate': '{name}' appears {count} times "
            f"with the same {', '.join(key[1:]) or 'name'}; keep one row of it, or give the rows names of their own"
            + (f'; to join its eval seeds: join_seeds="{seeds[0]}", which {_JOINERS} take' if seeds else "")
        )
    if allow_mixed_protocols or "eval_protocol_id" not in frame.columns:
        return
    protocols = frame["eval_protocol_id"].unique().sort()
    if len(protocols) > 1:
        shown = ", ".join("unknown" if name is None else name for name in protocols.head(4))
        raise IncomparableError(
            f"{source}: column 'eval_protocol_id' holds {len(protocols)} protocols ({shown}); numbers measured under "
            "different protocols are not comparable: measure all candidates alike, or keep the rows of one "
            "(`quagpredict.rank` takes allow_mixed_protocols=True)"
        )


def conform_nested(series: pl.Series, column: Column, source: str) -> pl.Series:
    """Return a nested column with the schema's fields: in their order, absent ones null, others dropped.

    Raises
    ------
    CorpusError
        If it is no list of records, or a field cannot be cast without loss, or ``n`` or ``c`` is absent.
    """
    want = CURVES.get(column.name, PROBLEM_FIELDS)
    have = series.dtype
    if have == pl.Null or have == pl.List(pl.Null):
        return _only_empty(series, column)
    if isinstance(have, pl.Array):
        have = pl.List(have.inner)
        series = series.cast(have)
    if not isinstance(have, pl.List) or not isinstance(have.inner, pl.Struct):
        raise CorpusError(f"{source}: column '{column.name}' must be lists of records, found {have}")
    fields = {field.name: field.dtype for field in have.inner.fields}
    for name in ("n", "c") if want is PROBLEM_FIELDS else ("step",):
        if name not in fields:
            raise CorpusError(
                f"{source}: column '{column.name}': field '{name}' is missing; it has {', '.join(fields)}"
            )
    parts = []
    flat = series.explode(empty_as_null=False, keep_nulls=False)
    for name, dtype in want.items():
        if name not in fields:
            parts.append(pl.lit(None, dtype).alias(name))
            continue
        values = flat.struct.field(name)
        if not _lossless(values, dtype):
            example = values.drop_nulls().head(1).to_list()
            raise CorpusError(
                f"{source}: column '{column.name}': field '{name}' must be {str(dtype).lower()}, "
                f"found {str(values.dtype).lower()} such as {example!r:.60}"
            )
        parts.append(pl.element().struct.field(name).cast(dtype))
    return series.to_frame().select(pl.col(series.name).list.eval(pl.struct(parts))).to_series()


def _only_empty(series: pl.Series, column: Column) -> pl.Series:
    values: list[list[None] | None] = [None if value is None else [] for value in series.to_list()]
    return pl.Series(column.name, values, column.dtype)


def _lossless(values: pl.Series, dtype: pl.DataType) -> bool:
    have = values.dtype
    if dtype == pl.String:
        return have == pl.String or have.is_integer() or have in (pl.Null, pl.Categorical, pl.Enum)
    if not (have.is_numeric() or have == pl.Null):
        return False
    try:
        cast = values.cast(dtype)
    except pl.exceptions.PolarsError:
        return False
    return dtype != pl.Int64 or not have.is_float() or bool((cast == values).fill_null(True).all())


def check_problems(problems: pl.Series, candidates: pl.Series, source: str) -> None:
    """Check the counts of every problem of every candidate.

    Parameters
    ----------
    problems : polars.Series
        ``pre_problems`` or ``post_problems``, with the schema's data type; null where not measured.
    candidates : polars.Series
        Their names, for errors.

    Raises
    ------
    CorpusError
        If a problem has no ``n`` or ``c``, ``n`` is below 1, another count is outside 0 to ``n``, or a problem is
        listed twice for one candidate.
    """
    for rows, _ in row_slices(problems):
        _check_slice(problems[rows], candidates[rows], source)


def row_slices(problems: pl.Series) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield rows of nested counts with the number of problems in each, few enough at a time to unnest in memory.

    Examples
    --------
    >>> [(rows.start, rows.stop, sizes.tolist()) for rows, sizes in row_slices(pl.Series([[1, 2], None, [3]]))]
    [(0, 3, [2, 0, 1])]
    """
    sizes = problems.list.len().fill_null(0).to_numpy().astype(np.int64)
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PROBLEMS_AT_ONCE, side="right")))
        yield slice(start, stop), sizes[start:stop]
        start = stop


def _check_slice(problems: pl.Series, candidates: pl.Series, source: str) -> None:
    name = problems.name
    rows = pl.DataFrame({"problem": problems}).with_row_index("row")
    flat = rows.filter(pl.col("problem").list.len() > 0).explode("problem").unnest("problem")
    if flat.is_empty():
        return
    n = pl.col("n")
    wrong: dict[str, pl.Expr] = {
        "n and c must be given": n.is_null() | pl.col("c").is_null(),
        "n must be at least 1": n < 1,
        "c must lie in 0 to n": (pl.col("c") < 0) | (pl.col("c") > n),
    }
    for field in ("truncated", "no_answer", "distinct_answers"):
        wrong[f"{field} must lie in 0 to n"] = (pl.col(field) < 0) | (pl.col(field) > n)
    breaks = flat.select(expression.any().alias(text) for text, expression in wrong.items()).row(0, named=True)
    for text in (text for text, is_wrong in breaks.items() if is_wrong):
        first = flat.filter(wrong[text]).row(0, named=True)
        fields = dict.fromkeys(("n", "c", text.split()[0]))
        counts = ", ".join(f"{field} = {first[field]}" for field in fields)
        raise CorpusError(
            f"{source}: column '{name}': {text}, but problem '{first['problem_id']}' of candidate "
            f"'{candidates[first['row']]}' has {counts}"
        )
    named = flat.filter(pl.col("problem_id").is_not_null()).select("row", "benchmark", "problem_id")
    # Hashes are ten times as fast to count as texts; where they say "twice" it is made sure of.
    if named.hash_rows().n_unique() < named.height and named.n_unique() < named.height:
        first = named.filter(named.is_duplicated()).row(0, named=True)
        raise CorpusError(
            f"{source}: column '{name}': problem '{first['problem_id']}' of benchmark '{first['benchmark']}' is listed "
            f"twice for candidate '{candidates[first['row']]}'; join its samples into one count"
        )
