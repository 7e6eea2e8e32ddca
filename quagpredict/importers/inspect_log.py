"""Inspect (inspect_ai 0.3.285): ``.json`` logs, and ``.eval`` logs, zip files of JSON that hold the same.

A sample has id, epoch, target, scores by scorer (value "C", "I", "P", "N" or a number) and output.choices[0] with its
stop_reason. ``results.scores`` has what Inspect reduced the epochs to: the mean by default, or pass_at_k (unbiased).

An ``.eval`` log (`inspect_ai/log/_recorders/eval.py`) has ``header.json`` (version, status, eval, plan, results), which
is written when a run ends, and ``samples/ID_epoch_N.json`` for each sample; a large one has its folder
``samples/ID_epoch_N/`` with ``sample.json``. A member that is there twice counts as it was written last. Members are
compressed with zstd, in older logs deflated. Inspect is not needed to read them.
"""

import json
import math
import re
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError, one_line
from quagpredict.importers.files import suffix_of
from quagpredict.importers.reading import Expected, ProblemRow, Reading, Reported, part_of, together
from quagpredict.importers.records import json_object, need, section
from quagpredict.packed import most_unpacked, too_large, unpacked_zstd

_SETTINGS = ("temperature", "top_p", "top_k", "max_tokens", "seed", "reasoning_effort", "reasoning_tokens")
_LIMITS = ("token_limit", "message_limit", "time_limit", "working_limit")
_CUT = ("max_tokens", "model_length")

_HEADER = "header.json"
_SAMPLE = re.compile(r"samples/.+_epoch_[0-9]+(?:\.json|/sample\.json)", re.DOTALL)  # ids may have slashes
# The events of a sample are large, and not needed.
_SHARE = ("id", "epoch", "target", "scores", "output", "error", "invalidation", "limit")
_ZSTD = 93  # as a zip file numbers it; Python's zipfile knows it from 3.14 on
_UTF8 = 0x800  # the flag of a name that is not in code page 437
_FIXED = 30  # bytes of a member's own header, before its name
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # an encrypted member, or nesting too deep
    NotImplementedError,
)


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
    return together(_read(path, metric) for path in paths)


def _read(path: Path, metric: str | None) -> Reading:
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
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    faults = []
    for sample in samples:
        name = str(need(sample, "id", path))
        if fault := _fault(sample, scorer):
            faults.append(f"sample '{name:.60}', epoch {sample.get('epoch')}: {fault}")
        else:
            grouped[name].append(sample)
    rows = [_row(task, name, of_problem, scorer, path) for name, of_problem in grouped.items()]
    counted = _problems_and_epochs(log)
    return Reading(
        part_of(rows),
        [_settings(log)],
        list(_reported(log, task, scorer)),
        [] if counted is None else [Expected(task, counted[0], path.name, counted[1])],
        [f"{path}: {len(faults)} of {len(samples)} samples of '{task}' cannot count ({faults[0]})"] if faults else [],
        graded_by=[scorer],
    )


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


def _row(task: str, name: str, samples: list[dict[str, Any]], scorer: str, path: Path) -> ProblemRow:
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
    return ProblemRow(task, name, len(samples), sum(correct), texts, None if gold is None else str(gold), cut)


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


def read_eval(path: Path) -> dict[str, Any]:
    """Return what an ``.eval`` log holds, as in a ``.json`` log: the header, and under ``samples`` what counts of each.

    Raises
    ------
    InvalidDataError
        If it is no such log, damaged, of a run that did not end, or unpacks to more than it may.
    """
    try:
        with path.open("rb") as handle, zipfile.ZipFile(handle) as packed:
            # The last one of a name. All are looked at: a sample under a damaged name would be lost without a word.
            members = {member.filename: member for member in packed.infolist() if _begin(packed, member)}
            if _HEADER not in members:
                raise InvalidDataError(f"{path}: there is no {_HEADER} in it: the run did not end, or this is no log")
            left = most_unpacked(path.stat().st_size)
            log, left = _member(packed, members[_HEADER], path, left)
            samples = []
            for name in sorted(filter(_SAMPLE.fullmatch, members)):
                sample, left = _member(packed, members[name], path, left)
                samples.append({key: sample[key] for key in _SHARE if key in sample})
    except InvalidDataError:
        raise
    except _FAULTS as error:
        raise InvalidDataError(f"{path}: cannot be read as a log of Inspect ({one_line(error)})") from None
    return log | {"samples": samples}


def _member(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int) -> tuple[dict[str, Any], int]:
    """Return the object in a member, and how many bytes others may still unpack to."""
    if member.compress_type == _ZSTD:
        content = unpacked_zstd(_bytes_of(packed, member), path, left)
        whole = zlib.crc32(content) == member.CRC or zlib.crc32(content + b"\n") == member.CRC
        if not whole:
            raise zipfile.BadZipFile(f"{member.filename} has another checksum")
    else:
        with packed.open(member) as handle:
            content = handle.read(left + 1)
    if len(content) > left:
        raise too_large(path, most_unpacked(path.stat().st_size))
    value = json.loads(content)
    if not isinstance(value, dict):
        raise InvalidDataError(f"{path}: {member.filename} must hold a JSON object, got {type(value).__name__}")
    return value, left - len(content)


def _begin(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return where the content of a member begins; its name must be the same there and in the table at the end."""
    handle: Any = packed.fp
    handle.seek(member.header_offset)
    flags, length, extra = struct.unpack("<6xH18xHH", handle.read(_FIXED))
    name = handle.read(length).decode("utf-8" if flags & _UTF8 else "cp437")
    if name != member.orig_filename:
        raise zipfile.BadZipFile(f"{member.filename} is called {name!r} where it stands")
    begin: int = member.header_offset + _FIXED + length + extra
    return begin


def _bytes_of(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member as it stands in the file, compressed."""
    handle: Any = packed.fp
    handle.seek(_begin(packed, member))
    content: bytes = handle.read(member.compress_size)
    if len(content) < member.compress_size:
        raise zipfile.BadZipFile(f"{member.filename} is cut off")
    return content
