"""What is kept attempt by attempt is what all attempts together say, and the next stage is the one that should be."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import Stage, stages_of, states_of
from quagpredict.collection.standing import MOST_FAILURES, Standing
from quagpredict.plans.plan import Plan

WritePlan = Callable[..., Path]
SFT, PRE, RL = (f"{kind}/weak.broad-16x" for kind in ("sft", "evaluate-pre", "grpo"))


def attempt(stage: Stage, status: Any = "done", *, half: bool = False, seconds: float = 1.0) -> Attempt:
    return Attempt(stage.key, stage.id, status, None, "", "", seconds, half_batch_next=half)


def order(stages: Sequence[Stage], attempts: Sequence[Attempt], running: Sequence[str] = ()) -> list[str]:
    """The stages in the order in which they would be started one after the other."""
    stand, taken = Standing(stages, attempts), list(running)
    while (stage := stand.next(taken)) is not None:
        taken.append(stage.id)
    return taken[len(running) :]


def test_started_candidates_come_first_and_the_longest_stage_first(write_plan: WritePlan) -> None:
    stages = stages_of(Plan.from_yaml(write_plan()))
    base, first_sft, first_pre = stages[:3]
    no_sft = next(stage for stage in stages if stage.id == "evaluate-pre/weak.no-sft")
    assert order(stages, [attempt(base)]) == [
        *(f"{SFT}1-lr0.001-s0", f"{SFT}2-lr0.001-s0", "evaluate-pre/weak.no-sft", "grpo/weak.no-sft.rl-s0"),
    ]
    begun = [attempt(base), attempt(first_sft)]
    assert order(stages, begun)[:2] == [f"{PRE}1-lr0.001-s0", f"{RL}1-lr0.001-s0.rl-s0"]  # none gets RL unmeasured
    assert order(stages, begun, [f"{RL}1-lr0.001-s0.rl-s0"])[0] == f"{PRE}1-lr0.001-s0"
    measured = [*begun, attempt(no_sft, seconds=0.0)]
    assert order(stages, measured)[0] == f"{RL}1-lr0.001-s0.rl-s0"
    assert order(stages, measured).index(f"{PRE}1-lr0.001-s0") < order(stages, measured).index(f"{SFT}2-lr0.001-s0")
    slow = [*begun, attempt(no_sft, seconds=9.0), attempt(next(s for s in stages if "no-sft.rl" in s.id), seconds=1.0)]
    assert order(stages, slow)[0] == first_pre.id  # longer than RL, as measured


def test_only_done_attempts_are_measurements() -> None:
    stand = Standing(())
    assert stand.mean_seconds == {}
    for seconds, status in ((1.0, "failed"), (4.0, "done"), (6.0, "done")):
        stand.learn(Attempt("k", "grpo/a", status, None, "", "", seconds))  # type: ignore[arg-type]
    assert stand.mean_seconds == {"grpo": 5.0}


def test_a_kind_is_hopeless_if_the_first_few_all_failed() -> None:
    stand = Standing(())
    for number in range(MOST_FAILURES):
        assert stand.hopeless_kind is None
        stand.learn(Attempt("k", f"sft/{number}", "failed", None, "", "", 1.0, half_batch_next=True))
        stand.learn(Attempt("k", f"sft/{number}", "failed", None, "", "", 1.0))
    assert stand.hopeless_kind == "sft"
    stand.learn(Attempt("k", "sft/9", "done", None, "", "", 1.0))
    assert stand.hopeless_kind is None


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data(), raced=st.booleans())
def test_whatever_happens_it_says_what_all_attempts_say_and_every_stage_ends_in_order(
    write_plan: WritePlan, write_race: WritePlan, data: st.DataObject, *, raced: bool
) -> None:
    """Run, fail, lose weights and forget at random: nothing starts before its inputs, all are done in the end."""
    stages = stages_of(Plan.from_yaml(write_race() if raced else write_plan()))
    by_id = {stage.id: stage for stage in stages}
    parts = sorted({*by_id, *(needed for stage in stages for needed in stage.needs.values())})
    attempts: list[Attempt] = []
    gone: set[str | None] = set()
    stand = Standing(stages, attempts)
    for _ in range(200):
        states = states_of(stages, attempts, gone)
        assert stand.states == states
        assert +stand.count == {state: n for state in states.values() if (n := list(states.values()).count(state))}
        ready = [stage for stage in stages if states[stage.id] == "ready"]
        taken = data.draw(st.lists(st.sampled_from(ready), unique_by=lambda stage: stage.id)) if ready else []
        stage = stand.next([one.id for one in taken])
        assert (stage is None) == (len(taken) == len(ready))
        if not ready:
            if set(states.values()) == {"done"}:
                break
            attempts = [entry for entry in attempts if entry.status == "done"]  # what --retry-failed does
            stand = Standing(stages, attempts, gone)
            continue
        if stage is None:
            continue
        assert stage not in taken
        assert states[stage.id] == "ready"
        assert all(states[identity] == "done" for identity in stage.inputs.values())
        ended = attempt(stage, data.draw(st.sampled_from(["done", "done", "failed"])))
        if ended.status == "failed" and data.draw(st.booleans()):
            ended = attempt(stage, "failed", half=True)
        attempts.append(ended)
        lost = None
        if ended.status == "done":
            own = {one for one in parts if one == stage.id or one.startswith(f"{stage.id}/")}
            gone -= own
            lost = data.draw(st.none() | st.sampled_from([one for one in parts if one not in own]))
            gone |= {lost} - {None}
        stand.learn(ended, lost)
        assert stand.without_weights == gone
        assert all(stand.lacks_weights(one) == (one in {"/".join(x.split("/")[:2]) for x in gone}) for one in by_id)
    assert set(states_of(stages, attempts, gone).values()) == {"done"}
    assert {entry.stage for entry in attempts if entry.status == "done"} == by_id.keys()
