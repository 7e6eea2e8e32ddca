"""human-eval (openai/human-eval 9d3aa8b): samples with ``task_id, completion`` and, in ``*_results.jsonl``, ``passed``.

`human_eval/evaluation.py` writes the results beside the samples. Its own Pass@k is only printed, so nothing of it can
be compared here, and nothing of how samples were drawn is kept. Its estimator gives 1.0 where n - c < k, which counts
n < k as solved; its caller leaves such k out.
Descendants write the same for other benchmarks: the name is what stands before the number in ``HumanEval/0``.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import Reading, part_of_samples, verdicts
from quagpredict.importers.records import first_record, json_columns

_OTHER = "human-eval"


def recognises(path: Path) -> bool:
    """Say whether the first record has a task_id and a completion."""
    return {"task_id", "completion"} <= first_record(path).keys()


def read(paths: Sequence[Path]) -> Reading:
    """Return the counts of results files.

    Raises
    ------
    InvalidDataError
        If a sample has no verdict: the samples alone say nothing of right and wrong.
    """
    parts = []
    for number, path in enumerate(paths):
        records = json_columns(path, ["task_id", "completion", "passed"])
        for key in ("task_id", "passed"):
            if (lacking := records[key].is_null()).any():
                row = int(lacking.arg_true()[0])
                if key == "task_id":
                    raise InvalidDataError(f"{path}: record {row + 1} lacks the key 'task_id'")
                raise InvalidDataError(
                    f"{path}: the sample of '{records['task_id'][row]:.60}' has no verdict 'passed': give the results "
                    "file (..._results.jsonl) that evaluate_functional_correctness writes beside the samples"
                )
        samples = records.select(
            benchmark_of(pl.col("task_id"), _OTHER).alias("benchmark"),
            pl.col("task_id").alias("problem_id"),
            verdicts(records["passed"], path).alias("correct"),
            pl.col("completion").fill_null("").alias("response"),
        )
        parts.append(part_of_samples(samples, number))
    problems = pl.concat(parts)
    return Reading(problems, [{} for _ in paths], stated=not (problems["benchmark"] == _OTHER).any())


def benchmark_of(task: pl.Expr, other: str) -> pl.Expr:
    """Return the benchmark that the name of a task begins with, ``HumanEval/0``; `other` where there is none."""
    return task.str.extract(r"^([^/]+)/[^/]+$").fill_null(other)
