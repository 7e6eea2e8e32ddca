"""Qwen2.5-Math's evaluation (QwenLM/Qwen2.5-Math ab5097e) and the many harnesses that write as it does.

`evaluation/math_eval.py` writes ``DATA/SPLIT_PROMPT_N_seedS_tT_sA_eB.jsonl``: a line a problem with idx, gt, and lists
code, pred, score of the n samples; `evaluation/evaluate.py` writes ``..._metrics.json`` whose acc is the mean of the
*first* column of the scores, rounded to 0.1; a row with fewer scores than the longest is padded with its last one.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import ProblemRow, Reading, Reported, as_correct, json_lines, json_object, need

_NAME = re.compile(r"_seed(?P<seed>-?\d+)_t(?P<temperature>[\d.]+)_s(?P<start>-?\d+)_e(?P<end>-?\d+)$")


def recognises(path: Path) -> bool:
    """Say whether the first record has idx, gt and a list of scores."""
    first = next(json_lines(path), {})
    return {"idx", "gt", "score"} <= first.keys() and isinstance(first["score"], list)


def read(paths: Sequence[Path]) -> Reading:
    """Return the problems of the files; the benchmark is the folder's name, as the tool lays them out."""
    rows, reported = [], []
    settings: dict[str, Any] = {}
    for path in paths:
        benchmark = path.resolve().parent.name
        if found := _NAME.search(path.stem):
            settings |= {"temperature": float(found["temperature"])}
        for record in json_lines(path):
            name = str(need(record, "idx", path))
            scores = need(record, "score", path)
            texts = record.get("code") or []
            if not isinstance(scores, list) or not scores:
                raise InvalidDataError(f"{path}: problem {name}: 'score' must be a list with an entry a sample")
            if texts and len(texts) != len(scores):
                raise InvalidDataError(f"{path}: problem {name} has {len(texts)} samples and {len(scores)} scores")
            correct = sum(as_correct(score, path) for score in scores)
            gold = str(record["gt"]) if record.get("gt") is not None else None
            rows.append(ProblemRow(benchmark, name, len(scores), correct, tuple(map(str, texts)), gold))
        for metrics in sorted(path.parent.glob(f"{path.stem}_*metrics.json")):
            acc = json_object(metrics).get("acc")
            if isinstance(acc, int | float):
                how = "the first sample of each problem only, rounded to 0.1 per cent; short rows are padded"
                reported.append(Reported(benchmark, f"acc in {metrics.name}", 1, acc / 100, how))
    return Reading(rows, settings, reported)
