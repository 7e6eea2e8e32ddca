"""Publish a collection: `python collectors/publish_corpus.py collectors/plans/lab.yaml runs/lab datasets/lab`.

Writes ``corpus.parquet`` (every run, and the candidates that are measured and not yet taken through RL, without a
target), and for the runs that the plan held out what a team has before RL and what it has after:
``candidates/<candidate>.parquet`` without a trace of RL, ``no-sft.parquet`` with the base models as they were measured
(for `rank --gate no-sft`), and ``outcomes.parquet``. ``records-<base>.parquet`` holds what the rows were made from;
with it, `quagpredict collect PLAN --records FILES` goes on elsewhere. A collection that is not finished can be
published.
"""

import argparse
import sys
from pathlib import Path

import polars as pl

from quagpredict.collection.archive import pack
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.rows import Rows
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.corpus import write_corpus
from quagpredict.errors import CorpusError
from quagpredict.plans.plan import Plan
from quagpredict.program import run_program


def main(arguments: list[str]) -> None:
    """Read the work folder's corpus, write the shipped files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path, help="its plan")
    parser.add_argument("work", type=Path, help="work folder of `quagpredict collect`")
    parser.add_argument("out", type=Path, help="folder to write, e.g. datasets/lab-pilot")
    given = parser.parse_args(arguments)

    plan, work = Plan.from_yaml(given.plan), WorkFolder(given.work)
    attempts = list(work.still_there(read_ledger(work.ledger)))
    corpus = Rows(plan, work, attempts).frame()
    if corpus.is_empty():
        raise CorpusError(f"{given.work}: no candidate is measured yet; go on with the collection first")
    provenance = {"plan": plan.name, "plan_id": plan.plan_id}

    write_corpus(corpus, given.out / "corpus.parquet", provenance)
    runs = corpus.filter(pl.col("post_pass_at_1").is_not_null())
    held_out = runs.filter(pl.col("split") == "held_out").drop("split")
    after = [name for name in corpus.columns if name.startswith(("post_", "rl_", "cost_rl", "cost_post"))]
    for row in held_out.iter_slices(1):
        name = row["candidate"].item()
        write_corpus(row.drop(after), given.out / "candidates" / f"{name}.parquet", provenance)
    bases = runs.filter(recipe_scenario="no-sft").unique("candidate", keep="first", maintain_order=True)
    if held_out.height and bases.height:
        write_corpus(bases.drop("split", *after), given.out / "no-sft.parquet", provenance)
    identity = ["candidate", "base_model", "eval_protocol_id"]
    outcomes = held_out.select(*identity, *after).drop("rl_curve")
    if outcomes.height:
        write_corpus(outcomes, given.out / "outcomes.parquet", provenance)
    archives = pack(plan, given.work, given.out)
    print(
        f"{given.out}: {runs.height} runs, {held_out.height} of them as candidates with their outcomes, "
        f"{corpus.height - runs.height} candidates without RL, records in {len(archives)} files",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(run_program(main))
