"""What size costs, each beside a smaller size, each in a process of its own, in processor time of all threads.

Ten million samples become counts and a curve; the memory is the most that the process ever held, and does not grow with
the table. Kept samples are drawn and measured; QUAGPREDICT_SAMPLES names their numbers. Collections of many candidates
are opened, and a stage is run, as such, in a race, and where weights lie elsewhere; QUAGPREDICT_CANDIDATES names sizes.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from timing import Figure

ROWS = 10_000_000
SAMPLES = 250  # a problem
_PART = 500_000
_IMPORT = """
import json, resource, sys
from quagpredict.importers import import_run
found = import_run("samples", [sys.argv[1]], candidate="a", protocol="bench")
used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "n": int(found.problems["n"].sum()),
    "curve": found.row["pre_pass_at_64"].item(),
    "seconds": sum(one.ru_utime + one.ru_stime for one in used),
    "gib": max(one.ru_maxrss for one in used) / 2**20,
}))
"""


class _Run(NamedTuple):
    n: int
    curve: float
    seconds: float
    gib: float


def _written(path: Path, rows: int) -> Path:
    """Write samples with responses, a part at a time: the bench must not need the memory that it measures.

    Parquet or JSON lines, as the name says.
    """
    random = np.random.default_rng(0)
    parts = []
    for first in range(0, rows, _PART):
        place = np.arange(first, min(first + _PART, rows))
        part = pl.DataFrame({"place": place, "correct": random.random(place.size) < 0.3}).select(
            pl.format("p{}", pl.col("place") // SAMPLES).alias("id"),
            "correct",
            pl.format("Let us think step by step, and see what remains of it: {} is what I get.", "place").alias(
                "response"
            ),
        )
        parts.append(path.with_name(f"{path.stem}-{first}.part"))
        part.write_parquet(parts[-1])
    table = pl.scan_parquet(parts)
    if path.suffix == ".parquet":
        table.sink_parquet(path)
    else:
        table.sink_ndjson(path)
    for part_file in parts:
        part_file.unlink()
    return path


def imported(path: Path) -> _Run:
    """Import a file in a new process, and return what it found and took."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(path)],
        check=True,
        capture_output=True,
        env={**os.environ, "POLARS_MAX_THREADS": "2"},
    )
    return _Run(**json.loads(done.stdout))


def taken_by(program: str, threads: int, *words: object) -> dict[str, float]:
    """Return what a program beside this one says that it took, in seconds, and its memory."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(program)), *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "POLARS_MAX_THREADS": str(threads)},
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _sizes(variable: str, default: str) -> list[int]:
    return [int(size) for size in os.environ.get(variable, default).split()]


def _of_collections(kind: str) -> list[Figure]:
    """Promised is at most 15 times the time to open for ten times the candidates, and twice that of a stage."""
    # Where weights lie elsewhere a thousand are opened in 7 ms, too short to hold ten thousand against.
    sizes = _sizes("QUAGPREDICT_CANDIDATES", "10000 100000" if kind == "records" else "1000 10000")
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found[size] = taken_by("large_collection.py", 1, folder, size, *([kind] if kind else []))
    figures = []
    for small, large in itertools.pairwise(sizes):
        for what, most in (("opening", 1.5 * large / small), ("a_stage", 2.0)):
            ours, yardstick = found[large][what], found[small][what]
            name = f"{kind} {what.replace('_', ' ')}, {large:,} candidates, {found[large]['gib']:.2f} GiB".strip()
            promise, kept = f"<= {most:g} x", ours <= most * yardstick
            figures.append(Figure(name, ours, f"{small:,} candidates", yardstick, promise, kept, "processor time"))
    return figures


def _of_stores() -> list[Figure]:
    """Promised is time in proportion, and the memory of a part to draw; to measure, that and 0.4 kB a sample."""
    sizes = _sizes("QUAGPREDICT_SAMPLES", "100000 1000000")
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for what in ("draw", "measure"):
                found[what, size] = taken_by("large_store.py", 2, folder, size, what)
    figures = []
    for what, of_sample in (("draw", 0.0), ("measure", 0.4e-6)):
        for small, large in itertools.pairwise(sizes):
            ours, yardstick = found[what, large], found[what, small]
            room, most = 0.35 + of_sample * large, 1.5 * large / small
            kept = ours["seconds"] <= most * yardstick["seconds"] and ours["gib"] <= room
            name = f"{what} {large:,} kept samples, {ours['gib']:.2f} GiB"
            times = (name, ours["seconds"], f"{small:,} of them", yardstick["seconds"])
            note = f"processor time; the smaller took {yardstick['gib']:.2f} GiB"
            figures.append(Figure(*times, f"<= {most:g} x, <= {room:.2f} GiB", kept, note))
    return figures


def measure() -> list[Figure]:
    """All figures: of tables of samples, of kept samples, and of collections."""
    collections = (figure for kind in ("", "race", "records") for figure in _of_collections(kind))
    return [*_of_tables(), *_of_stores(), *collections]


def _of_tables() -> list[Figure]:
    """One import of each size, after one of the smaller that warms the disk; promised is at most 5 times the time."""
    figures = []
    for suffix, what in ((".parquet", "Parquet"), (".jsonl", "JSON lines")):
        with tempfile.TemporaryDirectory() as folder:
            quarter, whole = (_written(Path(folder) / f"{rows}{suffix}", rows) for rows in (ROWS // 4, ROWS))
            imported(quarter)
            small, large = imported(quarter), imported(whole)
        assert (small.n, large.n) == (ROWS // 4, ROWS)
        figures.append(
            Figure(
                f"{ROWS:,} samples, {what}, {large.gib:.2f} GiB",
                large.seconds,
                f"{ROWS // 4:,} of them",
                small.seconds,
                "<= 5 x, <= 1.5 GiB",
                large.seconds <= 5 * small.seconds and large.gib <= 1.5,
                f"processor time; the smaller took {small.gib:.2f} GiB",
            )
        )
    return figures
