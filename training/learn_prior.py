"""Learn the hierarchical surrogate's prior: `python training/learn_prior.py OUT CORPUS ... [--without CORPUS ...]`.

Only rows of the split `fit` are used. A corpus that is left out, and every corpus that shares its family, must be left
out by name: what it is judged on, it must not have learnt from.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from quagpredict.corpus import read_corpus
from quagpredict.errors import UsageError
from quagpredict.program import run_program
from quagpredict.surrogates.hierarchy_learning import learn
from quagpredict.surrogates.hierarchy_tables import TERMS, finished_task
from quagpredict.surrogates.stored_prior import LEVELS, StoredPrior, save_prior
from quagpredict.surrogates.training_rows import training_rows


def learnt(corpora: dict[str, pl.DataFrame], among: Iterable[str] = LEVELS) -> StoredPrior:
    """Return the prior of these levels of information, learnt on finished corpora by name."""
    rows = {name: training_rows(frame, "post_pass_at_1") for name, frame in corpora.items()}
    levels = {}
    for name in among:
        knots, terms, tries = LEVELS[name]
        tasks = [finished_task(corpus, terms, by_benchmark=bool(knots), tries=tries) for corpus in rows.values()]
        levels[name] = learn(tasks, np.array(knots), [TERMS[term].believed for term in terms])
    steps = {float(value) for corpus in rows.values() for value in corpus.frame["rl_steps"].drop_nulls().to_list()}
    bases = len({name for corpus in rows.values() for name in corpus.frame["base_model"].to_list()})
    terms = {name: LEVELS[name].terms for name in levels}
    return StoredPrior(levels, terms, tuple(corpora), bases, tuple(sorted(steps)))


def main(arguments: list[str]) -> None:
    """Learn the prior and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for prior.json")
    parser.add_argument("corpora", type=Path, metavar="CORPUS", nargs="+", help="folder with corpus.parquet")
    parser.add_argument("--without", metavar="CORPUS", nargs="+", default=[], help="corpora to leave out, by name")
    given = parser.parse_args(arguments)
    paths = {path.name: path for path in given.corpora}
    if unknown := sorted(set(given.without) - set(paths)):
        raise UsageError(f"--without {unknown[0]}: not among the corpora {', '.join(paths)}")
    kept = {name: path for name, path in paths.items() if name not in given.without}
    if not kept:
        raise UsageError("--without leaves no corpus to learn from")
    prior = learnt({name: read_corpus(path / "corpus.parquet") for name, path in kept.items()})
    path = save_prior(prior, given.out)
    print(f"{path}: learnt on {', '.join(kept)}, {prior.bases} bases", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_program(main))
