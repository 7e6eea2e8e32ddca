"""The launcher of a SLURM cluster: the stages that are ready together become one array job.

Plain ``sbatch``, ``squeue`` and ``scancel``: `docs/decisions/027-slurm.md` says why. The work folder is on a file
system that the nodes share. A stage's exit code comes by a file; the queue is asked what became of stages without one.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from quagpredict.collection.launch import Ended, Resources, Setting, add_line
from quagpredict.errors import LauncherError, UsageError
from quagpredict.files import write_json

_SCRIPT = Path(__file__).with_name("slurm_stage.sh")
_OURS = ("array", "export", "job-name", "open-mode", "output", "parsable", "requeue", "signal", "wrap")
_LARGEST_WAVE = 500  # the default MaxArraySize is 1001
_WAVE_FILE = "wave.json"
# States that end: whatever else SLURM says, the task may still run or run again.
_OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT", "REVOKED"),
}
# Shared folders show a new file after up to a minute (NFS keeps the names of a folder so long).
_PATIENCE_SECONDS = 60.0
_CLOSING_SECONDS = 60.0
_BEFORE_THE_LIMIT_SECONDS = 60
_UNSEEN = 255  # stands for an exit code that nobody has seen
_UNKNOWN = "unknown to the queue"
_NODE_LOST = {"BOOT_FAIL", "NODE_FAIL", _UNKNOWN}
# What sbatch says when it may take a job later: the controller is away, or a limit on how many jobs one may have.
_PASSING = ("Unable to contact", "timed out", "temporarily", "Limit")


@dataclass
class _Task:
    """A program that was handed to SLURM: the task `number` of the wave in `folder`."""

    name: str
    log: Path
    folder: Path
    number: int
    job: str
    over_since: float | None = None
    killed: bool = False

    @property
    def exit_file(self) -> Path:
        """Where its exit code is written when it ends."""
        return self.folder / f"{self.number}.exit"


class SlurmLauncher:
    """Starts programs as tasks of array jobs; see `quagpredict.collection.launch.Launcher`.

    The jobs outlive a launcher that was killed: the next one in the same folder knows them (`still_running`).

    Parameters
    ----------
    setting : Setting
        ``options``: any long option of ``sbatch`` (``partition: gpu``, ``time: "12:00:00"``, ``exclusive: true``), and
        ``poll_seconds`` (10), how often the queue is asked.

    Raises
    ------
    UsageError
        If there is no ``sbatch`` here, or an option is the launcher's own.
    """

    def __init__(self, setting: Setting) -> None:
        if shutil.which("sbatch") is None:
            raise UsageError("launcher slurm: 'sbatch' is not on the PATH; run this on a machine that submits jobs")
        options = dict(setting.options)
        self._poll_seconds = float(options.pop("poll_seconds", 10.0))
        if taken := sorted(set(options) & set(_OURS)):
            raise UsageError(f"launcher slurm: launch.options.slurm.{taken[0]} is set by quagpredict; leave it out")
        self._options = [f"--{key}" if value is True else f"--{key}={value}" for key, value in options.items()]
        # What belongs to the job that this process may be in itself is not for the jobs that it submits.
        kept = (key for key in setting.environment if key == "SLURM_CONF" or not key.startswith("SLURM_"))
        self._environment = {key: setting.environment[key] for key in kept}
        self._folder = setting.folder / "slurm"
        self._name = f"quagpredict-{uuid.uuid4().hex[:8]}"
        self._waiting: list[tuple[str, list[str], Path, Resources]] = []
        self._running: dict[str, _Task] = {}
        self._ended: list[Ended] = []
        self._waves = 0
        self._asked = 0.0
        self._refused: float | None = None
        self._earlier: tuple[float, frozenset[str]] | None = None

    def wait_until_ready(self) -> None:
        """Wait until the controller answers; see `quagpredict.collection.launch.Launcher`."""
        self._call("sinfo", "--noheader")

    def start(self, name: str, command: list[str], log: Path, resources: Resources) -> None:
        """Start a program; it is submitted together with others by the next call of `ended`."""
        self._waiting.append((name, command, log, resources))

    def waiting(self) -> Collection[str]:
        """Return nothing: how long a stage may take is kept by SLURM, which counts from its start."""
        return ()

    def still_running(self) -> Collection[str]:
        """Return the names of programs of earlier launchers in this folder that are still in the queue."""
        if self._earlier is None or time.monotonic() - self._earlier[0] > self._poll_seconds:
            self._earlier = time.monotonic(), self._find_earlier()
        return self._earlier[1]

    def kill(self, name: str) -> None:
        """Kill a program; see `quagpredict.collection.launch.Launcher`."""
        if any(waiting[0] == name for waiting in self._waiting):
            self._waiting = [waiting for waiting in self._waiting if waiting[0] != name]
            self._ended.append(Ended(name, -9))
        elif (task := self._running.get(name)) is not None:
            task.killed = True
            self._cancel(task)

    def ended(self, timeout: float) -> list[Ended]:
        """Return the programs that ended; see `quagpredict.collection.launch.Launcher`."""
        self._submit()
        until = time.monotonic() + timeout
        while True:
            self._read_exits()
            if not self._ended and time.monotonic() - self._asked >= (
                0.5 if any(task.killed for task in self._running.values()) else self._poll_seconds
            ):
                self._ask_queue()
            if self._ended or time.monotonic() >= until:
                ended, self._ended = self._ended, []
                return ended
            time.sleep(min(0.1, max(0.0, until - time.monotonic())))

    def close(self) -> None:
        """Cancel what still runs, and wait until it is gone."""
        self._waiting.clear()
        waves = sorted({task.folder.name for task in self._running.values()})
        self._running.clear()
        if not waves:
            return
        with contextlib.suppress(LauncherError):  # a controller that is away: the jobs go on, and are known
            self._call("scancel", f"--name={','.join(waves)}")
            until = time.monotonic() + _CLOSING_SECONDS
            while time.monotonic() < until and any(state not in _OVER for state in self._states(waves).values()):
                time.sleep(0.1)

    def _cancel(self, task: _Task) -> None:
        self._asked = 0.0
        with contextlib.suppress(LauncherError):  # it is tried again when the queue is asked
            self._call("scancel", f"{task.job}_{task.number}")

    def _submit(self) -> None:
        """Submit what waits; what SLURM does not take now stays, as long as it may yet be taken.

        Raises
        ------
        LauncherError
            If SLURM refuses and nothing of ours runs that could make a difference.
        """
        if self._refused is not None and time.monotonic() - self._refused < self._poll_seconds:
            return
        self._refused = None
        while self._waiting:
            alike = [waiting for waiting in self._waiting if waiting[3] == self._waiting[0][3]][:_LARGEST_WAVE]
            try:
                self._submit_wave(alike, alike[0][3])
            except LauncherError as error:
                if not self._running and not any(words in str(error) for words in _PASSING):
                    raise
                self._refused = time.monotonic()
                return
            self._waiting = [waiting for waiting in self._waiting if waiting not in alike]

    def _submit_wave(self, asking: Sequence[tuple[str, list[str], Path, Resources]], resources: Resources) -> None:
        folder = self._folder / f"{self._name}-{self._waves}"
        self._waves += 1
        folder.mkdir(parents=True)
        for number, (_, command, log, _) in enumerate(asking):
            runner = [sys.executable, "-P", "-m", "quagpredict.collection.supervisor"]
            runner += ["--once", str(folder / f"{number}.exit"), "--log", str(log)]
            runner += [] if resources.seconds is None else ["--seconds", str(resources.seconds)]
            (folder / f"{number}.words").write_bytes(b"".join(f"{w}\0".encode() for w in [*runner, "--", *command]))
        write_json(folder / _WAVE_FILE, [name for name, *_ in asking])
        try:
            job = self._call(
                "sbatch",
                "--parsable",
                "--requeue",
                "--export=ALL",
                "--open-mode=append",
                f"--signal=B:USR1@{_BEFORE_THE_LIMIT_SECONDS}",
                f"--job-name={folder.name}",
                f"--array=0-{len(asking) - 1}",
                f"--output={folder}/%a.out",
                *_asked_for(resources, self._options),
                *self._options,
                str(_SCRIPT),
                str(folder),
            )
        except LauncherError:  # should the job be there all the same, it finds nothing to do
            shutil.rmtree(folder)
            raise
        for number, (name, _, log, _) in enumerate(asking):
            self._running[name] = _Task(name, log, folder, number, job.strip().partition(";")[0])

    def _read_exits(self) -> None:
        there = {path for folder in {task.folder for task in self._running.values()} for path in folder.glob("*.exit")}
        for task in list(self._running.values()):
            if task.exit_file in there:
                self._end(task, json.loads(task.exit_file.read_text()))

    def _ask_queue(self) -> None:
        """Find the tasks that are over and have left no exit code: killed, or the node was lost with all on it."""
        self._asked = now = time.monotonic()
        if not self._running:
            return
        try:
            states = self._states(sorted({task.folder.name for task in self._running.values()}))
        except LauncherError:  # a controller that restarts; the tasks go on, and their exit codes come by files
            return
        for task in list(self._running.values()):
            state = states.get(f"{task.folder.name}_{task.number}", _UNKNOWN)
            if state not in _OVER and state != _UNKNOWN:
                task.over_since = None
                if task.killed:
                    self._cancel(task)
                continue
            task.over_since = task.over_since or now
            if task.exit_file.exists():
                self._end(task, json.loads(task.exit_file.read_text()))
            elif task.killed or now - task.over_since >= _PATIENCE_SECONDS:
                if not task.killed:
                    job = f"SLURM job {task.job}_{task.number}"
                    add_line(task.log, f"error: {job} left no exit code; its state: {state}")
                lost = None if state in _NODE_LOST else _UNSEEN
                self._end(task, -9 if task.killed else lost)

    def _end(self, task: _Task, code: int | None) -> None:
        del self._running[task.name]
        self._ended.append(Ended(task.name, code))

    def _find_earlier(self) -> frozenset[str]:
        names: dict[str, str] = {}
        for file in self._folder.glob(f"*/{_WAVE_FILE}"):
            if not file.parent.name.startswith(self._name):
                for number, name in enumerate(json.loads(file.read_text(encoding="utf-8"))):
                    if not (file.parent / f"{number}.exit").exists():
                        names[f"{file.parent.name}_{number}"] = name
        if not names:
            return frozenset()
        states = self._states(sorted({key.rpartition("_")[0] for key in names}))
        return frozenset(name for key, name in names.items() if states.get(key, "COMPLETED") not in _OVER)

    def _states(self, waves: Sequence[str]) -> dict[str, str]:
        """Return the state of each task of these waves, ``WAVE_NUMBER``, that the queue still knows."""
        listing = self._call(
            "squeue", "--noheader", "--array", "--states=all", f"--name={','.join(waves)}", "--format=%j_%K|%T"
        )
        return dict(line.split("|", 1) for line in listing.splitlines() if "|" in line)

    def _call(self, *command: str) -> str:
        try:
            ran = subprocess.run(
                command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
            )
        except subprocess.TimeoutExpired:
            raise LauncherError(f"launcher slurm: {command[0]} did not answer in 120 s") from None
        if ran.returncode:
            why = " ".join(ran.stderr.split()) or f"exit code {ran.returncode}"
            raise LauncherError(f"launcher slurm: {command[0]}: {why}")
        return ran.stdout


def _asked_for(resources: Resources, options: Sequence[str]) -> list[str]:
    """Return what a stage asks for in the words of sbatch; what the user's own options say is left to them."""
    asked = ["--nodes=1", "--ntasks=1"]
    if resources.threads is not None:
        asked.append(f"--cpus-per-task={resources.threads}")
    if resources.gpus:
        asked.append(f"--gpus-per-node={resources.gpus}")
    if resources.memory_gib is not None:
        asked.append(f"--mem={round(resources.memory_gib * 1024)}M")
    given = {option.partition("=")[0] for option in options}
    return [option for option in asked if option.partition("=")[0] not in given]
