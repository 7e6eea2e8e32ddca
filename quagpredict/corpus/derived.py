"""Columns derived from the nested counts and from names: what surrogates read besides the flat columns.

`quagpredict.corpus.columns` explains their names. A table that already has a column of that name keeps it: derive once,
then slice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.corpus.benchmarks import UNNAMED, benchmark_names, benchmark_scores, finished_shares, from_parts, named
from quagpredict.corpus.check import row_slices
from quagpredict.corpus.columns import LOGITS, PROBLEM_SET, derived_of, pass_at, pass_at_columns
from quagpredict.errors import CorpusError
from quagpredict.metrics.count_tables import count_tables, mean_curve, success_shares
from quagpredict.schema import PROBLEM_COLUMNS


def with_derived(
    frame: pl.DataFrame, names: Sequence[str], *, drop_nested: bool = False, source: str = "table"
) -> pl.DataFrame:
    """Return the table with the derived columns among `names` that it does not have yet.

    Parameters
    ----------
    frame : polars.DataFrame
        A table from `read_corpus`.
    names : sequence of str
        Names that are not derived ones are left to whoever reads them. ``pre_problems[*].pass_at_1`` stands for one
        column for each benchmark that there are counts of.
    drop_nested : bool
        Leave the nested counts out of the result.

    Returns
    -------
    polars.DataFrame
        A row without counts, or without those of a benchmark, gets nulls. Pass@k is null where a problem has fewer than
        k samples. Without nested counts Pass@k is interpolated in log k between the flat columns of Pass@1, 2, 4, ...,
        and parts by difficulty stand for benchmarks (`quagpredict.corpus.benchmarks`).

    Raises
    ------
    CorpusError
        If the column that one is derived from is missing.

    Examples
    --------
    >>> problems = [{"n": 4, "c": 1}, {"n": 4, "c": 4}]
    >>> table = pl.DataFrame({"candidate": ["a"], "base_model": ["weak"], "pre_problems": [problems]})
    >>> names = ["pre_problems.pass_at_1", "pre_problems.pass_at_1.5", "base_model=weak", "base_model=*"]
    >>> with_derived(table, names).row(0)[3:]
    (0.625, 0.6875, 1.0, 0.0)
    """
    names = _each_benchmark(frame, names)
    asked = {name: derived for name in dict.fromkeys(names) if (derived := derived_of(name))}
    wanted = {name: derived for name, derived in asked.items() if name not in frame.columns}
    columns = from_parts(frame, wanted)
    wanted = {name: derived for name, derived in wanted.items() if name not in columns}
    counted = {name: derived for name, derived in wanted.items() if derived.kind in ("pass_at", "share")}
    for nested, benchmark in dict.fromkeys((derived.origin, derived.benchmark) for derived in counted.values()):
        of_these = {
            name: column for name, column in counted.items() if (column.origin, column.benchmark) == (nested, benchmark)
        }
        curves = {name: column.k for name, column in of_these.items() if column.kind == "pass_at"}
        shares = {name: column.bin for name, column in of_these.items() if column.kind == "share"}
        if nested in frame.columns and isinstance(frame[nested].dtype, pl.List):
            problems = frame[nested] if benchmark is None else _of_benchmark(frame[nested], benchmark)
            made = _from_counts(problems, list(curves.values()), bool(shares))
            columns |= {name: made.curve[:, column] for column, name in enumerate(curves)}
            columns |= {name: made.shares[:, column] for name, column in shares.items()}
        elif shares or benchmark is not None:
            raise CorpusError(f"{source}: column '{nested}' is missing: the surrogate needs the counts of each problem")
        else:
            columns |= _interpolated(frame, nested.partition("_")[0], curves, source)
    sized = {name: derived for name, derived in wanted.items() if derived.kind in ("problems", "samples", "weight")}
    for nested in dict.fromkeys(derived.origin for derived in sized.values()):
        scores = benchmark_scores(frame, nested.partition("_")[0])
        for name, derived in sized.items():
            if derived.origin == nested:
                table = scores.at((str(derived.benchmark),))
                count = (table.samples if derived.kind == "samples" else table.problems)[:, 0]
                columns[name] = np.where(count > 0, count, np.nan)
    ended = {name: derived for name, derived in wanted.items() if derived.kind == "finished"}
    for nested in dict.fromkeys(derived.origin for derived in ended.values()):
        if nested not in frame.columns or not isinstance(frame[nested].dtype, pl.List):
            raise CorpusError(f"{source}: column '{nested}' is missing: the surrogate needs the counts of each problem")
        of_it = {name: str(derived.benchmark) for name, derived in ended.items() if derived.origin == nested}
        ending = finished_shares(frame, tuple(of_it.values()), nested.partition("_")[0])
        columns |= {name: ending[:, column] for column, name in enumerate(of_it)}
    if PROBLEM_SET in wanted and "pre_problems" in frame.columns:
        columns[PROBLEM_SET] = _problem_sets(frame["pre_problems"])
    for name, derived in wanted.items():
        if derived.kind != "is":
            continue
        if derived.origin not in frame.columns:
            raise CorpusError(f"{source}: column '{derived.origin}' is missing, but the surrogate depends on it")
        texts = frame[derived.origin].cast(pl.String)
        others = [column.value for column in asked.values() if column.kind == "is" and column.origin == derived.origin]
        is_other = derived.value == "*"
        hit = ~texts.is_in([value for value in others if value != "*"]) if is_other else texts == derived.value
        columns[name] = hit.fill_null(is_other).cast(pl.Float64).to_numpy()
    result = frame.with_columns(pl.Series(name, values, nan_to_null=True) for name, values in columns.items())
    if drop_nested:
        result = result.drop(name for name in PROBLEM_COLUMNS if name in result.columns)
    return result


def _problem_sets(problems: pl.Series) -> Floats:
    """Return a number for the set of problems of each row, whatever their order, (rows,); NaN without counts or names.

    The sum of the problems' hashes, of which a float holds 52 bits.
    """
    sets = np.full(len(problems), np.nan)
    for part, sizes in row_slices(problems):
        flat = problems[part].explode(empty_as_null=False, keep_nulls=False)
        fields = [field.name for field in flat.dtype.fields] if isinstance(flat.dtype, pl.Struct) else []
        if len(flat) and "problem_id" in fields and not (names := flat.struct.field("problem_id")).null_count():
            keys = names.hash(0).to_numpy()
            if "benchmark" in fields:
                keys = keys + flat.struct.field("benchmark").fill_null("").hash(1).to_numpy() * np.uint64(3)
                keys ^= keys >> np.uint64(29)
                keys *= np.uint64(0x9E3779B97F4A7C15)
            measured = sizes > 0
            first = (np.cumsum(sizes) - sizes)[measured]
            sets[part][measured] = (np.add.reduceat(keys, first) >> np.uint64(12)).astype(np.float64)
    return sets


class _Made(NamedTuple):
    curve: Floats
    shares: Floats


def _from_counts(problems: pl.Series, ks: list[float], shares: bool) -> _Made:
    """Return Pass@k (rows, ks) and the shares (rows, bins), some rows at a time."""
    curve = np.full((len(problems), len(ks)), np.nan)
    mass = np.full((len(problems), len(LOGITS) if shares else 0), np.nan)
    for part, sizes in row_slices(problems):
        flat = problems[part].explode(empty_as_null=False, keep_nulls=False)
        if len(flat):
            n = flat.struct.field("n").to_numpy().astype(np.int64)
            c = flat.struct.field("c").to_numpy().astype(np.int64)
            rows = np.repeat(np.arange(len(sizes)), sizes)
            measured = sizes > 0
            sizes_of, counts = count_tables(rows, n, c, len(sizes))
            if ks:
                curve[part][measured] = mean_curve(sizes_of, counts, np.asarray(ks))[measured]
            if shares:
                mass[part][measured] = success_shares(sizes_of, [table[measured] for table in counts], LOGITS)
    return _Made(curve, mass)


def _each_benchmark(frame: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """Return the names, with one for each benchmark in place of those of any."""
    columns: list[str] = []
    benchmarks: dict[str, tuple[str, ...]] = {}
    for name in names:
        derived = derived_of(name)
        if derived is None or derived.benchmark != "*":
            columns.append(name)
            continue
        if derived.origin not in benchmarks:
            there = derived.origin in frame.columns and isinstance(frame[derived.origin].dtype, pl.List)
            benchmarks[derived.origin] = benchmark_names(frame[derived.origin]) if there else ()
        columns += [name.replace("[*]", f"[{benchmark}]", 1) for benchmark in benchmarks[derived.origin]]
    return columns


def _of_benchmark(problems: pl.Series, benchmark: str) -> pl.Series:
    """Return the problems of one benchmark of each row."""
    inner = problems.dtype.inner if isinstance(problems.dtype, pl.List) else None
    if not isinstance(inner, pl.Struct) or all(field.name != "benchmark" for field in inner.fields):
        return problems if benchmark == UNNAMED else problems.list.head(0)
    of_it = named(pl.element().struct.field("benchmark")) == benchmark
    return problems.list.eval(pl.element().filter(of_it))


def _interpolated(frame: pl.DataFrame, stage: str, curves: Mapping[str, float], source: str) -> dict[str, Floats]:
    """Return Pass@k between the flat columns of Pass@k, straight in log k."""
    flat = pass_at_columns(frame, "post" if stage == "post" else "pre")
    measured = {pass_at(name): frame[name].cast(pl.Float64).to_numpy() for name in flat}
    if 1 not in measured:
        raise CorpusError(
            f"{source}: neither '{stage}_problems' nor '{stage}_pass_at_1' is there: measure the candidates"
        )
    ks = sorted(measured)
    values = np.column_stack([measured[k] for k in ks])
    at: Callable[[float], Floats] = lambda k: _between(np.log(ks), values, np.log(k))  # noqa: E731
    return {name: at(k) for name, k in curves.items()}


def _between(log_ks: Floats, values: Floats, at: float) -> Floats:
    """Return the columns' value at a place between their places, (rows,); NaN beyond the last."""
    if at > log_ks[-1] + 1e-9:
        return np.full(len(values), np.nan)
    right = min(int(np.searchsorted(log_ks, at)), len(log_ks) - 1)
    if right == 0 or abs(log_ks[right] - at) < 1e-4:
        return np.asarray(values[:, right])
    weight = (at - log_ks[right - 1]) / (log_ks[right] - log_ks[right - 1])
    return np.asarray((1 - weight) * values[:, right - 1] + weight * values[:, right])
