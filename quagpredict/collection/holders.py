"""Who works in a work folder: every collector registers, gives signs of life, and is known to be gone once it is.

Nothing here trusts a clock of another machine, or that clocks run on: a collector is silent if its count has not risen
for as long as its lease, by the clock of whoever watches. `docs/decisions/026-leases.md` has the protocol.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from quagpredict.errors import UsageError
from quagpredict.files import write_json

LEASE_SECONDS = 60.0
_BEATS_A_LEASE = 6
Sign = Literal["lives", "silent", "gone"]


@dataclass(frozen=True)
class Machine:
    """What tells whether two processes share one kernel, so that a lock of one is seen by the other.

    `boot` is this start of the kernel, `name` the machine over all its starts; empty where it has none.
    """

    boot: str
    name: str

    @classmethod
    def here(cls) -> "Machine":
        """Return this machine."""
        host = socket.gethostname()
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:  # not Linux
            return cls(f"{host} {uuid.getnode():x}", "")
        with contextlib.suppress(OSError):
            if number := Path("/etc/machine-id").read_text().strip():
                return cls(boot, f"{host} {number}")
        return cls(boot, "")

    def is_same(self, other: "Machine") -> bool:
        """Return whether two are one machine, perhaps started again in between."""
        return self.boot == other.boot or (self.name == other.name != "")


@dataclass(frozen=True)
class Holder:
    """A collector that works in a folder, or has worked there.

    Attributes
    ----------
    id : str
        Drawn when it began.
    host : str
        For messages.
    lease_seconds : float
        After so long without a sign of life others may do its stages.
    elsewhere : bool
        Its stages run where its own end does not end them, as in a cluster's queue.
    """

    id: str
    machine: Machine
    host: str
    process: int
    lease_seconds: float
    elsewhere: bool


class Holders:
    """The collectors of a work folder, this one among them, from when it is made until `close`.

    ``collectors/`` holds for each: ``ID.json`` (who it is), ``ID.beat`` (a count that rises), ``ID.lock`` (locked by
    the collector itself) and ``ID.stages`` (locked by it and every stage that it has started on this machine).

    Parameters
    ----------
    root : path
        The work folder.
    lease_seconds : float
        See `Holder`.
    elsewhere : bool
        See `Holder`.
    clock : callable
        Seconds that only rise; a clock that does not keep that costs waiting or work, and nothing else.
    alive : bool
        Give signs of life from a thread; else only when `beat` is called.
    """

    def __init__(
        self,
        root: Path,
        *,
        lease_seconds: float = LEASE_SECONDS,
        elsewhere: bool = False,
        machine: Machine | None = None,
        clock: Callable[[], float] = time.monotonic,
        alive: bool = True,
    ) -> None:
        self._folder = root / "collectors"
        self._folder.mkdir(parents=True, exist_ok=True)
        machine = machine or Machine.here()
        name = uuid.uuid4().hex[:12]
        self.me = Holder(name, machine, socket.gethostname(), os.getpid(), lease_seconds, elsewhere)
        self._clock = clock
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._count = 0
        self._own = self._locked("lock")
        self.stages = self._locked("stages")
        self._beat = os.open(self._file(name, "beat"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.beat()
        write_json(self._file(name, "json"), asdict(self.me))
        self._closing = threading.Event()
        self._beating = threading.Thread(target=self._keep_beating, daemon=True) if alive else None
        if self._beating is not None:
            self._beating.start()

    def beat(self) -> None:
        """Give a sign of life."""
        self._count += 1
        os.pwrite(self._beat, f"{self._count:020}\n".encode(), 0)
        os.fsync(self._beat)

    def sign_of(self, holder: Holder) -> Sign:
        """Return what is known of a collector: ``gone`` is certain, ``silent`` is what its lease allows to say.

        One that is gone has left nothing behind that runs on its machine, and is struck off.
        """
        if holder.id == self.me.id:
            return "lives"
        if not self._file(holder.id, "json").exists():
            return "gone"
        if (
            self.me.machine.is_same(holder.machine)
            and self._is_free(holder, "lock")
            and self._is_free(holder, "stages")
        ):
            for kind in ("json", "beat", "lock", "stages"):
                self._file(holder.id, kind).unlink(missing_ok=True)
            return "gone"
        try:
            count = self._file(holder.id, "beat").read_bytes()
        except OSError:
            count = b""
        now = self._clock()
        before = self._seen.get(holder.id)
        if before is None or before[0] != count:
            self._seen[holder.id] = (count, now)
            return "lives"
        return "silent" if now - before[1] >= holder.lease_seconds else "lives"

    def others(self) -> list[Holder]:
        """Return the other collectors that have registered and were not struck off."""
        others = []
        for file in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                holder = holder_of(json.loads(file.read_text(encoding="utf-8")))
                if holder.id != self.me.id:
                    others.append(holder)
        return others

    def make_sure_to_be_alone(self) -> None:
        """Wait until every other collector is gone or silent.

        Raises
        ------
        UsageError
            If one of them works here; the message names it.
        """
        first: dict[str, bytes] = {}
        unsure = self.others()
        while unsure:
            for holder in unsure:
                local = self.me.machine.is_same(holder.machine)
                if self.sign_of(holder) == "lives":
                    count = self._seen[holder.id][0]
                    if (local and not self._is_free(holder, "lock")) or first.setdefault(holder.id, count) != count:
                        where = "" if local else f" on {holder.host}"
                        raise UsageError(
                            f"{self._folder.parent}: another collect (process {holder.process}{where}) works in this "
                            "folder; wait or stop it, or join it"
                        )
            unsure = [holder for holder in unsure if self.sign_of(holder) == "lives"]
            if unsure:
                time.sleep(0.02)

    def close(self) -> None:
        """Strike this collector off."""
        self._closing.set()
        if self._beating is not None:  # its file is closed below, and the next to be opened gets that number
            self._beating.join()
        self._file(self.me.id, "json").unlink(missing_ok=True)
        for handle, kind in ((self._beat, "beat"), (self._own, "lock"), (self.stages, "stages")):
            os.close(handle)
            with contextlib.suppress(OSError):
                self._file(self.me.id, kind).unlink(missing_ok=True)

    def _keep_beating(self) -> None:
        while not self._closing.wait(self.me.lease_seconds / _BEATS_A_LEASE):
            with contextlib.suppress(OSError):  # storage that is away may come back; until then others see silence
                self.beat()

    def _file(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"

    def _locked(self, kind: str) -> int:
        handle = os.open(self._file(self.me.id, kind), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle

    def _is_free(self, holder: Holder, kind: str) -> bool:
        try:
            handle = os.open(self._file(holder.id, kind), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not see each other
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(handle)


def holder_of(content: dict[str, object]) -> Holder:
    """Return a collector as it was written down."""
    content = {**content, "machine": Machine(**content["machine"])}  # type: ignore[arg-type]
    return Holder(**content)  # type: ignore[arg-type]


@contextmanager
def at_work(
    root: str | Path, *, join: bool = False, lease_seconds: float = LEASE_SECONDS, elsewhere: bool = False
) -> Iterator[Holders]:
    """Work in a folder: alone, or beside the collectors that are there.

    Parameters
    ----------
    root : path
        The work folder.
    join : bool
        Work beside others.
    lease_seconds, elsewhere
        See `Holder`.

    Raises
    ------
    UsageError
        If another collector is there, and `join` is false or it is of a version that shares with nobody.
    """
    root = Path(root)
    old = os.open(root / "collect.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(old, fcntl.LOCK_SH | fcntl.LOCK_NB)  # versions up to 0.1 lock it for themselves
        except BlockingIOError:
            process = os.pread(old, 32, 0).decode(errors="replace").strip() or "unknown"
            who = f"another collect (process {process}) of an earlier version"
            raise UsageError(f"{root}: {who} works in this folder; wait or stop it") from None
        if join:
            holders = Holders(root, lease_seconds=lease_seconds, elsewhere=elsewhere)
        else:
            # Of several that want to be alone and start at once, one looks first: else each refuses.
            with one_at_a_time(root / "collectors" / "start.lock", lease_seconds):
                holders = Holders(root, lease_seconds=lease_seconds, elsewhere=elsewhere)
                try:
                    holders.make_sure_to_be_alone()
                except BaseException:
                    holders.close()
                    raise
        try:
            yield holders
        finally:
            holders.close()
    finally:
        os.close(old)


@contextmanager
def one_at_a_time(lock: Path, patience: float) -> Iterator[None]:
    """Hold a lock among the collectors of a machine, and of others as far as the file system's locks reach.

    One that was stopped while it held the lock keeps the others waiting for `patience` seconds, not for ever.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    with lock.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    break
                time.sleep(0.02)
        yield
