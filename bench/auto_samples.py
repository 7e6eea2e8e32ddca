"""What `samples_before: auto` saves and what it costs, on the shipped runs.

    python bench/auto_samples.py [DRAWS]

Not a speed figure, and no part of `make bench`. Every base of `lab`, `lab-2` and `lab-3` with the samples that were
really drawn of its candidates, in random order, DRAWS times (default 3): as if the plan had said ``auto``. A line is a
corpus and the most samples that a candidate may get; the last lines of each are fixed numbers. Columns: samples a
problem, mean over candidates; the share of the three chosen that all samples would choose too; regret after RL in
points of the first, and of the best of the three, by Pass@16 (last line: Pass@64) against the best of the base.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus import read_corpus
from quagpredict.evaluation.ordering import open_places, place_of
from quagpredict.metrics import pass_at_k
from quagpredict.plans.parts import AutoSamples

CORPORA = ("lab", "lab-2", "lab-3")
MOST = (32, 64, 256)
FIXED = ((16, 16), (64, 16), (256, 16), (256, 64))
Counts = dict[str, NDArray[np.int64]]  # candidate -> correct among the first samples, (problems, samples)


def main(draws: int) -> None:
    """Print the table."""
    print("corpus          samples  same three  regret@1  regret@3")
    for name in CORPORA:
        frame = read_corpus(f"datasets/{name}/corpus.parquet").filter(pl.col("post_pass_at_1").is_not_null())
        frame = frame.unique("candidate", keep="first", maintain_order=True)
        rules: dict[str, Callable[[Counts], tuple[float, list[str]]]] = {
            **{f"auto to {most}": lambda drawn, most=most: chosen_by(AutoSamples(most=most), drawn) for most in MOST},
            **{f"{n}, Pass@{k}": lambda drawn, n=n, k=k: (float(n), ranked(drawn, n, k)) for n, k in FIXED},
        }
        found: dict[str, list[tuple[float, float, float, float]]] = {rule: [] for rule in rules}
        for base in frame.partition_by("base_model", maintain_order=True):
            after = dict(base.select("candidate", "post_pass_at_1").iter_rows())
            best = max(after.values())
            for drawn in drawings(base, draws):
                whole = {*ranked(drawn, min(table.shape[1] for table in drawn.values()), 16)[:3]}
                for rule, choose in rules.items():
                    samples, names = choose(drawn)
                    same = len({*names[:3]} & whole) / 3
                    ends = [after[one] for one in names[:3]]
                    found[rule].append((samples, same, best - ends[0], best - max(ends)))
        for rule, values in found.items():
            samples, same, first, three = np.mean(values, axis=0)
            print(f"{name:6}{rule:>14} {samples:7.1f} {same:11.0%} {100 * first:9.1f} {100 * three:9.1f}")


def drawings(base: pl.DataFrame, draws: int) -> Iterator[Counts]:
    """Yield the samples of a base's candidates in random orders."""
    rng = np.random.default_rng(0)
    for _ in range(draws):
        drawn = {}
        for row in base.iter_rows(named=True):
            n, c = (np.array([one[key] for one in row["pre_problems"]]) for key in ("n", "c"))
            samples = np.arange(n.max()) < c[:, None]
            drawn[row["candidate"]] = rng.permuted(samples[:, : n.min()], axis=1).cumsum(axis=1)
        yield drawn


def chosen_by(rule: AutoSamples, drawn: Counts) -> tuple[float, list[str]]:
    """Return the mean number of samples that a rule draws, and the candidates in the order that it ends with."""
    had = dict.fromkeys(drawn, rule.first)
    measured = {name: place_of(name, *counts(drawn[name], rule.first), rule.first) for name in drawn}
    following = dict(zip(rule.rounds, rule.rounds[1:], strict=False))
    while more := [
        one for one in open_places(list(measured.values()), rule.top, tolerance=rule.tolerance) if had[one] in following
    ]:
        for name in more:
            had[name] = following[had[name]]
            measured[name] = place_of(name, *counts(drawn[name], had[name]), rule.first)
    order = sorted(measured.values(), key=lambda one: (-float(one.values.mean()), one.name))
    return float(np.mean(list(had.values()))), [one.name for one in order]


def counts(table: NDArray[np.int64], samples: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return n and c of each problem after so many samples."""
    return np.full(len(table), samples), table[:, samples - 1]


def ranked(drawn: Counts, samples: int, k: int) -> list[str]:
    """Return the candidates by Pass@k of the first samples."""
    values = {name: float(np.mean(pass_at_k(*counts(table, samples), k))) for name, table in drawn.items()}
    return sorted(values, key=lambda name: (-values[name], name))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
