"""The contract of a launcher, for anyone's own."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from quagpredict.collection.launch import Ended, Launcher, Resources, Setting
from quagpredict.testing import held

_PROGRAM = """
import subprocess, sys, time
if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    print("program", what, *rest, flush=True)
    if what == "exit":
        raise SystemExit(int(rest[0]))
    if what == "stay":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("child", child.pid, flush=True)
        time.sleep(600)
"""


def check_launcher(make: Callable[[Setting], Launcher], folder: str | Path, *, patience: float = 60.0) -> None:
    """Hold a launcher to what every launcher keeps to.

    Programs run side by side with their words, their log and their exit code; one that is killed ends as any other and
    takes along what it started; a name that is not known is passed over; nothing outlives `close`.

    Parameters
    ----------
    make : callable
        From a `Setting` to the launcher, as its line in `quagpredict.plans.parts.LAUNCHERS` names it.
    folder : path
        An empty folder that the launcher and its programs share.
    patience : float
        Seconds that a program may take to begin or to end; more for a queue.

    Raises
    ------
    AssertionError
        At the first thing that does not hold; the message says which.
    """
    folder = Path(folder)
    program = folder / "program.py"
    program.write_text(_PROGRAM)
    launcher = make(Setting(os.environ, folder, (str(program),)))
    try:
        _check(launcher, folder, [sys.executable, str(program)], patience)
    finally:
        launcher.close()


def _check(launcher: Launcher, folder: Path, program: list[str], patience: float) -> None:
    nothing = Resources(None, None)
    launcher.wait_until_ready()
    for number in range(3):
        launcher.start(str(number), [*program, "exit", str(number)], folder / f"{number}.log", nothing)
    ended = _ended(launcher, 3, patience)
    held(sorted(ended) == [Ended(str(number), number) for number in range(3)], f"exit codes come back, not {ended}")
    for number in range(3):
        printed = (folder / f"{number}.log").read_text()
        held(printed.startswith(f"program exit {number}\n"), f"what a program prints is in its log, not {printed!r}")
    log = folder / "stay.log"
    launcher.start("stay", [*program, "stay"], log, nothing)
    until = time.monotonic() + patience
    while not (log.exists() and "child" in log.read_text()):
        held(time.monotonic() < until, "a program begins, and its log is there while it runs")
        held(launcher.ended(0.1) == [], "a program that runs has not ended")
    launcher.kill("nobody")
    launcher.kill("stay")
    (stage,) = _ended(launcher, 1, patience)
    held(stage.id == "stay" and stage.exit_code != 0, "a program that is killed ends, and not with success")
    child = int(log.read_text().split()[-1])
    until = time.monotonic() + patience
    while _runs(child):
        held(time.monotonic() < until, "what a killed program has started is killed with it")
        time.sleep(0.05)


def _ended(launcher: Launcher, count: int, patience: float) -> list[Ended]:
    ended: list[Ended] = []
    until = time.monotonic() + patience
    while len(ended) < count:
        held(time.monotonic() < until, f"programs end and it is told; {len(ended)} of {count} did")
        ended += launcher.ended(1.0)
    return ended


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
