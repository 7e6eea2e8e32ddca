"""Check the nested columns: counts of each problem, the training log, and the measurements along RL."""

import polars as pl

from quagpredict.errors import CorpusError
from quagpredict.schema import CURVES, PROBLEM_FIELDS, Column

# Rows are unnested so many problems at a time: 100,000 candidates of 500 problems would not fit in memory at once.
_PROBLEMS_AT_ONCE = 2_000_000


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
    source : str
        What to call the table in errors.

    Raises
    ------
    CorpusError
        If a problem has no ``n`` or ``c``, ``n`` is below 1, another count is outside 0 to ``n``, or a problem is
        listed twice for one candidate.
    """
    sizes = problems.list.len().fill_null(0).to_list()
    start = 0
    while start < len(sizes):
        stop, total = start + 1, sizes[start]
        while stop < len(sizes) and total + sizes[stop] <= _PROBLEMS_AT_ONCE:
            total += sizes[stop]
            stop += 1
        _check_slice(problems[start:stop], candidates[start:stop], source)
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
