"""EvalPlus since 0.2 (`evalplus/evaluate.py`): ``..._eval_results.json`` of HumanEval+ and MBPP+.

``eval`` has for each task a list with a record a sample: solution, base_status, plus_status ("pass", "fail", "timeout";
null where the tests were not run). ``pass_at_k`` has base and plus, and plus means both. The temperature is in the name
of the samples, ``..._temp_0.8``.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.importers.files import suffix_of
from quagpredict.importers.reading import ProblemRow, Reading, Reported, part_of, together
from quagpredict.importers.records import json_object

_PASS = "pass"
_STATUS = {"base": ("base_status",), "plus": ("base_status", "plus_status")}
_TEMPERATURE = re.compile(r"_temp_(\d+(?:\.\d+)?)")


def recognises(path: Path) -> bool:
    """Say whether a JSON file has the results of tasks."""
    if suffix_of(path) != ".json":
        return False
    whole = json_object(path)
    # Logs of Inspect have "eval" too, and a status.
    return isinstance(whole.get("eval"), dict) and "status" not in whole


def read(paths: Sequence[Path], *, metric: str | None = None) -> Reading:
    """Return the problems of results files.

    Parameters
    ----------
    metric : {"plus", "base"}, optional
        Which tests have to pass; by default plus, which is both, where they were run.

    Raises
    ------
    InvalidDataError
        If a task has no list of samples, or the tests that were asked for were not run.
    UsageError
        For another metric.
    """
    if metric is not None and metric not in _STATUS:
        raise UsageError(f"`metric` of evalplus is plus or base, got '{metric}'")
    return together(_read(path, metric) for path in paths)


def _read(path: Path, metric: str | None) -> Reading:
    whole = json_object(path)
    tasks = whole["eval"] if isinstance(whole.get("eval"), dict) else {}
    by_task = {str(task): _samples(task, records, path) for task, records in tasks.items()}
    ran = any(sample.get("plus_status") for records in by_task.values() for sample in records)
    tests = metric or ("plus" if ran else "base")
    rows = []
    for task, records in by_task.items():
        passed = [_passed(sample, tests, task, path) for sample in records]
        texts = tuple(str(sample.get("solution", "")) for sample in records)
        rows.append(ProblemRow(task.partition("/")[0] or "evalplus", task, len(records), sum(passed), texts))
    name = _TEMPERATURE.search(path.name) or _TEMPERATURE.search(path.resolve().parent.name)
    settings = {"temperature": float(name[1])} if name else {}
    return Reading(part_of(rows), [settings], list(_reported(whole, rows, tests)), graded_by=[tests])


def _samples(task: Any, records: Any, path: Path) -> list[dict[str, Any]]:
    if not isinstance(records, list) or not records or not all(isinstance(sample, dict) for sample in records):
        raise InvalidDataError(
            f"{path}: task '{task:.60}': expected a list with a record a sample, as evalplus writes since 0.2"
        )
    return records


def _passed(sample: dict[str, Any], tests: str, task: str, path: Path) -> bool:
    statuses = [sample.get(key) for key in _STATUS[tests]]
    if tests == "plus" and statuses[0] is None and statuses[1] is not None:
        statuses = statuses[1:]  # run with plus_only
    if any(status is None for status in statuses):
        raise InvalidDataError(f"{path}: the {tests} tests were not run on a sample of '{task:.60}'")
    return all(status == _PASS for status in statuses)


def _reported(whole: dict[str, Any], rows: Sequence[ProblemRow], tests: str) -> Iterator[Reported]:
    names = sorted({row.benchmark for row in rows})
    values = whole.get("pass_at_k")
    by_k = values.get(tests) if isinstance(values, dict) else None
    for key, value in by_k.items() if isinstance(by_k, dict) and len(names) == 1 else ():
        match = re.fullmatch(r"pass@(\d+)", str(key))
        if match and isinstance(value, int | float):
            how = "by the same estimate, of the samples of this file"
            yield Reported(names[0], f"{key} ({tests})", int(match[1]), float(value), how)
