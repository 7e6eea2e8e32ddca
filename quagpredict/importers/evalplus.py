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
from quagpredict.importers.reading import ProblemRow, Reading, Reported, part_of
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
    paths : sequence of Path
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
    rows: list[ProblemRow] = []
    reported: list[Reported] = []
    settings, graded_by = [], []
    for number, path in enumerate(paths):
        whole = json_object(path)
        tasks = whole["eval"] if isinstance(whole.get("eval"), dict) else {}
        samples = [
            (str(task), one) for task, samples_of_task in tasks.items() for one in _samples(task, samples_of_task, path)
        ]
        ran = any(one.get("plus_status") for _, one in samples)
        tests = metric or ("plus" if ran else "base")
        for task, samples_of_task in tasks.items():
            passed = [_passed(one, tests, str(task), path) for one in samples_of_task]
            texts = tuple(str(one.get("solution", "")) for one in samples_of_task)
            benchmark = str(task).partition("/")[0] or "evalplus"
            rows.append(ProblemRow(benchmark, str(task), len(samples_of_task), sum(passed), texts, file=number))
        name = _TEMPERATURE.search(path.name) or _TEMPERATURE.search(path.resolve().parent.name)
        settings.append({"temperature": float(name[1])} if name else {})
        graded_by.append(tests)
        reported.extend(_reported(whole, rows, number, tests))
    return Reading(part_of(rows), settings, reported, (), (), (), True, graded_by)


def _samples(task: Any, records: Any, path: Path) -> list[dict[str, Any]]:
    if not isinstance(records, list) or not records or not all(isinstance(one, dict) for one in records):
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


def _reported(whole: dict[str, Any], rows: Sequence[ProblemRow], file: int, tests: str) -> Iterator[Reported]:
    names = sorted({row.benchmark for row in rows if row.file == file})
    values = whole.get("pass_at_k")
    own = values.get(tests) if isinstance(values, dict) else None
    for key, value in own.items() if isinstance(own, dict) and len(names) == 1 else ():
        match = re.fullmatch(r"pass@(\d+)", str(key))
        if match and isinstance(value, int | float):
            how = "by the same estimate, of the samples of this file"
            yield Reported(names[0], f"{key} ({tests})", int(match[1]), float(value), how)
