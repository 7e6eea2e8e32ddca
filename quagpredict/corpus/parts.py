"""Parts by difficulty in place of benchmarks, where there are no counts by benchmark: flat columns alone tell them."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.benchmarks import benchmark_names
from quagpredict.corpus.columns import Derived

Floats = NDArray[np.float64]

#: The terciles of a suite's problems by level, see `quagpredict.metrics.measuring.level_parts`.
PARTS = ("easy", "hard", "medium")
#: Samples of a part where the table does not say how many problems and samples there were.
_ASSUMED_SAMPLES = 1000.0


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

    Parameters
    ----------
    frame : polars.DataFrame
    wanted : mapping of str to Derived

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
