"""Where studies live: SQLite, a journal file, PostgreSQL or any other database, by URL."""

import fcntl
import os
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from quagpredict.errors import MissingExtraError, UsageError, one_line

# Workers wait for each other's writes; Optuna's own five seconds are little for a busy machine.
_SQLITE_PATIENCE_S = 120
_ATTEMPTS = 8
_TAIL = 65536  # bytes in which the end of a journal's last whole line is looked for at a time
_CROWDED = ("already exists", "unique", "duplicate", "commit", "locked")


def open_storage(url: str | None) -> BaseStorage:
    """Open the storage that a URL names.

    Parameters
    ----------
    url : str or None
        ``sqlite:///FILE``, ``journal:///FILE`` (a file that also works over NFS), ``postgresql://...`` or any other URL
        of SQLAlchemy. None keeps the study in memory.

    Raises
    ------
    UsageError
        If it cannot be opened; `MissingExtraError` if the database's driver is not installed.

    Examples
    --------
    >>> open_storage(None).get_all_studies()
    []
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        return optuna.storages.InMemoryStorage()
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise UsageError(f"storage '{url}': expected a URL such as sqlite:///study.db, journal:///study.log")
    for attempt in range(_ATTEMPTS):
        try:
            return _opened(scheme, rest, url)
        except (ImportError, ModuleNotFoundError) as error:
            named = _without_password(url)
            raise MissingExtraError(f"storage '{named}': its driver is not installed ({error})") from None
        except Exception as error:  # SQLAlchemy and the drivers raise many classes
            # Workers that start together on an empty database are in each other's way while they make the tables.
            if attempt + 1 == _ATTEMPTS or not any(word in str(error).lower() for word in _CROWDED):
                raise UsageError(f"storage '{_without_password(url)}': cannot be opened: {one_line(error)}") from None
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("the last attempt raises")


def _opened(scheme: str, rest: str, url: str) -> BaseStorage:
    if scheme == "journal":
        path = rest.removeprefix("/")
        return JournalStorage(JournalFileBackend(path, _KernelLock(path)))
    options: dict[str, Any] = {}
    if scheme.startswith("sqlite"):
        options["connect_args"] = {"timeout": _SQLITE_PATIENCE_S}
    else:
        options["pool_pre_ping"] = True  # a database may have been restarted between two trials
    return RDBStorage(url, engine_kwargs=options)


class _KernelLock:
    """The lock under which a journal is written.

    It is held by the kernel, which lets go when a worker is killed; Optuna's own locks then stay for half a minute. A
    worker that was killed in a write leaves half a line: whoever writes next cuts it off first. What is appended to
    it would be one line with it, and nobody could read the journal any more.
    """

    def __init__(self, journal: str) -> None:
        self._journal = journal
        self._handle = -1

    def acquire(self) -> bool:
        """Wait for the lock."""
        handle = os.open(f"{self._journal}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._handle = handle
        _cut_half_a_line(self._journal)
        return True

    def release(self) -> None:
        """Let go."""
        os.close(self._handle)


def _cut_half_a_line(path: str) -> None:
    with Path(path).open("r+b") as journal:
        end = size = journal.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _TAIL)
            journal.seek(start)
            newline = journal.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            journal.truncate(end)
            os.fsync(journal.fileno())


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    who, at, where = rest.rpartition("@")
    return f"{scheme}://{who.partition(':')[0]}{at}{where}"


def open_study(
    storage: BaseStorage, name: str, *, space_id: str, sampler: Any = None, pruner: Any = None
) -> optuna.Study:
    """Make a study that maximises, or go on with the one of that name.

    Parameters
    ----------
    space_id : str
        What the parameters mean and how they are scored; a study of another one is refused.
    sampler, pruner : optional
        Optuna's.

    Raises
    ------
    UsageError
        If the study of that name was begun with another space or score.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        sampler=sampler,
        pruner=pruner or optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    begun_with = study.user_attrs.get("space_id")
    if begun_with is None:
        study.set_user_attr("space_id", space_id)
    elif begun_with != space_id:
        raise UsageError(
            f"study '{name}' was begun with another search space or score (id {begun_with}, now {space_id}); give this "
            "one another name or storage, or warm-start from the old one"
        )
    return study
