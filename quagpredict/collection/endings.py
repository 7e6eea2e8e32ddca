"""How a stage ended: with a record, or with a reason in its log; and what is tried where GPU memory ran out."""

import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quagpredict.collection.launch import add_line
from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import Stage
from quagpredict.collection.work_folder import AttemptFiles, checked_record, other_weights
from quagpredict.errors import QuagpredictError
from quagpredict.files import printable
from quagpredict.plans.parts import PROGRAMS
from quagpredict.run_record import RECORD_NAME, RunRecord

_END_OF_LOG = 8192  # bytes in which the reason of a failure is looked for
_ERROR_LINE = re.compile(r"error: |[A-Za-z_][\w.]*(Error|Exception)\b")  # ours, or the last line of a traceback
# Bytes in which a lack of GPU memory is looked for: every process says it, and their launcher says more after them.
_END_OF_LOG_OF_GPUS = 65536
_RAN_OUT = re.compile(rb"\b(?:torch|cuda)\.OutOfMemoryError\b|\bCUDA out of memory\b")
# What trl and vLLM take where a recipe or a plan says nothing.
_TRAINED_AT_ONCE, _DRAWN_AT_ONCE = 8, 256


def record_of_end(stage: Stage, files: AttemptFiles, exit_code: int | None) -> RunRecord | None:
    """Return the record of an attempt that succeeded, or None; why it did not is added to its log.

    The record is written last, so that whoever wrote it had finished: processes of several GPUs that trip over each
    other when they end do not undo hours of training.
    """
    if exit_code != 0 and not (files.folder / RECORD_NAME).is_file():
        if exit_code is not None and exit_code < 0 and not reason_in(files.log):  # the dead say nothing
            add_line(files.log, f"error: ended by {_signal_name(-exit_code)}")
        return None
    how = "was lost with its machine" if exit_code is None else f"ended with exit code {exit_code}"
    try:
        record = checked_record(stage, files.folder)
    except QuagpredictError as error:
        add_line(files.log, f"error: the program {how}, but: {error}")
        return None
    if exit_code != 0:
        add_line(files.log, f"note: the program had finished when it {how}: what it made is kept")
    return record


def same_as_before(record: RunRecord, before: RunRecord, files: AttemptFiles) -> RunRecord | None:
    """Return the record of weights that were made again, or None if they are not those that were measured.

    Why is added to the log.
    """
    changed = other_weights(before, record)
    if changed is None:
        return record
    add_line(
        files.log,
        f"error: {changed} was made again and is not what it was: SHA-256 {record.outputs.get(changed)}, the record "
        f"says {before.outputs[changed]}. What was measured belongs to the first: another processor or another "
        "release of torch can do this. To have the candidate made and measured anew, remove the folders of this stage "
        "and of what was measured of it",
    )
    return None


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name}, as when memory runs out" if name == "SIGKILL" else name


def reason_in(log: Path) -> str:
    """Return why a stage failed as its log says it: the last line that is an error; empty if there is none."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, 2) - _END_OF_LOG))
            lines = handle.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    errors = [line.strip() for line in lines if _ERROR_LINE.match(line)]
    return printable(errors[-1].removeprefix("error: "))[:300] if errors else ""


def ending_of(attempt: Attempt, log: Path) -> str:
    """Return how an attempt ended as people are told it: where it failed with the reason, and what comes next.

    Examples
    --------
    >>> ending_of(Attempt("key", "sft/a", "done", None, "logs/a.log", "", 4.04), Path("logs/a.log"))
    'sft/a: done in 4.0 s'
    """
    line = f"{attempt.stage}: {attempt.status} in {attempt.seconds:.1f} s"
    if attempt.status == "failed":
        line += f" ({reason})" if (reason := reason_in(log)) else ""
        line += f", see {log}"
    return f"{line}; it is tried once more with half the batch" if attempt.half_batch_next else line


def ran_out_of_gpu_memory(log: Path) -> bool:
    """Return whether the end of a failed stage's log says that torch found no more memory on a GPU."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, 2) - _END_OF_LOG_OF_GPUS))
            return _RAN_OUT.search(handle.read()) is not None
    except OSError:
        return False


def with_half_the_batch(stage: Stage) -> dict[str, Any] | None:
    """Return the keys of a stage's config that halve what is on a GPU at once, or None where nothing can be halved.

    A training accumulates twice as often, so that every step of the optimizer still sees the same examples: the recipe
    is the same, up to the order of additions. Our own RL program draws half as many responses side by side, unless vLLM
    does that: others, from the same distribution. A measurement draws half as many samples side by side; none depends
    on it.

    Parameters
    ----------
    stage : Stage
        A training is SFT or RL with TRL's key names. A base model made here is none: its batch is its recipe.

    Examples
    --------
    >>> config = {"per_device_train_batch_size": 6, "steps_per_generation": 2}
    >>> with_half_the_batch(Stage("grpo", "a.rl-s0", "train_grpo.py", config, {}, "key", "a"))
    {'per_device_train_batch_size': 3, 'gradient_accumulation_steps': 2, 'steps_per_generation': 4}
    >>> with_half_the_batch(Stage("evaluate-pre", "a", "evaluate.py", {"batch_size": 9}, {}, "key", "a"))
    {'batch_size': 4}
    """
    config = stage.config
    if stage.kind.startswith("evaluate"):
        at_once = config.get("batch_size") or _DRAWN_AT_ONCE
        return {"batch_size": at_once // 2} if at_once > 1 else None
    if stage.kind not in ("sft", "grpo"):
        return None
    at_once = config.get("per_device_train_batch_size", _TRAINED_AT_ONCE)
    if not isinstance(at_once, int) or at_once < 2 or at_once % 2:
        return None
    changes = {"per_device_train_batch_size": at_once // 2, **_doubled(config)}
    if stage.program == PROGRAMS["rl"] and not config.get("use_vllm"):
        steps = config.get("steps_per_generation") or config.get("gradient_accumulation_steps") or 1
        # Where the batch of a generation is given, it is that of all processes, and their number is not known here.
        drawn = config.get("drawn_at_once") or (at_once if config.get("generation_batch_size") else at_once * steps)
        changes["drawn_at_once"] = max(drawn // 2, 1)
    return changes


def half_may_fit(stage: Stage, log: Path) -> bool:
    """Return whether a stage failed because a GPU had no more memory, and can be tried with half the batch."""
    return ran_out_of_gpu_memory(log) and with_half_the_batch(stage) is not None


def changes_of_next(stage: Stage, last: Attempt | None) -> Mapping[str, Any]:
    """Return what the next attempt at a stage is given otherwise than its config says, after the last one."""
    return (with_half_the_batch(stage) or {}) if last is not None and last.half_batch_next else {}


def _doubled(config: Mapping[str, Any]) -> dict[str, Any]:
    accumulated = {"gradient_accumulation_steps": 2 * (config.get("gradient_accumulation_steps") or 1)}
    if config.get("steps_per_generation"):  # RL: by default as often as gradients are accumulated
        accumulated["steps_per_generation"] = 2 * config["steps_per_generation"]
    return accumulated
