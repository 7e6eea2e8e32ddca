"""TRL's logged completions (trl 1.16, `GRPOTrainer.log` with ``log_completions``): ``completions_STEP.parquet``.

A row is a completion: step, prompt, completion (text, or messages), a column for each reward function, columns that
reward functions logged besides, advantage. The file holds the last batch that was drawn up to the step, so its
completions are of the policy at that time. The same table goes to Weights & Biases, and can be read from there: the
settings of sampling are in the config of that run, and nowhere in the file.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import Reading, together
from quagpredict.importers.records import chosen, wandb_config
from quagpredict.importers.samples import reading_of
from quagpredict.importers.tables import header, text_columns

_DRAWN = {name: name for name in ("temperature", "top_p", "top_k", "min_p")} | {
    "max_completion_length": "max_new_tokens"
}
_OURS = ("step", "prompt", "completion", "advantage")
_NOTE = (
    "TRL logs completions while RL trains: those of step N are of the policy after N steps, and of the candidate "
    "itself only before the first update"
)


def recognises(path: Path) -> bool:
    """Say whether a table has the columns step, prompt, completion and advantage."""
    return set(_OURS) <= set(header(path))


def read(
    paths: Sequence[Path], *, metric: str | None = None, threshold: float | None = None, gold: str | None = None
) -> Reading:
    """Return the problems of tables of completions; a prompt is a problem.

    Parameters
    ----------
    metric : str, optional
        Which reward is the verdict; needed where there are several.
    threshold : float, optional
        From which value on a completion is correct; without it only 0 and 1 are verdicts.
    gold : str, optional
        Which of the logged columns is the reference answer.

    Raises
    ------
    InvalidDataError
        If there are several rewards and none was named, or a file holds completions of several steps.
    """
    return together(_read(path, metric, threshold, gold) for path in paths)


def _read(path: Path, metric: str | None, threshold: float | None, gold: str | None) -> Reading:
    verdict = metric or _only_reward(path)
    table = text_columns(path, ["step", "prompt", "completion", verdict, *([gold] if gold else [])])
    steps = table["step"].unique().sort().to_list()
    if len(steps) != 1:
        raise InvalidDataError(f"{path}: expected completions of one step, got those of {', '.join(map(str, steps))}")
    samples = table.select(
        pl.col("prompt").alias("id"),
        pl.col("completion").alias("response"),
        pl.col(verdict).alias("correct"),
        *([pl.col(gold).alias("gold")] if gold else []),
    )
    settings = [chosen(wandb_config(path), _DRAWN) | {"step": steps[0]}]
    return reading_of(samples, path, "trl", verdict, threshold, settings=settings, notes=[_NOTE], stated=False)


def _only_reward(path: Path) -> str:
    """Return the only column of numbers that may be a reward."""
    # pandas writes an index that is not 0, 1, 2, ... as a column.
    others = [name for name in header(path) if name not in _OURS and not name.startswith("__index_level_")]
    table = text_columns(path, others) if others else pl.DataFrame()
    rewards = [
        name
        for name in others
        if table[name].null_count() < table.height
        and table[name]
        .str.to_lowercase()
        .replace({"true": "1", "false": "0"})
        .cast(pl.Float64, strict=False)
        .null_count()
        == table[name].null_count()
    ]
    if len(rewards) != 1:
        shown = ", ".join(rewards) or "none"
        raise InvalidDataError(f"{path}: expected one column of rewards, found {shown}: choose one (`metric`)")
    return rewards[0]
