"""The rules that cost nothing and need no finished run: what each orders candidates by."""

from contextlib import suppress

import numpy as np
import polars as pl

from quagpredict.corpus.benchmarks import BenchmarkScores, geometric_mean
from quagpredict.corpus.columns import benchmark_column, derived_of, pass_at, pass_at_columns
from quagpredict.corpus.derived import with_derived
from quagpredict.errors import CorpusError
from quagpredict.validation.screening import LOSS, screen

GEOMETRIC, SCREENING = "geometric mean", "screening"
#: The largest k of Pass@k that counts as a rule of its own.
LARGE_K = 64
#: Columns that `with_rules` adds begin with this.
PREFIX = "rule_"


def free_orders(frame: pl.DataFrame) -> dict[str, pl.Series]:
    """Return what each rule that costs nothing orders these candidates by, larger is better, if all are measured.

    SFT Pass@1, Pass@k of the largest k up to `LARGE_K`, the held-out loss (turned), the geometric mean of Pass@1 over
    benchmarks, and the paper's screening, by the names of their columns or their own.

    Examples
    --------
    >>> list(free_orders(pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.1], "pre_pass_at_64": [0.4]})))
    ['pre_pass_at_1', 'pre_pass_at_64', 'screening']
    """
    columns = [name for name in pass_at_columns(frame) if pass_at(name) <= LARGE_K]
    orders = {name: frame[name] for name in dict.fromkeys((*columns[:1], *columns[-1:]))}
    if LOSS in frame.columns:
        orders[LOSS] = -frame[LOSS]
    with suppress(CorpusError):
        orders[GEOMETRIC] = _geometric(frame)
    with suppress(CorpusError):
        screening = screen(frame)
        apart = float(np.nanmax(screening.key) - np.nanmin(screening.key)) + 1.0
        orders[SCREENING] = screening.key - apart * screening.screened_out.cast(pl.Float64)
    return {name: values for name, values in orders.items() if values.null_count() == 0}


def with_rules(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the table with the rules that are no measurement, for every row: larger is better.

    ``rule_geometric_mean`` where there are counts of two benchmarks or more, and ``rule_screening``, whose medians are
    those of all rows of a base model.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.1, 0.2], "pre_pass_at_64": [0.5, 0.4]})
    >>> with_rules(table)["rule_screening"].to_list()
    [0.5, 0.4]
    """
    orders = free_orders(frame)
    return frame.with_columns(
        orders[name].alias(PREFIX + name.replace(" ", "_")) for name in (GEOMETRIC, SCREENING) if name in orders
    )


def rule_columns(frame: pl.DataFrame) -> list[str]:
    """Return the columns that `with_rules` has added."""
    return [name for name in frame.columns if name.startswith(PREFIX)]


def _geometric(frame: pl.DataFrame) -> pl.Series:
    """Return the geometric mean over benchmarks, from what is derived of the counts, here or while reading."""
    frame = with_derived(frame, [benchmark_column("*"), benchmark_column("*", "weight")])
    benchmarks = {
        derived.benchmark for name in frame.columns if (derived := derived_of(name)) and derived.kind == "weight"
    }
    names = tuple(sorted(name for name in benchmarks if name is not None and benchmark_column(name) in frame.columns))
    if len(names) < 2:
        raise CorpusError("one benchmark has no mean over benchmarks")
    share, weight = (
        frame.select(pl.col(benchmark_column(name, field)).cast(pl.Float64) for name in names).to_numpy()
        for field in ("pass_at_1", "weight")
    )
    weight = np.nan_to_num(weight)
    return pl.Series("geometric", geometric_mean(BenchmarkScores(names, share, weight, weight)), nan_to_null=True)
