"""Whole-process time of `quagpredict --help` and of `rank` on the shipped candidates, against bare imports."""

import sys
from pathlib import Path

from timing import Figure, in_turn, whole_process

from quagpredict.shipped import shipped_root

IMPORTS = (sys.executable, "-c", "import numpy, polars")
DECISIONS = ("--budget", "5", "--next", "--gate", "no-sft")


def measure() -> list[Figure]:
    """Each command in turn with the bare imports; promised is at most 1.5 x theirs plus 0.5 s."""
    quagpredict = str(Path(sys.executable).with_name("quagpredict"))
    candidates = sorted(map(str, (shipped_root() / "datasets" / "lab-pilot" / "candidates").glob("*.parquet")))
    corpus = str(shipped_root() / "datasets" / "lab-pilot" / "corpus.parquet")
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
    return figures
