"""The ledger: one JSON line for every attempt at a stage that ended, appended and flushed to disk, never rewritten."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from quagpredict.collection.holders import Holders
from quagpredict.collection.leases import Leases
from quagpredict.errors import InvalidDataError
from quagpredict.files import canonical_json
from quagpredict.run_record import RunRecord


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
        Of the program; negative is a signal; None where it was not seen (the record was found after a crash, or its
        machine was lost).
    half_batch_next : bool
        It failed because a GPU had no more memory, and is tried once more with half the batch.
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
    half_batch_next: bool = False


class Ledger:
    """The attempts of a work folder: an append-only file of this collector's own, and those of the others, read along.

    A line is one ``write`` and is flushed to disk before `append` returns. A last line that a crash tore is cut off
    when the ledger is opened; one that is whole but for its end of line is kept.

    Parameters
    ----------
    path : path
        ``ledger.jsonl`` of the work folder.
    own : path, optional
        The file that this collector alone appends to, made if it is not there; `path` by default.

    Raises
    ------
    InvalidDataError
        If a line other than the last is not an attempt; the message names it.
    """

    def __init__(self, path: str | Path, own: str | Path | None = None) -> None:
        self._main = Path(path)
        self._path = Path(own or path)
        content = _content(self._path)
        whole, _, tail = content.rpartition(b"\n")
        whole = whole + b"\n" if whole else b""
        missing_end = bool(tail) and attempt_of(tail) is not None
        # Of the others' files, the length of the whole lines that were read.
        others = [file for file in ledger_files(self._main) if file != self._path]
        self._read = {file: _content(file).rfind(b"\n") + 1 for file in others}
        self.attempts: list[Attempt] = read_ledger(self._main)
        self._logs = {attempt.log for attempt in self.attempts}
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
        self._logs.add(attempt.log)
        self.attempts.append(attempt)

    def check_storage(self) -> None:
        """Make sure that what lies at the ledger's path is the file that it appends to.

        Raises
        ------
        OSError
            If it is not: the storage has vanished, and what is done from here on would be lost in another place.
        """
        opened = os.fstat(self._file)
        with contextlib.suppress(OSError):
            there = self._path.stat()
            if (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino):
                return
        why = "the work folder is not the one that it was; bring its storage back, and give the same command again"
        raise OSError(errno.ESTALE, why, str(self._path.parent))

    def refresh(self) -> list[Attempt]:
        """Return the attempts that other collectors have written down since this was last asked; oldest first."""
        new = []
        for file in ledger_files(self._main):
            if file == self._path:
                continue
            lines = _content(file, self._read.get(file, 0)).rpartition(b"\n")[0]
            if lines:
                self._read[file] = self._read.get(file, 0) + len(lines) + 1
                attempts = [attempt for line in lines.split(b"\n") if (attempt := attempt_of(line)) is not None]
                new += [
                    attempt for attempt in attempts if attempt.log not in self._logs or attempt not in self.attempts
                ]
        self._logs.update(attempt.log for attempt in new)
        self.attempts += new
        return new

    def knows(self, log: str) -> bool:
        """Return whether the attempt with this log is written down, by whomever."""
        self.refresh()
        return log in self._logs

    def close(self) -> None:
        """Close the file; one that this collector made for itself and has written nothing to is removed."""
        if self._path != self._main and os.fstat(self._file).st_size == 0:
            self._path.unlink(missing_ok=True)
        os.close(self._file)


@contextmanager
def open_ledger(path: Path, holders: Holders) -> Iterator[Ledger]:
    """Open the ledgers of a work folder; the main one is appended to by one collector, others have a file of their own.

    Parameters
    ----------
    path : path
        ``ledger.jsonl`` of the work folder.
    holders : Holders
        Who works there.
    """
    leases = Leases(path.parent, holders)
    lease = leases.claim("ledger", forever=True)  # two that write to one file would be worse than one file more
    own = path if lease else path.with_name(f"{path.stem}.{holders.me.id}{path.suffix}")
    try:
        with contextlib.closing(Ledger(path, own)) as ledger:
            yield ledger
    finally:
        if lease:
            leases.end(lease)


def read_ledger(path: str | Path) -> list[Attempt]:
    """Read the ledgers of a work folder without touching them; a torn last line is passed over.

    Parameters
    ----------
    path : path
        ``ledger.jsonl``; those that collectors which joined have left beside it, ``ledger.ID.jsonl``, come along.

    Returns
    -------
    list of Attempt
        In the order in which they ended; empty if there is no such file.

    Raises
    ------
    InvalidDataError
        If another line is not an attempt; the message names the file and the line.
    """
    listed = [_read_file(file) for file in ledger_files(Path(path))]
    if len(listed) < 2:
        return [attempt for attempts in listed for attempt in attempts]
    # Clocks of several machines do not agree, attempts at one stage are numbered: their order is what matters.
    different = {(attempt.stage, attempt.key, attempt.log): attempt for attempts in listed for attempt in attempts}
    by_time = sorted(different.values(), key=lambda attempt: attempt.started)
    by_stage: dict[str, list[Attempt]] = {}
    for attempt in by_time:
        by_stage.setdefault(attempt.stage, []).append(attempt)
    turns = {stage: iter(sorted(attempts, key=attempt_number)) for stage, attempts in by_stage.items()}
    return [next(turns[attempt.stage]) for attempt in by_time]


def ledger_files(path: Path) -> list[Path]:
    """Return a work folder's ledgers, the main one first."""
    others = sorted(path.parent.glob(f"{path.stem}.*{path.suffix}"))
    return [file for file in (path, *others) if file.exists()]


def attempt_number(attempt: Attempt) -> int:
    """Return which attempt at its stage it was, as its log's name says; 0 if that says nothing."""
    text = Path(attempt.log).stem.rpartition("-")[2]
    return int(text) if text.isdecimal() else 0


def _read_file(path: Path) -> list[Attempt]:
    lines = _content(path).split(b"\n")
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


def _content(path: Path, start: int = 0) -> bytes:
    """Return what a ledger holds from a place on: nothing if it went meanwhile, as an empty one does at its end."""
    try:
        with path.open("rb") as handle:
            handle.seek(start)
            return handle.read()
    except FileNotFoundError:
        return b""


def attempt_of(line: bytes) -> Attempt | None:
    """Return the attempt that a line of a ledger says, or None if it is not whole."""
    try:
        content = json.loads(line)
        record = content.pop("record")
        checked = None if record is None else RunRecord.from_mapping(record, "ledger")
        # A later version may say more.
        return Attempt(record=checked, **{key: content[key] for key in content if key in Attempt.__dataclass_fields__})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def flush(path: Path) -> None:
    """Flush a file, or the list of names of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
