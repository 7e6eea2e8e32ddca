"""Scores by benchmark from the nested counts; parts by difficulty stand in for benchmarks where these are not there."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import Derived
from quagpredict.errors import CorpusError

#: What a benchmark without a name is called.
UNNAMED = "all"
#: The terciles of a suite's problems by level, see `quagpredict.metrics.measuring.level_parts`.
PARTS = ("easy", "hard", "medium")
#: Samples of a part where the table does not say how many problems and samples there were.
_ASSUMED_SAMPLES = 1000.0


class BenchmarkScores(NamedTuple):
    """Pass@1 of n candidates on B benchmarks.

    Attributes
    ----------
    names : tuple of str
        Benchmarks, sorted.
    share : array (n, B)
        Mean over the problems of a benchmark of the share of correct samples; NaN where not measured.
    samples, problems : array (n, B)
        How many samples and problems a cell rests on; 0 where not measured.
    """

    names: tuple[str, ...]
    share: Floats
    samples: Floats
    problems: Floats

    @property
    def weights(self) -> Floats:
        """The share of the problems that each benchmark holds, (B,), of the candidate with the most problems."""
        most = self.problems.max(axis=0, initial=0.0)
        return np.asarray(most / max(float(most.sum()), 1.0))

    def at(self, names: tuple[str, ...]) -> "BenchmarkScores":
        """Return the same for these benchmarks, in that order; NaN and 0 for one that was not measured."""
        columns = [self.names.index(name) if name in self.names else -1 for name in names]
        gap = np.full((len(self.share), 1), np.nan)
        take = np.array(columns, dtype=np.int64)
        return BenchmarkScores(
            names,
            np.hstack([self.share, gap])[:, take],
            np.hstack([self.samples, 0.0 * np.nan_to_num(gap)])[:, take],
            np.hstack([self.problems, 0.0 * np.nan_to_num(gap)])[:, take],
        )


def benchmark_scores(frame: pl.DataFrame, stage: str = "pre") -> BenchmarkScores:
    """Return Pass@1 by benchmark from ``pre_problems`` or ``post_problems``.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate.
    stage : str
        ``pre`` or ``post``.

    Raises
    ------
    CorpusError
        If the table has no nested counts of that stage.

    Examples
    --------
    >>> counts = [("a", 4, 1), ("a", 4, 3), ("b", 2, 2)]
    >>> problems = [{"benchmark": name, "n": n, "c": c} for name, n, c in counts]
    >>> scores = benchmark_scores(pl.DataFrame({"candidate": ["x"], "pre_problems": [problems]}))
    >>> scores.names, scores.share.tolist(), scores.weights.round(2).tolist()
    (('a', 'b'), [[0.5, 1.0]], [0.67, 0.33])
    """
    column = f"{stage}_problems"
    if column not in frame.columns or not isinstance(frame[column].dtype, pl.List):
        raise CorpusError(f"column '{column}' is missing: scores by benchmark need the counts of each problem")
    share = (pl.col("c") / pl.col("n")).mean()
    cells = _flat(frame, column).group_by("row", "benchmark").agg(share, pl.col("n").sum(), problems=pl.len())
    names = tuple(sorted(cells["benchmark"].unique().to_list()))
    empty = {"c": np.nan, "n": 0.0, "problems": 0.0}
    return BenchmarkScores(names, *(_laid_out(cells, field, frame.height, names, gap) for field, gap in empty.items()))


def finished_shares(frame: pl.DataFrame, names: tuple[str, ...], stage: str = "pre") -> Floats:
    """Return the share of each benchmark's responses that were not cut by the token budget, (n, B).

    NaN where that was not counted, or the benchmark was not measured.

    Examples
    --------
    >>> problems = [{"benchmark": "a", "n": 4, "c": 1, "truncated": cut} for cut in (3, 0)]
    >>> finished_shares(pl.DataFrame({"pre_problems": [problems]}), ("a", "b")).tolist()
    [[0.625, nan]]
    """
    flat = _flat(frame, f"{stage}_problems")
    if "truncated" not in flat.columns or not flat.height:
        return np.full((frame.height, len(names)), np.nan)
    counted = pl.col("truncated").is_not_null().all()
    share = pl.when(counted).then(1.0 - pl.col("truncated").sum() / pl.col("n").sum())
    cells = flat.filter(pl.col("benchmark").is_in(names)).group_by("row", "benchmark").agg(share=share)
    return _laid_out(cells, "share", frame.height, names, np.nan)


def _flat(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return one row a problem, with the row of its candidate and its benchmark."""
    rows = frame.select(column).with_row_index("row").filter(pl.col(column).list.len() > 0)
    flat = rows.explode(column).unnest(column)
    benchmark = pl.col("benchmark") if "benchmark" in flat.columns else pl.lit(None, pl.String)
    return flat.with_columns(benchmark=named(benchmark))


def named(benchmark: pl.Expr) -> pl.Expr:
    """Return what benchmarks are called: `UNNAMED` where a problem has no name of one, or an empty one.

    Examples
    --------
    >>> pl.select(named(pl.lit(pl.Series(["a", "", None])))).to_series().to_list()
    ['a', 'all', 'all']
    """
    return benchmark.cast(pl.String).replace("", None).fill_null(UNNAMED)


def _laid_out(cells: pl.DataFrame, field: str, rows: int, names: tuple[str, ...], gap: float) -> Floats:
    """Return a field of the cells as a table, (rows, B), with `gap` where there is none."""
    table = np.full((rows, len(names)), gap)
    at = np.array([names.index(name) for name in cells["benchmark"].to_list()], dtype=np.int64)
    table[cells["row"].to_numpy().astype(np.int64), at] = cells[field].to_numpy()
    return table


def benchmark_names(problems: pl.Series) -> tuple[str, ...]:
    """Return the benchmarks of nested counts, sorted; `UNNAMED` among them if problems do not name theirs.

    Examples
    --------
    >>> benchmark_names(pl.Series([[{"benchmark": "b", "n": 1, "c": 0}], [{"benchmark": "a", "n": 1, "c": 1}]]))
    ('a', 'b')
    """
    flat = problems.explode(empty_as_null=False, keep_nulls=False)
    if not len(flat):
        return ()
    if not isinstance(flat.dtype, pl.Struct) or "benchmark" not in [field.name for field in flat.dtype.fields]:
        return (UNNAMED,)
    names = flat.struct.field("benchmark").unique().to_frame().select(named(pl.col("benchmark")))
    return tuple(names.to_series().unique().sort().to_list())


def geometric_mean(scores: BenchmarkScores) -> Floats:
    """Return the geometric mean over benchmarks of Pass@1, weighted by problems, (n,); a rule that needs no fit.

    A share below 0.001 counts as that: a benchmark on which nothing was solved must not decide alone. NaN for a
    candidate without one of the benchmarks.

    Examples
    --------
    >>> scores = BenchmarkScores(("a", "b"), np.array([[0.9, 0.4], [0.65, 0.65]]), np.ones((2, 2)), np.ones((2, 2)))
    >>> geometric_mean(scores).round(2).tolist()
    [0.6, 0.65]
    """
    return np.asarray(np.exp(np.log(np.maximum(scores.share, 1e-3)) @ scores.weights))


def measured_parts(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the parts of which every row has Pass@1 before RL, sorted.

    Examples
    --------
    >>> measured_parts(pl.DataFrame({"pre_pass_at_1_easy": [0.5, 0.6], "pre_pass_at_1_hard": [0.1, None]}))
    ('easy',)
    """
    flat = {part: f"pre_pass_at_1_{part}" for part in PARTS}
    return tuple(part for part, name in flat.items() if name in frame.columns and frame[name].null_count() == 0)


def from_parts(frame: pl.DataFrame, wanted: Mapping[str, Derived]) -> dict[str, Floats]:
    """Return the derived columns of benchmarks that are parts, from flat columns.

    None of a part that counts know as a benchmark of that name. A part holds a third of the problems, and its responses
    are taken to be cut as often as all are: so much the flat columns do not tell.

    Examples
    --------
    >>> from quagpredict.corpus.columns import derived_of
    >>> table = pl.DataFrame({"pre_pass_at_1_easy": [0.5], "pre_truncated_share": [0.25]})
    >>> names = ["pre_problems[easy].pass_at_1", "pre_problems[easy].finished", "pre_problems[aime].pass_at_1"]
    >>> [(name, values.tolist()) for name, values in from_parts(table, {one: derived_of(one) for one in names}).items()]
    [('pre_problems[easy].pass_at_1', [0.5]), ('pre_problems[easy].finished', [0.75])]
    """
    values = {}
    for name, part in wanted.items():
        if part.benchmark not in PARTS or part.kind not in ("pass_at", "samples", "problems", "weight", "finished"):
            continue
        stage = part.origin.partition("_")[0]
        flat = f"{stage}_pass_at_1_{part.benchmark}"
        counts = frame[part.origin] if part.origin in frame.columns else None
        named = counts is not None and isinstance(counts.dtype, pl.List) and part.benchmark in benchmark_names(counts)
        if named or flat not in frame.columns or (part.kind == "pass_at" and part.k != 1.0):
            continue
        values[name] = _values(frame, part, stage, flat)
    return values


def _values(frame: pl.DataFrame, derived: Derived, stage: str, flat: str) -> Floats:
    third = np.full(frame.height, 1.0 / len(PARTS))
    if derived.kind == "pass_at":
        return _numbers(frame, flat)
    if derived.kind == "finished":
        return 1.0 - _numbers(frame, f"{stage}_truncated_share")
    if derived.kind == "weight":
        return third
    problems = third * _numbers(frame, f"{stage}_problems_count")
    if derived.kind == "problems":
        return problems
    samples = problems * _numbers(frame, f"{stage}_samples_per_problem")
    return np.where(np.isfinite(samples), samples, _ASSUMED_SAMPLES)


def _numbers(frame: pl.DataFrame, column: str) -> Floats:
    """Return a column as numbers; NaN where it is null or not there."""
    if column not in frame.columns:
        return np.full(frame.height, np.nan)
    return frame[column].cast(pl.Float64).to_numpy().astype(np.float64)
