"""Importing a million counts and a million samples, against a plain polars group-by of the same file.

In processor time, of all threads: the group-by is so short that what else a machine does would decide the ratio.
"""

import json
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from timing import Figure, in_turn

from quagpredict.importers import import_run

ROWS = 1_000_000
SAMPLES = 64  # a problem
TEXT = "Let us think about it step by step, and then see what remains of the sum: {} is what I get."


def _files(folder: Path) -> dict[str, tuple[str, Path, dict[str, str]]]:
    random = np.random.default_rng(0)
    c = random.binomial(SAMPLES, random.beta(0.3, 0.7, ROWS))
    counts = pl.DataFrame({"id": [f"p{number}" for number in range(ROWS)], "n": [SAMPLES] * ROWS, "c": c})
    counts.write_csv(folder / "counts.csv")
    samples = pl.DataFrame(
        {
            "id": [f"p{number // SAMPLES}" for number in range(ROWS)],
            "correct": random.random(ROWS) < 0.3,
            "response": [TEXT.format(number) for number in range(ROWS)],
        }
    )
    samples.write_parquet(folder / "samples.parquet")
    samples.write_csv(folder / "samples.csv")
    samples.write_ndjson(folder / "samples.jsonl")
    with (folder / "human_eval.jsonl").open("w") as handle:
        for name, correct, text in samples.iter_rows():
            record = {"task_id": f"HumanEval/{name}", "completion": text, "result": "passed", "passed": correct}
            handle.write(json.dumps(record) + "\n")
    return {
        "counts, CSV": ("counts", folder / "counts.csv", {"id": "id", "correct": "c"}),
        "samples, Parquet": ("samples", folder / "samples.parquet", {"id": "id", "correct": "correct"}),
        "samples, CSV": ("samples", folder / "samples.csv", {"id": "id", "correct": "correct"}),
        "samples, JSON lines": ("samples", folder / "samples.jsonl", {"id": "id", "correct": "correct"}),
        "human-eval, JSON lines": ("human-eval", folder / "human_eval.jsonl", {"id": "task_id", "correct": "passed"}),
    }


def grouped(path: Path, id: str, correct: str) -> pl.DataFrame:
    """Return n and c by a read and a group-by of polars, without a check."""
    read = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}[path.suffix]
    return read(path).group_by(id).agg(pl.len().alias("n"), pl.col(correct).sum().alias("c"))


def measure() -> list[Figure]:
    """Each kind in turn with the group-by; promised is at most 5 x its seconds plus 2 s."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (format, path, columns) in _files(Path(folder)).items():
            call = partial(import_run, format, [path], candidate="a", protocol="bench")
            ours, plain = in_turn(call, partial(grouped, path, **columns), repeats=3, clock=time.process_time)
            kept = ours <= 5 * plain + 2.0
            figures.append(
                Figure(
                    f"import of 1,000,000 {name}",
                    ours,
                    "polars group-by",
                    plain,
                    "<= 5 x + 2 s",
                    kept,
                    "processor time, with audit",
                )
            )
    return figures
