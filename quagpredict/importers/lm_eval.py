"""lm-evaluation-harness (EleutherAI 034ab03): ``samples_TASK_DATE.jsonl``, beside ``results_DATE.json``.

`lm_eval/evaluator.py` logs a line for each document *and filter*: doc_id, target, resps (all repeats), filtered_resps
(what the filter kept of them), filter, the names of the metrics and a value of each. With ``repeats`` and the default
filter, take_first, the value is that of the first response alone; the others are generated and never graded.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import ProblemRow, Reading, Reported, json_lines, json_object, need

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d\-.]+)$")
_PREFERRED = ("exact_match", "math_verify", "acc", "pass@1", "pass_at_1")
_SETTINGS = ("temperature", "do_sample", "top_p", "top_k", "max_gen_toks", "max_new_tokens")


def recognises(path: Path) -> bool:
    """Say whether the first record has doc_id, resps and filtered_resps."""
    return {"doc_id", "resps", "filtered_resps"} <= next(json_lines(path), {}).keys()


def read(paths: Sequence[Path], *, filter: str | None = None, metric: str | None = None) -> Reading:
    """Return the problems of the samples files.

    Parameters
    ----------
    paths : sequence of Path
    filter : str, optional
        Which filter's lines count; needed where a file has several.
    metric : str, optional
        Which metric is the verdict; by default exact_match, math_verify, acc or pass@1, the first that is there.

    Raises
    ------
    InvalidDataError
        If a file has several filters and none was named, or no metric can be the verdict.
    """
    rows: list[ProblemRow] = []
    reported: list[Reported] = []
    settings: dict[str, Any] = {}
    notes = []
    for path in paths:
        found = _NAME.match(path.stem)
        task = found["task"] if found else path.stem.removeprefix("samples_")
        chosen = filter or _only_filter(path)
        records = [record for record in json_lines(path) if record.get("filter", "none") == chosen]
        if not records:
            raise InvalidDataError(f"{path}: no record has the filter '{chosen}'; it has {', '.join(_filters(path))}")
        name = metric or _verdict_metric(records[0], path)
        settings |= _settings(records[0]) | {"filter": chosen, "metric": name}
        rows.extend(_row(task, record, name, path) for record in records)
        if any(len(_responses(record)) > 1 for record in records):
            notes.append(f"{task}: '{name}' is a verdict on the first response only; --regrade grades each of them")
        reported.extend(_reported(path, found["date"] if found else "", task, chosen, name))
    return Reading(rows, settings, reported, notes)


def _filters(path: Path) -> list[str]:
    return sorted({str(record.get("filter", "none")) for record in json_lines(path)})


def _only_filter(path: Path) -> str:
    names = _filters(path)
    if len(names) > 1:
        raise InvalidDataError(
            f"{path}: it has verdicts of several filters ({', '.join(names)}): choose one (--filter)"
        )
    return names[0] if names else "none"


def _verdict_metric(record: dict[str, Any], path: Path) -> str:
    names = record.get("metrics") or [name for name in _PREFERRED if name in record]
    chosen = next((name for name in (*_PREFERRED, *names) if name in names and name in record), None)
    if chosen is None:
        if {"results", "configs"} & set(record):
            raise InvalidDataError(
                f"{path}: these are lm-evaluation-harness's summed results; give its samples_*.jsonl (`--log_samples`)"
            )
        raise InvalidDataError(f"{path}: no metric is a verdict; a record has {', '.join(record)}: name one (--metric)")
    return str(chosen)


def _responses(record: dict[str, Any]) -> tuple[str, ...]:
    """Return all repeats; resps is a list for each request, and a generation task has one request."""
    resps = record["resps"]
    first = resps[0] if isinstance(resps, list) and resps else []
    return tuple(map(str, first)) if isinstance(first, list) else tuple(map(str, resps))


def _row(task: str, record: dict[str, Any], metric: str, path: Path) -> ProblemRow:
    name, texts = str(need(record, "doc_id", path)), _responses(record)
    value = need(record, metric, path)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidDataError(f"{path}: document {name}: '{metric}' is no verdict between 0 and 1 but {value!r:.60}")
    correct = int(value) if len(texts) <= 1 and value in (0, 1) else None
    gold = record.get("target")
    return ProblemRow(task, name, max(len(texts), 1), correct, texts, None if gold is None else str(gold))


def _settings(record: dict[str, Any]) -> dict[str, Any]:
    arguments = record.get("arguments")
    first = arguments.get("gen_args_0", {}).get("arg_1") if isinstance(arguments, dict) else None
    return {key: first[key] for key in _SETTINGS if key in first} if isinstance(first, dict) else {}


def _reported(path: Path, date: str, task: str, filter: str, metric: str) -> Iterator[Reported]:
    results = path.with_name(f"results_{date}.json")
    if date and results.is_file():
        value = json_object(results).get("results", {}).get(task, {}).get(f"{metric},{filter}")
        if isinstance(value, int | float):
            how = "the mean of the filtered response of each document: of the first one, where it was repeated"
            yield Reported(task, f"{metric},{filter} in {results.name}", 1, float(value), how)
