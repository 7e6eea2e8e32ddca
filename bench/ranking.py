"""`rank` of many candidates with nested counts of 500 problems each: time, its growth, peak memory.

The files are drawn here, once for all sizes, and removed. Each ranking is a process of its own; its peak memory is what
the kernel counted for it.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from timing import Figure

from quagpredict.surrogates import fit
from quagpredict.surrogates.store import save_surrogate
from quagpredict.testing.synthetic import synthetic_corpus

PROBLEMS, SAMPLES = 500, 64
SIZES = (25_000, 50_000, 100_000)
ROWS_AT_ONCE = 1000
LIMIT_SECONDS, LIMIT_GIB = 60.0, 4.0


def measure() -> list[Figure]:
    """Time and memory of each size, with a surrogate that reads the flat columns and one that reads the counts."""
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = _surrogates(folder)
        for size in SIZES:
            write_candidates(folder / f"{size}.parquet", size)
        for kind, model in models.items():
            spent = {}
            for size in SIZES:
                spent[size], cpu, gib = ranked(folder / f"{size}.parquet", model)
            last, half = spent[SIZES[-1]], spent[SIZES[-2]]
            figures.append(
                Figure(
                    f"rank {SIZES[-1]:,} x {PROBLEMS} problems, {kind}",
                    last,
                    f"{SIZES[-2]:,} of them",
                    half,
                    f"< {LIMIT_SECONDS:.0f} s, {LIMIT_GIB:.0f} GiB, <= 2.4 x",
                    last < LIMIT_SECONDS and gib < LIMIT_GIB and last <= 2.4 * half,
                    f"{cpu:.1f} s of CPU, peak {gib:.2f} GiB; {SIZES[0]:,}: {spent[SIZES[0]]:.1f} s",
                )
            )
    return figures


def _surrogates(folder: Path) -> dict[str, Path]:
    """Fit and store a surrogate of flat columns, and one of the nested counts."""
    runs = synthetic_corpus(60, problems=PROBLEMS, samples_before=SAMPLES, bases=1).frame
    models = {kind: folder / kind for kind in ("average", "effective_k", "sharpening")}
    for kind, path in models.items():
        save_surrogate(fit(runs, kind), path)
    return models


def write_candidates(path: Path, size: int) -> None:
    """Write candidates drawn from the synthetic world's idea of coverage and sharpness, some rows at a time."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0.0, 1.5, PROBLEMS)
    names = pa.array([f"problem-{j:04d}" for j in range(PROBLEMS)])
    writer = None
    for start in range(0, size, ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, size - start)
        coverage = rng.normal(0.0, 0.6, rows)
        sharpness = 1.0 / (1.0 + np.exp(1.0 + 0.5 * coverage - rng.normal(0.0, 0.8, rows)))
        chance = sharpness[:, None] / (1.0 + np.exp(4.0 * (difficulty - coverage[:, None])))
        c = rng.binomial(SAMPLES, chance)
        missed = ((SAMPLES - c) / SAMPLES) ** 32
        flat = pl.DataFrame(
            {
                "candidate": [f"candidate-{start + i:06d}" for i in range(rows)],
                "base_model": "base-0",
                "eval_protocol_id": "synthetic-protocol",
                "pre_samples_per_problem": SAMPLES,
                "pre_problems_count": PROBLEMS,
                "pre_pass_at_1": c.mean(axis=1) / SAMPLES,
                "pre_pass_at_64": 1.0 - missed.mean(axis=1),
                "pre_held_out_loss_nats": 0.6 - 0.1 * coverage + rng.normal(0.0, 0.02, rows),
            }
        ).to_arrow()
        flat_counts = pa.StructArray.from_arrays(
            [
                pa.DictionaryArray.from_arrays(np.zeros(c.size, dtype=np.int32), pa.array(["synthetic"])).cast(
                    pa.string()
                ),
                names.take(pa.array(np.tile(np.arange(PROBLEMS), rows))),
                pa.array(np.full(c.size, SAMPLES)),
                pa.array(c.reshape(-1)),
            ],
            ["benchmark", "problem_id", "n", "c"],
        )
        nested = pa.ListArray.from_arrays(np.arange(0, c.size + 1, PROBLEMS, dtype=np.int32), flat_counts)
        table = flat.append_column("pre_problems", nested)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer:
        writer.close()


def ranked(file: Path, model: Path) -> tuple[float, float, float]:
    """Return seconds, CPU seconds and peak memory in GiB of a whole `quagpredict rank` with CSV output."""
    command = [
        str(Path(sys.executable).with_name("quagpredict")),
        *("rank", "--candidates", str(file), "--surrogate", str(model)),
        *("--format", "csv"),
    ]
    started = time.perf_counter()
    with Path(os.devnull).open("wb") as nowhere:
        child = os.posix_spawn(
            command[0],
            command,
            dict(os.environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1), (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2)],
        )
        _, status, usage = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed with status {status}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024**2
