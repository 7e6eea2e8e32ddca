"""The launcher that runs stages as tasks of a Ray cluster; Ray core only.

A task holds what its stage asks for, on whichever machine has it, and runs the stage's program as this machine's
launcher does: in a process of its own, under a supervisor that leaves nothing behind. Programs read and write the work
folder, so that every machine must see it under the same path. The ledger is written by `collect` alone.
"""

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from quagpredict.collection.launch import Ended, Resources, Setting, add_line
from quagpredict.collection.local import LocalLauncher
from quagpredict.engines.ray_cluster import join
from quagpredict.errors import LauncherError, QuagpredictError, RecipeError, one_line

_KILLED = -9
_STARTED = "started"
_PATIENCE = 60.0  # seconds in which tasks that were cancelled end their programs; then their workers are killed
_OWN = ("RAY_", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "HOSTNAME", "TMPDIR")


class _Task(NamedTuple):
    items: Any  # what the task says: that it has started, then the program's exit code
    log: Path
    group: Any  # its placement group, where it has one


class RayLauncher:
    """Starts programs as Ray tasks; the contract is that of `quagpredict.collection.launch.Launcher`.

    A program that is lost with its machine, or with the Ray worker that watches it, ends without an exit code. Whatever
    asks for several GPUs gets them, all on one machine, by a placement group, which reserves them at once.

    Parameters
    ----------
    setting : Setting
        Its option ``address`` is the cluster's, as `quagpredict.engines.ray_cluster.join` takes it. With the option
        ``fork`` each worker of Ray makes the programs' imports once, and its tasks are forks of that: for tiny models.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    UsageError
        If no cluster answers at the address.
    """

    def __init__(self, setting: Setting) -> None:
        if other := set(setting.options) - {"address", "fork"}:
            raise RecipeError(f"launch.options.ray: unknown key '{min(other)}'; known are address, fork")
        self._programs = setting.programs if setting.options.get("fork") else ()
        self._joined = contextlib.ExitStack()
        self._ray = join(setting.options.get("address"), self._joined)
        self._folder = setting.folder
        self._environment = {k: v for k, v in setting.environment.items() if not k.startswith(_OWN)}
        self._tasks: dict[str, _Task] = {}
        self._waiting: set[str] = set()
        self._ended: list[Ended] = []
        self._run = self._ray.remote(_run)

    def wait_until_ready(self) -> None:
        """Return at once: a worker's start is part of a task; see `quagpredict.collection.launch.Launcher`."""

    def start(self, name: str, command: list[str], log: Path, resources: Resources) -> None:
        """Give a program to the cluster; see `quagpredict.collection.launch.Launcher`."""
        with self._lost_cluster():
            gpus = resources.gpus
            if gpus is None:  # as on one machine with GPUs: a stage that does not say takes one
                gpus = min(1, int(self._ray.cluster_resources().get("GPU", 0)))
            memory = int((resources.memory_gib or 0) * 2**30)
            asked = {"CPU": resources.threads or 1} | ({"GPU": gpus} if gpus else {})
            asked |= {"memory": memory} if memory else {}
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            if not any(all(node.get(kind, 0) >= value for kind, value in asked.items()) for node in nodes):
                wanted = ", ".join(
                    f"{value:g} {'bytes' if kind == 'memory' else kind}" for kind, value in asked.items()
                )
                _add_line(log, f"note: no machine of the cluster has {wanted}: it waits until one joins")
            group = None
            options: dict[str, Any] = {"max_retries": 0, "num_returns": "streaming", "name": name}
            options |= {"num_cpus": asked["CPU"], "num_gpus": gpus, "memory": memory or None}
            if gpus > 1:
                group = self._ray.util.placement_group([asked], strategy="STRICT_PACK")
                strategies = self._ray.util.scheduling_strategies
                options["scheduling_strategy"] = strategies.PlacementGroupSchedulingStrategy(group)
            setting = Setting(self._environment, self._folder, self._programs)
            items = self._run.options(**options).remote(command, log, str(Path.cwd()), setting)
            self._tasks[name] = _Task(items, log, group)
            self._waiting.add(name)

    def still_running(self) -> tuple[str, ...]:
        """Return nothing: Ray ends the tasks of a `collect` that is gone."""
        return ()

    def waiting(self) -> Collection[str]:
        """Return the programs that no machine has room for yet; see `quagpredict.collection.launch.Launcher`."""
        return frozenset(self._waiting)

    def kill(self, name: str) -> None:
        """Kill a program and all that it started; see `quagpredict.collection.launch.Launcher`."""
        if name in self._tasks:
            with self._lost_cluster():
                self._ray.cancel(self._tasks[name].items)

    def ended(self, timeout: float) -> list[Ended]:
        """Return the programs that ended; see `quagpredict.collection.launch.Launcher`."""
        until = time.monotonic() + timeout
        with self._lost_cluster():
            while not self._ended:
                left = max(0.0, until - time.monotonic())
                if self._tasks:
                    self._listen(left)
                else:
                    time.sleep(left)
                if not left:
                    break
        ended, self._ended = self._ended, []
        return ended

    def _listen(self, timeout: float) -> None:
        by_items = {task.items: name for name, task in self._tasks.items()}
        ready, _ = self._ray.wait(list(by_items), num_returns=1, timeout=timeout)
        for items in ready:
            name = by_items[items]
            try:
                ending = self._ray.get(next(items))
            except self._ray.exceptions.TaskCancelledError:
                ending = _KILLED
            except self._ray.exceptions.OutOfMemoryError:
                _add_line(self._tasks[name].log, "error: Ray ended it because its machine had run out of memory")
                ending = _KILLED
            except self._ray.exceptions.RayTaskError as error:  # a fault of ours, which another try would meet again
                _add_line(self._tasks[name].log, f"error: {one_line(error.cause)}")
                ending = 1
            except (self._ray.exceptions.RayError, StopIteration) as error:
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                _add_line(self._tasks[name].log, f"note: {type(error).__name__}: {reason[:300]}")
                ending = None
            self._waiting.discard(name)
            if ending != _STARTED:
                self._ended.append(Ended(name, ending))
                if group := self._tasks.pop(name).group:
                    self._ray.util.remove_placement_group(group)

    def close(self) -> None:
        """Kill what still runs, and leave the cluster; see `quagpredict.collection.launch.Launcher`."""
        with contextlib.suppress(LauncherError):
            for force in (False, True):
                until = time.monotonic() + _PATIENCE
                for task in self._tasks.values():
                    with contextlib.suppress(ValueError, self._ray.exceptions.RayError):
                        self._ray.cancel(task.items, force=force)
                while self._tasks and time.monotonic() < until:
                    self.ended(timeout=0.5)
        self._joined.close()

    @contextlib.contextmanager
    def _lost_cluster(self) -> Iterator[None]:
        try:
            yield
        except (self._ray.exceptions.RaySystemError, self._ray.exceptions.RpcError, ConnectionError) as error:
            raise LauncherError(f"the Ray cluster is lost: {one_line(error)}") from None


# What forks the tasks of this Ray worker, by what it shows them of the machine: at most one.
_forks: dict[str, LocalLauncher] = {}


def _run(command: list[str], log: Path, folder: str, setting: Setting) -> Iterator[str | int]:
    """Run a program on the machine of a Ray task; yield that it has started, then its exit code.

    A task that is cancelled gets a KeyboardInterrupt; the program and all that it started are gone before it ends.
    """
    variables = {key: value for key, value in os.environ.items() if key.startswith(_OWN)}
    environment = {**setting.environment, "CUDA_VISIBLE_DEVICES": "", **variables}  # Ray sets it where it gives GPUs
    setting = setting._replace(environment=environment, options={"gpus": 0})
    yield _STARTED
    local: LocalLauncher | None = None
    ended: list[Ended] = []
    try:
        with contextlib.chdir(folder):
            local = _local(setting)
        local.start("stage", command, log, Resources(None, None))
        while not ended:
            ended = local.ended(timeout=0.1)  # short: an interrupt waits for the end of a system call
    except (OSError, QuagpredictError) as error:
        _add_line(log, f"error: it cannot be run on {os.uname().nodename}: {error}")
    finally:
        if local is not None and not (ended and setting.programs):  # what forks is kept for the next task
            _forks.clear()
            local.close()
    yield ended[0].exit_code if ended and ended[0].exit_code is not None else 127


def _local(setting: Setting) -> LocalLauncher:
    if not setting.programs:
        return LocalLauncher(setting, fork=False)
    shown = repr((setting.programs, sorted(setting.environment.items())))
    if shown not in _forks:
        while _forks:
            _forks.popitem()[1].close()
        _forks[shown] = LocalLauncher(setting, fork=True)
    return _forks[shown]


def _add_line(log: Path, line: str) -> None:
    with contextlib.suppress(OSError):
        add_line(log, line)
