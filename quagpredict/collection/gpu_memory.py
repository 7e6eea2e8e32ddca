"""A stage that ran out of GPU memory is tried once more with half the batch; what that means for each kind of stage."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import Stage
from quagpredict.plans.parts import PROGRAMS

_END_OF_LOG = 65536  # bytes; every process of a training says it, and the launcher of several says more after them
_RAN_OUT = re.compile(rb"\b(?:torch|cuda)\.OutOfMemoryError\b|\bCUDA out of memory\b")
# What trl and vLLM take where a recipe or a plan says nothing.
_TRAINED_AT_ONCE, _DRAWN_AT_ONCE = 8, 256


def ran_out_of_gpu_memory(log: Path) -> bool:
    """Return whether the end of a failed stage's log says that torch found no more memory on a GPU."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, 2) - _END_OF_LOG))
            return _RAN_OUT.search(handle.read()) is not None
    except OSError:
        return False


def with_half_the_batch(stage: Stage) -> dict[str, Any] | None:
    """Return the keys of a stage's config that halve what is on a GPU at once, or None where nothing can be halved.

    A training accumulates twice as often, so that every step of the optimizer still sees the same examples: the recipe
    is the same, up to the order of additions. Our own RL program draws half as many responses side by side, unless vLLM
    does that: others, from the same distribution. A measurement draws half as many samples side by side; none depends
    on it.

    Parameters
    ----------
    stage : Stage
        A training is SFT or RL with TRL's key names. A base model made here is none: its batch is its recipe.

    Examples
    --------
    >>> config = {"per_device_train_batch_size": 6, "steps_per_generation": 2}
    >>> with_half_the_batch(Stage("grpo", "a.rl-s0", "train_grpo.py", config, {}, "key", "a"))
    {'per_device_train_batch_size': 3, 'gradient_accumulation_steps': 2, 'steps_per_generation': 4}
    >>> with_half_the_batch(Stage("evaluate-pre", "a", "evaluate.py", {"batch_size": 9}, {}, "key", "a"))
    {'batch_size': 4}
    """
    config = stage.config
    if stage.kind.startswith("evaluate"):
        at_once = config.get("batch_size") or _DRAWN_AT_ONCE
        return {"batch_size": at_once // 2} if at_once > 1 else None
    if stage.kind not in ("sft", "grpo"):
        return None
    at_once = config.get("per_device_train_batch_size", _TRAINED_AT_ONCE)
    if not isinstance(at_once, int) or at_once < 2 or at_once % 2:
        return None
    changes = {"per_device_train_batch_size": at_once // 2, **_doubled(config)}
    if stage.program == PROGRAMS["rl"] and not config.get("use_vllm"):
        steps = config.get("steps_per_generation") or config.get("gradient_accumulation_steps") or 1
        # Where the batch of a generation is given, it is that of all processes, and their number is not known here.
        drawn = config.get("drawn_at_once") or (at_once if config.get("generation_batch_size") else at_once * steps)
        changes["drawn_at_once"] = max(drawn // 2, 1)
    return changes


def half_may_fit(stage: Stage, log: Path) -> bool:
    """Return whether a stage failed because a GPU had no more memory, and can be tried with half the batch."""
    return ran_out_of_gpu_memory(log) and with_half_the_batch(stage) is not None


def changes_of_next(stage: Stage, last: Attempt | None) -> Mapping[str, Any]:
    """Return what the next attempt at a stage is given otherwise than its config says, after the last one."""
    return (with_half_the_batch(stage) or {}) if last is not None and last.half_batch_next else {}


def _doubled(config: Mapping[str, Any]) -> dict[str, Any]:
    accumulated = {"gradient_accumulation_steps": 2 * (config.get("gradient_accumulation_steps") or 1)}
    if config.get("steps_per_generation"):  # RL: by default as often as gradients are accumulated
        accumulated["steps_per_generation"] = 2 * config["steps_per_generation"]
    return accumulated
