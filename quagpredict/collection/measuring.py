"""Measuring before RL where results decide how many samples that takes: who gets more, round by round.

A decision is a stage without a program, ``measure/1``, ``measure/2`` and so on, that needs the measurements it is made
from, as in a race. No RL is begun before the last of them: what is measured is measured to choose by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import polars as pl

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import SAMPLES, Past, Stage, states_of
from quagpredict.evaluation.ordering import open_places, place_of
from quagpredict.files import digest
from quagpredict.plans.plan import Plan

_DECIDER = "quagpredict.evaluation.places"  # stands where the program of a stage does; ledgers have it
_BEFORE_RL = ("base", "sft", "evaluate-pre")


class Measuring(NamedTuple):
    """Where the measuring of a plan stands.

    Attributes
    ----------
    stages : tuple of Stage
        What may be run so far, each stage after its inputs; until it is settled the last is the next decision.
    settled : bool
        Whether nobody gets more samples; always, where the plan says how many there are.
    """

    stages: tuple[Stage, ...]
    settled: bool


def measuring_of(plan: Plan, stages: Sequence[Stage], attempts: Iterable[Attempt], *, whole: bool = True) -> Measuring:
    """Return what may be run of a plan by what was measured so far.

    A decision counts as long as the measurements that it was made from are those of the plan, and the rule is the same.
    The next is made when all measurements that were asked for are done or have failed; also after one that gave nobody
    more, where a candidate can be measured that it did not know of.

    Parameters
    ----------
    stages : sequence of Stage
        Those that the call is about.
    attempts : iterable of Attempt
        Oldest first.
    whole : bool
        Whether the call is about all candidates. If not, nothing is decided, and what was decided holds.
    """
    if plan.evaluation.auto is None:
        return Measuring(tuple(stages), settled=True)
    attempts = list(attempts)
    keys = {stage.id: stage.key for stage in stages}
    terms = digest(asdict(plan.evaluation.auto))
    firsts = [stage.id for stage in stages if stage.kind == "evaluate-pre" and SAMPLES not in stage.inputs]
    last = {_candidate(identity)[0]: identity for identity in firsts}  # candidate -> its measurement
    taken = {attempt.stage: attempt.record for attempt in attempts if attempt.status == "done"}
    number, settled = 1, False
    while (record := taken.get(f"measure/{number}")) is not None:
        results = record.results
        if results["terms"] != terms or any(
            keys.get(identity, key) != key for identity, key in results["evidence"].items()
        ):
            break
        last |= {name: identity for name, identity in results["more"].items() if identity in keys}
        number, settled = number + 1, not results["more"]
        decided = {_candidate(identity)[0] for identity in results["evidence"]}
    last, asked = _drawn(stages, attempts, last)
    wanted = tuple(stage for stage in stages if stage.kind != "evaluate-pre" or stage.id in asked)
    if not whole or not last or (settled and decided >= last.keys()):
        return Measuring(wanted, settled=True)
    before = tuple(stage for stage in wanted if stage.kind in _BEFORE_RL)
    states = states_of(before, attempts)
    evidence = {
        identity: keys[identity] for identity in last.values() if states[identity] in ("done", "ready", "waiting")
    }
    if not evidence or (settled and decided >= {_candidate(identity)[0] for identity in evidence}):
        return Measuring(wanted, settled=True)
    config = {"evidence": evidence, "terms": terms}
    decision = Stage(
        "measure", str(number), _DECIDER, config, {identity: identity for identity in evidence}, digest(config), ""
    )
    return Measuring((*before, decision), settled=False)


def who_gets_more(plan: Plan, stage: Stage, candidates: pl.DataFrame) -> dict[str, Any]:
    """Decide which candidates get more samples.

    Parameters
    ----------
    stage : Stage
        The decision to take, from `measuring_of`.
    candidates : polars.DataFrame
        The rows of the collection so far.

    Returns
    -------
    dict
        ``more``: candidate -> the measurement that it gets, empty if the choice is settled; ``open``: candidates whose
        place is open, those that have as many samples as they may get among them; and what it was taken from.
    """
    rule = plan.evaluation.auto
    assert rule is not None
    drawn = dict(map(_candidate, stage.config["evidence"]))
    rows = candidates.filter(pl.col("candidate").is_in(list(drawn)))
    rows = rows.unique("candidate", keep="first", maintain_order=True)
    still: list[str] = []
    for base in rows.partition_by("base_model", maintain_order=True):
        counts = {row["candidate"]: _counts(row["pre_problems"]) for row in base.iter_rows(named=True)}
        measured = [place_of(name, n, c, rule.first) for name, (n, c) in counts.items()]
        still += open_places(measured, rule.top, tolerance=rule.tolerance)
    following = dict(zip((None, *rule.rounds[1:]), rule.rounds[1:], strict=False))
    more = {name: f"evaluate-pre/{name}@{following[drawn[name]]}" for name in still if drawn[name] in following}
    return {**stage.config, "open": still, "more": more}


def measuring_in_words(decision: Mapping[str, Any]) -> str:
    """Return a decision in words, in one line."""
    held = len(decision["open"]) - len(decision["more"])
    at_most = f"; {held} are open with all the samples that the plan allows" if held else ""
    if not decision["more"]:
        return f"no more samples for any of {len(decision['evidence'])} candidates{at_most}"
    return f"more samples for {', '.join(decision['more'])}: whether they are among the best is open{at_most}"


def _drawn(
    stages: Sequence[Stage], attempts: Iterable[Attempt], last: Mapping[str, str]
) -> tuple[dict[str, str], set[str]]:
    """Return each candidate's last measurement, of those that are done the largest, and all that it goes on from."""
    keys = {stage.id: stage.key for stage in stages}
    before = {stage.id: stage.inputs[SAMPLES] for stage in stages if SAMPLES in stage.inputs}
    after = {had: identity for identity, had in before.items()}
    finished = Past(attempts).finished
    largest: dict[str, str] = {}
    asked: set[str] = set()
    for name, identity in last.items():
        # What was drawn under an earlier rule is not drawn again, and the next decision sees it.
        while (more := after.get(identity)) is not None and finished.get(more) == keys[more]:
            identity = more
        largest[name] = identity
        asked.add(identity)
        while (had := before.get(identity)) is not None:
            asked.add(had)
            identity = had
    return largest, asked


def _candidate(identity: str) -> tuple[str, int | None]:
    """Return whose measurement that is, and its samples if it is not the first.

    The name of a checkpoint has an @ of its own, and then e.
    """
    whole = identity.partition("/")[2]
    name, _, samples = whole.rpartition("@")
    return (name, int(samples)) if name and samples.isdigit() else (whole, None)


def _counts(problems: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[int]]:
    """Return samples and correct ones, problems in the same order for all candidates."""
    ordered = sorted(problems, key=lambda problem: (problem["benchmark"], problem["problem_id"]))
    return [problem["n"] for problem in ordered], [problem["c"] for problem in ordered]
