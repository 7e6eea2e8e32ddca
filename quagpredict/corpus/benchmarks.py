"""Scores by benchmark from the nested counts: one cell a candidate and benchmark."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import CorpusError

Floats = NDArray[np.float64]

#: What a benchmark without a name is called.
UNNAMED = "all"


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
        place = [self.names.index(name) if name in self.names else -1 for name in names]
        gap = np.full((len(self.share), 1), np.nan)
        take = np.array(place, dtype=np.int64)
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
    flat = (
        frame.select(column).with_row_index("row").filter(pl.col(column).list.len() > 0).explode(column).unnest(column)
    )
    if "benchmark" not in flat.columns:
        flat = flat.with_columns(benchmark=pl.lit(None, pl.String))
    cells = (
        flat.with_columns(pl.col("benchmark").fill_null(UNNAMED))
        .group_by("row", "benchmark")
        .agg(share=(pl.col("c") / pl.col("n")).mean(), samples=pl.col("n").sum(), problems=pl.len())
    )
    names = tuple(sorted(cells["benchmark"].unique().to_list()))
    row = cells["row"].to_numpy().astype(np.int64)
    at = np.array([names.index(name) for name in cells["benchmark"].to_list()], dtype=np.int64)
    tables = []
    for field, empty in (("share", np.nan), ("samples", 0.0), ("problems", 0.0)):
        table = np.full((frame.height, len(names)), empty)
        table[row, at] = cells[field].to_numpy()
        tables.append(table)
    return BenchmarkScores(names, *tables)


def finished_shares(frame: pl.DataFrame, names: tuple[str, ...], stage: str = "pre") -> Floats:
    """Return the share of each benchmark's responses that were not cut by the token budget, (n, B).

    NaN where that was not counted, or the benchmark was not measured.

    Examples
    --------
    >>> problems = [{"benchmark": "a", "n": 4, "c": 1, "truncated": cut} for cut in (3, 0)]
    >>> finished_shares(pl.DataFrame({"pre_problems": [problems]}), ("a", "b")).tolist()
    [[0.625, nan]]
    """
    column = f"{stage}_problems"
    shares = np.full((frame.height, len(names)), np.nan)
    flat = (
        frame.select(column).with_row_index("row").filter(pl.col(column).list.len() > 0).explode(column).unnest(column)
    )
    if "truncated" not in flat.columns or not flat.height:
        return shares
    benchmark = pl.col("benchmark") if "benchmark" in flat.columns else pl.lit(None, pl.String)
    known = pl.col("truncated").is_not_null().all()
    cells = (
        flat.with_columns(benchmark=benchmark.fill_null(UNNAMED))
        .filter(pl.col("benchmark").is_in(names))
        .group_by("row", "benchmark")
        .agg(share=pl.when(known).then(1.0 - pl.col("truncated").sum() / pl.col("n").sum()))
    )
    at = np.array([names.index(name) for name in cells["benchmark"].to_list()], dtype=np.int64)
    shares[cells["row"].to_numpy().astype(np.int64), at] = cells["share"].to_numpy()
    return shares


def benchmark_names(problems: pl.Series) -> tuple[str, ...]:
    """Return the benchmarks that nested counts name, sorted.

    Examples
    --------
    >>> benchmark_names(pl.Series([[{"benchmark": "b", "n": 1, "c": 0}], [{"benchmark": "a", "n": 1, "c": 1}]]))
    ('a', 'b')
    """
    flat = problems.explode(empty_as_null=False, keep_nulls=False)
    if not isinstance(flat.dtype, pl.Struct) or "benchmark" not in [field.name for field in flat.dtype.fields]:
        return ()
    return tuple(flat.struct.field("benchmark").drop_nulls().unique().sort().to_list())


def geometric_mean(scores: BenchmarkScores, least: float = 1e-3) -> Floats:
    """Return the geometric mean over benchmarks of Pass@1, weighted by problems, (n,); a rule that needs no fit.

    A share below `least` counts as `least`: a benchmark on which nothing was solved must not decide alone. NaN for a
    candidate without one of the benchmarks.

    Examples
    --------
    >>> scores = BenchmarkScores(("a", "b"), np.array([[0.9, 0.4], [0.65, 0.65]]), np.ones((2, 2)), np.ones((2, 2)))
    >>> geometric_mean(scores).round(2).tolist()
    [0.6, 0.65]
    """
    return np.asarray(np.exp(np.log(np.maximum(scores.share, least)) @ scores.weights))
