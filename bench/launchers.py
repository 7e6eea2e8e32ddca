"""What a launcher adds to a stage of one second: the stage alone is the yardstick, run in turn with it.

QUAGPREDICT_LAUNCHERS names launchers that need a service, as the tests have it: ``QUAGPREDICT_LAUNCHERS="spawn ray"``.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import Figure, in_turn

from quagpredict.collection.launch import Launcher, Resources, Setting, launcher_of

PROGRAM = "import time; time.sleep(1)"
PROMISED = {"fork": 0.5, "spawn": 0.5}  # seconds; a cluster's launcher promises less
_CLUSTER = 3.0


def run_one(launcher: Launcher, command: list[str], log: Path) -> None:
    """Run a stage to its end."""
    launcher.start("one", command, log, Resources(1, 0))
    until = time.monotonic() + 120
    ended = launcher.ended(60)
    while not ended and time.monotonic() < until:
        ended = launcher.ended(60)
    assert [one.exit_code for one in ended] == [0], log.read_text()


def measure() -> list[Figure]:
    """One figure a launcher."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "stage.py"
        program.write_text(f"if __name__ == '__main__':\n    {PROGRAM}\n")
        command = [sys.executable, str(program)]
        for mode in os.environ.get("QUAGPREDICT_LAUNCHERS", "fork spawn").split():
            with contextlib.closing(launcher_of(mode, Setting(os.environ, Path(folder), (str(program),)))) as launcher:
                launcher.wait_until_ready()
                log = Path(folder) / f"{mode}.log"
                ours, alone = in_turn(
                    lambda launcher=launcher, log=log: run_one(launcher, command, log),  # type: ignore[misc]
                    lambda: subprocess.run(command, check=True),
                    repeats=3,
                )
            most = PROMISED.get(mode, _CLUSTER)
            promise = f"<= 1 x + {most:g} s"
            figures.append(
                Figure(
                    f"a stage of 1 s, launcher {mode}", ours, "the program alone", alone, promise, ours <= alone + most
                )
            )
    return figures
