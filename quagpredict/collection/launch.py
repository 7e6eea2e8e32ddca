"""How stages become processes: the command of each, and the client of the supervisor that starts them."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from quagpredict.collection.stages import Stage
from quagpredict.errors import StageError, UsageError
from quagpredict.plan import Plan
from quagpredict.shipped import shipped_path

# glibc gives every freed tensor of a few MiB back to the system and faults it in again a moment later; small models
# spend a tenth of their time on that. docs/performance.md has the figures.
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TOP_PAD_": str(2**28),
}
_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "RAYON")


class Ended(NamedTuple):
    """A stage's process that ended; a negative exit code is the signal that killed it."""

    id: str
    exit_code: int


def command_of(plan: Plan, stage: Stage, config: str | Path) -> list[str]:
    """Return the command line that runs a stage with the config file `config`.

    ``python PROGRAM --config F``, or ``accelerate launch --config_file A PROGRAM --config F`` where the plan names an
    accelerate config for that kind of stage. Both tools are those of the running Python.
    """
    own = [str(shipped_path(stage.program)), "--config", str(config)]
    accelerate = {"sft": plan.launch.accelerate.get("sft"), "grpo": plan.launch.accelerate.get("rl")}.get(stage.kind)
    if accelerate is None:
        return [sys.executable, *own]
    beside = Path(sys.executable).with_name("accelerate")
    tool = str(beside) if beside.exists() else shutil.which("accelerate") or "accelerate"
    return [tool, "launch", "--config_file", str(shipped_path(accelerate)), *own]


def environment_of(plan: Plan) -> dict[str, str]:
    """Return the environment of every stage: this one's, with the plan's threads and no hub where none is needed."""
    changes = {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    if plan.launch.threads is not None:
        names = [f"{library}_NUM_THREADS" for library in _THREADS] + ["POLARS_MAX_THREADS"]
        changes |= dict.fromkeys(names, str(plan.launch.threads))
    if plan.launch.mode == "fork":
        changes |= _KEEP_MEMORY
    if plan.offline:
        changes["HF_HUB_OFFLINE"] = "1"
    return {**os.environ, **changes}


class Launcher:
    """Starts programs through a supervisor process of its own, or through one that listens on a socket.

    Both ways to run a program keep one contract: it is given its command line, it writes to its log, it ends with an
    exit code, and nothing of it outlives this process or `close`.

    Parameters
    ----------
    environment : mapping
        The supervisor's, and so every program's.
    log : path
        What the supervisor itself says goes there.
    preload : iterable of str
        Programs whose imports are made once, for `start` with ``fork=True``.
    listening : path, optional
        Socket of a supervisor that was started with ``--listen``; its own environment and preloads hold.
    inherited : int, optional
        A file descriptor that every program is to hold open as long as it lives.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log: str | Path,
        preload: Iterable[str] = (),
        listening: str | Path | None = None,
        inherited: int | None = None,
    ) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._buffered = b""
        self._log = log
        if listening is not None:
            self._connection = socket.socket(socket.AF_UNIX)
            try:
                self._connection.connect(str(listening))
            except OSError as error:
                self._connection.close()
                raise UsageError(f"{listening}: no fork server listens there ({error.strerror})") from None
            self._hand_over(inherited)
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
        for program in preload:
            command += ["--preload", str(program)]
        with Path(log).open("ab") as written, other:
            self._process = subprocess.Popen(
                command,
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env=dict(environment),
                start_new_session=True,
            )
        self._hand_over(inherited)

    def start(self, name: str, command: list[str], log: str | Path, *, fork: bool) -> None:
        """Start a program, once the supervisor is ready; what it prints goes to `log`.

        Parameters
        ----------
        name : str
            Comes back in `Ended`.
        command : list of str
            The whole command line.
        log : path
            Appended to.
        fork : bool
            Run ``python PROGRAM ...`` in a fork of the supervisor instead of a new Python.
        """
        self.wait_until_ready()
        request = {"id": name, "command": command[1:] if fork else command, "log": str(log)}
        request["run"] = "fork" if fork else "exec"
        try:
            self._connection.sendall((json.dumps(request) + "\n").encode())
        except ConnectionError:
            raise self._lost() from None

    def ended(self, timeout: float) -> list[Ended]:
        """Wait up to `timeout` seconds for programs to end, and return those that did.

        Raises
        ------
        StageError
            If the supervisor is gone.
        """
        until = time.monotonic() + timeout
        while True:
            ended = [Ended(event["id"], event["exit_code"]) for event in self._events(until) if "id" in event]
            if ended or time.monotonic() >= until:
                return ended

    def wait_until_ready(self) -> None:
        """Wait until the supervisor has made its imports, so that a stage's seconds are its own.

        Raises
        ------
        StageError
            If the supervisor is gone.
        """
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
