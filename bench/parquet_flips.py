"""What a flipped bit in a Parquet file becomes: read by polars as it is, and by what reads the files of quagpredict.

python bench/parquet_flips.py [--flips 3000] [--seed 0]

One bit of the data pages of a shipped table is flipped at a time. "another table" is one that differs without an error.
Polars reads in a process apart, since it can end the process.
"""

import argparse
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from quagpredict.apart import read_apart
from quagpredict.errors import InvalidDataError
from quagpredict.parquet import read_parquet
from quagpredict.shipped import shipped_path

OUTCOMES = ("same table", "error", "another table", "process ended")


def outcome_plain(path: Path, right: pl.DataFrame) -> str:
    """Say what polars makes of a file."""
    try:
        found = read_apart(pl.read_parquet, path)
    except InvalidDataError as error:
        return "process ended" if "its reader" in str(error) else "error"
    return "same table" if found.equals(right) else "another table"


def outcome_ours(path: Path, right: pl.DataFrame) -> str:
    """Say what the reader of quagpredict makes of it."""
    try:
        found = read_parquet(path)
    except InvalidDataError:
        return "error"
    return "same table" if found.equals(right) else "another table"


def main() -> None:
    """Flip, read both ways, print the counts."""
    parser = argparse.ArgumentParser(description="Count what flipped bits in a Parquet file become.")
    parser.add_argument("--flips", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    source = sorted(shipped_path("datasets/lab-pilot/candidates").glob("*.parquet"))[0]
    content = source.read_bytes()
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")  # what stands before the metadata
    right = pl.read_parquet(source)
    rng = random.Random(wanted.seed)
    counts: dict[str, Counter[str]] = {"polars": Counter(), "quagpredict": Counter()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        for _ in range(wanted.flips):
            flipped = bytearray(content)
            flipped[rng.randrange(4, pages)] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
            counts["polars"][outcome_plain(path, right)] += 1
            counts["quagpredict"][outcome_ours(path, right)] += 1
    print(f"| {wanted.flips:,} flips in {pages:,} bytes of data pages |", " | ".join(OUTCOMES), "|")
    print("| --- |" + " ---: |" * len(OUTCOMES))
    for reader, found in counts.items():
        print(f"| {reader} |", " | ".join(str(found[outcome]) for outcome in OUTCOMES), "|")


if __name__ == "__main__":
    main()
