"""The program of one worker of `quagpredict.engines.parallel`: an engine of its own behind a socket.

Requests and results are small next to what it takes to make them, so they travel as pickles between two processes that
are each other's parent and child. A worker ends when its parent does.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from quagpredict.engines.choose import load_engine
from quagpredict.errors import QuagpredictError


def main(descriptor: int) -> None:
    """Load the engine that the first message names, then do what the next ones ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; the socket then closes
    os.dup2(2, 1)  # whatever a library prints is not data
    connection: Connection = Connection(descriptor)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    try:
        name, checkpoint, settings = inbox.get()
        engine = load_engine(name, checkpoint, **settings)
        connection.send(("ready", engine.version))
        while True:
            sampling, items = inbox.get()
            if sampling is None:
                for position, scores in enumerate(engine.completion_log_probs(items)):
                    connection.send(("result", position, scores))
            else:
                for position, responses in engine.generate(items, sampling):
                    connection.send(("result", position, responses))
            connection.send(("done",))
    except QuagpredictError as error:
        connection.send(("error", error))
    except Exception as error:
        traceback.print_exc()
        said = " ".join(str(error).split())[:300]
        connection.send(("error", QuagpredictError(f"a worker failed: {type(error).__name__}: {said}")))


def _listen(connection: Connection, inbox: "queue.SimpleQueue[Any]") -> None:
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)  # the parent is gone, or has had enough: nobody waits for what is being drawn


if __name__ == "__main__":
    main(int(sys.argv[1]))
