"""verifiers and prime-rl (PrimeIntellect-ai/verifiers 00d8320, `verifiers/utils/save_utils.py`): ``results.jsonl``.

A line is a rollout: example_id, prompt, completion (messages or text), answer, reward, error, is_truncated, metrics.
Beside it ``metadata.json`` has env_id, num_examples, rollouts_per_example, sampling_args, pass_threshold, pass_at_k.
A rollout that ended with an error has reward 0, and is not a wrong answer.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.importers.reading import Expected, Reading, Reported, together
from quagpredict.importers.records import check_verdicts, first_record, json_columns, json_object, section
from quagpredict.importers.samples import reading_of

_SETTINGS = (
    *("temperature", "top_p", "top_k", "min_p"),
    *("max_tokens", "max_completion_tokens", "reasoning_effort", "seed"),
)


def recognises(path: Path) -> bool:
    """Say whether the first record has example_id, completion and reward."""
    return {"example_id", "completion", "reward"} <= first_record(path).keys()


def read(paths: Sequence[Path], *, metric: str | None = None, threshold: float | None = None) -> Reading:
    """Return the problems of results files.

    Parameters
    ----------
    metric : str, optional
        Which value is the verdict; the reward by default.
    threshold : float, optional
        From which value on a rollout is correct; by default the tool's own, where its metadata has one.

    Raises
    ------
    InvalidDataError
        If a record lacks its id, or a value is not a verdict.
    """
    return together(_read(path, metric, threshold) for path in paths)


def _read(path: Path, metric: str | None, threshold: float | None) -> Reading:
    verdict = metric or "reward"
    file = path.with_name("metadata.json")
    metadata = json_object(file) if file.is_file() else {}
    benchmark = str(metadata.get("env_id") or "verifiers")
    pass_threshold = metadata.get("pass_threshold") if metric is None else None
    least = pass_threshold if threshold is None and isinstance(pass_threshold, int | float) else threshold
    table = json_columns(path, ["example_id", "completion", "answer", "error", "is_truncated", verdict])
    check_verdicts(table, verdict, path)
    failed = table["error"].is_not_null()
    samples = table.filter(~failed).select(
        pl.col("example_id").alias("id"),
        pl.col("completion").alias("response"),
        pl.col("answer").alias("gold"),
        pl.col("is_truncated").alias("truncated"),
        pl.col(verdict).alias("correct"),
    )
    sampling = section(metadata, "sampling_args")
    count, each = metadata.get("num_examples"), metadata.get("rollouts_per_example")
    expected = []
    if isinstance(count, int) and count > 0:
        expected = [Expected(benchmark, count, str(file), each if isinstance(each, int) else None)]
    return reading_of(
        samples,
        path,
        benchmark,
        verdict,
        least,
        settings=[{key: sampling[key] for key in _SETTINGS if sampling.get(key) is not None}],
        left_out=[f"{path}: {failed.sum()} of {table.height} rollouts ended with an error"] if failed.any() else [],
        reported=list(_reported(metadata, benchmark, least)),
        expected=expected,
        stated="env_id" in metadata,
    )


def _reported(metadata: dict[str, Any], benchmark: str, threshold: float | None) -> Iterator[Reported]:
    by_k = metadata.get("pass_at_k")
    how = f"over all rollouts, those with an error as wrong ones, passed from a reward of {threshold} on"
    for k, value in by_k.items() if isinstance(by_k, dict) else ():
        if str(k).isdigit() and isinstance(value, int | float):
            yield Reported(benchmark, f"pass@{k} in metadata.json", int(k), float(value), how)
