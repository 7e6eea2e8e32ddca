"""How the benchmarks measure: in turn with their yardstick, several times, and the median is what counts."""

import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One line of the table: our time beside a yardstick's from the same run, and what was promised."""

    name: str
    seconds: float
    yardstick: str
    yardstick_seconds: float
    promise: str
    kept: bool
    note: str = ""


def peak_gib() -> float:
    """Return the largest memory of this process, GiB.

    `getrusage` would begin a program's with that of the process that started it; Linux also keeps its own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return float(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_turn(
    ours: Callable[[], object],
    yardstick: Callable[[], object],
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Return the median seconds of both by `clock`, run A B A B ... after one warm-up of each."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for call, spent in zip((ours, yardstick), times, strict=True):
            started = clock()
            call()
            if repeat:
                spent.append(clock() - started)
    return median(times[0]), median(times[1])


def whole_process(*command: str) -> Callable[[], object]:
    """Return a call that runs the command to its end and fails if the command does."""
    words: Sequence[str] = list(command)
    return lambda: subprocess.run(words, check=True, capture_output=True)
