"""Starts `quagpredict` again and again without importing it again: one JSON request a line, one reply a line.

A request has the words of the command line, a file for what it prints and, optionally, `die_at`: kill yourself just
before the n-th time that you change what is on the disk in the work folder. `inline` runs the stand-in programs inside,
without processes of their own.
"""

import json
import os
import signal
import sys
from pathlib import Path

import polars as pl  # imported, and not used before the fork

import quagpredict.cli.collect
import quagpredict.collection.carrying_out as collection
from quagpredict.cli import main
from quagpredict.collection.launch import Ended

CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "shutil.rmtree"}
changed = 0


class InlineLauncher:
    def __init__(self, *_):
        self.ended_now = []

    def waiting(self):
        return []

    def wait_until_ready(self):
        pass

    def still_running(self):
        return ()

    def start(self, name, command, log, resources):
        import stand_in

        Path(log).touch()
        self.ended_now.append(Ended(name, stand_in.main(command[2:])))

    def ended(self, timeout):
        ended, self.ended_now = self.ended_now, []
        return ended

    def close(self):
        pass


def arm(die_at, folder):
    def audit(event, arguments):
        global changed
        reads = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in CHANGES and not reads and str(arguments[0]).startswith(folder):
            changed += 1
            if changed == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


def run(request):
    os.setsid()
    with Path(request["log"]).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if request.get("inline"):
        collection.launcher_of = InlineLauncher
    arm(request.get("die_at", 0), request["folder"])
    code = main(request["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    Path(request["log"] + ".changes").write_text(str(changed))
    os._exit(code)


def serve():
    assert pl
    assert quagpredict.cli.collect
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "collection"))
    for line in sys.stdin:
        process = os.fork()
        if not process:
            run(json.loads(line))
        print(json.dumps({"pid": process}), flush=True)
        print(json.dumps({"code": os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}), flush=True)


if __name__ == "__main__":
    serve()
