"""What the corpus needs of a stage's record: a stage that leaves something else has failed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quagpredict.collection.stages import Stage
from quagpredict.errors import InvalidDataError
from quagpredict.run_record import RECORD_NAME, RunRecord, read_record

_MEASURED: dict[str, Any] = {"eval_protocol_id": str, "measurement": Mapping}
_TRAINED: dict[str, Any] = {"rl_curve": list, "rl_steps": int}
_NEEDED = {"evaluate-pre": _MEASURED, "evaluate-along": _MEASURED, "evaluate-post": _MEASURED, "grpo": _TRAINED}


def checked_record(stage: Stage, folder: Path) -> RunRecord:
    """Return the record that a stage left in a folder.

    Raises
    ------
    InvalidDataError
        If there is none, it holds NaN or is no record, or a result that the corpus needs is missing or of another
        type; the message names it.
    """
    record = read_record(folder)
    source = folder / RECORD_NAME
    for name, kind in _NEEDED.get(stage.kind, {}).items():
        if name not in record.results:
            raise InvalidDataError(f"{source}: results lack '{name}', which the corpus needs")
        value = record.results[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidDataError(f"{source}: results: '{name}' has the wrong type: {str(value)[:80]!r}")
    for name, value in record.results.get("measurement", {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise InvalidDataError(f"{source}: results: measurement: '{name}' is no number: {str(value)[:80]!r}")
    for point in record.results.get("rl_curve", []):
        if not isinstance(point, Mapping) or not isinstance(point.get("step"), int):
            raise InvalidDataError(f"{source}: results: rl_curve: expected points with a step, got {str(point)[:80]!r}")
    return record
