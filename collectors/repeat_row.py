"""Make one row of a shipped corpus again from its recipe, and compare.

    python collectors/repeat_row.py collectors/plans/lab.yaml datasets/lab            # a row drawn at random
    python collectors/repeat_row.py collectors/plans/lab.yaml datasets/lab --candidate weak.long-256x4-lr0.001-s0 --rl

SFT and the evaluation before RL are carried out by the collection's own programs, on one thread; with ``--rl`` the run
of its first RL seed too. Exit code 0 if every measurement is the same to the last digit, 1 if not.
"""

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from quagpredict.collection.archive import unpack
from quagpredict.collection.collecting import collect
from quagpredict.corpus import read_corpus
from quagpredict.errors import StageError, UsageError
from quagpredict.plans.plan import Plan
from quagpredict.program import run_program


def main(arguments: list[str]) -> None:
    """Choose a row, make it again, compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="plan of the collection")
    parser.add_argument("corpus", type=Path, help="folder with corpus.parquet and records-*.parquet")
    parser.add_argument("--candidate", help="its name (default: drawn at random)")
    parser.add_argument("--seed", type=int, help="seed of that draw (default: another one each time)")
    parser.add_argument("--rl", action="store_true", help="repeat RL and the measurement after it too")
    given = parser.parse_args(arguments)

    corpus = read_corpus(given.corpus / "corpus.parquet")
    # A checkpoint needs the whole SFT run that it comes from: another candidate's.
    names = sorted(name for name in corpus["candidate"].unique() if "@" not in name)
    name = given.candidate or random.Random(given.seed).choice(names)
    plan = Plan.from_yaml(given.plan)
    chosen = [candidate for candidate in plan.candidates if candidate.sft_name == name]
    if name not in names or not chosen:
        raise UsageError(f"'{name}' is not a candidate of both {given.plan} and {given.corpus}, or is a checkpoint")
    # Checkpoints stay in the plan, because keeping them is part of the SFT stage.
    whole, *parts = chosen
    seeds = whole.rl_seeds[:1] if given.rl else ()
    small = replace(plan, candidates=(replace(whole, rl_seeds=seeds), *(replace(part, rl_seeds=()) for part in parts)))
    print(f"making {name} again", file=sys.stderr)
    with TemporaryDirectory() as folder:
        unpack(sorted(given.corpus.glob("records-*.parquet")), folder, bases_only=True)
        collect(small, folder)
        made = read_corpus(Path(folder) / "corpus.parquet").filter(pl.col("candidate") == name)
    shipped = corpus.filter(pl.col("candidate") == name).head(1)
    compared = [
        column for column in made.columns if column.startswith(("pre_", "post_", "rl_") if given.rl else "pre_")
    ]
    different = [column for column in compared if not made[column].equals(shipped[column])]
    for column in different:
        print(f"{column}: shipped {shipped[column].item()!s:.60}, made {made[column].item()!s:.60}")
    if different:
        raise StageError(f"{len(different)} of {len(compared)} columns of {name} differ")
    print(f"{name}: all {len(compared)} columns are the same")


if __name__ == "__main__":
    sys.exit(run_program(main))
