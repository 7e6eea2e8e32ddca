"""Reads in a process of its own, so that what ends the reader ends nothing else.

A damaged Parquet file can make a reader ask for more memory than there is, and such a reader aborts: no ``except``
sees it. Files whose bytes are not vouched for are therefore read here. The process is started by the first such file,
serves the ones after it, and ends with this process.
"""

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError, QuagpredictError

# A read may take this long: a fixed part, and a second for so many bytes.
_SECONDS = 60
_BYTES_A_SECOND = 1_000_000

_reader: "_Reader | None" = None
_one_at_a_time = threading.Lock()


def read_apart(read: Callable[..., Any], path: str | Path, *arguments: Any) -> Any:
    """Return ``read(path, *arguments)``, done in another process.

    Parameters
    ----------
    read : callable
        A function of a module, by its name; it gets and returns what can be pickled.
    path : path
        The file, the first argument.
    *arguments
        The others.

    Raises
    ------
    InvalidDataError
        If the process ended or hung over this file.
    QuagpredictError
        What the function raised; what was none of ours comes as an `InvalidDataError` with its text.

    Examples
    --------
    >>> from quagpredict.files import file_digest
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile() as file:
    ...     read_apart(file_digest, file.name)[:8]
    'e3b0c442'
    """
    global _reader
    with _one_at_a_time:
        if _reader is None or not _reader.usable():
            _reader = _Reader()
        try:
            # Where this process is now: a relative path means nothing to one that was started elsewhere.
            outcome, value = _reader.ask((str(Path.cwd()), read, (path, *arguments)), _allowed(Path(path)))
        except (EOFError, OSError, pickle.UnpicklingError):
            status, _reader = _reader.status(), None
            how = "hung" if status is None else f"ended with status {status}"
            raise InvalidDataError(f"{path}: damaged, its reader {how}: make it or copy it again") from None
        except BaseException:  # interrupted between question and answer: the next answer would be to this question
            _reader.end()
            _reader = None
            raise
    if outcome == "raised":
        raise value
    return value


def _allowed(path: Path) -> float:
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return _SECONDS + size / _BYTES_A_SECOND


class _Reader:
    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "quagpredict.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the last words of a library are not for the user
            env=environment,
        )
        self._hung = False
        atexit.register(self.end)

    def usable(self) -> bool:
        """Say whether it runs and is this process's own, not that of one it was forked from."""
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, question: Any, seconds: float) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Timer(seconds, self._too_late)
        late.daemon = True
        late.start()
        try:
            pickle.dump(question, self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        finally:
            late.cancel()

    def _too_late(self) -> None:
        self._hung = True
        self._process.kill()

    def status(self) -> int | None:
        """Return the exit status of one that ended by itself, None if it hung."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.end()
        return None if self._hung else self._process.returncode

    def end(self) -> None:
        """End it."""
        if self._owner != os.getpid():
            return
        atexit.unregister(self.end)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _serve() -> None:
    """Answer until the one who asks is gone."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    # More memory than there is would end other processes first. Where the system knows no such limit there is none.
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    while True:
        try:
            folder, read, arguments = pickle.load(questions)
        except EOFError:
            return
        try:
            os.chdir(folder)
            answer = ("done", read(*arguments))
        except QuagpredictError as error:
            answer = ("raised", error)
        except BaseException as error:  # a panic of polars is no Exception
            message = " ".join(str(error).split())[:200] or type(error).__name__
            answer = ("raised", InvalidDataError(f"{arguments[0]}: cannot be read ({message})"))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
