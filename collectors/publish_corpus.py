"""Publish a finished collection: `python collectors/publish_corpus.py runs/lab-pilot datasets/lab-pilot`.

Writes ``corpus.parquet`` (every row), and for the rows that the plan held out what a team has before RL and what it has
after: ``candidates/<candidate>.parquet`` without a trace of RL, and ``outcomes.parquet``. The bases that the plan
pre-trained go to ``bases/``.
"""

import argparse
import shutil
import sys
from pathlib import Path

import polars as pl

from quagpredict.corpus import read_corpus, read_provenance, write_corpus
from quagpredict.errors import CorpusError
from quagpredict.program import run_program


def main(arguments: list[str]) -> None:
    """Read the work folder's corpus, write the shipped files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="work folder of `quagpredict collect`")
    parser.add_argument("out", type=Path, help="folder to write, e.g. datasets/lab-pilot")
    given = parser.parse_args(arguments)

    source = given.work / "corpus.parquet"
    corpus = read_corpus(source)
    provenance = read_provenance(source)
    unfinished = corpus.filter(pl.col("post_pass_at_1").is_null())["candidate"].to_list()
    if unfinished:
        raise CorpusError(f"{source}: RL has not run for {', '.join(unfinished[:5])}; finish the collection first")

    write_corpus(corpus, given.out / "corpus.parquet", provenance)
    held_out = corpus.filter(pl.col("split") == "held_out").drop("split")
    after = [name for name in corpus.columns if name.startswith(("post_", "rl_", "cost_rl", "cost_post"))]
    for row in held_out.iter_slices(1):
        name = row["candidate"].item()
        write_corpus(row.drop(after), given.out / "candidates" / f"{name}.parquet", provenance)
    identity = ["candidate", "base_model", "eval_protocol_id"]
    outcomes = held_out.select(*identity, *after).drop("rl_curve")
    write_corpus(outcomes, given.out / "outcomes.parquet", provenance)
    for base in sorted((given.work / "stages" / "base").iterdir()):
        target = given.out / "bases" / base.name
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted(base.iterdir()):
            shutil.copyfile(file, target / file.name)
    print(
        f"{given.out}: {corpus.height} runs, {held_out.height} of them as candidates with their outcomes",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(run_program(main))
