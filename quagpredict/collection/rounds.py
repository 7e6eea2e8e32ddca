"""The race of a plan, round by round: what goes on is decided when all that the last decision asked for was measured.

A decision is a stage without a program, ``race/1``, ``race/2`` and so on, that needs the measurements it is made from.
It stands in the ledger as any stage does. So what a race may run follows from the plan and the ledger alone, and
whoever comes back after a kill finds the decisions that were taken, and takes the same ones next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import polars as pl

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import KINDS, Kind, Stage, rows_of, states_of
from quagpredict.errors import UsageError
from quagpredict.files import digest
from quagpredict.plans.parts import Race
from quagpredict.plans.plan import Plan
from quagpredict.racing import race

#: What stands where the program of a stage does.
DECIDER = "quagpredict.race"
_UNDECIDED = ("base", "sft", "evaluate-pre")  # run for all candidates, whatever is decided
_MEASURED = ("evaluate-pre", "evaluate-along", "evaluate-post")


class Rounds(NamedTuple):
    """Where a race stands.

    Attributes
    ----------
    stages : tuple of Stage
        What may be run so far, each stage after its inputs; the last is the next decision, unless the race is over.
    decisions : tuple of mapping
        What each decision says, see `decide`; oldest first.
    """

    stages: tuple[Stage, ...]
    decisions: tuple[Mapping[str, Any], ...]

    @property
    def spent(self) -> float:
        """What the decisions so far cost, in RL steps; runs that failed are paid for too."""
        return _spent(self.decisions)

    @property
    def over(self) -> bool:
        """Whether nothing is left to decide."""
        return bool(self.decisions) and bool(self.decisions[-1]["over"])


def is_raced(
    plan: Plan, until: Kind | None = None, only: Sequence[str] = (), limit: int | None = None, *, in_full: bool = False
) -> bool:
    """Return whether a call of `collect` holds the race of its plan: it may run a part that comes before, or all runs.

    Raises
    ------
    UsageError
        If it asks for a part of the plan's RL that only a race could choose.
    """
    if plan.race is None or in_full or limit == 0 or until in KINDS[: len(_UNDECIDED)]:
        return False
    if until is not None:
        raise UsageError(
            f"until: '{plan.name}' is a race, which decides from one measurement to the next: expected "
            f"{', '.join(_UNDECIDED)}, got {until!r}"
        )
    if only or limit is not None:
        raise UsageError(
            f"'{plan.name}' is a race between all its candidates: give a part of them only with "
            "until='evaluate-pre', or with in_full=True, which takes them to the end of RL whatever the race says"
        )
    return True


def rounds_of(plan: Plan, stages: Sequence[Stage], attempts: Iterable[Attempt]) -> Rounds:
    """Return where the race of a plan stands.

    A decision counts as long as the measurements that it was made from are those of the plan. The next one is made from
    all measurements that were asked for, when the last of them is done or has failed, and from what was measured beyond
    that.

    Parameters
    ----------
    plan : Plan
        With a race.
    stages : sequence of Stage
        All stages of the plan.
    attempts : iterable of Attempt
        Oldest first.
    """
    attempts = list(attempts)
    assert plan.race is not None
    keys = {stage.id: stage.key for stage in stages}
    terms = digest(asdict(plan.race))
    asked = {stage.id for stage in stages if stage.kind in _UNDECIDED}
    decisions: list[Mapping[str, Any]] = []
    taken = {attempt.stage: attempt.record for attempt in attempts if attempt.status == "done"}
    while (record := taken.get(f"race/{len(decisions) + 1}")) is not None:
        found = record.results
        # A race that was over goes on if its terms were changed, such as the budget.
        if any(keys.get(stage) != key for stage, key in found["evidence"].items()) or (
            found["over"] and found["terms"] != terms
        ):
            break
        decisions.append(found)
        asked |= _asked_for(plan, found["moves"])
    wanted = tuple(stage for stage in stages if stage.id in asked)
    if decisions and decisions[-1]["over"]:
        return Rounds(wanted, tuple(decisions))
    states = states_of(stages, attempts)
    evidence = {
        stage.id: stage.key
        for stage in stages
        if stage.kind in _MEASURED
        and (states[stage.id] == "done" or (stage.id in asked and states[stage.id] in ("ready", "waiting")))
    }
    if not evidence:
        return Rounds(wanted, tuple(decisions))
    failed = {stage.candidate for stage in wanted if states[stage.id] in ("failed", "blocked")}
    config = {"evidence": evidence, "failed": sorted(failed), "spent": _spent(decisions), "terms": terms}
    inputs = {identity: identity for identity in evidence}
    decision = Stage("race", str(len(decisions) + 1), DECIDER, config, inputs, digest(config), "")
    return Rounds((*wanted, decision), tuple(decisions))


def decide(plan: Plan, stage: Stage, candidates: pl.DataFrame) -> dict[str, Any]:
    """Take a decision.

    Parameters
    ----------
    plan : Plan
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
    found = race(
        frame,
        rl_steps=plan.rl.steps,
        budget=max(terms.budget - stage.config["spent"], 0.0),
        measure_cost=terms.measure_cost,
        parallel=terms.parallel,
        rungs=terms.rungs,
        prior=_prior(terms),
        learn_from=terms.learn_from,
        stopped=[name for name in stage.config["failed"] if name in set(frame["candidate"])],
        gate=terms.gate,
        margin=terms.margin,
        gate_probability=terms.gate_probability,
        tolerance=terms.tolerance,
    )
    moves = found.frame.filter(pl.col("until").is_not_null())
    return {
        **stage.config,
        "moves": moves.select("candidate", "until", "gain", "cost", "why").to_dicts(),
        "candidates": found.frame.to_dicts(),
        "choice": found.choice,
        "expected_regret": None if found.choice is None else found.expected_regret,
        "over": found.over,
        "notes": list(found.notes),
    }


def said(plan: Plan, decision: Mapping[str, Any]) -> str:
    """Return a decision in words, in one line."""
    assert plan.rl is not None
    assert plan.race is not None
    parts = [f"{_spent([decision]) + decision['spent']:g} of {plan.race.budget:g} RL steps"]
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


def _prior(terms: Race) -> str | None:
    return None if terms.prior == "none" else terms.prior


def _spent(decisions: Iterable[Mapping[str, Any]]) -> float:
    return float(sum(move["cost"] for decision in decisions for move in decision["moves"]))


def _asked_for(plan: Plan, moves: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the stages that take runs as far as the moves say, and measure them there."""
    until = {move["candidate"]: move["until"] for move in moves}
    asked: set[str] = set()
    for row in rows_of(plan):
        if row.candidate.name not in until or row.grpo is None or row.post is None:
            continue
        step = until[row.candidate.name]
        asked |= {identity for rung, identity in row.paused.items() if rung <= step}
        asked |= {row.along[step]} if step in row.along else {row.grpo, row.post}
    return asked
