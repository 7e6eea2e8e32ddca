"""How stages become processes: the command of each, what it asks for, and the contract of what starts it.

A new launcher, as of a cluster's queue, is its file and its line in `quagpredict.plans.parts.LAUNCHERS`.
"""

import json
import os
import shutil
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from quagpredict.collection.holders import one_at_a_time
from quagpredict.collection.stages import ROLE_OF, Stage
from quagpredict.files import file_digest, write_json
from quagpredict.plans.parts import LAUNCHERS
from quagpredict.plans.plan import Plan
from quagpredict.plans.reading import read_yaml
from quagpredict.shipped import shipped_path

# glibc gives every freed tensor of a few MiB back to the system and faults it in again a moment later; small models
# spend a tenth of their time on that. docs/performance.md has the figures.
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TOP_PAD_": str(2**28),
}
# Launchers whose programs wait in a queue, and outlive the `collect` that put them there.
QUEUES = ("slurm",)
_PATIENCE_S = 10.0  # with a collector that was stopped while it wrote its programs down
_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "RAYON")


class Ended(NamedTuple):
    """A stage's process that ended.

    A negative exit code is the signal that killed it. Without one its machine was lost: that is no fault of the stage,
    which is started again.
    """

    id: str
    exit_code: int | None


class Resources(NamedTuple):
    """What a stage asks for; None where the plan does not say: what the machine has.

    Attributes
    ----------
    threads : int or None
        Threads of the processor.
    gpus : float or None
        GPUs, all on one machine; below 1 a part of one, that it shares with others.
    memory_gib : float or None
        Memory of the machine, in GiB.
    seconds : float or None
        The time that it may take; `collect` ends what takes longer, and a queue may want to know it beforehand.
    """

    threads: int | None
    gpus: float | None
    memory_gib: float | None = None
    seconds: float | None = None


class Setting(NamedTuple):
    """What every launcher is made with.

    Attributes
    ----------
    environment : mapping
        That of every program.
    folder : path
        Where the launcher writes what it has to say itself.
    programs : tuple of str
        Paths of the programs that will be started; a launcher may load them beforehand.
    server : path or None
        Socket of a launcher that runs already, where the user named one.
    inherited : int or None
        A file descriptor that every program on this machine is to hold open as long as it lives.
    options : mapping
        The launcher's own, from ``launch.options`` of the plan.
    """

    environment: Mapping[str, str]
    folder: Path
    programs: tuple[str, ...] = ()
    server: Path | None = None
    inherited: int | None = None
    options: Mapping[str, Any] = MappingProxyType({})


class Launcher(Protocol):
    """Starts the programs of stages somewhere, and reports how they ended.

    A program is given its command line, writes to its log, and ends with an exit code. Nothing of it outlives `close`,
    nor the process that made the launcher. Where the work folder is shared, the program may run on another machine.
    """

    def wait_until_ready(self) -> None:
        """Wait until a program that is started would run at once, so that a stage's seconds are its own.

        Raises
        ------
        LauncherError
            If the launcher is lost.
        """
        ...

    def start(self, name: str, command: list[str], log: Path, resources: Resources) -> None:
        """Start a program and return; a program that cannot be started ends with exit code 127 and a line in its log.

        Parameters
        ----------
        name : str
            Comes back in `Ended`.
        command : list of str
            The whole command line.
        log : path
            What the program prints is appended to it.
        resources : Resources
            What the program asks for.

        Raises
        ------
        LauncherError
            If the launcher is lost.
        """
        ...

    def still_running(self) -> Collection[str]:
        """Return the names of programs that an earlier launcher in this work folder has started and that still run.

        There are such only where programs outlive the process that had them started, as in a queue.
        """
        ...

    def waiting(self) -> Collection[str]:
        """Return the programs that were started and wait for room to run in: their time does not count yet."""
        ...

    def kill(self, name: str) -> None:
        """Kill a program that was started and all that it started; that it ended is told by `ended`, as of any other.

        One that is not known or has ended already is passed over.
        """
        ...

    def ended(self, timeout: float) -> list[Ended]:
        """Wait up to `timeout` seconds for programs to end, and return those that did, each once.

        Raises
        ------
        LauncherError
            If the launcher is lost: nobody will say what became of its programs, and they are started again.
        """
        ...

    def close(self) -> None:
        """Kill what still runs, and end."""
        ...


def add_line(log: Path, line: str) -> None:
    """Write a line of ours at the end of a program's log."""
    with log.open("a", encoding="utf-8") as written:
        written.write(f"{line}\n")


def command_of(plan: Plan, stage: Stage, config: str | Path) -> list[str]:
    """Return the command line that runs a stage with the config file `config`.

    ``python PROGRAM --config F``, or ``accelerate launch --config_file A PROGRAM --config F`` where the plan names an
    accelerate config for that kind of stage. Both tools are those of the running Python.
    """
    program = [str(shipped_path(stage.program)), "--config", str(config)]
    accelerate = _accelerate(plan, stage)
    if accelerate is None:
        return [sys.executable, *program]
    beside = Path(sys.executable).with_name("accelerate")
    tool = str(beside) if beside.exists() else shutil.which("accelerate") or "accelerate"
    return [tool, "launch", "--config_file", str(shipped_path(accelerate)), *program]


def _accelerate(plan: Plan, stage: Stage) -> str | None:
    return plan.launch.accelerate.get({"sft": "sft", "grpo": "rl"}.get(stage.kind, ""))


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


def resources_of(plan: Plan, stage: Stage) -> Resources:
    """Return what a stage asks of the machine that runs it, as far as the plan says.

    The GPUs of a training are the processes of its accelerate file, those of an evaluation its workers, each with as
    many as the engine splits a model over; what ``launch.resources`` says of the program goes first.
    """
    accelerate = _accelerate(plan, stage)
    gpus = None
    if accelerate is not None:
        given = read_yaml(shipped_path(accelerate))
        gpus = 0 if given.get("use_cpu") else int(given.get("num_processes") or 1)
    elif stage.kind.startswith("evaluate") and plan.evaluation.workers is not None:
        gpus = plan.evaluation.workers * int(plan.evaluation.engine_settings.get("tensor_parallel_size", 1))
    role = ROLE_OF[stage.kind]
    asked = plan.launch.resources.get(role, {})
    return Resources(
        int(asked["threads"]) if "threads" in asked else plan.launch.threads,
        asked.get("gpus", gpus),
        asked.get("memory_gib"),
        plan.launch.time_limits.get(role),
    )


def launcher_of(mode: str, setting: Setting) -> Launcher:
    """Return a launcher by the name that a plan gives it; the table is `quagpredict.plans.parts.LAUNCHERS`."""
    module, _, name = LAUNCHERS[mode].partition(":")
    made: Launcher = getattr(import_module(module), name)(setting)
    return made


class Programs:
    """What ``programs.json`` of a work folder holds: for each program, what it was from which stage on.

    Parameters
    ----------
    work : path
        The work folder.
    """

    def __init__(self, work: Path) -> None:
        self._file = work / "programs.json"
        self._lock = work / "collectors" / "programs.lock"
        self._known = _read(self._file)

    def changed(self, stage: Stage) -> str | None:
        """Write down what a stage's program is when the stage is started; return a note if it is not what it was."""
        path = shipped_path(stage.program)
        now = file_digest(path)
        if self._is_last(stage.program, now):
            return None
        with one_at_a_time(self._lock, _PATIENCE_S):
            self._known = _read(self._file)  # another collector may have written it down, or another program
            if self._is_last(stage.program, now):
                return None
            before = self._known.setdefault(stage.program, [])
            since = datetime.now(UTC).isoformat(timespec="seconds")
            before.append({"sha256": now, "from_stage": stage.id, "since": since})
            write_json(self._file, self._known)
        if len(before) == 1:
            return None
        return (
            f"note: {stage.program} has changed since this collection began: from {stage.id} on, stages are made by "
            f"another program than before; nothing is done again ({self._file} has both)"
        )

    def _is_last(self, program: str, digest: str) -> bool:
        attempts = self._known.get(program, [])
        return bool(attempts) and attempts[-1]["sha256"] == digest


def _read(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(program): [{"sha256": str(entry["sha256"]), **entry} for entry in entries]
            for program, entries in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # none yet, or damaged: it is a note, and begins anew
