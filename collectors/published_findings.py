"""Print what the published SFT-RL results say: `python collectors/published_findings.py datasets/published`.

Each block is one study; nothing is pooled. Few starts carry each number, so each stands beside what it rests on:
how many starts, and where whole kinds of data can be resampled, a 90 % interval over kinds.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from quagpredict.program import run_program

REPEATS = 2000


def main(arguments: list[str]) -> None:
    """Print the blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="datasets/published")
    folder = parser.parse_args(arguments).folder
    pairs = pl.read_parquet(folder / "pairs.parquet")
    blocks: list[Callable[[], Iterator[str]]] = [
        lambda: starts(pl.read_parquet(folder / "starts-7b.parquet")),
        lambda: depths(pairs),
        lambda: warm_ups(pairs),
        lambda: without_sft(pairs),
        lambda: two_algorithms(pairs),
        lambda: by_benchmark(pl.read_parquet(folder / "by-benchmark.parquet")),
    ]
    print("\n\n".join("\n".join(block()) for block in blocks))


def starts(runs: pl.DataFrame) -> Iterator[str]:
    """33 starts of one 7B model: five SFT data sets, checkpoints along each, and the base."""
    sft = runs.filter(pl.col("recipe_data_kind").is_not_null())
    yield "33 starts of Qwen2.5-7B (arXiv 2512.11470, Table 4): SFT Pass@1 against the fitted ceiling after RL"
    order = f"after SFT: {over_kinds(sft, 'pre_pass_at_1')}"
    yield f"  all 33: Spearman {rho(runs, 'pre_pass_at_1'):.2f}; the {sft.height} {order}"
    yield f"  SFT compute instead, the {sft.height}: {over_kinds(sft, 'sft_compute_exaflop')}"
    within = []
    for kind, group in sft.group_by("recipe_data_kind", maintain_order=True):
        chosen = group.sort("pre_pass_at_1", descending=True).row(0, named=True)
        lost = 100 * (group["post_pass_at_1"].max() - chosen["post_pass_at_1"])
        within.append(
            f"    {kind[0]}: Spearman {rho(group, 'pre_pass_at_1'):.2f} over {group.height}, loses {lost:.1f} points"
        )
    yield "  within a data set, over its checkpoints, and what the one of the highest Pass@1 loses:"
    yield from within
    best, chosen = (sft.sort(by, descending=True).row(0, named=True) for by in ("post_pass_at_1", "pre_pass_at_1"))
    yield (
        f"  highest Pass@1: {chosen['candidate']}, {100 * chosen['post_pass_at_1']:.1f} after RL; "
        f"best: {best['candidate']}, {100 * best['post_pass_at_1']:.1f}"
    )


def depths(pairs: pl.DataFrame) -> Iterator[str]:
    """One SFT set at several depths, on two bases."""
    study = pairs.filter(pl.col("study") == "sft-depth")
    yield "Depths of one SFT set (arXiv 2606.18487): 1.0, 1.9, 2.9, 3.8 and 5.8 epochs, then the same GRPO"
    for table, base, measure in (
        ("Table 1", "Qwen2.5-Coder-3B", "pre-RL pass@1 at T=1.0"),
        ("Table 1", "Qwen2.5-Coder-3B", "pre-RL next-token entropy"),
        ("Table 5", "Qwen2.5-Coder-3B", "pass@10"),
        ("Table 5", "DeepSeek-Coder-6.7B", "pass@10"),
    ):
        rows = study.filter(
            pl.col("source").str.ends_with(table),
            pl.col("base_model") == base,
            pl.col("measure").str.starts_with(measure),
        )
        value, p = rho(rows, "pre", "post"), exact_p(rows["pre"].to_numpy(), rows["post"].to_numpy())
        ending = "best pass@10 on the way" if table == "Table 1" else "pass@10 after RL"
        yield f"  {base}, {measure} against {ending}: Spearman {value:.2f} over {rows.height} depths (exact p {p:.2f})"


def warm_ups(pairs: pl.DataFrame) -> Iterator[str]:
    """Four warm-ups of one base, with Pass@k before RL."""
    study = pairs.filter(pl.col("study") == "warm-ups")
    yield "Four warm-ups of Qwen3-4B (From Imitation to Reward Discovery, Tables 3 and 5), then the same 60 GRPO steps"
    for measure in ("pass@8", "pass@64", "pass^8"):
        parts = []
        for benchmark in study["benchmark"].unique().sort():
            rows = study.filter(pl.col("benchmark") == benchmark, pl.col("measure") == measure)
            chosen = rows.sort("pre", descending=True).row(0, named=True)
            order = in_order(rows["pre"].to_numpy(), rows["post"].to_numpy())
            parts.append(f"{benchmark} {order:.0f} of 6 (loses {100 * (rows['post'].max() - chosen['post']):.1f})")
        yield f"  pairs in order by {measure}, and what its choice loses in points: {'; '.join(parts)}"
    grpo, sft = (study.filter(pl.col("sft_recipe") == name, pl.col("measure") == "pass@64") for name in WARM)
    both = grpo.join(sft, on="benchmark", suffix="_sft").sort("benchmark")
    ends = [
        f"{row['benchmark']} {100 * row['post']:.1f} against {100 * row['post_sft']:.1f}"
        for row in both.rows(named=True)
    ]
    higher = (both["pre"] > both["pre_sft"]).sum()
    yield f"  GRPO warm-up has a higher Pass@64 than SFT on {higher} of 4, and ends: {'; '.join(ends)}"


WARM = ("GRPO warmup 40 steps", "SFT 40 steps")


def without_sft(pairs: pl.DataFrame) -> Iterator[str]:
    """RL from the base, or from an instruct model, beside RL from SFT, study by study."""
    yield "RL without SFT beside RL after SFT, after RL in per cent"

    def ends(study: str, benchmark: str, **others: str) -> pl.DataFrame:
        conditions = [pl.col(name) == value for name, value in others.items()]
        rows = pairs.filter(pl.col("study") == study, pl.col("benchmark") == benchmark, *conditions)
        return rows.unique(["base_model", "sft_recipe", "rl_recipe", "post"], maintain_order=True)

    for study, benchmark, base in (
        ("plasticity-ceiling", "overall (2157-problem weighted)", "Qwen2.5-7B"),
        ("plasticity-ceiling", "overall 6 math", "Qwen2.5-14B"),
        ("mimo", "AIME 2024", "MiMo-7B-Base"),
        ("simplerl-zoo", "average of 6", "Mistral-Small-24B"),
        ("synergy-dilemma", "average of 5", "Qwen2.5-VL-7B-Instruct"),
        ("medvlthinker", "average of 6", "Qwen2.5-VL-3B-Instruct"),
        ("medvlthinker", "average of 6", "Qwen2.5-VL-7B-Instruct"),
    ):
        rows = ends(study, benchmark, base_model=base)
        none = rows.filter(pl.col("sft_recipe").str.starts_with("none"))["post"]
        after = rows.filter(~pl.col("sft_recipe").str.contains("^none|no SFT"))["post"]
        spread = f"{100 * after.min():.1f} to {100 * after.max():.1f}" if after.len() > 1 else f"{100 * after[0]:.1f}"
        yield f"  {study}, {base}, {benchmark}: {100 * none[0]:.1f} without, {spread} after SFT ({after.len()})"
    rows = ends("simplerl-zoo", "average of 6", base_model="Mistral-Small-24B")
    depths = f"simplerl-zoo, {rows.height} depths of off-task SFT (steps against the average after RL)"
    yield f"  {depths}: Spearman {rho(rows, 'pre', 'post'):.2f}"


def two_algorithms(pairs: pl.DataFrame) -> Iterator[str]:
    """Two starts of four bases, the same under two RL algorithms."""
    yield "Two starts of four bases, three benchmarks (ToolRL): the start with the higher score ends higher"
    study = pairs.filter(pl.col("study") == "toolrl")
    for algorithm in ("GRPO", "PPO"):
        rows = study.filter(pl.col("rl_recipe").str.starts_with(algorithm))
        kept = [
            in_order(group["pre"].to_numpy(), group["post"].to_numpy())
            for _, group in rows.group_by("base_model", "benchmark", maintain_order=True)
        ]
        yield f"  under {algorithm}: in {sum(kept):.0f} of {len(kept)} pairs"


def by_benchmark(table: pl.DataFrame) -> Iterator[str]:
    """Ten bases on their benchmarks, before and after RL from the base."""
    zoo = table.filter(pl.col("study") == "simplerl-zoo", ~pl.col("aggregate"))
    yield "RL from ten bases (SimpleRL-Zoo), accuracy before against after, benchmark by benchmark"
    for benchmark in zoo["benchmark"].unique(maintain_order=True):
        rows = zoo.filter(pl.col("benchmark") == benchmark)
        gain = 100 * (rows["post"] - rows["pre"])
        yield (
            f"  {benchmark}: Spearman {rho(rows, 'pre', 'post'):.2f} over {rows.height} bases, "
            f"gains {gain.min():.1f} to {gain.max():.1f} points"
        )


def rho(rows: pl.DataFrame, before: str, after: str = "post_pass_at_1") -> float:
    """Return Spearman's correlation."""
    return float(spearmanr(rows[before], rows[after]).statistic)


def over_kinds(rows: pl.DataFrame, before: str) -> str:
    """Return Spearman's correlation with a 90 % interval from resampling whole kinds of data."""
    groups = [group for _, group in rows.group_by("recipe_data_kind", maintain_order=True)]
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(REPEATS):
        chosen = pl.concat([groups[index] for index in generator.integers(len(groups), size=len(groups))])
        drawn.append(rho(chosen, before))
    low, high = np.quantile(drawn, [0.05, 0.95])
    return f"Spearman {rho(rows, before):.2f} (90 % interval over {len(groups)} data sets {low:.2f} to {high:.2f})"


def exact_p(before: np.ndarray, after: np.ndarray) -> float:
    """Return the two-sided p value of Spearman's correlation over all orders."""
    seen = abs(spearmanr(before, after).statistic)
    others = [abs(spearmanr(before, list(order)).statistic) for order in permutations(after)]
    return float(np.mean([other >= seen - 1e-12 for other in others]))


def in_order(before: np.ndarray, after: np.ndarray) -> float:
    """Return how many pairs have the same order before and after; a tie on either side is half a pair."""
    signs = [
        np.sign(before[i] - before[j]) * np.sign(after[i] - after[j]) for i, j in combinations(range(len(before)), 2)
    ]
    return float(sum((sign + 1) / 2 for sign in signs))


if __name__ == "__main__":
    sys.exit(run_program(main))
