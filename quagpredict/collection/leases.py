"""Leases on the stages of a work folder: one attempt at a stage at a time, whoever stops, dies or sleeps.

Two kinds of folder under ``claims/<kind>/<name>/`` say it all: ``N`` claims the attempt N, ``N/end`` ends it. Each is
renamed into its place, full, and a rename onto a folder that is not empty fails, so that each has one author for ever.
N + 1 can be claimed only when N has ended: by its holder, or by somebody who saw the holder gone or silent. A holder
whose attempt was ended by somebody else learns it when it tries to end it itself, and then nothing of it counts.
`docs/decisions/026-leases.md` says what this needs of a file system.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quagpredict.collection.holders import Holder, Holders, holder_of
from quagpredict.errors import InvalidDataError

_SAID = "said.json"


@dataclass(frozen=True)
class Lease:
    """The right to one attempt at a stage.

    Attributes
    ----------
    name : str
        What it is a lease on: the stage's identity.
    number : int
        Counts the leases on it, from 1.
    is_quiet : bool
        Whether nothing that an earlier holder started can still write; else what it left may be copied, not moved.
    """

    name: str
    number: int
    folder: Path
    is_quiet: bool


class Leases:
    """The leases of a work folder, as one collector sees them.

    Parameters
    ----------
    root : path
        The work folder.
    holders : Holders
        Who works there.
    """

    def __init__(self, root: Path, holders: Holders) -> None:
        self._folder = root / "claims"
        self._holders = holders

    def claim(
        self,
        name: str,
        is_known: Callable[[str], bool] | None = None,
        *,
        running: Collection[str] | None = None,
        forever: bool = False,
    ) -> Lease | None:
        """Return a lease, or None if another collector holds one, or has ended it and not yet written down how.

        Parameters
        ----------
        is_known : callable
            Whether the ledgers have the attempt with this log; all, if it is left out.
        running : collection of str, optional
            Names whose programs still run, although their collector may be gone; without it this is not known, and what
            a collector had running elsewhere is left alone.
        forever : bool
            Do not take over what a silent holder has: only from one that is gone for certain.
        """
        folder = self._folder / name
        number = self._last(folder)
        if number:
            last = folder / str(number)
            holder = self._holder(last)
            if holder is None:
                return None
            ended = self._said(last / "end")
            if ended is None:
                if holder.elsewhere and (running is None or name in running):
                    return None
                sign = self._holders.sign_of(holder)
                if sign == "lives" or (forever and sign == "silent"):
                    return None
                self._say(last / "end", {"how": "taken over"})
            else:
                unwritten = is_known is not None and ended.get("log") and not is_known(ended["log"])
                if unwritten and self._holders.sign_of(holder) == "lives":  # it is about to write it down
                    return None
        lease = Lease(name, number + 1, folder / str(number + 1), self._is_quiet(folder, number))
        return lease if self._say(lease.folder, {"holder": asdict(self._holders.me)}) else None

    def end(self, lease: Lease, log: str | None = None) -> bool:
        """End a lease: with an attempt, named by its log, or without; return whether it was still ours to end."""
        return self._say(lease.folder / "end", {"how": "ended", "log": log})

    def is_ours(self, lease: Lease) -> bool:
        """Return whether nobody has ended a lease."""
        return self._said(lease.folder / "end") is None

    def _is_quiet(self, folder: Path, number: int) -> bool:
        for earlier in range(1, number + 1):
            ended = self._said(folder / str(earlier) / "end")
            holder = self._holder(folder / str(earlier))
            by_itself = ended is not None and ended.get("how") == "ended"
            if by_itself or holder is None:
                continue
            if holder.elsewhere or self._holders.sign_of(holder) != "gone":
                return False
        return True

    def _last(self, folder: Path) -> int:
        with contextlib.suppress(FileNotFoundError):
            return max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
        return 0

    def _holder(self, claim: Path) -> Holder | None:
        said = self._said(claim)
        return None if said is None else holder_of(said["holder"])

    def _said(self, folder: Path) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads((folder / _SAID).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            raise InvalidDataError(
                f"{folder / _SAID}: is not JSON; if no collect works here, remove {folder} to have it claimed anew"
            ) from None
        return content

    def _say(self, folder: Path, content: dict[str, Any]) -> bool:
        """Put a folder in its place with what it says; return whether it was us who did."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        mark = uuid.uuid4().hex
        aside = self._folder / f".{mark}"
        try:
            aside.mkdir()
            with (aside / _SAID).open("w", encoding="utf-8") as file:
                json.dump({**content, "mark": mark}, file)
                file.flush()
                os.fsync(file.fileno())  # else a power cut can leave the name with nothing in it
            with contextlib.suppress(OSError):  # the next line says what became of it
                aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        # A server may have done what it then says it could not, since it was asked twice.
        said = self._said(folder)
        if said is None:
            raise OSError(f"{folder}: could not be written; is the disk full?")
        return bool(said["mark"] == mark)
