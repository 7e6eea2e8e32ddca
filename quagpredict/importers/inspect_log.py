"""Inspect (inspect_ai 0.3.285): ``.json`` logs, and ``.eval`` logs, which hold the same.

A sample has id, epoch, target, scores by scorer (value "C", "I", "P", "N" or a number) and output.choices[0] with its
stop_reason. ``results.scores`` has what Inspect reduced the epochs to: the mean by default, or pass_at_k (unbiased).
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.eval_log import read_eval
from quagpredict.importers.files import suffix_of
from quagpredict.importers.reading import Expected, ProblemRow, Reading, Reported, part_of
from quagpredict.importers.records import json_object, need, section

_SETTINGS = ("temperature", "top_p", "top_k", "max_tokens", "seed", "reasoning_effort", "reasoning_tokens")
_LIMITS = ("token_limit", "message_limit", "time_limit", "working_limit")
_CUT = ("max_tokens", "model_length")


def recognises(path: Path) -> bool:
    """Say whether a file is an .eval log or a JSON log."""
    if path.suffix == ".eval":
        return True
    return suffix_of(path) == ".json" and {"version", "status", "eval"} <= json_object(path).keys()


def read(paths: Sequence[Path], *, metric: str | None = None) -> Reading:
    """Return the problems of the logs; `metric` names the scorer where there are several.

    A sample that ended with an error, was invalidated, or has no score is left out, and said to be.

    Raises
    ------
    InvalidDataError
        If a log did not end well, has no samples, or has several scorers and none was named.
    """
    rows: list[ProblemRow] = []
    reported: list[Reported] = []
    expected: list[Expected] = []
    settings, graded_by, left_out = [], [], []
    for number, path in enumerate(paths):
        log = read_eval(path) if path.suffix == ".eval" else json_object(path)
        if log.get("status") != "success":
            raise InvalidDataError(f"{path}: the evaluation ended with status '{log.get('status')}', not 'success'")
        samples = log.get("samples") or []
        if not samples:
            raise InvalidDataError(f"{path}: the log has no samples; write logs with log_samples")
        if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
            raise InvalidDataError(f"{path}: 'samples' must be a list of JSON objects")
        task = str(need(section(log, "eval"), "task", path))
        scorer = _scorer(samples, metric, path)
        settings.append(_settings(log))
        graded_by.append(scorer)
        grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
        faults = []
        for sample in samples:
            name = str(need(sample, "id", path))
            if fault := _fault(sample, scorer):
                faults.append(f"sample '{name:.60}', epoch {sample.get('epoch')}: {fault}")
            else:
                grouped[name].append(sample)
        if faults:
            left_out.append(f"{path}: {len(faults)} of {len(samples)} samples of '{task}' cannot count ({faults[0]})")
        rows.extend(_row(task, name, found, scorer, path, number) for name, found in grouped.items())
        reported.extend(_reported(log, task, scorer))
        if (counted := _problems_and_epochs(log)) is not None:
            expected.append(Expected(task, counted[0], path.name, counted[1]))
    return Reading(part_of(rows), settings, reported, expected, left_out, (), True, graded_by)


def _settings(log: dict[str, Any]) -> dict[str, Any]:
    """Return what the log records of sampling: what the model was made with, and what the run set over it."""
    config = {
        key: value
        for section in (section(log, "eval", "model_generate_config"), section(log, "plan", "config"))
        for key, value in section.items()
        if value is not None and key in _SETTINGS
    }
    if model := section(log, "eval").get("model"):
        config["model"] = model
    limits = section(log, "eval", "config")
    return config | {key: limits[key] for key in _LIMITS if limits.get(key) is not None}


def _problems_and_epochs(log: dict[str, Any]) -> tuple[int, int] | None:
    total = section(log, "results").get("total_samples")
    epochs = section(log, "eval", "config").get("epochs") or 1
    if not isinstance(total, int) or not isinstance(epochs, int) or total < 1 or epochs < 1:
        return None
    return total // epochs, epochs


def _fault(sample: dict[str, Any], scorer: str) -> str:
    """Say why a sample cannot count; empty if it can."""
    if sample.get("error"):
        return "it ended with an error"
    if sample.get("invalidation"):
        return "it was invalidated"
    value = section(sample, "scores", scorer).get("value")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return f"it has no score of '{scorer}'"
    return ""


def _scorer(samples: list[dict[str, Any]], named: str | None, path: Path) -> str:
    names = sorted({name for sample in samples for name in section(sample, "scores")})
    if named is not None and named in names:
        return named
    if named is None and len(names) == 1:
        return names[0]
    shown = ", ".join(names) or "none"
    wanted = "one scorer" if named is None else f"the scorer '{named}'"
    raise InvalidDataError(f"{path}: expected {wanted}, found {shown}: choose one (`metric`)")


def _row(task: str, name: str, samples: list[dict[str, Any]], scorer: str, path: Path, file: int) -> ProblemRow:
    epochs = [str(need(sample, "epoch", path)) for sample in samples]
    if len(set(epochs)) < len(epochs):
        raise InvalidDataError(f"{path}: sample '{name}' has an epoch twice; give each log once")
    values = [section(sample, "scores", scorer).get("value") for sample in samples]
    texts = tuple(_text(sample) for sample in samples)
    cut = tuple(
        _choice(sample).get("stop_reason") in _CUT or section(sample, "limit").get("type") == "token"
        for sample in samples
    )
    target = samples[0].get("target")
    gold = target[0] if isinstance(target, list) and target else target
    correct = [_correct(value, name, path) for value in values]
    return ProblemRow(
        task, name, len(samples), sum(correct), texts, None if gold is None else str(gold), cut, file=file
    )


def _choice(sample: dict[str, Any]) -> dict[str, Any]:
    choices = section(sample, "output").get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _text(sample: dict[str, Any]) -> str:
    content = section(_choice(sample), "message").get("content", "")
    if isinstance(content, list):
        texts = (part for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(str(part.get("text", "")) for part in texts)
    return str(content)


def _correct(value: Any, name: str, path: Path) -> bool:
    """C and 1 are correct; I, N and 0 are not; a partial score is neither."""
    if value in ("C", True, 1, "1", "true"):
        return True
    if value in ("I", "N", False, 0, "0", "false"):
        return False
    raise InvalidDataError(f"{path}: sample '{name}' has the score {value!r:.40}, which is neither right nor wrong")


def _reported(log: dict[str, Any], task: str, scorer: str) -> Iterator[Reported]:
    scores = section(log, "results").get("scores")
    for score in scores if isinstance(scores, list) else ():
        accuracy = section(score, "metrics", "accuracy").get("value")
        score = section(score)
        if score.get("scorer", score.get("name")) != scorer or not isinstance(accuracy, int | float):
            continue
        reducer = str(score.get("reducer") or "mean")
        match = re.fullmatch(r"pass_at_(\d{1,6})", reducer)
        if match or reducer == "mean":
            k = int(match.group(1)) if match else 1
            yield Reported(
                task, f"accuracy ({reducer})", k, float(accuracy), "the mean over samples after reducing epochs"
            )
