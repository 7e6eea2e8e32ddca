"""Overall scores weighted by benchmark as the user says, before and after RL alike."""

import math
from collections.abc import Mapping

import polars as pl

from quagpredict.corpus.benchmarks import benchmark_names
from quagpredict.corpus.columns import TRIES, benchmark_column, derived_of, pass_at, pass_at_columns
from quagpredict.corpus.derived import with_derived
from quagpredict.errors import CorpusError, UsageError, argument
from quagpredict.schema import PROBLEM_COLUMNS

#: What is measured over all problems along RL, and could not be weighted.
_OVERALL = ("post_curve",)


def benchmark_weights(weights: Mapping[str, float], benchmarks: tuple[str, ...]) -> dict[str, float]:
    """Return the weight of each benchmark: as given, 1 where nothing is; without those of weight 0.

    Raises
    ------
    UsageError
        If a benchmark is unknown, a weight is negative or not finite, or none is above 0.

    Examples
    --------
    >>> benchmark_weights({"aime": 2, "old": 0}, ("aime", "math", "old"))
    {'aime': 2.0, 'math': 1.0}
    """
    for name, weight in weights.items():
        if name not in benchmarks:
            names = ", ".join(benchmarks) or "none"
            raise UsageError(f"{argument('weights', name)}: not among the benchmarks of the table ({names})")
        if not (math.isfinite(weight) and weight >= 0):
            raise UsageError(f"{argument('weights', f'{name}={weight}')}: expected a number of at least 0")
    by_benchmark = {name: float(weights.get(name, 1.0)) for name in benchmarks}
    by_benchmark = {name: weight for name, weight in by_benchmark.items() if weight > 0}
    if not by_benchmark:
        raise UsageError("`weights` leave no benchmark: give one of them a weight above 0")
    return by_benchmark


def weighted(frame: pl.DataFrame, weights: Mapping[str, float], *, source: str = "table") -> pl.DataFrame:
    """Return the table with every Pass@k, before and after RL, as the weighted mean over benchmarks.

    In place of the mean over problems, by which a benchmark counts as much as it has problems. The benchmarks are those
    that were measured before RL; one that was measured after RL alone does not count. Scores by benchmark stand beside
    them as derived columns, with the weights. What could not be weighted goes: standard errors, scores along RL, and
    the counts themselves, from which the mean over problems would be computed again.

    Parameters
    ----------
    frame : polars.DataFrame
        A table with ``pre_problems``, and ``post_problems`` where there are scores after RL.
    weights : mapping of str to float
        See `benchmark_weights`.

    Raises
    ------
    CorpusError
        If counts by benchmark are missing.
    UsageError
        As `benchmark_weights`.

    Examples
    --------
    >>> problems = [{"benchmark": name, "n": 4, "c": c} for name, c in (("aime", 1), ("math", 4), ("math", 4))]
    >>> table = pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.75], "pre_problems": [problems]})
    >>> weighted(table, {"aime": 2})["pre_pass_at_1"].to_list()
    [0.5]
    """
    if "pre_problems" not in frame.columns or not isinstance(frame["pre_problems"].dtype, pl.List):
        raise CorpusError(f"{source}: weights of benchmarks need the counts of each problem ('pre_problems')")
    by_benchmark = benchmark_weights(weights, benchmark_names(frame["pre_problems"]))
    flat = {stage: [*pass_at_columns(frame, stage)] for stage in ("pre", "post")}
    _check_results(frame, flat["post"], source)
    columns = {}
    for name in (*flat["pre"], *flat["post"]):
        parts = {
            benchmark: benchmark_column(benchmark, f"pass_at_{pass_at(name)}", name.partition("_")[0])
            for benchmark in by_benchmark
        }
        shares = with_derived(frame, list(parts.values()), source=source)
        terms = [pl.col(column) * by_benchmark[benchmark] for benchmark, column in parts.items()]
        whole = pl.sum_horizontal(terms, ignore_nulls=False) / sum(by_benchmark.values())
        columns[name] = shares.select(whole.alias(name)).to_series()
    before = benchmark_names(frame["pre_problems"])
    after = benchmark_names(frame["post_problems"]) if "post_problems" in frame.columns else ()
    fields = ("pass_at_1", f"pass_at_{TRIES}", "samples", "problems", "finished")
    kept = [benchmark_column(name, field) for name in by_benchmark for field in fields]
    # One that was measured after RL alone does not count, and is there to be told.
    kept += [
        benchmark_column(name, "pass_at_1", "post") for name in after if name in by_benchmark or name not in before
    ]
    frame = with_derived(_without_counted(frame), kept, source=source).with_columns(columns.values())
    frame = frame.with_columns(
        pl.lit(weight).alias(benchmark_column(name, "weight")) for name, weight in by_benchmark.items()
    )
    gone = [*PROBLEM_COLUMNS, *_OVERALL, *(f"{name}_se" for name in columns)]
    return frame.drop(name for name in gone if name in frame.columns)


def _without_counted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the table without what was derived from the counts already, but the set of problems."""
    made = {name: derived for name in frame.columns if (derived := derived_of(name)) is not None}
    return frame.drop(
        name for name, derived in made.items() if derived.origin in PROBLEM_COLUMNS and derived.kind != "set"
    )


def _check_results(frame: pl.DataFrame, after: list[str], source: str) -> None:
    """Refuse finished candidates whose counts after RL are missing: their score would be lost."""
    if not after:
        return
    finished = pl.any_horizontal(pl.col(after).is_not_null())
    counts = pl.col("post_problems").list.len().fill_null(0) if "post_problems" in frame.columns else pl.lit(0)
    lacking = frame.filter(finished & (counts == 0))
    if lacking.height:
        raise CorpusError(
            f"{source}: {lacking.height} finished candidates lack the counts of each problem after RL "
            f"('post_problems'), e.g. '{lacking['candidate'][0]}': without them scores cannot be weighted by benchmark"
        )
