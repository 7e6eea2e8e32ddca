"""A Ray cluster: joining it, and engines on its machines, which `quagpredict.engines.parallel` hands its blocks to."""

import contextlib
from collections.abc import Sequence
from typing import Any

from quagpredict.engines.worker import Message, Replica
from quagpredict.errors import UsageError, one_line
from quagpredict.optional import require


def join(address: str | None, leave: contextlib.ExitStack) -> Any:
    """Join a Ray cluster and return Ray; closing `leave` leaves it again, unless this process had joined one before.

    Parameters
    ----------
    address : str or None
        As `ray.init` takes it. None or ``"auto"``: the cluster that ``RAY_ADDRESS`` names, else one that runs on this
        machine; with None else one of our own, of this machine alone, which ends with this process.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    UsageError
        If no cluster answers.
    """
    ray: Any = require("ray")
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise UsageError(
                f"no Ray cluster can be joined at {address or 'the usual places'}: {one_line(error)}"
            ) from None
        leave.callback(ray.shutdown)
    return ray


class Actors:
    """Makes actors that all load the same engine, each with `gpus` GPUs if the cluster has any, and waits for them."""

    def __init__(self, address: str, task: tuple[str, str, dict[str, Any]], gpus: int) -> None:
        self.joined = contextlib.ExitStack()
        self._ray = join(address, self.joined)
        held = gpus if self._ray.cluster_resources().get("GPU") else 0
        # One that dies is made anew by whoever notices it, so that its block is drawn again.
        self._kind = self._ray.remote(Replica).options(num_cpus=1, num_gpus=held, max_restarts=0)
        self._task = task

    def actor(self) -> "Actor":
        """Start one; it says that it is ready as a process would."""
        return Actor(self._ray, self._kind.remote(), self._task)

    def wait(self, connections: Sequence[Any], timeout: float) -> list[Any]:
        """Return those that have something to say, after `timeout` seconds none; as `multiprocessing` does."""
        return list(self._ray.wait(list(connections), num_returns=1, timeout=timeout)[0])


class Actor:
    """One engine on the cluster, with the surface that a worker process has in `quagpredict.engines.parallel`."""

    def __init__(self, ray: Any, handle: Any, task: tuple[str, str, dict[str, Any]]) -> None:
        self._ray, self._handle = ray, handle
        self.version = ""
        self.connection: Any = handle.load.options(num_returns="streaming").remote(*task)  # None while it has no work

    def send(self, message: tuple[Any, Sequence[Any]]) -> None:
        """Give it a hand of work."""
        self.connection = self._handle.work.options(num_returns="streaming").remote(*message)

    def receive(self) -> Message:
        """Return the next that it has to say; ``("dead",)`` if its actor or its machine is gone."""
        try:
            message: Message = self._ray.get(next(self.connection))
        except (self._ray.exceptions.RayError, StopIteration):
            return ("dead",)
        if message[0] in ("ready", "done"):
            self.connection = None
        return message

    def ending(self) -> str:
        """Return how it ended, for a message."""
        return "its Ray actor lost"

    def kill(self) -> None:
        """End it, whatever it is at."""
        with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError):
            self._ray.kill(self._handle)
