"""How a stage ended: with a record, or with a reason in its log."""

import re
import signal
from pathlib import Path

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.results import checked_record
from quagpredict.collection.stages import Stage
from quagpredict.collection.work_folder import Place, other_weights
from quagpredict.errors import QuagpredictError
from quagpredict.files import printable
from quagpredict.run_record import RECORD_NAME, RunRecord

_END_OF_LOG = 8192  # bytes in which the reason of a failure is looked for
_ERROR_LINE = re.compile(r"error: |[A-Za-z_][\w.]*(Error|Exception)\b")  # ours, or the last line of a traceback


def record_of_end(stage: Stage, place: Place, exit_code: int | None) -> RunRecord | None:
    """Return the record of an attempt that succeeded, or None; why it did not is added to its log.

    The record is written last, so that whoever wrote it had finished: processes of several GPUs that trip over each
    other when they end do not undo hours of training.
    """
    if exit_code != 0 and not (place.folder / RECORD_NAME).is_file():
        if exit_code is not None and exit_code < 0 and not reason_in(place.log):  # the dead say nothing
            add_to_log(place, f"error: ended by {_signal_name(-exit_code)}")
        return None
    how = "was lost with its machine" if exit_code is None else f"ended with exit code {exit_code}"
    try:
        record = checked_record(stage, place.folder)
    except QuagpredictError as error:
        add_to_log(place, f"error: the program {how}, but: {error}")
        return None
    if exit_code != 0:
        add_to_log(place, f"note: the program had finished when it {how}: what it made is kept")
    return record


def same_as_before(record: RunRecord, before: RunRecord, place: Place) -> RunRecord | None:
    """Return the record of weights that were made again, or None if they are not those that were measured.

    Why is added to the log.
    """
    changed = other_weights(before, record)
    if changed is None:
        return record
    add_to_log(
        place,
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


def add_to_log(place: Place, line: str) -> None:
    """Write a line of ours at the end of a stage's log."""
    with place.log.open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")


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
