"""NeMo-Skills (NVIDIA/NeMo-Skills 02bdc3a): ``output-rs0.jsonl``, ``output-rs1.jsonl``, ...: a file a seed.

A line is a problem. The verdict is is_correct (symbolic_correct in newer releases); an LLM judge's is not read.
``metrics.json`` (of `nemo_skills/evaluation/metrics/base.py`) holds per cent: ``pass@k`` is the best of the *first* k
samples, ``pass@1[k]`` the mean of the first k. ``output.jsonl`` without a seed is the tool's greedy run.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import ProblemRow, Reading, Reported, as_correct, json_lines, json_object

_VERDICTS = ("is_correct", "symbolic_correct")
_AGGREGATE = re.compile(r"pass@(?P<k>\d+)(?:\[(?P<mean>\d+)\])?$")


def recognises(path: Path) -> bool:
    """Say whether the first record has a generation and an expected answer."""
    return {"generation", "expected_answer"} <= next(json_lines(path), {}).keys()


def read(paths: Sequence[Path]) -> Reading:
    """Return the problems, joined over the files of all seeds by id, else by problem text, else by line."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(paths):
        benchmark = path.resolve().parent.name
        seen: set[str] = set()
        for number, record in enumerate(json_lines(path)):
            name = str(record.get("id") or record.get("problem") or number)
            if name in seen:
                raise InvalidDataError(f"{path}: problem '{name:.60}' stands twice in the file of one seed")
            seen.add(name)
            found[benchmark, name].append(record | {"_path": path})
    rows = [_row(benchmark, name, records) for (benchmark, name), records in found.items()]
    reported = [one for folder in sorted({path.parent for path in paths}) for one in _reported(folder)]
    notes = ["output.jsonl is the tool's greedy run"] if any(path.name == "output.jsonl" for path in paths) else []
    return Reading(rows, {"files": len(paths)}, reported, notes)


def _row(benchmark: str, name: str, records: list[dict[str, Any]]) -> ProblemRow:
    verdicts: list[bool] = []
    known = True
    for record in records:
        key = next((key for key in _VERDICTS if key in record), None)
        if key is None:
            known = False
            break
        verdicts.append(as_correct(record[key], record["_path"]))
    texts = tuple(str(record.get("generation", "")) for record in records)
    gold = records[0].get("expected_answer")
    correct = sum(verdicts) if known else None
    return ProblemRow(benchmark, name, len(records), correct, texts, None if gold is None else str(gold))


def _reported(folder: Path) -> Iterator[Reported]:
    file = folder / "metrics.json"
    if not file.is_file():
        return
    for benchmark, modes in json_object(file).items():
        for mode, values in modes.items() if isinstance(modes, dict) else ():
            found = _AGGREGATE.match(mode)
            value = values.get("symbolic_correct") if isinstance(values, dict) else None
            if found and isinstance(value, int | float):
                how = (
                    f"the mean of the first {found['mean']} samples"
                    if found["mean"]
                    else f"the best of the first {found['k']} samples, not the mean over all subsets of that size"
                )
                yield Reported(benchmark, f"{mode} in {file.name}", int(found["k"]), value / 100, how)
