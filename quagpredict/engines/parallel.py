"""Several engines side by side, over one queue of blocks of samples: a process or an actor for each GPU or group.

The processes share nothing, so any engine will do, and one that dies costs the block it was at. Work is handed out in
hands that shrink: each is a share of what is left, the longest expected blocks first, so that all end at about the same
time and an engine that batches by itself has plenty to batch.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from quagpredict.engines.contract import Request, Response, Sampling
from quagpredict.engines.ray_cluster import Actor, Actors
from quagpredict.engines.tokens import Tokens, closed
from quagpredict.errors import QuagpredictError, UsageError

_BLOCK = 32  # samples of one problem that are drawn by one worker
MAX_WORKER_RESTARTS = 3  # in a row, with nothing delivered between them
_SILENCE = 7200.0  # seconds without a word from any worker after which they are taken for dead

_Item = TypeVar("_Item")


class ParallelEngine(Tokens):
    """The named engine in several processes.

    A sample depends on its seed and not on who draws it, so that the responses are those of one engine, up to rounding.

    Parameters
    ----------
    engine : {"transformers", "vllm"}
        What each worker loads.
    checkpoint : path
        Folder with ``config.json``, weights and tokenizer.
    workers : int
        Processes. Where there are GPUs each is given its own (as many as ``tensor_parallel_size`` in `settings`).
    settings : mapping
        Of the engine.
    ray : str, optional
        The workers are actors of the Ray cluster at this address instead of processes of this machine; all its machines
        see the checkpoint under the same path.

    Raises
    ------
    CheckpointError
        If a worker cannot load the checkpoint.
    UsageError
        If there are fewer GPUs than the workers need.
    QuagpredictError
        If workers die again and again.
    """

    def __init__(
        self,
        engine: str,
        checkpoint: str | Path,
        *,
        workers: int,
        settings: Mapping[str, Any],
        ray: str | None = None,
    ) -> None:
        super().__init__(checkpoint)
        if settings.get("max_model_len") is not None:
            self.context = settings["max_model_len"]
        self.name = engine
        task = (engine, str(Path(checkpoint).absolute()), dict(settings))
        gpus = settings.get("tensor_parallel_size", 1)
        self._cluster = None if ray is None else Actors(ray, task, gpus)
        devices = [None] * workers if ray is not None else device_groups(workers, gpus)
        self._make: Callable[[int], _Worker | Actor] = lambda index: (
            self._cluster.actor() if self._cluster else _Worker(task, devices[index], workers)
        )
        self._workers: list[_Worker | Actor | None] = [None] * workers
        self._restarts = 0
        self.version = ""
        try:
            self._start_missing()
            while not all(worker is not None and worker.version for worker in self._workers):
                for _ in self._heard():
                    pass
                self._start_missing()
        except BaseException:
            self.close()
            raise
        self.version = next(worker.version for worker in self._workers if worker is not None)

    def close(self) -> None:
        """End the workers; see `quagpredict.engines.contract.Engine`."""
        for worker in self._workers:
            if worker is not None:
                worker.kill()
        self._workers = []
        if self._cluster is not None:
            self._cluster.joined.close()

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[tuple[int, list[Response]]]:
        """Draw the samples of all requests; see `quagpredict.engines.contract.Engine`."""
        self.check_context(max((len(request.prompt) for request in requests), default=0) + sampling.max_new_tokens)
        drawn = [0] * len(requests)
        tokens = [0] * len(requests)

        def expected(block: _Block) -> float:
            # A problem that nothing is known of may be the longest of all: one block of each comes first.
            count = drawn[block.position]
            mean = tokens[block.position] / count if count else sampling.max_new_tokens
            return mean * block.request.samples

        waiting = list(_blocks(requests))
        by_block: dict[int, dict[int, list[Response]]] = {}
        for block, responses in self._spread(waiting, expected, lambda block: block.request, sampling):
            drawn[block.position] += len(responses)
            tokens[block.position] += sum(response.length for response in responses)
            by_block.setdefault(block.position, {})[block.request.first] = responses
            if drawn[block.position] == requests[block.position].samples:
                parts = by_block.pop(block.position)
                yield block.position, [response for first in sorted(parts) for response in parts[first]]

    def completion_log_probs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[NDArray[np.float64]]:
        """Score given completions; see `quagpredict.engines.contract.Engine`."""
        scored: list[NDArray[np.float64]] = [np.empty(0)] * len(pairs)

        def size(index: int) -> float:
            return len(pairs[index][0]) + len(pairs[index][1])

        for index, scores in self._spread(list(range(len(pairs))), size, lambda index: pairs[index], None):
            scored[index] = scores
        return scored

    def _spread(
        self,
        waiting: list[_Item],
        cost: Callable[[_Item], float],
        task: Callable[[_Item], Any],
        sampling: Sampling | None,
    ) -> Iterator[tuple[_Item, Any]]:
        """Yield (item, result) of every waiting item, in the order in which they come back."""
        hands: dict[int, dict[int, _Item]] = {}  # worker -> position in its hand -> item it still owes
        try:
            while waiting or hands:
                self._start_missing()
                for index, worker in enumerate(self._workers):
                    if waiting and index not in hands and worker is not None and worker.version:
                        hand = _hand(waiting, cost, 2 * len(self._workers))
                        hands[index] = dict(enumerate(hand))
                        worker.send((sampling, [task(item) for item in hand]))
                for index, message in self._heard():
                    if message[0] == "result":
                        self._restarts = 0
                        yield hands[index].pop(message[1]), message[2]
                    elif message[0] in ("done", "dead"):
                        waiting += hands.pop(index, {}).values()
        finally:
            for index in hands:  # not all was wanted, or something failed: what they are at is of no use to anyone
                self._lose(index)

    def _start_missing(self) -> None:
        if not self._workers:
            raise closed()
        for index, worker in enumerate(self._workers):
            if worker is None:
                self._workers[index] = self._make(index)

    def _heard(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Wait for the workers; yield (worker, what it said), ("dead",) for one that ended.

        Raises
        ------
        QuagpredictError
            What a worker could not do, or that workers die again and again.
        """
        by_connection: dict[Any, int] = {
            worker.connection: index
            for index, worker in enumerate(self._workers)
            if worker is not None and worker.connection is not None
        }
        listen = wait if self._cluster is None else self._cluster.wait
        ready = listen(list(by_connection), timeout=_SILENCE)
        if not ready:  # none has said anything: they hang, and so do their GPUs
            for index, worker in enumerate(self._workers):
                if worker is not None:
                    self._bury(index, worker)
                    yield index, ("dead",)
        for connection in ready:
            index = by_connection[connection]
            worker = self._workers[index]
            if worker is None:
                continue
            message = worker.receive()
            if message[0] == "ready":
                worker.version = message[1]
            elif message[0] == "error":
                raise message[1]
            else:
                if message[0] == "dead":
                    self._bury(index, worker)
                yield index, message

    def _bury(self, index: int, worker: "_Worker | Actor") -> None:
        self._lose(index)
        self._restarts += 1
        if self._restarts >= MAX_WORKER_RESTARTS:
            raise QuagpredictError(
                f"{self._restarts} workers of the engine '{self.name}' ended or hung, one after the other, with "
                f"nothing drawn (the last with {worker.ending()}): see what they said above; memory is the usual cause"
            )

    def _lose(self, index: int) -> None:
        worker = self._workers[index] if self._workers else None
        if worker is not None:
            worker.kill()
            self._workers[index] = None


class _Block(NamedTuple):
    """Some samples of the request at `position`."""

    position: int
    request: Request


class _Worker:
    """One process; `version` is that of its engine, empty until it is ready."""

    def __init__(self, task: tuple[str, str, dict[str, Any]], devices: str | None, workers: int) -> None:
        self.connection, other = Pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        if devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = devices
        else:  # on a CPU they share its cores
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
        with contextlib.closing(other):
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "quagpredict.engines.worker", str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self.version = ""
        self.send(task)

    def send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # it died: receiving will tell
            self.connection.send(message)

    def receive(self) -> tuple[Any, ...]:
        try:
            message: tuple[Any, ...] = self.connection.recv()
        except (EOFError, OSError):
            return ("dead",)
        return message

    def ending(self) -> str:
        return f"exit status {self.process.returncode}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


def _blocks(requests: Sequence[Request]) -> Iterator[_Block]:
    """Yield the requests in blocks, the first block of each before the second of any."""
    rounds = max((-(-request.samples // _BLOCK) for request in requests), default=0)
    for start in range(0, rounds * _BLOCK, _BLOCK):
        for position, request in enumerate(requests):
            if start < request.samples:
                count = min(_BLOCK, request.samples - start)
                yield _Block(position, request._replace(first=request.first + start, samples=count))


def _hand(waiting: list[_Item], cost: Callable[[_Item], float], shares: int) -> list[_Item]:
    """Take the longest of the waiting items, at least one, until they make up one of so many shares of all."""
    waiting.sort(key=cost, reverse=True)  # stable: among equals the order of the blocks stays
    left = sum(map(cost, waiting)) / shares
    count = 0
    while count < len(waiting) and (count == 0 or left > 0):
        left -= cost(waiting[count])
        count += 1
    hand, waiting[:] = waiting[:count], waiting[count:]
    return hand


def device_groups(workers: int, each: int = 1) -> list[str | None]:
    """Return what each worker's CUDA_VISIBLE_DEVICES is to be; None where there are no GPUs.

    What this process sees is shared out in order: indices, or the entries of its own CUDA_VISIBLE_DEVICES.

    Raises
    ------
    UsageError
        If there are GPUs, and fewer than `workers` times `each`.
    """
    count = torch.cuda.device_count()
    if count == 0:
        return [None] * workers
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",")[:count] if visible else [str(index) for index in range(count)]
    if workers * each > count:
        raise UsageError(
            f"{workers} workers of {each} GPUs need {workers * each} GPUs, {count} are visible: use fewer workers"
        )
    return [",".join(names[start : start + each]) for start in range(0, workers * each, each)]
