"""One worker of `quagpredict.engines.parallel`: an engine of its own, and the program that puts it behind a socket.

Requests and results are small next to what it takes to make them, so they travel as pickles between two processes that
are each other's parent and child. A worker ends when its parent does.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from quagpredict.engines.contract import Sampling
from quagpredict.engines.table import load_engine
from quagpredict.errors import QuagpredictError, one_line

Message = tuple[Any, ...]


class Replica:
    """An engine that does what it is told, and tells what came of it; errors are words like any other."""

    def load(self, name: str, checkpoint: str, settings: dict[str, Any]) -> Iterator[Message]:
        """Load an engine; yield ``("ready", version)``."""
        yield from _told(self._load(name, checkpoint, settings))

    def work(self, sampling: Sampling | None, items: Sequence[Any]) -> Iterator[Message]:
        """Draw what is asked for, or score it where there is no sampling; yield ``("result", position, ...)`` each."""
        yield from _told(self._work(sampling, items))

    def _load(self, name: str, checkpoint: str, settings: dict[str, Any]) -> Iterator[Message]:
        self._engine = load_engine(name, checkpoint, **settings)
        yield "ready", self._engine.version

    def _work(self, sampling: Sampling | None, items: Sequence[Any]) -> Iterator[Message]:
        if sampling is None:
            for position, scores in enumerate(self._engine.completion_log_probs(items)):
                yield "result", position, scores
        else:
            for position, responses in self._engine.generate(items, sampling):
                yield "result", position, responses
        yield ("done",)


def _told(messages: Iterator[Message]) -> Iterator[Message]:
    """Yield the messages, and as the last one what went wrong."""
    try:
        yield from messages
    except QuagpredictError as error:
        yield "error", error
    except Exception as error:
        traceback.print_exc()
        yield "error", QuagpredictError(f"a worker failed: {type(error).__name__}: {one_line(error)}")


def main(descriptor: int) -> None:
    """Load the engine that the first message names, then do what the next ones ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; the socket then closes
    os.dup2(2, 1)  # whatever a library prints is not data
    connection: Connection = Connection(descriptor)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    replica = Replica()
    do: Callable[..., Iterator[Message]] = replica.load
    message: Message = ("",)
    while message[0] != "error":
        for message in do(*inbox.get()):
            connection.send(message)
        do = replica.work


def _listen(connection: Connection, inbox: "queue.SimpleQueue[Any]") -> None:
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)  # the parent is gone, or has had enough: nobody waits for what is being drawn


if __name__ == "__main__":
    main(int(sys.argv[1]))
