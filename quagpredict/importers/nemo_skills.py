"""NeMo-Skills (NVIDIA/NeMo-Skills 02bdc3a): ``output-rs0.jsonl``, ``output-rs1.jsonl``, ...: a file a seed.

A line is a problem. The verdict is is_correct (symbolic_correct in newer releases); an LLM judge's is not read. Newer
releases keep finish_reason; temperature and limits stand in the tool's log alone.
``metrics.json`` (of `nemo_skills/evaluation/metrics/base.py`) holds per cent: ``pass@k`` is the best of the *first* k
samples, ``pass@1[k]`` the mean of the first k. ``output.jsonl`` without a seed is the tool's greedy run.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import PART, Expected, Reading, Reported, as_part, together, verdicts
from quagpredict.importers.records import first_record, json_columns, json_object

_VERDICTS = ("is_correct", "symbolic_correct")
_IDS = ("id", "problem_id", "problem", "question")
_AGGREGATE = re.compile(r"pass@(?P<k>\d+)(?:\[(?P<mean>\d+)\])?$")
_GREEDY = "output"


def recognises(path: Path) -> bool:
    """Say whether the first record has a generation and an expected answer."""
    return {"generation", "expected_answer"} <= first_record(path).keys()


def read(paths: Sequence[Path]) -> Reading:
    """Return the problems, by id, else by the text of the problem, else by line.

    Raises
    ------
    InvalidDataError
        If a verdict is neither right nor wrong, or the greedy run is among those of the seeds.
    """
    parts = together(Reading(_part(path), [{}]) for path in paths)
    greedy = [path for path in paths if path.name.split(".")[0] == _GREEDY]
    if greedy and len(greedy) < len(paths):
        raise InvalidDataError(
            f"{greedy[0]} is the tool's run without a seed, greedy unless it was told otherwise, and the other files "
            "are sampled: leave it out"
        )
    folders = sorted({path.parent for path in paths})
    reported = [score for folder in folders for score in _reported(folder)]
    expected = [count for folder in folders for count in _expected(folder)]
    notes = ["output.jsonl is the tool's greedy run"] if greedy else []
    return replace(parts, reported=reported, expected=expected, notes=notes, stated=False)


def _part(path: Path) -> pl.DataFrame:
    records = json_columns(path, [*_IDS, *_VERDICTS, "generation", "expected_answer", "finish_reason"])
    ids = records.select(pl.coalesce(pl.col(key).replace("", None) for key in _IDS)).to_series()
    verdicts_of = [verdicts(records[key], path) for key in _VERDICTS]
    verdict = verdicts_of[0].zip_with(verdicts_of[0].is_not_null(), verdicts_of[1])
    lines = pl.Series([str(line) for line in range(records.height)], dtype=pl.String)
    table = records.select(
        pl.lit(path.resolve().parent.name).alias("benchmark"),
        ids.zip_with(ids.is_not_null(), lines).alias("problem_id"),
        pl.lit(1).alias("n"),
        verdict.cast(pl.Int64).alias("c"),
        pl.concat_list(pl.col("generation").fill_null("")).alias("responses"),
        pl.col("expected_answer").alias("gold"),
        pl.when(records["finish_reason"].is_not_null())
        .then(pl.concat_list(pl.col("finish_reason") == "length"))
        .otherwise(pl.lit([], PART["truncated"]))
        .alias("truncated"),
        ids.is_null().alias("by_line"),
    )
    return as_part(table)


def _metrics(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    file = folder / "metrics.json"
    if file.is_file():
        for benchmark, modes in json_object(file).items():
            for mode, values in modes.items() if isinstance(modes, dict) else ():
                if isinstance(values, dict):
                    yield benchmark, mode, values


def _expected(folder: Path) -> Iterator[Expected]:
    for benchmark, _, values in _metrics(folder):
        if isinstance(count := values.get("num_entries"), int):
            yield Expected(benchmark, count, f"{folder / 'metrics.json'}")


def _reported(folder: Path) -> Iterator[Reported]:
    for benchmark, mode, values in _metrics(folder):
        match = _AGGREGATE.match(mode)
        value = values.get("symbolic_correct")
        if match and isinstance(value, int | float):
            how = (
                f"the mean of the first {match['mean']} samples"
                if match["mean"]
                else f"the best of the first {match['k']} samples, not the mean over all subsets of that size"
            )
            yield Reported(benchmark, f"{mode} in metrics.json", int(match["k"]), value / 100, how)
