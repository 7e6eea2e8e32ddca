"""`QuagpredictCallback`: what each saved checkpoint is worth for RL, while the training goes on."""

import contextlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import TrainerCallback

from quagpredict.arguments import check_arguments
from quagpredict.corpus import write_corpus
from quagpredict.errors import NothingToRankError, UsageError
from quagpredict.evaluation.score import score_checkpoint
from quagpredict.evaluation.suite import Suite, read_suite
from quagpredict.files import write_json
from quagpredict.racing import race
from quagpredict.ranking import rank
from quagpredict.surrogates.fitted import FittedSurrogate

#: What is logged of a measurement: name in the log -> column of the table.
_LOGGED = {
    "pass_at_1": "pre_pass_at_1",
    "pass_at_8": "pre_pass_at_8",
    "pass_at_16": "pre_pass_at_16",
    "held_out_loss": "pre_held_out_loss_nats",
    "truncated_share": "pre_truncated_share",
}
_CURVE_K = 16
_ENDS = {"": "prediction", "_low": "low", "_high": "high"}


class QuagpredictCallback(TrainerCallback):  # type: ignore[misc]
    """Measures every checkpoint that a trainer saves, and says what it is worth for RL.

    During SFT each saved checkpoint is measured on a small probe, ranked among those before it by its predicted score
    after RL, and logged to wherever the trainer reports to; `best_for_rl.json` in the output folder names the best, and
    ``quagpredict/*.parquet`` there are rows for `quagpredict rank`. During RL (a trainer with ``reward_funcs``) the
    rows are a learning curve, and what is logged is the forecast of its end.

    Parameters
    ----------
    trainer : Trainer
        It logs through this one: ``trainer.add_callback(QuagpredictCallback(trainer, ...))``.
    suite : Suite or path
        What is asked; its ``eval_protocol_id`` goes into the rows.
    base_model : str, optional
        Name of the base model, for surrogates that know bases.
    problems : int
        Problems of each benchmark in the probe.
    samples : int
        Samples a problem. 16 order candidates nearly as well as 256.
    surrogate : FittedSurrogate, path, str or None
        What predicts during SFT, as in `quagpredict.rank`; the default needs no finished run.
    patience : int, optional
        Stop SFT once so many checkpoints in a row have not become the best for RL.
    gate : float, optional
        During RL: a score to reach. Where the forecast says that it is not likely to be reached, RL is stopped.
    engine_settings : mapping, optional
        Of the engine, e.g. ``{"device": "cpu"}``.

    Attributes
    ----------
    rows : polars.DataFrame
        One row a measured checkpoint.
    best : str or None
        Folder of the checkpoint that is best for RL so far, during SFT.

    Raises
    ------
    UsageError
        If the trainer saves nothing, so that nothing could be measured.

    Notes
    -----
    A checkpoint is loaded a second time, from disk, by the main process, while the others wait; what is drawn is seeded
    by the problem, and random states are given back: the training is the same to the bit as without the callback.
    Where the trainer keeps only some checkpoints (``save_total_limit``) the best for RL is among them, unless it keeps
    the best by a metric of its own.

    Examples
    --------
    ``docs/guide/while-training.md`` has a whole training. A trainer that saves nothing is refused:

    >>> from types import SimpleNamespace
    >>> try:
    ...     QuagpredictCallback(SimpleNamespace(args=SimpleNamespace(save_strategy="no")), "collectors/suites/lab.yaml")
    ... except UsageError as error:
    ...     "saves no checkpoint" in str(error)
    True
    """

    def __init__(
        self,
        trainer: Any,
        suite: Suite | str | Path,
        *,
        base_model: str | None = None,
        problems: int = 10,
        samples: int = 16,
        surrogate: FittedSurrogate | str | Path | None = "default",
        patience: int | None = None,
        gate: float | None = None,
        engine_settings: Mapping[str, Any] | None = None,
    ) -> None:
        check_arguments(QuagpredictCallback.__init__, locals())
        if getattr(trainer.args.save_strategy, "value", trainer.args.save_strategy) == "no":
            raise UsageError("the trainer saves no checkpoint (save_strategy='no'), so none can be measured; save some")
        self.trainer = trainer
        self.probe = probe_of(suite, problems)
        self.samples = samples
        self.base_model = base_model
        self.surrogate = surrogate
        self.patience = patience
        self.gate = gate
        self.engine_settings = dict(engine_settings or {})
        self.rows = pl.DataFrame()
        self.best: str | None = None
        self._is_rl = hasattr(trainer, "reward_funcs")
        self._since_best = 0

    def on_train_begin(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Measure where RL starts: the first point of its curve."""
        start = Path(str(getattr(self.trainer.model.config, "_name_or_path", "")))
        if self._is_rl and state.is_world_process_zero and (start / "config.json").exists() and not state.global_step:
            self._measure(start, "start", args)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Measure the checkpoint that was just saved."""
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            row = self._measure(checkpoint, checkpoint.name, args)
            values = {name: row[column] for name, column in _LOGGED.items() if row.get(column) is not None}
            stop = self._forecast(state, values) if self._is_rl else self._choose(checkpoint, args, state, values)
            control.should_training_stop = control.should_training_stop or stop
            with _same_random_states():
                self.trainer.log({f"quagpredict/{name}": float(value) for name, value in values.items()})
        self.trainer.accelerator.wait_for_everyone()
        return control

    def _measure(self, checkpoint: Path, name: str, args: Any) -> dict[str, Any]:
        with _same_random_states():
            score = score_checkpoint(
                checkpoint,
                self.probe,
                samples=self.samples,
                engine="transformers",
                engine_settings=self.engine_settings,
                name=name,
                base_model=self.base_model,
            )
        # A run that is gone on with comes by a checkpoint again.
        others = self.rows.filter(pl.col("candidate") != name) if self.rows.height else self.rows
        self.rows = pl.concat([others, score.row], how="diagonal_relaxed") if others.height else score.row
        folder = Path(args.output_dir) / "quagpredict"
        folder.mkdir(parents=True, exist_ok=True)
        write_corpus(score.row, folder / f"{name}.parquet")
        return score.row.row(0, named=True)

    def _choose(self, checkpoint: Path, args: Any, state: Any, values: dict[str, Any]) -> bool:
        """Note the best for RL so far; return whether SFT may stop."""
        try:
            ranking = rank(self.rows, self.surrogate)
        except NothingToRankError:
            return False
        # Nothing is learnt from a checkpoint whose groups are all alike, whatever is predicted of it: a model that has
        # forgotten all is far from every run that a prior has seen.
        order = ranking.frame.to_dicts()
        first = next((row for row in order if "no-signal" not in row["flags"]), order[0])
        own = ranking.frame.row(by_predicate=pl.col("candidate") == checkpoint.name, named=True)
        if own.get("prediction") is not None:
            values |= {f"after_rl{end}": own[name] for end, name in _ENDS.items() if own.get(name) is not None}
        best = str(checkpoint.parent / first["candidate"])
        self._since_best = 0 if best != self.best else self._since_best + 1
        self.best = best
        values["best_for_rl_step"] = int(first["candidate"].rpartition("-")[2])
        # Rotation keeps this one; where the trainer keeps the best by a metric of its own, that goes first.
        if args.metric_for_best_model is None:
            state.best_model_checkpoint = best
        shown = {name: first.get(name) for name in ("candidate", "prediction", "low", "high", "p_best")}
        write_json(Path(args.output_dir) / "best_for_rl.json", {"checkpoint": best, **shown, "notes": ranking.notes})
        return self.patience is not None and self._since_best >= self.patience

    def _forecast(self, state: Any, values: dict[str, Any]) -> bool:
        """Note what the end of RL is expected to be; return whether it may stop."""
        names = self.rows["candidate"].to_list()
        if "start" not in names or state.max_steps < 1:
            return False
        start = self.rows.filter(candidate="start").with_columns(candidate=pl.lit("this run"))
        along = self.rows.filter(pl.col("candidate") != "start")
        k = f"pre_pass_at_{_CURVE_K}"
        curve = pl.DataFrame(
            {
                "candidate": ["this run"] * along.height,
                "step": [int(name.rpartition("-")[2]) for name in along["candidate"]],
                "pass_at_1": along["pre_pass_at_1"],
                **({f"pass_at_{_CURVE_K}": along[k]} if k in along.columns else {}),
                "n": along["pre_samples_per_problem"],
            }
        )
        end = race(start, curve, rl_steps=state.max_steps, gate=self.gate).frame.row(0, named=True)
        values |= {
            "at_the_end": end["forecast"],
            "at_the_end_low": end["low"],
            "at_the_end_high": end["high"],
        }
        values |= {"likely_to_clear": end["p_clear"]} if end.get("p_clear") is not None else {}
        return bool(end["action"] == "stop")


@contextlib.contextmanager
def _same_random_states() -> Iterator[None]:
    """Give the random states back as they were, so that a training draws what it would have drawn."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def probe_of(suite: Suite | str | Path, problems: int) -> Suite:
    """Return a suite with some problems of each benchmark, evenly spread over it, and all of its held-out solutions.

    Parameters
    ----------
    problems : int
        Of each benchmark, at least 1; a benchmark with fewer keeps all.

    Examples
    --------
    >>> small = probe_of("collectors/suites/lab-pilot.yaml", 5)
    >>> len(small.problems), len({problem.benchmark for problem in small.problems})
    (15, 3)
    """
    if problems < 1:
        raise UsageError(f"problems={problems}: expected a whole number of at least 1")
    whole = suite if isinstance(suite, Suite) else read_suite(suite)
    positions: dict[str, list[int]] = {}
    for position, problem in enumerate(whole.problems):
        positions.setdefault(problem.benchmark, []).append(position)
    kept: set[int] = set()
    for of_benchmark in positions.values():
        count = min(problems, len(of_benchmark))
        kept |= {of_benchmark[i * len(of_benchmark) // count] for i in range(count)}
    return replace(whole, problems=tuple(whole.problems[position] for position in sorted(kept)))
