"""A race in a plan: what may run follows from the plan and the ledger, however often it is cut off."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quagpredict.cli import main
from quagpredict.collection import planned_commands
from quagpredict.collection.archive import pack
from quagpredict.collection.collecting import Summary, collect
from quagpredict.collection.deciding import decision_in_words
from quagpredict.collection.ledger import Attempt, read_ledger
from quagpredict.collection.rounds import is_raced, rounds_of
from quagpredict.collection.stages import Stage, rows_of, stages_of, states_of
from quagpredict.corpus import read_corpus
from quagpredict.errors import RecipeError, UsageError
from quagpredict.plans.plan import Plan
from quagpredict.run_record import RunRecord

from .conftest import decisions_in

WritePlan = Callable[..., Path]
NAMES = [f"weak.broad-16x{epochs}-lr0.001-s0" for epochs in (1, 2, 3)]


def test_a_run_is_a_chain_of_parts_that_pause(write_race: WritePlan) -> None:
    plan = Plan.from_yaml(write_race())
    by_id = {stage.id: stage for stage in stages_of(plan)}
    run = f"grpo/{NAMES[0]}.rl-s0"
    first, second, last = by_id[f"{run}@2"], by_id[f"{run}@4"], by_id[run]
    assert first.config == {"max_steps": 7, "seed": 0, "pause_at": 2}
    assert first.needs == {"model_name_or_path": f"sft/{NAMES[0]}"}
    assert second.needs == {"model_name_or_path": f"sft/{NAMES[0]}", "resume_from_checkpoint": f"{run}@2/paused"}
    assert last.config == {"max_steps": 7, "seed": 0}
    assert last.needs["resume_from_checkpoint"] == f"{run}@4/paused"
    assert by_id[f"evaluate-along/{run[5:]}@4"].needs == {"checkpoint": f"{run}@4"}
    assert by_id[f"evaluate-post/{run[5:]}"].needs == {"checkpoint": run}
    assert sum(stage.candidate == NAMES[0] for stage in by_id.values() if stage.kind != "base") == 2 + 2 * 3


def test_nothing_of_rl_is_asked_for_before_the_first_decision(write_race: WritePlan) -> None:
    plan = Plan.from_yaml(write_race())
    stages = stages_of(plan)
    start = rounds_of(plan, stages, [])
    assert [stage.kind for stage in start.stages] == ["base", *["sft", "evaluate-pre"] * 3, "race"]
    assert states_of(start.stages, [])["race/1"] == "waiting"
    before = [done(stage) for stage in start.stages[:-1]]
    assert states_of(rounds_of(plan, stages, before).stages, before)["race/1"] == "ready"


def done(stage: Stage, status: Any = "done", results: dict[str, Any] | None = None) -> Attempt:
    record = None if results is None else RunRecord("p", results, 1.0)
    return Attempt(stage.key, stage.id, status, record, "", "", 1.0)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_decisions_follow_from_what_ended_not_from_the_order_in_which_it_ended(
    write_race: WritePlan, data: st.DataObject
) -> None:
    """Stages end or fail in any order; a decision comes when none is left, and no run goes farther than was decided."""
    plan = Plan.from_yaml(write_race(race={"parallel": 3}))
    stages = stages_of(plan)
    attempts: list[Attempt] = []
    ends = {stage.id: data.draw(st.sampled_from(["done", "done", "done", "failed"])) for stage in stages[1:]}
    farthest = dict.fromkeys(NAMES, 0)
    for _ in range(80):
        now = rounds_of(plan, stages, attempts)
        states = states_of(now.stages, attempts)
        ready = [stage for stage in now.stages if states[stage.id] == "ready"]
        for stage in now.stages:
            if stage.kind in ("grpo", "evaluate-along"):
                assert int(stage.name.partition("@")[2] or 7) <= farthest[stage.candidate]
        if not ready:
            break
        stage = data.draw(st.sampled_from(ready))
        if stage.kind != "race":
            attempts.append(done(stage, ends.get(stage.id, "done")))
            continue
        assert ready == [stage]
        again = data.draw(st.permutations(attempts))
        assert rounds_of(plan, stages, again) == now
        on = [name for name in NAMES if farthest[name] < 7 and name not in stage.config["failed"]]
        moves = []
        for name in data.draw(st.lists(st.sampled_from(on), unique=True)) if on else []:
            farthest[name] = data.draw(st.sampled_from([step for step in (2, 4, 7) if step > farthest[name]]))
            moves.append({"candidate": name, "until": farthest[name], "cost": 1.0})
        attempts.append(done(stage, results={**stage.config, "moves": moves, "over": not moves}))
    end = rounds_of(plan, stages, attempts)
    assert end.over or not any(stage.kind == "race" for stage in end.stages)
    assert end.spent == sum(len(decision["moves"]) for decision in end.decisions)


@pytest.mark.usefixtures("inline")
def test_a_race_is_carried_out(write_race: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, work = write_race(), tmp_path / "work"
    assert main(["collect", str(file), "--out", str(work)]) == 0
    err = capsys.readouterr().err
    decisions = decisions_in(work)
    assert decisions[-1]["over"]
    assert f"race/{len(decisions)}: over: take {decisions[-1]['choice']}" in err
    assert f"race/1: {decisions[0]['moves'][0]['cost']:g} of 16 RL steps; start" in err
    spent = sum(move["cost"] for decision in decisions for move in decision["moves"])
    assert decisions[-1]["spent"] == spent <= 16
    corpus = read_corpus(work / "corpus.parquet", nested=True)
    assert corpus["candidate"].to_list() == NAMES
    for row in corpus.iter_rows(named=True):
        until = max(
            (m["until"] for d in decisions for m in d["moves"] if m["candidate"] == row["candidate"]), default=0
        )
        steps = [point["step"] for point in row["post_curve"] or []]
        assert (row["post_pass_at_1"] is not None) == (until == 7)  # stopped: a curve and no target
        assert max(steps, default=0) == until
        assert (row["rl_steps"], row["rl_seed"]) == (7 if until == 7 else None, 0 if until else None)
    choice = corpus.filter(candidate=decisions[-1]["choice"])
    assert choice["post_pass_at_1"].item() is not None
    # What a run went on from, many times its size, is there only where it may still go on.
    for row in rows_of(Plan.from_yaml(file)):
        parts = [step for step, stage in row.paused.items() if (work / "stages" / stage / "paused").exists()]
        made = [step for step, stage in row.paused.items() if (work / "stages" / stage).exists()]
        finished = (work / "stages" / str(row.grpo)).exists()
        assert parts == ([] if finished else made[-1:])

    ledger = (work / "ledger.jsonl").read_bytes()
    assert main(["collect", str(file), "--out", str(work)]) == 0
    assert (work / "ledger.jsonl").read_bytes() == ledger
    assert capsys.readouterr().err.startswith(f"race/{len(decisions)}: over: take {decisions[-1]['choice']}")
    states = [state for _, state, _ in planned_commands(file, work)]
    assert set(states) == {"done"}


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("samples", [8, {"first": 4, "most": 16, "top": 1}], ids=["fixed", "auto"])
def test_cut_off_after_every_stage_it_takes_the_same_decisions(
    write_race: WritePlan, tmp_path: Path, samples: int | dict[str, int]
) -> None:
    measured = {"suite": str(tmp_path / "suite.yaml"), "samples_before": samples, "samples_after": 4}
    plan = Plan.from_yaml(write_race(evaluation=measured))
    collect(plan, tmp_path / "whole")

    def cut_off_after_one() -> Callable[[object], None]:
        seen: list[object] = []

        def watch(running: object) -> None:
            seen.append(running)
            if len(seen) > 1:  # one stage is done, the next one runs
                raise KeyboardInterrupt

        return watch

    times = 0
    while True:
        try:
            summary = collect(plan, tmp_path / "cut", watch=cut_off_after_one())
            break
        except KeyboardInterrupt:
            times += 1
    assert times >= 10
    assert summary.left == 0
    assert decisions_in(tmp_path / "cut") == decisions_in(tmp_path / "whole")
    more = decisions_in(tmp_path / "whole", "measure")
    assert decisions_in(tmp_path / "cut", "measure") == more
    assert bool(more) == isinstance(samples, dict)
    ours, theirs = (
        pl.read_parquet(tmp_path / name / "corpus.parquet").select(pl.exclude("^cost_.*$")) for name in ("cut", "whole")
    )
    assert ours.equals(theirs)


@pytest.mark.usefixtures("inline")
def test_after_the_race_all_runs_may_be_finished(write_race: WritePlan, tmp_path: Path) -> None:
    plan, work = Plan.from_yaml(write_race(race={"rl_steps": 9})), tmp_path / "work"
    raced = collect(plan, work)
    decisions = decisions_in(work)
    assert read_corpus(work / "corpus.parquet")["post_pass_at_1"].null_count() > 0
    summary = collect(plan, work, in_full=True)
    assert summary.done > raced.done
    assert decisions_in(work) == decisions
    corpus = read_corpus(work / "corpus.parquet", nested=True)
    assert corpus["post_pass_at_1"].null_count() == 0
    assert [[point["step"] for point in curve] for curve in corpus["post_curve"]] == [[0, 2, 4, 7]] * 3
    stages = [attempt.stage for attempt in read_ledger(work / "ledger.jsonl")]
    assert len(stages) == len(set(stages))  # nothing twice: stopped runs went on from where they had paused


@pytest.mark.usefixtures("inline")
def test_a_larger_budget_goes_on_with_a_race_that_was_over(write_race: WritePlan, tmp_path: Path) -> None:
    work = tmp_path / "work"
    collect(Plan.from_yaml(write_race(race={"rl_steps": 7.5})), work)
    first = decisions_in(work)
    collect(Plan.from_yaml(write_race(race={"rl_steps": 100, "tolerance": 0})), work)
    assert decisions_in(work)[: len(first)] == first
    assert len(decisions_in(work)) > len(first)
    assert decisions_in(work)[-1]["spent"] > first[-1]["spent"]


@pytest.mark.usefixtures("inline")
def test_a_candidate_that_comes_later_is_raced(write_race: WritePlan, tmp_path: Path, inline: Any) -> None:
    path, work = write_race(race={"rl_steps": 100, "tolerance": 0}), tmp_path / "work"
    collect(path, work)
    assert decisions_in(work, "race")[-1]["over"]
    path.write_text(path.read_text().replace("  - 3\n", "  - 3\n  - 5\n", 1))
    plan = Plan.from_yaml(path)
    (added,) = [candidate.name for candidate in plan.candidates if candidate.epochs == 5]
    collect(plan, work)
    last = decisions_in(work, "race")[-1]
    assert last["over"]
    assert f"evaluate-pre/{added}" in last["evidence"]
    assert added in {row["candidate"] for row in last["candidates"]}
    assert rounds_of(plan, stages_of(plan), list(read_ledger(work / "ledger.jsonl"))).over


def test_a_run_that_fails_is_out_of_the_race_and_the_others_go_on(
    write_race: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, work = Plan.from_yaml(write_race(race={"rl_steps": 40, "tolerance": 0})), tmp_path / "work"
    first = collect_until_first_move(plan, tmp_path / "probe")
    monkeypatch.setenv("STAND_IN_FAILS", f"grpo/{first}")
    summary = collect(plan, work)
    assert [attempt.stage.partition(".rl-")[0] for attempt in summary.failed] == [f"grpo/{first}"]
    decisions = decisions_in(work)
    assert decisions[-1]["over"]
    assert decisions[-1]["choice"] != first
    rows = {row["candidate"]: row for row in decisions[1]["candidates"]}
    assert rows[first]["action"] in ("stop", "leave")
    monkeypatch.delenv("STAND_IN_FAILS")
    collect(plan, work, retry_failed=True)  # mended: what was asked for is done, what was decided stays
    assert decisions_in(work)[: len(decisions)] == decisions


def collect_until_first_move(plan: Plan, work: Path) -> str:
    collect(plan, work)
    return str(decisions_in(work)[0]["moves"][0]["candidate"])


@pytest.mark.usefixtures("inline")
def test_the_records_of_a_race_go_on_elsewhere(write_race: WritePlan, tmp_path: Path) -> None:
    plan = Plan.from_yaml(write_race())
    collect(plan, tmp_path / "here")
    archives = pack(plan, tmp_path / "here", tmp_path / "shipped")
    summary: Summary = collect(plan, tmp_path / "there", records=archives)
    assert summary.left == 0
    assert decisions_in(tmp_path / "there") == decisions_in(tmp_path / "here")
    assert len(read_ledger(tmp_path / "there" / "ledger.jsonl")) == len(read_ledger(tmp_path / "here" / "ledger.jsonl"))


def test_a_dry_run_says_what_is_decided_by_whom(write_race: WritePlan, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", str(write_race()), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("# race/1: waiting\n# decided by collect, from 3 measurements\n")
    assert "grpo" not in out
    assert main(["collect", str(write_race()), "--dry-run", "--in-full"]) == 0
    assert f"# grpo/{NAMES[0]}.rl-s0@2: waiting" in capsys.readouterr().out


def test_a_part_of_a_race_is_no_race(write_race: WritePlan) -> None:
    plan = Plan.from_yaml(write_race())
    assert is_raced(plan)
    assert not is_raced(plan, "evaluate-pre", ["*16x1*"])
    assert not is_raced(plan, None, ["*16x1*"], in_full=True)
    with pytest.raises(UsageError, match=r"a race, which decides from one .* expected base, sft, .* got 'grpo'"):
        is_raced(plan, "grpo")
    with pytest.raises(UsageError, match=r"between all its candidates: give a part of them only with until="):
        is_raced(plan, None, ["*16x1*"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rungs": [2, 7]}, r"race\.rungs: expected steps below max_steps of the recipe \(7\), got 7"),
        ({"rungs": []}, r"race\.rungs: expected at least one value"),
        ({"rl_steps": 0}, r"race\.rl_steps: expected a number from 1"),
        ({"rl_step": 5}, r"unknown key 'race\.rl_step'; did you mean 'race\.rl_steps'"),
        ({"budget": 9}, r"race\.budget: is what 'rl_steps' was called: give one of them"),
        ({"gate": True}, r"race\.gate: expected a score, a candidate or no-sft, got True"),
        ({"margin": 0.1}, r"race\.margin: a margin needs a gate"),
        ({"learn_from": ["no/such.parquet"]}, r"race\.learn_from\[0\]: .*no/such\.parquet"),
    ],
)
def test_a_wrong_race_is_said_when_the_plan_is_read(write_race: WritePlan, changes: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Plan.from_yaml(write_race(race=changes))


def test_a_plan_that_calls_its_rl_steps_a_budget_is_the_same_plan(write_race: WritePlan) -> None:
    file = write_race()
    now = Plan.from_yaml(file)
    file.write_text(file.read_text().replace("rl_steps: 16", "budget: 16"))
    then = Plan.from_yaml(file)
    assert "budget: 16" in file.read_text()
    assert (then, then.plan_id) == (now, now.plan_id)


def test_a_race_needs_one_run_of_each_candidate(write_race: WritePlan, tmp_path: Path) -> None:
    recipe = str(tmp_path / "rl.yaml")
    with pytest.raises(RecipeError, match=r"one run of each candidate, .* 'weak\.broad-16x1-lr0\.001-s0' has other"):
        Plan.from_yaml(write_race(rl={"recipe": recipe, "seeds": [0, 1]}))
    with pytest.raises(RecipeError, match=r"give 'rungs' here, not 'rl\.measure_at'"):
        Plan.from_yaml(write_race(rl={"recipe": recipe, "measure_at": [3]}))


def without_rl(plan: Path, *epochs: int) -> Path:
    """Take candidates out of the race of a plan."""
    content = yaml.safe_load(plan.read_text())
    (entry,) = content["candidates"]
    raced = [number for number in entry["epochs"] if number not in epochs]
    entries = [{**entry, "epochs": [*epochs], "rl_seeds": []}, *([{**entry, "epochs": raced}] if raced else [])]
    plan.write_text(yaml.safe_dump({**content, "candidates": entries}))
    return plan


def test_a_race_without_an_rl_run_is_said_when_the_plan_is_read(write_race: WritePlan) -> None:
    with pytest.raises(RecipeError, match=r"plan\.yaml: candidates: a race needs RL runs, .* 'rl_seeds: \[\]'"):
        Plan.from_yaml(without_rl(write_race(), 1, 2, 3))
    assert is_raced(Plan.from_yaml(without_rl(write_race(), 1, 2)))


@pytest.mark.usefixtures("inline")
def test_nothing_is_decided_where_all_who_were_to_be_raced_have_failed(
    write_race: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, work = Plan.from_yaml(without_rl(write_race(), 1, 2)), tmp_path / "work"
    monkeypatch.setenv("STAND_IN_FAILS", f"evaluate-pre/{NAMES[2]}")
    summary = collect(plan, work)
    assert [attempt.stage for attempt in summary.failed] == [f"evaluate-pre/{NAMES[2]}"]
    assert decisions_in(work) == []
    monkeypatch.delenv("STAND_IN_FAILS")
    collect(plan, work, retry_failed=True)
    assert decisions_in(work)[-1]["choice"] == NAMES[2]


def test_a_run_whose_random_state_is_not_saved_has_an_id_of_its_own(write_race: WritePlan, tmp_path: Path) -> None:
    def ids(text: str) -> list[str | None]:
        (tmp_path / "rl.yaml").write_text(text)
        plans = [Plan.from_yaml(write_race()), Plan.from_yaml(write_race(race={"rungs": [3]}))]
        return [rows_of(plan)[0].rl_recipe_id for plan in plans]

    assert len(set(ids("max_steps: 7"))) == 1
    assert len(set(ids("{max_steps: 7, use_vllm: true}"))) == 2


def test_words_of_a_decision(write_race: WritePlan) -> None:
    plan = Plan.from_yaml(write_race())
    row = {"candidate": "a", "until": None, "action": "stop"}
    decision = {"spent": 4.0, "moves": [], "candidates": [row], "choice": None, "over": True}
    assert decision_in_words(plan, decision) == "none is worth RL; 4 of 16 RL steps; stop a"
