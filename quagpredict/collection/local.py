"""The launchers of this machine: programs are started by a supervisor process, spawned or forked from it."""

import contextlib
import json
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from quagpredict.collection.launch import Ended, Resources, Setting
from quagpredict.errors import StageError, UsageError


def spawned(setting: Setting) -> "LocalLauncher":
    """Return a launcher that runs each program in a new Python."""
    return LocalLauncher(setting, fork=False)


def forked(setting: Setting) -> "LocalLauncher":
    """Return a launcher that runs each program in a fork of one process that has made its imports."""
    return LocalLauncher(setting, fork=True)


class LocalLauncher:
    """Starts programs through a supervisor process of its own, or through one that listens on a socket.

    Both ways to run a program keep one contract, that of `quagpredict.collection.launch.Launcher`.

    Parameters
    ----------
    setting : Setting
        What the supervisor itself says goes to ``supervisor.log`` in its folder. The programs' imports are made once if
        they are forked. A server that listens has an environment and preloads of its own.
    fork : bool
        Run ``python PROGRAM ...`` in a fork of the supervisor instead of a new Python.
    """

    def __init__(self, setting: Setting, *, fork: bool) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._fork = fork
        self._ready = False
        self._buffered = b""
        self._log = setting.folder / "supervisor.log"
        if setting.server is not None:
            self._connection = socket.socket(socket.AF_UNIX)
            try:
                self._connection.connect(str(setting.server))
            except OSError as error:
                self._connection.close()
                raise UsageError(f"{setting.server}: no fork server listens there ({error.strerror})") from None
            self._hand_over(setting.inherited)
            return
        self._connection, other = socket.socketpair()
        command = [
            sys.executable,
            "-u",
            "-P",
            "-m",
            "quagpredict.collection.supervisor",
            "--socket",
            str(other.fileno()),
        ]
        for program in setting.programs if fork else ():
            command += ["--preload", program]
        with self._log.open("ab") as written, other:
            self._process = subprocess.Popen(
                command,
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env=dict(setting.environment),
                start_new_session=True,
            )
        self._hand_over(setting.inherited)

    def start(self, name: str, command: list[str], log: Path, resources: Resources) -> None:  # noqa: ARG002
        """Start a program; this machine has what it has, whatever the stage asks for."""
        self.wait_until_ready()
        request = {"id": name, "command": command[1:] if self._fork else command, "log": str(log)}
        request["run"] = "fork" if self._fork else "exec"
        try:
            self._connection.sendall((json.dumps(request) + "\n").encode())
        except ConnectionError:
            raise self._lost() from None

    def still_running(self) -> tuple[str, ...]:
        """Return nothing: the supervisor kills what it has started when its `collect` is gone."""
        return ()

    def kill(self, name: str) -> None:
        """Kill a program and all that it started; see `quagpredict.collection.launch.Launcher`."""
        with contextlib.suppress(ConnectionError):  # `ended` says that the supervisor is gone
            self._connection.sendall((json.dumps({"kill": name}) + "\n").encode())

    def ended(self, timeout: float) -> list[Ended]:
        """Return the programs that ended; see `quagpredict.collection.launch.Launcher`."""
        until = time.monotonic() + timeout
        while True:
            ended = [Ended(event["id"], event["exit_code"]) for event in self._events(until) if "id" in event]
            if ended or time.monotonic() >= until:
                return ended

    def wait_until_ready(self) -> None:
        """Wait until the supervisor has made its imports; see `quagpredict.collection.launch.Launcher`."""
        while not self._ready:
            self._events(time.monotonic() + 1)

    def _events(self, until: float) -> list[dict[str, Any]]:
        readable, _, _ = select.select([self._connection], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            return []
        try:
            received = self._connection.recv(65536)
        except ConnectionError:
            received = b""
        if not received:
            raise self._lost()
        *lines, self._buffered = (self._buffered + received).split(b"\n")
        self._ready = self._ready or bool(lines)  # the first event says just that
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Kill what still runs and end the supervisor."""
        self._connection.close()
        if self._process is not None:
            if not self._ready:  # it still imports, and has started nothing
                self._process.kill()
            self._process.wait()

    def _hand_over(self, inherited: int | None) -> None:
        socket.send_fds(self._connection, [b"\n"], [] if inherited is None else [inherited])

    def _lost(self) -> StageError:
        return StageError(f"the process that starts the stages has ended; see {self._log}")
