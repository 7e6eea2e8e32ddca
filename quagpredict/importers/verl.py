"""verl's dumps of validation (verl-project/verl 0094eb2, `RayPPOTrainer._write_generations`): ``STEP.jsonl``.

They are written to ``trainer.validation_data_dir``. A line is a sample: input (the decoded prompt), output, gts, score,
step, and what the reward function returned besides (acc, reward, pred, ...). With ``val_before_train`` step 0 is the
candidate itself. A dump says nothing of how samples were drawn: that is in Hydra's config, where the folder of dumps
lies in that of the run (``.hydra/config.yaml``), or in that of a Weights & Biases run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import Reading, together, without_key
from quagpredict.importers.records import check_verdicts, chosen, first_record, hydra_config, json_columns, wandb_config
from quagpredict.importers.samples import reading_of

_BENCHMARK = "data_source"
_DRAWN = {name: name for name in ("temperature", "top_p", "top_k", "do_sample")}


def recognises(path: Path) -> bool:
    """Say whether the first record has input, output, score and step."""
    return {"input", "output", "score", "step"} <= first_record(path).keys()


def read(paths: Sequence[Path], *, metric: str | None = None, threshold: float | None = None) -> Reading:
    """Return the problems of dumps; a prompt is a problem.

    Parameters
    ----------
    metric : str, optional
        Which value is the verdict; by default acc, which verl itself prefers, else score.
    threshold : float, optional
        From which value on a sample is correct; without it only 0 and 1 are verdicts.

    Raises
    ------
    InvalidDataError
        If a record lacks a value, a value is not a verdict, or a file holds samples of several steps.
    """
    return together(_read(path, metric, threshold) for path in paths)


def _read(path: Path, metric: str | None, threshold: float | None) -> Reading:
    verdict = metric or ("acc" if "acc" in first_record(path) else "score")
    table = json_columns(path, list(dict.fromkeys(["input", "output", "gts", "step", _BENCHMARK, verdict])))
    for key in ("input", "output", "step"):
        if (lacking := table[key].is_null()).any():
            raise without_key(path, int(lacking.arg_true()[0]), key)
    check_verdicts(table, verdict, path)
    steps = table["step"].unique().sort().to_list()
    if len(steps) > 1:
        raise InvalidDataError(f"{path}: expected samples of one step, got those of {', '.join(steps)}")
    samples = table.select(
        pl.col("input").alias("id"),
        pl.col("output").alias("response"),
        pl.col("gts").alias("gold"),
        pl.col(verdict).alias("correct"),
        pl.col(_BENCHMARK).alias("benchmark"),
    )
    settings = [_drawn(path) | ({"step": steps[0]} if steps else {})]
    stated = not table[_BENCHMARK].is_null().any()
    return reading_of(samples, path, "verl", verdict, threshold, settings=settings, stated=stated)


def _drawn(path: Path) -> dict[str, Any]:
    """Return the settings of validation in the config of the run."""
    config = hydra_config(path) or wandb_config(path)
    limit = chosen(config, {"max_response_length": "max_new_tokens"}, "data")
    return chosen(config, _DRAWN, "actor_rollout_ref", "rollout", "val_kwargs") | limit
