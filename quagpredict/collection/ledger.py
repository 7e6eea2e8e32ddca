"""The ledger: one JSON line for every attempt at a stage that ended, appended and flushed to disk, never rewritten."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.files import canonical_json
from quagpredict.run_record import RunRecord

_DYING_SECONDS = 60.0


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage, as it ended.

    Attributes
    ----------
    key : str
        The stage's content digest.
    stage : str
        ``{kind}/{name}``.
    status : {"done", "failed"}
        Done: the program exited with 0 and left a record.
    record : RunRecord or None
        What it left; None if it failed.
    log : str
        Path of its log, relative to the work folder.
    started : str
        UTC time, ISO 8601.
    seconds : float
        Wall time of the whole attempt, start-up included.
    config : mapping
        What the program was given, without ``output_dir``.
    exit_code : int or None
        Of the program; negative is a signal; None where it was not seen (the record was found after a crash).
    """

    key: str
    stage: str
    status: Literal["done", "failed"]
    record: RunRecord | None
    log: str
    started: str
    seconds: float
    config: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int | None = None


class Ledger:
    """An append-only file of attempts.

    A line is one ``write`` and is flushed to disk before `append` returns. A last line that a crash tore is cut off
    when the ledger is opened; one that is whole but for its end of line is kept.

    Parameters
    ----------
    path : path
        Made if it is not there.

    Raises
    ------
    InvalidDataError
        If a line other than the last is not an attempt; the message names it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        content = self._path.read_bytes() if self._path.exists() else b""
        whole, _, tail = content.rpartition(b"\n")
        whole = whole + b"\n" if whole else b""
        missing_end = bool(tail) and attempt_of(tail) is not None
        self.attempts: list[Attempt] = read_ledger(self._path) if self._path.exists() else []
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if missing_end:
            os.write(self._file, b"\n")
        elif tail:
            os.ftruncate(self._file, len(whole))
        os.fsync(self._file)
        flush(self._path.parent)

    def append(self, attempt: Attempt) -> None:
        """Write one attempt and flush it to disk."""
        line = (canonical_json(asdict(attempt)) + "\n").encode()
        written = os.write(self._file, line)
        if written != len(line):  # the disk is full; take the part back rather than leave half a line
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(f"{self._path}: could not write a whole line; is the disk full?")
        os.fsync(self._file)
        self.attempts.append(attempt)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_ledger(path: str | Path) -> list[Attempt]:
    """Read a ledger without touching it; a torn last line is passed over.

    Raises
    ------
    InvalidDataError
        If another line is not an attempt; the message names the file and the line.
    """
    lines = Path(path).read_bytes().split(b"\n")
    attempts = []
    for number, line in enumerate(lines, start=1):
        if not line and number == len(lines):
            break
        attempt = attempt_of(line)
        if attempt is not None:
            attempts.append(attempt)
        elif number < len(lines):
            raise InvalidDataError(
                f"{path}: line {number} is not an attempt: {line[:60]!r}; take this line out to go on without it"
            )
    return attempts


@contextmanager
def locked(work: str | Path) -> Iterator[int]:
    """Hold a work folder for this process; the locks go with the process, however it ends.

    Yields
    ------
    int
        A file descriptor that every stage's process must inherit. It holds a second lock, which is free again only when
        the last of them is gone; so nobody works on a folder while a stage of a killed `collect` is still dying.

    Raises
    ------
    UsageError
        If another process holds the folder; the message names its id.
    """
    own = os.open(Path(work) / "collect.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    stages = os.open(Path(work) / "stages.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _taken(own, 0):
            holder = os.pread(own, 32, 0).decode(errors="replace").strip() or "unknown"
            raise UsageError(f"{work}: another collect (process {holder}) works in this folder; wait or stop it")
        os.ftruncate(own, 0)
        os.pwrite(own, f"{os.getpid()}\n".encode(), 0)
        if not _taken(stages, _DYING_SECONDS):
            raise UsageError(f"{work}: stages of an earlier collect still run; 'fuser {work}/stages.lock' names them")
        yield stages
    finally:
        os.close(stages)
        os.close(own)


def _taken(handle: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)


def attempt_of(line: bytes) -> Attempt | None:
    """Return the attempt that a line of a ledger says, or None if it is not whole."""
    try:
        content = json.loads(line)
        record = content.pop("record")
        checked = None if record is None else RunRecord.from_mapping(record, "ledger")
        return Attempt(record=checked, **content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def flush(path: Path) -> None:
    """Flush a file, or the list of names of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
