"""The process between `collect` and its stages: starts them, watches them, and leaves none behind.

Run as ``python -m quagpredict.collection.supervisor``. It reads requests, one JSON object a line, from a socket and
answers with events on it. When the other end is gone, however that came about, every descendant is killed.

With ``--preload PROGRAM`` it first runs the top of that program, up to its ``if __name__ == "__main__"``: what the
program imports is then already there in every stage that is forked, and nothing has to say what that is.

With ``--once EXIT --log LOG -- WORDS`` it runs one command where a queue has put it; its exit code goes into EXIT.
"""

import argparse
import atexit
import contextlib
import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Imported late by transformers, at the first checkpoint; known here so that a forked stage need not do it.
_ALSO = ("transformers.models.qwen3.modeling_qwen3", "transformers.models.llama.modeling_llama", "torch._dynamo")


def main(arguments: list[str]) -> None:
    """Serve until the other end is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument("--socket", type=int, metavar="FD", help="serve the process at the other end, then end")
    ways.add_argument("--listen", metavar="PATH", help="serve whoever connects to this socket, one after the other")
    ways.add_argument("--once", metavar="EXIT", help="run one command and write its exit code into this file")
    parser.add_argument("--preload", action="append", default=[], metavar="PROGRAM")
    parser.add_argument("--log", help="of the one command")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="that the one command may take")
    parser.add_argument("command", nargs="*")
    wanted = parser.parse_args(arguments)
    if wanted.once is not None:
        _run_once(wanted.command, wanted.log, Path(wanted.once), wanted.seconds)
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for program in wanted.preload:
        _preload(program)
    gc.collect()
    gc.freeze()  # forked stages share these objects; a collection would touch, and so copy, every one of them
    if wanted.socket is not None:
        _prctl(_PR_SET_PDEATHSIG, 0)  # from here on the end of the socket says it, and descendants can be killed first
        os.set_inheritable(wanted.socket, False)
        connections = iter([socket.socket(fileno=wanted.socket)])
    else:
        connections = _accepted(wanted.listen)
    for connection in connections:
        program_of_fork = _Server(connection).serve()
        if program_of_fork is not None:
            connection.close()
            _run_program(program_of_fork)


class _Server:
    """Serves one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._running: dict[int, str] = {}
        _, self._inherited, _, _ = socket.recv_fds(connection, 1, 8)
        for handle in self._inherited:
            os.set_inheritable(handle, True)

    def serve(self) -> list[str] | None:
        """Serve until the other end is gone (None); in a forked stage, return the program and its arguments at once."""
        self._tell({"ready": True})
        buffered = b""
        while True:
            readable, _, _ = select.select([self._connection], [], [], 0.02 if self._running else None)
            if readable:
                received = b""
                with contextlib.suppress(ConnectionError):
                    received = self._connection.recv(65536)
                if not received:
                    break
                *lines, buffered = (buffered + received).split(b"\n")
                for request in map(json.loads, lines):
                    if "kill" in request:
                        self._kill(request["kill"])
                        continue
                    forked = self._start(request)
                    if forked is not None:
                        return forked
            self._reap()
        for child in self._running:
            _kill_group(child)
        _kill_descendants()
        for handle in self._inherited:
            os.close(handle)
        self._connection.close()
        return None

    def _start(self, request: dict[str, Any]) -> list[str] | None:
        server = os.getpid()
        child = os.fork()
        if child:
            self._running[child] = request["id"]
            return None
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)
        os.environ.update(request.get("environment", {}))
        if request["run"] != "fork":
            _execute(request["command"], request["log"])
        try:
            _redirect(request["log"])
        except OSError:  # nobody can be told more than the exit code
            os._exit(127)
        return list(request["command"])

    def _kill(self, name: str) -> None:
        for child in [child for child, running in self._running.items() if running == name]:
            _kill_group(child)

    def _reap(self) -> None:
        some = False
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                child, status = ended
                if child in self._running:
                    some = True
                    _kill_group(child)
                    self._tell({"id": self._running.pop(child), "exit_code": os.waitstatus_to_exitcode(status)})
        if some:  # an ended stage's orphans are our children now
            _kill(_descendants(leaving_out=self._running))

    def _tell(self, event: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):
            self._connection.sendall((json.dumps(event) + "\n").encode())


def _run_once(command: list[str], log: str, exit_file: Path, seconds: float) -> None:
    """Run a command and all that it starts to the end; told to terminate, kill them all and leave no exit code."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    runner = os.getpid()
    child = os.fork()
    if not child:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != runner:
            os._exit(1)
        _execute(command, log)

    def stop(*_: object) -> None:
        _kill_descendants()
        os._exit(1)

    signal.signal(signal.SIGTERM, stop)
    until = time.monotonic() + seconds
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > until:
            with Path(log).open("a", encoding="utf-8") as written:
                written.write(f"error: ended after {seconds:g} s, the plan's launch.time_limits\n")
            until = float("inf")
            _kill_group(child)
        time.sleep(0.02)
    _kill_descendants()
    aside = exit_file.with_name(f"{exit_file.name}.aside")
    aside.write_text(f"{os.waitstatus_to_exitcode(ended[1])}\n", encoding="utf-8")
    aside.replace(exit_file)


def _execute(command: list[str], log: str) -> NoReturn:
    """Become a command, in a forked process."""
    try:
        _redirect(log)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"error: {command[0]}: cannot be started: {error.strerror}\n".encode())
        os._exit(127)


def _accepted(path: str) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_UNIX)
    # Under its name only once it listens: who sees it may connect. A link, unlike a rename, takes nobody else's place.
    listener.bind(f"{path}~")
    listener.listen()
    os.link(f"{path}~", path)
    Path(f"{path}~").unlink()
    while True:
        yield listener.accept()[0]


def _preload(program: str) -> None:
    path = sys.path[:]
    try:
        sys.path.insert(0, str(Path(program).resolve().parent))
        runpy.run_path(program, run_name="__preload__")
        for module in _ALSO:
            if module.partition(".")[0] in sys.modules:
                __import__(module)
    except Exception as error:  # the stage itself will say it again, in its own log
        sys.stderr.write(f"{program}: not preloaded: {error!r}\n")
    finally:
        sys.path[:] = path


def _run_program(command: list[str]) -> NoReturn:
    """Run a program as ``python PROGRAM ...`` does, and end as it does, but for taking the interpreter apart.

    That would free, one by one, what the forked stage shares with its server: it costs half a second or more.
    """
    sys.argv = command
    sys.path.insert(0, str(Path(command[0]).resolve().parent))
    code: object = None
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 1
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((code or 0) & 0xFF)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nothing, 0)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.close(nothing)
    os.close(written)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill_descendants() -> None:
    """Kill all descendants until none is left. Who loses its parent becomes our child, so no child means nobody."""
    with contextlib.suppress(ChildProcessError):
        while True:
            _kill(_descendants())
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            select.select([], [], [], 0.005)


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def _descendants(leaving_out: Collection[int] = ()) -> set[int]:
    parents = _parents()
    descendants: set[int] = set()
    added = {child for child, parent in parents.items() if parent == os.getpid() and child not in leaving_out}
    while added:
        descendants |= added
        added = {child for child, parent in parents.items() if parent in descendants} - descendants
    return descendants


def _parents() -> dict[int, int]:
    """Return the parent of every process; empty where the system has no /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return parents


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
