"""How many samples a plan draws where results decide: what may run follows from the plan and the ledger alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quagpredict.collection.archive import pack, unpack
from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import Attempt, read_ledger
from quagpredict.collection.measuring import measuring_of, who_gets_more
from quagpredict.collection.planning import planned_commands
from quagpredict.collection.stages import Stage, stages_of
from quagpredict.corpus import read_corpus
from quagpredict.errors import RecipeError
from quagpredict.plans.plan import Plan

from .conftest import decisions_in

WritePlan = Callable[..., Path]
GRID = {"data": "broad", "unique_examples": 16, "learning_rate": 1e-3, "seed": 0, "scenario": "dataset-level"}


@pytest.fixture
def write_auto(write_plan: WritePlan, tmp_path: Path) -> WritePlan:
    """Write a plan of four candidates of which two are to be chosen, with 4, 8 or 16 samples of each problem."""

    def write(rule: Any = None, **changes: Any) -> Path:
        rule = rule or {"first": 4, "most": 16, "top": 2}
        evaluation = {"suite": str(tmp_path / "suite.yaml"), "samples_before": rule, "samples_after": 4}
        candidates = [{"base": "weak", **GRID, "epochs": [1, 2, 3, 4]}]
        return write_plan(evaluation=evaluation, candidates=candidates, **changes)

    return write


def ledger(work: Path) -> list[Attempt]:
    return list(read_ledger(work / "ledger.jsonl"))


def test_the_measurements_that_there_may_be_go_on_from_each_other(write_auto: WritePlan) -> None:
    plan = Plan.from_yaml(write_auto("auto"))
    name = plan.candidates[0].name
    own = [stage for stage in stages_of(plan) if stage.kind == "evaluate-pre" and stage.candidate == name]
    assert [stage.name for stage in own] == [name, *(f"{name}@{samples}" for samples in (32, 64, 128, 256))]
    assert [stage.config["samples"] for stage in own] == [16, 32, 64, 128, 256]
    assert own[2].needs == {"checkpoint": f"sft/{name}", "samples_from": own[1].id}


def test_the_rule_is_part_of_the_plans_identity_and_a_number_is_not_changed_by_it(
    write_auto: WritePlan, write_plan: WritePlan
) -> None:
    identities = {
        Plan.from_yaml(write_auto(rule)).plan_id for rule in ("auto", {"first": 16}, {"top": 2}, {"tolerance": 0.02})
    }
    assert len(identities) == 3  # the first two say the same
    fixed = Plan.from_yaml(write_plan())
    assert fixed.evaluation.auto is None
    assert not any("samples_from" in stage.inputs for stage in stages_of(fixed))


def test_a_plan_must_say_how_many_samples_follow_rl(write_auto: WritePlan) -> None:
    path = write_auto("auto")
    path.write_text(path.read_text().replace("  samples_after: 4\n", ""))
    with pytest.raises(RecipeError, match=r"evaluation\.samples_after: this key is missing"):
        Plan.from_yaml(path)
    with pytest.raises(RecipeError, match=r"evaluation\.samples_before\.most: expected a whole number of at least 16"):
        Plan.from_yaml(write_auto({"most": 8}))


def test_rl_waits_until_it_is_settled_who_may_be_chosen(write_auto: WritePlan, tmp_path: Path, inline: Any) -> None:
    plan = Plan.from_yaml(write_auto())
    work = tmp_path / "work"
    assert [stage.kind for stage, _, _ in planned_commands(plan, work)][-1] == "measure"
    summary = collect(plan, work)
    assert (summary.failed, summary.left) == ((), 0)
    attempts = ledger(work)
    names = [attempt.stage for attempt in attempts]
    decisions = [attempt for attempt in attempts if attempt.stage.startswith("measure/")]
    assert [attempt.stage for attempt in decisions] == [f"measure/{n + 1}" for n in range(len(decisions))]
    assert len(decisions) >= 2
    results = [attempt.record.results for attempt in decisions if attempt.record]
    assert results[-1]["more"] == {}
    assert all(found["more"] for found in results[:-1])
    assert names.index(decisions[-1].stage) < min(names.index(name) for name in names if name.startswith("grpo/"))
    # Each candidate's row is its last measurement, and its cost is that of all of them.
    asked = {name: int(stage.rpartition("@")[2]) for found in results for name, stage in found["more"].items()}
    for row in read_corpus(work / "corpus.parquet").iter_rows(named=True):
        assert {one["n"] for one in row["pre_problems"]} == {asked.get(row["candidate"], 4)}
        own = [
            a.record.seconds for a in attempts if a.record and a.stage.startswith(f"evaluate-pre/{row['candidate']}")
        ]
        assert row["cost_pre_evaluation_s"] == pytest.approx(sum(own))
    assert [state for _, state, _ in planned_commands(plan, work)] == ["done"] * (summary.done)


def test_whoever_comes_back_takes_the_same_decision(write_auto: WritePlan, tmp_path: Path, inline: Any) -> None:
    plan = Plan.from_yaml(write_auto())
    collect(plan, tmp_path / "work")
    attempts = ledger(tmp_path / "work")
    stages = stages_of(plan)
    for place, attempt in enumerate(attempts):
        following = measuring_of(plan, stages, attempts[:place])
        if attempt.stage.startswith("measure/"):
            assert following.stages[-1].key == attempt.key
        else:
            assert attempt.stage in {stage.id for stage in following.stages}
    assert measuring_of(plan, stages, attempts).settled
    # ... and so does who has only the archives.
    pack(plan, tmp_path / "work", tmp_path / "packed")
    unpack(list((tmp_path / "packed").glob("*.parquet")), tmp_path / "elsewhere")
    assert collect(plan, tmp_path / "elsewhere").left == 0
    assert len(ledger(tmp_path / "elsewhere")) == len(attempts)


def test_a_rule_that_changed_decides_again(write_auto: WritePlan, tmp_path: Path, inline: Any) -> None:
    collect(write_auto(), tmp_path / "work", until="evaluate-pre")
    before = len(ledger(tmp_path / "work"))
    plan = Plan.from_yaml(write_auto({"first": 4, "most": 16, "top": 4}))  # all of them: nothing is open
    collect(plan, tmp_path / "work", until="evaluate-pre")
    new = ledger(tmp_path / "work")[before:]
    assert [attempt.stage for attempt in new] == ["measure/1"]
    assert measuring_of(plan, stages_of(plan), ledger(tmp_path / "work")).settled


@pytest.mark.parametrize("part", [{"limit": 2}, {"only": ["*x1-*"]}])
def test_a_call_about_a_part_decides_nothing(
    write_auto: WritePlan, tmp_path: Path, inline: Any, part: dict[str, Any]
) -> None:
    summary = collect(write_auto(), tmp_path / "work", **part)
    names = [attempt.stage for attempt in ledger(tmp_path / "work")]
    assert not any(name.startswith("measure/") or "@" in name for name in names)
    assert any(name.startswith("evaluate-post/") for name in names)
    assert summary.failed == ()


def test_a_candidate_that_cannot_be_measured_does_not_hold_up_the_others(
    write_auto: WritePlan, tmp_path: Path, inline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "evaluate-pre/weak.broad-16x1")
    summary = collect(write_auto(), tmp_path / "work", until="evaluate-pre")
    (failed,) = summary.failed
    decisions = decisions_in(tmp_path / "work", "measure")
    assert decisions[-1]["more"] == {}
    assert failed.stage not in decisions[-1]["evidence"]


def test_a_rule_that_asks_for_more_goes_on_from_what_was_drawn(
    write_auto: WritePlan, tmp_path: Path, inline: Any
) -> None:
    work = tmp_path / "work"
    collect(write_auto(), work, until="evaluate-pre")
    before = len(ledger(work))
    drawn = {one for found in decisions_in(work, "measure") for one in found["more"].values()}
    assert any(one.endswith("@8") for one in drawn)
    plan = Plan.from_yaml(write_auto({"first": 4, "most": 64, "top": 1, "tolerance": 0.0}))
    assert collect(plan, work, until="evaluate-pre").left == 0
    new = [attempt for attempt in ledger(work)[before:] if attempt.record]
    assert drawn.isdisjoint(attempt.stage for attempt in new)
    # Each decision is said to be made from the measurements whose counts it saw.
    first = next(attempt.record.results for attempt in new if attempt.record and attempt.stage == "measure/1")
    assert drawn & first["evidence"].keys()


def test_a_candidate_that_is_added_later_has_its_place_decided(
    write_auto: WritePlan, tmp_path: Path, inline: Any
) -> None:
    work = tmp_path / "work"
    path = write_auto()
    collect(path, work, until="evaluate-pre")
    before = len(decisions_in(work, "measure"))
    path.write_text(path.read_text().replace("  - 4\n", "  - 4\n  - 5\n", 1))
    plan = Plan.from_yaml(path)
    (added,) = [one.name for one in plan.candidates if one.epochs == 5]
    assert collect(plan, work).left == 0
    later = decisions_in(work, "measure")[before:]
    assert f"evaluate-pre/{added}" in later[0]["evidence"]
    assert later[-1]["more"] == {}
    assert measuring_of(plan, stages_of(plan), ledger(work)).settled


def test_a_program_that_draws_less_than_it_was_asked_for_is_not_asked_for_ever(
    write_auto: WritePlan, tmp_path: Path, inline: Any
) -> None:
    plan = Plan.from_yaml(write_auto())
    collect(plan, tmp_path / "work", limit=4, until="evaluate-pre")
    rows = read_corpus(tmp_path / "work" / "corpus.parquet")  # with 4 samples
    asked: list[set[str]] = []
    for samples in ("", "@8", "@16"):
        evidence = {f"evaluate-pre/{one.name}{samples}": "key" for one in plan.candidates}
        decision = Stage("measure", "1", "", {"evidence": evidence}, {}, "key", "")
        asked.append({one.rpartition("@")[2] for one in who_gets_more(plan, decision, rows)["more"].values()})
    assert asked == [{"8"}, {"16"}, set()]
