"""Which programs a collection was made with: one that changes in the middle is noted, no stage is done again."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quagpredict.collection.stages import Stage
from quagpredict.files import file_digest, write_json
from quagpredict.shipped import shipped_path


class Programs:
    """What ``programs.json`` of a work folder holds: for each program, what it was from which stage on.

    Parameters
    ----------
    work : path
        The work folder.
    """

    def __init__(self, work: Path) -> None:
        self._file = work / "programs.json"
        self._known = _read(self._file)

    def changed(self, stage: Stage) -> str | None:
        """Write down what a stage's program is when the stage is started; return a note if it is not what it was."""
        path = shipped_path(stage.program)
        now = file_digest(path)
        if self._is_last(stage.program, now):
            return None
        self._known = _read(self._file)  # another collector may have written it down, or another program
        if self._is_last(stage.program, now):
            return None
        before = self._known.setdefault(stage.program, [])
        since = datetime.now(UTC).isoformat(timespec="seconds")
        before.append({"sha256": now, "from_stage": stage.id, "since": since})
        write_json(self._file, self._known)
        if len(before) == 1:
            return None
        return (
            f"note: {stage.program} has changed since this collection began: from {stage.id} on, stages are made by "
            f"another program than before; nothing is done again ({self._file} has both)"
        )

    def _is_last(self, program: str, digest: str) -> bool:
        known = self._known.get(program, [])
        return bool(known) and known[-1]["sha256"] == digest


def _read(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(program): [{"sha256": str(entry["sha256"]), **entry} for entry in entries]
            for program, entries in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # none yet, or damaged: it is a note, and begins anew
