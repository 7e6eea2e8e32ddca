"""Going on with a training that was cut off: from which checkpoint, and what was spent before it. Needs ``train``."""

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from quagpredict.files import write_json
from quagpredict.program import last_checkpoint

_SPENT = "quagpredict_spent.json"  # in a checkpoint: seconds of work that led to it


def where_to_go_on(config: Any) -> tuple[str | None, float]:
    """Return the checkpoint that training goes on from, None for the beginning, and the seconds spent before it.

    Parameters
    ----------
    config : transformers.TrainingArguments
        Its ``resume_from_checkpoint``, else the last checkpoint in ``output_dir`` that holds the optimizer's state.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> where_to_go_on(SimpleNamespace(resume_from_checkpoint=None, output_dir="no/such/folder"))
    (None, 0.0)
    """
    asked = config.resume_from_checkpoint
    checkpoint = Path(asked) if isinstance(asked, str) else last_checkpoint(config.output_dir)
    if checkpoint is None:
        return None, 0.0
    try:
        spent = float(json.loads((checkpoint / _SPENT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        spent = 0.0
    return str(checkpoint), spent


class TimeSpent(TrainerCallback):  # type: ignore[misc]
    """Writes into each checkpoint how long the work up to it took, so that the cost of a resumed run is all of it.

    Parameters
    ----------
    started : float
        `time.perf_counter()` when the work began, less what was spent before.
    """

    def __init__(self, started: float) -> None:
        self.started = started

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Write it, in the process that writes checkpoints."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            write_json(folder / _SPENT, time.perf_counter() - self.started)
