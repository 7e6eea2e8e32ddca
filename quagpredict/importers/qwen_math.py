"""Qwen2.5-Math's evaluation (QwenLM/Qwen2.5-Math ab5097e) and the many harnesses that write as it does.

`evaluation/math_eval.py` writes ``DATA/SPLIT_PROMPT_N_seedS_tT_sA_eB.jsonl``: a line a problem with idx, gt, and lists
code, pred, score of the n samples; `evaluation/evaluate.py` writes ``..._metrics.json`` whose acc is the mean of the
*first* column of the scores, rounded to 0.1; a row with fewer scores than the longest is padded with its last one.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import stem_of
from quagpredict.importers.reading import Expected, ProblemRow, Reading, Reported, as_correct, part_of, together
from quagpredict.importers.records import first_record, json_lines, json_object, need

# The prompt is part of how samples were drawn; where a name is another it is left out.
_NAME = re.compile(
    r"(?:^[^_]+_(?P<prompt>.+)_-?\d+)?_seed(?P<seed>-?\d+)_t(?P<temperature>[\d.]+)_s(?P<start>-?\d+)_e(?P<end>-?\d+)$"
)


def recognises(path: Path) -> bool:
    """Say whether the first record has idx, gt and a list of scores."""
    first = first_record(path)
    return {"idx", "gt", "score"} <= first.keys() and isinstance(first["score"], list)


def read(paths: Sequence[Path]) -> Reading:
    """Return the problems of the files; the benchmark is the folder's name, as the tool lays them out.

    Raises
    ------
    InvalidDataError
        If a record has not a score for each of its responses.
    """
    return together(_read(path, len(paths)) for path in paths)


def _read(path: Path, files: int) -> Reading:
    benchmark = path.resolve().parent.name
    reported: list[Reported] = []
    expected: list[Expected] = []
    for metrics in sorted(path.parent.glob(f"{stem_of(path)}_*metrics.json")):
        values = json_object(metrics)
        reported += _reported(benchmark, metrics, values, files)
        if isinstance(count := values.get("num_samples"), int):
            expected.append(Expected(benchmark, count, metrics.name))
    problems = part_of(_row(benchmark, record, path) for record in json_lines(path))
    return Reading(problems, [_drawn(_NAME.search(stem_of(path)))], reported, expected, stated=False)


def _drawn(name: "re.Match[str] | None") -> dict[str, Any]:
    """Return the temperature and the kind of prompt that the name of a file says."""
    if name is None:
        return {}
    return {"temperature": float(name["temperature"])} | ({"prompt_type": name["prompt"]} if name["prompt"] else {})


def _row(benchmark: str, record: dict[str, Any], path: Path) -> ProblemRow:
    name = str(need(record, "idx", path))
    scores = need(record, "score", path)
    texts = record.get("code") or []
    if not isinstance(scores, list) or not scores:
        raise InvalidDataError(f"{path}: problem {name:.60}: 'score' must be a list with an entry a sample")
    if not isinstance(texts, list) or (texts and len(texts) != len(scores)):
        count = len(texts) if isinstance(texts, list) else "no list of"
        raise InvalidDataError(f"{path}: problem {name:.60} has {count} samples and {len(scores)} scores")
    correct = sum(as_correct(score, path) for score in scores)
    gold = str(record["gt"]) if record.get("gt") is not None else None
    return ProblemRow(benchmark, name, len(scores), correct, tuple(map(str, texts)), gold)


def _reported(benchmark: str, file: Path, values: dict[str, Any], files: int) -> Iterator[Reported]:
    acc = values.get("acc")
    if isinstance(acc, int | float):
        how = "the first sample of each problem only, rounded to 0.1 per cent; short rows are padded"
        if files > 1:
            how += ", and of one file only"
        yield Reported(benchmark, f"acc in {file.name}", 1, acc / 100, how)
