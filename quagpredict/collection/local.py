"""The launchers of this machine: programs are started by a supervisor process, spawned or forked from it."""

import contextlib
import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from quagpredict.collection.gpus import Share, devices_of, startable, without_gpus_of_others
from quagpredict.collection.launch import Ended, Resources, Setting, add_line
from quagpredict.errors import LauncherError, UsageError


def spawned(setting: Setting) -> "LocalLauncher":
    """Return a launcher that runs each program in a new Python."""
    return LocalLauncher(setting, fork=False)


def forked(setting: Setting) -> "LocalLauncher":
    """Return a launcher that runs each program in a fork of one process that has made its imports."""
    return LocalLauncher(setting, fork=True)


class LocalLauncher:
    """Starts programs through a supervisor process of its own, or through one that listens on a socket.

    Both ways to run a program keep one contract, that of `quagpredict.collection.launch.Launcher`. Where this machine
    has GPUs, a program sees those that it asked for and no other, and waits until they are free; one that does not say
    how many gets one.

    Parameters
    ----------
    setting : Setting
        What the supervisor itself says goes to ``supervisor.log`` in its folder. The programs' imports are made once if
        they are forked. A server that listens has an environment and preloads of its own. Its option ``gpus`` is what
        `quagpredict.collection.gpus.devices_of` takes.
    fork : bool
        Run ``python PROGRAM ...`` in a fork of the supervisor instead of a new Python.
    """

    def __init__(self, setting: Setting, *, fork: bool) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._fork = fork
        self._ready = False
        self._buffered = b""
        self._log = setting.folder / "supervisor.log"
        self._devices = devices_of(setting.options, setting.environment)
        self._held: dict[str, Share] = {}
        self._waiting: dict[str, tuple[float, dict[str, Any]]] = {}  # GPUs that it asks for, and the request
        self._refused: list[Ended] = []
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

    def start(self, name: str, command: list[str], log: Path, resources: Resources) -> None:
        """Start a program as soon as its GPUs are free; threads and memory are what this machine has."""
        self.wait_until_ready()
        request: dict[str, Any] = {"id": name, "command": command[1:] if self._fork else command, "log": str(log)}
        request["run"] = "fork" if self._fork else "exec"
        if not self._devices:
            self._send(request)
            return
        gpus = 1 if resources.gpus is None else resources.gpus
        if gpus > len(self._devices):
            add_line(log, f"error: it asks for {gpus:g} GPUs, this machine has {len(self._devices)}")
            self._refused.append(Ended(name, 127))
            return
        self._waiting[name] = gpus, request
        self._start_waiting()

    def _start_waiting(self) -> None:
        wanted = {name: gpus for name, (gpus, _) in self._waiting.items()}
        for name, share in startable(self._devices, self._held.values(), wanted).items():
            self._held[name] = share
            self._send({**self._waiting.pop(name)[1], "environment": without_gpus_of_others(share)})

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self._connection.sendall((json.dumps(request) + "\n").encode())
        except ConnectionError:
            raise self._lost() from None

    def still_running(self) -> tuple[str, ...]:
        """Return nothing: the supervisor kills what it has started when its `collect` is gone."""
        return ()

    def waiting(self) -> Collection[str]:
        """Return the programs whose GPUs are not free yet; see `quagpredict.collection.launch.Launcher`."""
        return frozenset(self._waiting)

    def kill(self, name: str) -> None:
        """Kill a program and all that it started; see `quagpredict.collection.launch.Launcher`."""
        if self._waiting.pop(name, None) is not None:
            self._refused.append(Ended(name, -signal.SIGKILL))
            self._start_waiting()
            return
        with contextlib.suppress(ConnectionError):  # `ended` says that the supervisor is gone
            self._connection.sendall((json.dumps({"kill": name}) + "\n").encode())

    def ended(self, timeout: float) -> list[Ended]:
        """Return the programs that ended; see `quagpredict.collection.launch.Launcher`."""
        until = time.monotonic() + timeout
        ended, self._refused = self._refused, []
        while not ended:
            ended = [Ended(event["id"], event["exit_code"]) for event in self._events(until) if "id" in event]
            if time.monotonic() >= until:
                break
        for program in ended:
            self._held.pop(program.id, None)
        if ended:
            self._start_waiting()
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

    def _lost(self) -> LauncherError:
        return LauncherError(f"the process that starts the stages has ended; see {self._log}")
