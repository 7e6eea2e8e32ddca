"""From tables to what the hierarchical model is told: cells before RL, results, and the terms of a candidate."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.benchmarks import UNNAMED, BenchmarkScores, benchmark_scores
from quagpredict.corpus.columns import benchmark_column, curve_column
from quagpredict.corpus.derived import with_derived
from quagpredict.surrogates.hierarchy import AFTER, Cells
from quagpredict.surrogates.hierarchy_learning import TERM, Belief, Task
from quagpredict.surrogates.training_rows import TrainingRows
from quagpredict.surrogates.transforms import Transform, parse_transform

Floats = NDArray[np.float64]


class Term(NamedTuple):
    """A measurement of a candidate, or of it on each benchmark, whose sign is known.

    Attributes
    ----------
    sign : float
        1 where more is better, -1 where less is.
    transform : Transform
    usual : float
        Its usual value on that scale, so that the intercept means a usual candidate.
    believed : (float, float)
        Mean and deviation of what is believed of its coefficient before any corpus.
    least : float
        Values below count as this one.
    reach : float
        Predictions take values below as this one: the corpora hold next to nothing there, and a slope on a logarithm
        would promise the more, the less of a model is left.
    field : str
        Of a benchmark, where it is measured on each: see `quagpredict.corpus.columns.benchmark_column`. Empty for a
        measurement of the candidate.
    """

    sign: float
    transform: Transform
    usual: float
    believed: Belief = TERM
    least: float = 0.0
    reach: float = 0.0
    field: str = ""

    def of(self, values: Floats) -> Floats:
        """Return the term, larger for better, (n,) or (n, B); NaN where it is not defined."""
        return np.asarray(self.sign * (self.transform.forward(np.maximum(values, self.least)) - self.usual))


LOSS = "pre_held_out_loss_nats"
#: What was cut by the token budget may have been right: RL teaches to end in time.
CUT = benchmark_column("*", "finished")
#: Measurements that a model may have as terms, by column.
TERMS = {
    # 6 of the 2,114 cells that the prior was learnt on have less than 30 % finished.
    CUT: Term(-1.0, parse_transform("log"), 0.0, believed=(0.5, 0.5), least=0.02, reach=0.3, field="finished"),
    LOSS: Term(-1.0, parse_transform("log"), -0.6),
    "pre_problems.pass_at_64": Term(1.0, parse_transform("logit(199)"), 0.4),
    "pre_problems.pass_at_16": Term(1.0, parse_transform("logit(199)"), -0.2),
}


def sampling_variance(share: Floats, samples: Floats) -> Floats:
    """Return the sampling variance of shares from so many samples, an upper bound where problems differ.

    Examples
    --------
    >>> sampling_variance(np.array([0.5, 0.0]), np.array([99.0, 99.0])).round(6).tolist()
    [0.002525, 5e-05]
    """
    middle = (share * samples + 0.5) / (samples + 1.0)
    return np.asarray(middle * (1.0 - middle) / np.maximum(samples, 1.0))


def scores_before(frame: pl.DataFrame, tries: int = 1) -> BenchmarkScores:
    """Return Pass@k by benchmark for k = `tries`, and how many groups of so many samples each rests on.

    NaN where a problem has fewer samples.

    Examples
    --------
    >>> problems = [{"benchmark": "a", "n": 4, "c": c} for c in (1, 4)]
    >>> scores = scores_before(pl.DataFrame({"pre_problems": [problems]}), 2)
    >>> scores.share.tolist(), scores.samples.tolist()
    ([[0.75]], [[4.0]])
    """
    scores = benchmark_scores(frame)
    if tries == 1:
        return scores
    columns = [curve_column(tries, name) for name in scores.names]
    share = with_derived(frame, columns).select(pl.col(columns).cast(pl.Float64)).to_numpy()
    return scores._replace(share=share, samples=scores.samples / tries)


def cells_before(scores: BenchmarkScores, frame: pl.DataFrame, terms: Sequence[str]) -> Cells:
    """Return the cells of a table's candidates; NaN where one was not measured."""
    B, columns = len(scores.names), []
    for name in terms:
        wanted = term_columns(name, scores.names)
        table = with_derived(frame, wanted).select(pl.col(wanted).cast(pl.Float64)).to_numpy()
        columns.append(np.broadcast_to(TERMS[name].of(table), (frame.height, B)))
    together = np.stack(columns, axis=2) if columns else np.zeros((frame.height, B, 0))
    bases = frame["base_model"].cast(pl.String).fill_null("")
    member = np.asarray(bases.to_numpy()[:, None] == bases.unique().sort().to_numpy()[None, :], dtype=np.float64)
    return Cells(scores.share, sampling_variance(scores.share, scores.samples), together, member)


def term_columns(name: str, benchmarks: Sequence[str]) -> list[str]:
    """Return the columns of a term: its own, or one of each benchmark.

    Examples
    --------
    >>> term_columns(CUT, ["aime", "math"])
    ['pre_problems[aime].finished', 'pre_problems[math].finished']
    """
    return [benchmark_column(benchmark, TERMS[name].field) for benchmark in benchmarks] if TERMS[name].field else [name]


def finished_task(rows: TrainingRows, terms: Sequence[str], *, by_benchmark: bool = True, tries: int = 1) -> Task:
    """Return a corpus of finished runs as a task to learn from; RL seeds of a candidate are averaged.

    Candidates that lack a term are left out. Not by benchmark, a candidate is one cell, with its overall score; by
    benchmark, a cell has Pass@k for k = `tries`.
    """
    benchmarks = benchmark_scores(rows.frame).names if any(TERMS[name].field for name in terms) else ()
    wanted = [column for name in terms for column in term_columns(name, benchmarks)]
    table = with_derived(rows.frame, wanted)
    table = table.filter(pl.all_horizontal(pl.col(wanted).is_not_null())) if wanted else table
    names = table["candidate"].to_list()
    before = scores_before(table, tries)
    runs = rows.runs.filter(pl.col("candidate").is_in(names))
    after = benchmark_scores(runs, "post").at(before.names).share
    if not by_benchmark:
        shape = (table.height, 1)
        before = BenchmarkScores((UNNAMED,), np.full(shape, 0.5), np.full(shape, 1e12), np.ones(shape))
        after = runs["post_pass_at_1"].to_numpy()[:, None]
    after = mean_over_runs(after, runs, {name: at for at, name in enumerate(names)})
    return Task(cells_before(before, table, terms), AFTER.forward(after), before.weights)


def mean_over_runs(share: Floats, runs: pl.DataFrame, row_of: dict[str, int]) -> Floats:
    """Return the mean over the runs of each candidate, (n, B), of shares (runs, B)."""
    row = np.array([row_of[name] for name in runs["candidate"].to_list()], dtype=np.int64)
    total, count = np.zeros((len(row_of), share.shape[1])), np.zeros((len(row_of), share.shape[1]))
    np.add.at(total, row, np.nan_to_num(share))
    np.add.at(count, row, np.isfinite(share).astype(np.float64))
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
