"""Whole-process time of `quagpredict --help` and `rank` against bare imports, and of `rank` of hundreds of files."""

import sys
import tempfile
from pathlib import Path

import polars as pl
from timing import Figure, in_turn, whole_process

from quagpredict.corpus import write_corpus
from quagpredict.shipped import shipped_root

IMPORTS = (sys.executable, "-c", "import numpy, polars")
DECISIONS = ("--budget", "5", "--next", "--gate", "no-sft")
FILES = 500
#: Reads the same files with polars alone, one by one, unchecked, and lays them under each other.
_POLARS = (
    "import sys, polars as pl; pl.concat([pl.read_parquet(path) for path in sys.argv[1:]], how='diagonal_relaxed')"
)


def measure() -> list[Figure]:
    """Each command in turn with its yardstick; the promises stand with the figures."""
    quagpredict = str(Path(sys.executable).with_name("quagpredict"))
    datasets = shipped_root() / "datasets"
    candidates = sorted(map(str, (datasets / "lab-pilot" / "candidates").glob("*.parquet")))
    corpus = str(datasets / "lab-pilot" / "corpus.parquet")
    commands = {
        "quagpredict --help": (quagpredict, "--help"),
        f"rank of {len(candidates)} shipped files": (quagpredict, "rank", "--candidates", *candidates),
        "rank of 50 candidates, with decisions": (quagpredict, "rank", "--candidates", corpus, *DECISIONS),
    }
    figures = []
    for name, command in commands.items():
        ours, imports = in_turn(whole_process(*command), whole_process(*IMPORTS))
        kept = ours <= 1.5 * imports + 0.5
        figures.append(Figure(name, ours, "import numpy, polars", imports, "<= 1.5 x + 0.5 s", kept, "whole process"))
    with tempfile.TemporaryDirectory() as folder:
        files = _many_files(datasets / "lab" / "corpus.parquet", Path(folder))
        ours, polars = in_turn(
            whole_process(quagpredict, "rank", "--candidates", *files),
            whole_process(sys.executable, "-c", _POLARS, *files),
            repeats=3,
        )
        figures.append(
            Figure(
                f"rank of {FILES} files of one candidate",
                ours,
                "polars reads them, unchecked",
                polars,
                "<= 3 x + 0.5 s",
                ours <= 3 * polars + 0.5,
                "whole process",
            )
        )
    return figures


def _many_files(corpus: Path, folder: Path) -> list[str]:
    """Write a file a candidate, as `evaluate` does; the rows of a corpus again and again, under other names."""
    table = pl.read_parquet(corpus)
    for number in range(FILES):
        row = table.slice(number % table.height, 1)
        write_corpus(row.with_columns(candidate=pl.col("candidate") + f"-{number}"), folder / f"{number}.parquet")
    return sorted(str(path) for path in folder.iterdir())
