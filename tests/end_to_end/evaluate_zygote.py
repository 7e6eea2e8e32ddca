"""Starts `quagpredict evaluate` again and again without importing torch again: one JSON request a line, two replies.

A part is written after every request of the engine, and calls are small, so that a kill finds something in every state.
"""

import json
import os
import sys
from pathlib import Path

import polars as pl  # imported, and not used before the fork

import quagpredict.cli.evaluate
import quagpredict.engines.transformers_engine
from quagpredict.cli import main
from quagpredict.evaluation import drawing


def serve():
    drawing._PART_SECONDS = 0.0
    drawing._REQUEST_SAMPLES = 8
    drawing._CALL_SAMPLES = 64
    assert pl
    assert quagpredict.cli.evaluate
    assert quagpredict.engines.transformers_engine
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if not process:
            with Path(request["log"]).open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            os._exit(main(request["words"]))
        print(json.dumps({"pid": process}), flush=True)
        print(json.dumps({"code": os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}), flush=True)


if __name__ == "__main__":
    serve()
