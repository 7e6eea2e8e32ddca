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
from quagpredict.importers.reading import Reading, part_of_samples, together, verdicts, without_key
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
    return together(map(_read, paths))


def _read(path: Path) -> Reading:
    records = json_columns(path, ["task_id", "completion", "passed"])
    for key in ("task_id", "passed"):
        if (lacking := records[key].is_null()).any():
            row = int(lacking.arg_true()[0])
            if key == "task_id":
                raise without_key(path, row, key)
            raise InvalidDataError(
                f"{path}: the sample of '{records['task_id'][row]:.60}' has no verdict 'passed': give the results "
                "file (..._results.jsonl) that evaluate_functional_correctness writes beside the samples"
            )
    samples = records.select(
        # The name of a task begins with its benchmark, ``HumanEval/0``.
        pl.col("task_id").str.extract(r"^([^/]+)/[^/]+$").fill_null(_OTHER).alias("benchmark"),
        pl.col("task_id").alias("problem_id"),
        verdicts(records["passed"], path).alias("correct"),
        pl.col("completion").fill_null("").alias("response"),
    )
    return Reading(part_of_samples(samples), [{}], stated=not (samples["benchmark"] == _OTHER).any())
