"""A decision of a plan: taken, put into words, and written down as a stage that is done."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from quagpredict.collection.launch import add_line
from quagpredict.collection.ledger import Attempt
from quagpredict.collection.measuring import measuring_in_words, who_gets_more
from quagpredict.collection.rounds import total_cost
from quagpredict.collection.stages import Stage
from quagpredict.collection.work_folder import AttemptFiles, WorkFolder
from quagpredict.files import write_json
from quagpredict.plans.plan import Plan
from quagpredict.racing import race
from quagpredict.run_record import RECORD_NAME, RunRecord
from quagpredict.version import own_version


def decision_stage(
    plan: Plan, stage: Stage, candidates: pl.DataFrame, work: WorkFolder, files: AttemptFiles
) -> Attempt:
    """Run the stage that takes a decision, as a program would: record and log are in its place in the end.

    See `decide` of a race, and `quagpredict.collection.measuring.who_gets_more`.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    work.prepare(stage, files)
    decision = (who_gets_more if stage.kind == "measure" else decide)(plan, stage, candidates)
    seconds = round(time.monotonic() - clock, 3)
    record = RunRecord(stage.program, decision, seconds, {"quagpredict": own_version()})
    write_json(files.folder / RECORD_NAME, record.as_dict())
    add_line(files.log, decision_in_words(plan, decision))
    return Attempt(
        key=stage.key,
        stage=stage.id,
        status="done",
        record=record,
        log=str(files.log.relative_to(work.root)),
        started=started.isoformat(timespec="seconds"),
        seconds=seconds,
    )


def decide(plan: Plan, stage: Stage, candidates: pl.DataFrame) -> dict[str, Any]:
    """Take a decision of a race.

    Parameters
    ----------
    stage : Stage
        The decision to take, from `rounds_of`.
    candidates : polars.DataFrame
        The rows of the collection so far, with the measurements along RL.

    Returns
    -------
    dict
        JSON values: ``moves`` (``candidate``, ``until``, ``gain``, ``cost``, ``why``); ``candidates``, which is
        `quagpredict.racing.Race.frame`; ``choice``, ``expected_regret`` and ``over`` as there, ``notes``; and what it
        was taken from: ``evidence``, the keys of the measurements, ``failed``, ``spent`` before it, ``terms``.

    Raises
    ------
    QuagpredictError
        As `quagpredict.race` does.
    """
    terms = plan.race
    assert plan.rl is not None
    assert terms is not None
    raced = [candidate.name for candidate in plan.candidates if candidate.rl_seeds]
    frame = candidates.filter(pl.col("candidate").is_in(raced))
    outcome = race(
        frame,
        rl_steps=plan.rl.steps,
        budget=max(terms.rl_steps - stage.config["spent"], 0.0),
        measure_cost=terms.measure_cost,
        parallel=terms.parallel,
        rungs=terms.rungs,
        prior=None if terms.prior == "none" else terms.prior,
        learn_from=terms.learn_from,
        stopped=[name for name in stage.config["failed"] if name in set(frame["candidate"])],
        gate=terms.gate,
        margin=terms.margin,
        gate_probability=terms.gate_probability,
        tolerance=terms.tolerance,
    )
    moves = outcome.frame.filter(pl.col("until").is_not_null())
    return {
        **stage.config,
        "moves": moves.select("candidate", "until", "gain", "cost", "why").to_dicts(),
        "candidates": outcome.frame.to_dicts(),
        "choice": outcome.choice,
        "expected_regret": None if outcome.choice is None else outcome.expected_regret,
        "over": outcome.over,
        "notes": list(outcome.notes),
    }


def decision_in_words(plan: Plan, decision: Mapping[str, Any]) -> str:
    """Return a decision in words, in one line."""
    if "moves" not in decision:
        return measuring_in_words(decision)
    assert plan.rl is not None
    assert plan.race is not None
    parts = [f"{total_cost([decision]) + decision['spent']:g} of {plan.race.rl_steps:g} RL steps"]
    by_action: dict[str, list[str]] = {}
    for row in decision["candidates"]:
        name = row["candidate"] if row["until"] is None else f"{row['candidate']} to {row['until']}"
        by_action.setdefault(row["action"], []).append(name)
    parts += [f"{action} {', '.join(names)}" for action, names in by_action.items() if action in ("start", "go on")]
    if stopped := by_action.get("stop"):
        parts.append(f"stop {', '.join(stopped)}")
    if decision["choice"] is None:
        return f"none is worth RL; {'; '.join(parts)}"
    regret = f"expected regret {100 * decision['expected_regret']:.1f} points"
    whole = plan.rl.steps * sum(bool(candidate.rl_seeds) for candidate in plan.candidates)
    if decision["over"]:
        return f"over: take {decision['choice']}, {regret}; {parts[0]} were spent, all runs in full are {whole}"
    return "; ".join([*parts, f"stopping here: {decision['choice']}, {regret}"])
