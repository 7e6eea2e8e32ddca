"""human-eval (openai/human-eval 9d3aa8b): samples with ``task_id, completion`` and, in ``*_results.jsonl``, ``passed``.

`human_eval/evaluation.py` writes the results beside the samples. Its own Pass@k is only printed, so nothing of it can
be compared here. Its estimator gives 1.0 where n - c < k, which counts n < k as solved; its caller leaves such k out.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import ProblemRow, Reading, as_correct, json_lines, need


def recognises(path: Path) -> bool:
    """Say whether the first record has a task_id and a completion."""
    return {"task_id", "completion"} <= next(json_lines(path), {}).keys()


def read(paths: Sequence[Path]) -> Reading:
    """Return the counts of results files.

    Raises
    ------
    InvalidDataError
        If a sample has no verdict: the samples alone say nothing of right and wrong.
    """
    passed: dict[str, list[bool]] = defaultdict(list)
    texts: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for record in json_lines(path):
            task = str(need(record, "task_id", path))
            if "passed" not in record:
                raise InvalidDataError(
                    f"{path}: the sample of '{task}' has no verdict 'passed': give the results file that human-eval's "
                    "evaluate_functional_correctness writes beside the samples (..._results.jsonl)"
                )
            passed[task].append(as_correct(record["passed"], path))
            texts[task].append(str(record.get("completion", "")))
    return Reading(
        [ProblemRow("human-eval", task, len(found), sum(found), tuple(texts[task])) for task, found in passed.items()]
    )
