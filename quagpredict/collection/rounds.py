"""The race of a plan, round by round: what goes on is decided when all that the last decision asked for was measured.

A decision is a stage without a program, ``race/1``, ``race/2`` and so on, that needs the measurements it is made from.
It stands in the ledger as any stage does. So what a race may run follows from the plan and the ledger alone, and
whoever comes back after a kill finds the decisions that were taken, and takes the same ones next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.measuring import measuring_of
from quagpredict.collection.stages import KINDS, Kind, Stage, rows_of, states_of
from quagpredict.errors import UsageError
from quagpredict.files import digest
from quagpredict.plans.plan import Plan

_DECIDER = "quagpredict.race"  # stands where the program of a stage does
_UNDECIDED = ("base", "sft", "evaluate-pre")  # run for all candidates, whatever is decided
_MEASURED = ("evaluate-pre", "evaluate-along", "evaluate-post")


class Rounds(NamedTuple):
    """Where a race stands.

    Attributes
    ----------
    stages : tuple of Stage
        What may be run so far, each stage after its inputs; the last is the next decision, unless the race is over.
    decisions : tuple of mapping
        What each decision says, see `quagpredict.collection.deciding.decide`; oldest first.
    """

    stages: tuple[Stage, ...]
    decisions: tuple[Mapping[str, Any], ...]

    @property
    def spent(self) -> float:
        """What the decisions so far cost, in RL steps; runs that failed are paid for too."""
        return total_cost(self.decisions)

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
    rules = asdict(plan.race)
    # Ledgers hold the digest of the rules under the names that these had when races were first taken.
    terms = digest({"budget": rules.pop("rl_steps"), **rules})
    asked = {stage.id for stage in stages if stage.kind in _UNDECIDED}
    of_stage = {stage.id: stage.candidate for stage in stages}
    raced = {stage.candidate for stage in stages if stage.kind == "grpo"}
    decisions: list[Mapping[str, Any]] = []
    taken = {attempt.stage: attempt.record for attempt in attempts if attempt.status == "done"}
    while (record := taken.get(f"race/{len(decisions) + 1}")) is not None:
        results = record.results
        # A race that was over goes on if its terms were changed, such as the budget, or a candidate came later.
        came = raced - {of_stage.get(stage, "") for stage in results["evidence"]} - {*results["failed"]}
        if any(keys.get(stage) != key for stage, key in results["evidence"].items()) or (
            results["over"] and (results["terms"] != terms or came)
        ):
            break
        decisions.append(results)
        asked |= _asked_for(plan, results["moves"])
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
    if not any(of_stage[identity] in raced for identity in evidence):  # whoever was to be raced has failed
        return Rounds(wanted, tuple(decisions))
    failed = {stage.candidate for stage in wanted if states[stage.id] in ("failed", "blocked")}
    config = {"evidence": evidence, "failed": sorted(failed), "spent": total_cost(decisions), "terms": terms}
    inputs = {identity: identity for identity in evidence}
    decision = Stage("race", str(len(decisions) + 1), _DECIDER, config, inputs, digest(config), "")
    return Rounds((*wanted, decision), tuple(decisions))


def may_run(
    plan: Plan, stages: Sequence[Stage], attempts: Iterable[Attempt], *, raced: bool, whole: bool
) -> tuple[Stage, ...]:
    """Return what may be run by what was decided so far, with the next decision if there is one to take.

    Parameters
    ----------
    plan, stages, attempts, whole
        As for `quagpredict.collection.measuring.measuring_of`.
    raced : bool
        From `is_raced`.
    """
    attempts = list(attempts)
    measuring = measuring_of(plan, stages, attempts, whole=whole)
    return rounds_of(plan, measuring.stages, attempts).stages if raced and measuring.settled else measuring.stages


def total_cost(decisions: Iterable[Mapping[str, Any]]) -> float:
    """Return what decisions cost together, in RL steps."""
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
