"""Make the tables of published SFT-RL results from their CSV: `python collectors/make_published.py datasets/published`.

Reads ``pairs.csv`` (one row a number before RL and a number after it, as its source prints them) and writes beside it:

- ``pairs.parquet``: the same rows in one unit, scores as fractions, with what kind of number each is;
- ``by-benchmark.parquet``: one row a candidate and benchmark, where a study gives the same measure before and after RL;
- ``starts-7b.parquet``: one row a candidate of the study with 33 starts of one base, a table that `validate` takes.

Every study is named below with its unit. A row of a study that is not named, out of range, or appears twice is refused.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from quagpredict.corpus import write_corpus
from quagpredict.errors import CorpusError
from quagpredict.files import file_digest
from quagpredict.parquet import write_parquet
from quagpredict.program import run_program


class Study(NamedTuple):
    """Where rows come from: a name of ours, and whether the numbers are per cent."""

    name: str
    per_cent: bool


# By the beginning of `source`. No two studies are ever pooled: benchmarks, prompts and RL differ.
STUDIES: Mapping[str, Study] = {
    "arXiv 2512.11470v2": Study("plasticity-ceiling", True),
    "Aphale & Liu 2026 arXiv 2606.18487": Study("sft-depth", False),
    "EvoLM arXiv 2506.16029": Study("evolm", True),
    "From Imitation to Reward Discovery": Study("warm-ups", True),
    "OLMo 3 report": Study("olmo-3", True),
    "rLLM README": Study("rllm", True),
    "SimpleRL-Zoo": Study("simplerl-zoo", True),
    "ToolRL": Study("toolrl", True),
    "MedVLThinker": Study("medvlthinker", True),
    "MiMo README": Study("mimo", True),
    "SFT-RL-SynergyDilemma": Study("synergy-dilemma", True),
    "marin-community/marin issue #9225": Study("marin-9225", False),
    "marin-community/marin issue #6279 comment of 2026-07-21": Study("marin-6279", False),
    "marin-community/marin issue #6279": Study("marin-6279", True),
    "agi-2026/math-rl": Study("math-rl", True),
    "github.com/theogbrand/nanochat": Study("nanochat", False),
    "karpathy/nanochat": Study("nanochat", False),
    "THUDM/slime": Study("slime", True),
    "yashb98/BuildFromScratch": Study("build-from-scratch", False),
    "Patho-AgenticRAG": Study("patho-agentic-rag", True),
    "bin123apple/AgentTrainer": Study("agent-trainer", True),
}
# What is not a score before RL, by words of `metric_name`: its unit.
NO_SCORE = {"loss": "nats", "entropy": "nats", "count": "count", "ChatCORE": "index"}
AGGREGATES = r"^([Aa]vg|average)( of \d+)?$|^tau2-bench overall$"  # means of the other benchmarks of their study


def main(arguments: list[str]) -> None:
    """Read the CSV, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with pairs.csv; the tables are written there")
    folder = parser.parse_args(arguments).folder
    pairs = read_pairs(folder / "pairs.csv")
    made_from = {"source": "pairs.csv", "source_sha256": file_digest(folder / "pairs.csv")}
    write_parquet(pairs, folder / "pairs.parquet", made_from)
    write_parquet(by_benchmark(pairs), folder / "by-benchmark.parquet", made_from)
    write_corpus(starts_of_7b(pairs), folder / "starts-7b.parquet", made_from)
    print(f"{folder}: {pairs.height} pairs of {pairs['study'].n_unique()} studies", file=sys.stderr)


def read_pairs(path: Path) -> pl.DataFrame:
    """Return the rows of the CSV with scores as fractions.

    Columns beside the CSV's own: ``study``; ``measure`` (what was measured before RL); ``unit`` of ``pre`` (fraction,
    nats, index, count); ``pre`` and ``post``; ``post_kind``, how the number after RL came about: *end* of RL, *best* on
    the way, or a *fitted* ceiling that nobody measured.
    """
    rows = pl.read_csv(path, infer_schema_length=None, schema_overrides={"sft_recipe": pl.String})
    # The CSV writes "same paper" for the section of the paper before it.
    rows = rows.with_columns(
        source=pl.col("source").str.replace("^same paper, ", "From Imitation to Reward Discovery (OPW) 2026, ")
    )
    studies = [study_of(source) for source in rows["source"]]
    rows = rows.with_columns(
        study=pl.Series([study.name for study in studies], dtype=pl.String),
        measure=pl.col("metric_name").str.replace(r"\s*\((%|fraction.*?|count.*?)\)", ""),
        unit=pl.Series([unit_of(name) for name in rows["metric_name"]], dtype=pl.String),
        post_kind=pl.Series([kind_of(note or "") for note in rows["note"]], dtype=pl.String),
        _scale=pl.Series([100.0 if study.per_cent else 1.0 for study in studies]),
    )
    rows = rows.with_columns(
        pre=pl.when(pl.col("unit") == "fraction")
        .then(pl.col("pre_rl_value") / pl.col("_scale"))
        .otherwise("pre_rl_value"),
        post=pl.col("post_rl_value") / pl.col("_scale"),
    )
    check(rows, path)
    return rows.select(
        *("study", "base_model", "sft_recipe", "rl_recipe", "benchmark", "measure", "unit", "pre", "post", "post_kind"),
        *("source", "note"),
    )


def study_of(source: str) -> Study:
    """Return the study that a source belongs to; the longest beginning that fits counts."""
    fitting = [start for start in STUDIES if source.startswith(start)]
    if not fitting:
        raise CorpusError(f"source '{source}' belongs to no study: add it, with its unit, to STUDIES")
    return STUDIES[max(fitting, key=len)]


def unit_of(metric: str) -> str:
    """Return the unit of the number before RL."""
    return next((unit for word, unit in NO_SCORE.items() if word in metric), "fraction")


def kind_of(note: str) -> str:
    """Return how the number after RL came about, by its note."""
    if "A_post" in note or "fitted" in note:
        return "fitted"
    return "best" if re.search(r"max over RL|peak|best average within", note) else "end"


def check(rows: pl.DataFrame, path: Path) -> None:
    """Refuse scores out of range, missing numbers and sources, and rows that appear twice."""
    for column in ("source", "base_model", "sft_recipe", "rl_recipe", "benchmark", "metric_name", "pre", "post"):
        if rows[column].null_count():
            raise CorpusError(f"{path}: column '{column}': {rows[column].null_count()} values are missing")
    for column, wrong in (("post", ~pl.col("post").is_between(0, 1)), ("pre", ~pl.col("pre").is_between(0, 1))):
        bad = rows.filter(wrong & ((pl.col("unit") == "fraction") | (column == "post")))
        if bad.height:
            raise CorpusError(
                f"{path}: '{bad['source'][0]}': {column} is {bad[column][0]:g}, expected 0 to 1: another unit?"
            )
    # Two numbers after RL of one start and one RL are two runs of it, and stay; the same row twice is a slip.
    twice = rows.filter(rows.is_duplicated())
    if twice.height:
        raise CorpusError(f"{path}: the row of '{twice['source'][0]}', {twice['sft_recipe'][0]}, appears twice")


def by_benchmark(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return candidate x benchmark, where the number before RL is the measure of the number after it.

    Columns: ``study``, ``candidate``, ``base_model``, ``sft_recipe``, ``rl_recipe``, ``benchmark``, ``aggregate`` (a
    mean of other rows), ``measure``, ``pre``, ``post``, ``post_kind``, ``source``. A study is there if it has two
    benchmarks or more.
    """
    same = pl.col("measure").str.contains(r"^(accuracy|score|pass@1|greedy acc)(\D|$)") & (pl.col("unit") == "fraction")
    rows = pairs.filter(
        same & ~pl.col("study").is_in(["plasticity-ceiling", "sft-depth", "warm-ups", "build-from-scratch"])
    )
    rows = rows.with_columns(
        candidate=pl.format("{} | {} | {}", "base_model", "sft_recipe", "rl_recipe"),
        aggregate=pl.col("benchmark").str.contains(AGGREGATES),
    )
    rows = rows.filter(pl.col("benchmark").n_unique().over("study") > 1)
    twice = rows.filter(pl.struct("study", "candidate", "benchmark").is_duplicated())
    if twice.height:
        raise CorpusError(f"'{twice['source'][0]}': {twice['candidate'][0]} has '{twice['benchmark'][0]}' twice")
    twice = rows.filter(pl.struct("study", "candidate", "benchmark").is_duplicated())
    if twice.height:
        raise CorpusError(f"'{twice['source'][0]}': {twice['candidate'][0]} has {twice['benchmark'][0]} twice")
    return rows.select(
        *(
            "study",
            "candidate",
            "base_model",
            "sft_recipe",
            "rl_recipe",
            "benchmark",
            "aggregate",
            "measure",
            "pre",
            "post",
        ),
        *("post_kind", "source"),
    )


def starts_of_7b(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the 33 starts of Qwen2.5-7B (arXiv 2512.11470v2, Table 4), one row a candidate.

    ``post_pass_at_1`` is a ceiling that the authors fitted to each RL curve; it is measured nowhere.
    """
    rows = pairs.filter(pl.col("source") == "arXiv 2512.11470v2 Table 4")
    parts = rows["sft_recipe"].str.extract_groups(r"^(?<data>\S+) step (?<steps>\d+) \(SFT compute (?<ef>[\d.]+) EF\)$")
    rows = rows.with_columns(
        _data=parts.struct["data"], _steps=parts.struct["steps"].cast(pl.Int64), _ef=parts.struct["ef"].cast(pl.Float64)
    )
    return rows.select(
        candidate=pl.when(pl.col("_data").is_null())
        .then(pl.lit("no-sft"))
        .otherwise(pl.format("{}-step{}", "_data", "_steps")),
        base_model=pl.lit("Qwen2.5-7B"),
        base_family=pl.lit("qwen2"),
        recipe_data_kind="_data",
        recipe_scenario=pl.when(pl.col("_data").is_null()).then(pl.lit("no-sft")),
        eval_protocol_id=pl.lit("arxiv-2512.11470v2-table-4"),
        rl_recipe_id=pl.lit("arxiv-2512.11470v2-dapodc"),
        pre_pass_at_1=pl.col("pre").round(6),
        post_pass_at_1=pl.col("post").round(6),
        sft_steps=pl.col("_steps").fill_null(0),
        sft_compute_exaflop=pl.col("_ef").fill_null(0.0),
        source="source",
        note="note",
    )


if __name__ == "__main__":
    sys.exit(run_program(main))
