from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.planning import limited, selected
from quagpredict.collection.stages import Stage, rows_of, stages_of, states_of
from quagpredict.errors import UsageError
from quagpredict.plans.plan import Plan

GRID = {
    "data": "broad",
    "unique_examples": 16,
    "epochs": 1,
    "learning_rate": 1e-3,
    "seed": 0,
    "scenario": "dataset-level",
}
WritePlan = Callable[..., Path]


def attempt(stage: Stage, status: Any = "done") -> Attempt:
    return Attempt(stage.key, stage.id, status, None, "", "", 1.0)


def keys(path: Path) -> dict[str, str]:
    return {stage.id: stage.key for stage in stages_of(Plan.from_yaml(path))}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {identity.split("-lr")[0] for identity, key in before.items() if after[identity] != key}


def test_the_stages_of_a_plan(write_plan: WritePlan) -> None:
    stages = stages_of(
        Plan.from_yaml(write_plan(candidates=[{"base": "weak", **GRID}, {"base": "weak", "no_sft": True}]))
    )
    name = "weak.broad-16x1-lr0.001-s0"
    assert [(stage.id, stage.inputs) for stage in stages] == [
        ("base/weak", {}),
        (f"sft/{name}", {"model_name_or_path": "base/weak"}),
        (f"evaluate-pre/{name}", {"checkpoint": f"sft/{name}"}),
        (f"grpo/{name}.rl-s0", {"model_name_or_path": f"sft/{name}"}),
        (f"evaluate-post/{name}.rl-s0", {"checkpoint": f"grpo/{name}.rl-s0"}),
        ("evaluate-pre/weak.no-sft", {"checkpoint": "base/weak"}),
        ("grpo/weak.no-sft.rl-s0", {"model_name_or_path": "base/weak"}),
        ("evaluate-post/weak.no-sft.rl-s0", {"checkpoint": "grpo/weak.no-sft.rl-s0"}),
    ]
    sft = stages[1].config
    assert sft == {
        "max_length": 64,
        "lab_data": {"lengths": [1, 6]},
        "num_train_epochs": 1.0,
        "learning_rate": 1e-3,
        "seed": 0,
        "unique_examples": 16,
    }
    assert stages[3].config == {"max_steps": 7, "seed": 0}
    assert stages[2].config["samples"] == 8
    assert stages[4].config["samples"] == 4


def test_a_base_that_exists_gives_no_stage(write_plan: WritePlan) -> None:
    bases = {"weak": {"family": "qwen3", "model_name_or_path": "a/b"}, "unused": {"family": "x", "pretrain": {}}}
    stages = stages_of(Plan.from_yaml(write_plan(bases=bases)))
    assert not [stage for stage in stages if stage.kind == "base"]
    assert {stage.config.get("model_name_or_path") for stage in stages if stage.kind == "sft"} == {"a/b"}
    assert {stage.config.get("checkpoint") for stage in stages if stage.id == "evaluate-pre/weak.no-sft"} == {"a/b"}


def test_each_rl_seed_is_a_run_and_a_row(write_plan: WritePlan) -> None:
    entries = [{"base": "weak", "no_sft": True, "rl_seeds": [0, 3]}, {"base": "weak", **GRID, "rl_seeds": []}]
    plan = Plan.from_yaml(write_plan(candidates=entries))
    assert [(row.candidate.name, row.rl_seed, row.post) for row in rows_of(plan)] == [
        ("weak.no-sft", 0, "evaluate-post/weak.no-sft.rl-s0"),
        ("weak.no-sft", 3, "evaluate-post/weak.no-sft.rl-s3"),
        ("weak.broad-16x1-lr0.001-s0", None, None),
    ]
    assert len({row.rl_recipe_id for row in rows_of(plan)[:2]}) == 1


def test_a_run_is_measured_along_the_way_and_may_be_taken_further(write_plan: WritePlan, tmp_path: Path) -> None:
    (tmp_path / "rl.yaml").write_text("{max_steps: 7, lr_scheduler_type: constant}")
    rl = {"recipe": str(tmp_path / "rl.yaml"), "measure_at": [2, 4]}
    entries = [{"base": "weak", "no_sft": True, "rl_further": [9, 20]}]
    plan = Plan.from_yaml(write_plan(rl=rl, candidates=entries))
    run = "weak.no-sft.rl-s0"
    by_id = {stage.id: stage for stage in stages_of(plan)}
    assert by_id[f"grpo/{run}"].config == {
        "max_steps": 20,
        "lr_scheduler_type": "constant",
        "seed": 0,
        "keep_steps": [2, 4, 7, 9],
    }
    measured = {
        stage.id: stage.parts.get("checkpoint", "")
        for stage in by_id.values()
        if stage.inputs.get("checkpoint", "").startswith("g")
    }
    assert measured == {
        f"evaluate-post/{run}": "at-7",  # a score counts where the recipe ends
        f"evaluate-along/{run}@2": "at-2",
        f"evaluate-along/{run}@4": "at-4",
        f"evaluate-along/{run}@9": "at-9",
        f"evaluate-along/{run}@20": "",
    }
    (row,) = rows_of(plan)
    assert row.along == {step: f"evaluate-along/{run}@{step}" for step in (2, 4, 9, 20)}
    entries = [{"base": "weak", "no_sft": True}]
    (other,) = rows_of(Plan.from_yaml(write_plan(rl=rl, candidates=entries)))
    assert other.rl_recipe_id == row.rl_recipe_id  # the recipe is the same up to the step that counts


def test_a_checkpoint_shares_its_runs_sft_stage(write_plan: WritePlan) -> None:
    entries = [{"base": "weak", **GRID, "epochs": 4, "checkpoint_epochs": [1, 2], "rl_seeds": []}]
    plan = Plan.from_yaml(write_plan(candidates=entries))
    name = "weak.broad-16x4-lr0.001-s0"
    by_id = {stage.id: stage for stage in stages_of(plan)}
    assert [identity for identity in by_id if identity.startswith("sft/")] == [f"sft/{name}"]
    assert by_id[f"sft/{name}"].config["keep_epochs"] == [1.0, 2.0]
    parts = {stage.name: stage.parts.get("checkpoint", "") for stage in by_id.values() if stage.kind == "evaluate-pre"}
    assert parts == {name: "", f"{name}@e1": "at-1", f"{name}@e2": "at-2"}
    assert len({stage.key for stage in by_id.values()}) == len(by_id)
    rows = rows_of(plan)
    assert len({row.recipe_id for row in rows}) == 3
    assert {row.sft for row in rows} == {f"sft/{name}"}
    alone = Plan.from_yaml(write_plan(candidates=[{"base": "weak", **GRID, "epochs": 4, "rl_seeds": []}]))
    assert rows_of(alone)[0].recipe_id == rows[0].recipe_id  # keeping checkpoints does not change what comes out


def test_a_limit_takes_what_a_checkpoint_needs_along(write_plan: WritePlan) -> None:
    entries = [{"base": "weak", **GRID, "epochs": 4, "checkpoint_epochs": [1]}]
    stages = stages_of(Plan.from_yaml(write_plan(candidates=entries, order_seed=1)))
    for limit in (1, 2):
        chosen = limited(stages, states_of(stages, []), limit)
        there = {stage.id for stage in chosen}
        assert all(set(stage.inputs.values()) <= there for stage in chosen)


def test_a_part_of_a_plan_is_selected_with_what_it_needs(write_plan: WritePlan) -> None:
    stages = stages_of(Plan.from_yaml(write_plan()))
    assert selected(stages) == stages
    assert {stage.kind for stage in selected(stages, until="evaluate-pre")} == {"base", "sft", "evaluate-pre"}
    assert [stage.id for stage in selected(stages, until="base", only=["*.no-sft"])] == ["base/weak"]
    assert [stage.kind for stage in selected(stages, only=["*.no-sft"])] == [
        *("base", "evaluate-pre", "grpo", "evaluate-post")
    ]
    with pytest.raises(UsageError, match=r"only: 'strong\.\*' matches no candidate, e\.g\. not 'weak\."):
        selected(stages, only=["weak.*", "strong.*"])
    with pytest.raises(UsageError, match=r'until="rl": expected one of base, sft, evaluate-pre, grpo'):
        selected(stages, until="rl")  # type: ignore[arg-type]


@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_are_made_again_for_what_still_needs_them_and_for_nothing_else(
    write_plan: WritePlan, data: st.DataObject
) -> None:
    stages = stages_of(Plan.from_yaml(write_plan()))
    by_id = {stage.id: stage for stage in stages}
    done: list[Stage] = []
    for stage in stages:
        if all(by_id[identity] in done for identity in stage.inputs.values()) and data.draw(st.booleans()):
            done.append(stage)
    gone = {stage.id for stage in done if stage.kind in ("base", "sft", "grpo") and data.draw(st.booleans())}
    states = states_of(stages, [attempt(stage) for stage in done], gone)
    for stage in stages:
        inputs = [states[identity] for identity in stage.inputs.values()]
        if stage not in done:
            # It can be run only where what it needs is done and has its weights.
            assert (states[stage.id] == "ready") == all(state == "done" for state in inputs)
            assert not [i for i in stage.inputs.values() if states[i] == "done" and i in gone]
        elif states[stage.id] != "done":
            assert stage.id in gone
            users = [other.id for other in stages if stage.id in other.inputs.values()]
            assert any(states[user] in ("ready", "waiting") for user in users)
    for _ in range(len(stages)):  # whatever is run in whatever order, everything is done in the end
        states = states_of(stages, [attempt(stage) for stage in done], gone)
        ready = [stage for stage in stages if states[stage.id] == "ready"]
        if not ready:
            break
        done.append(ready[0])
        gone.discard(ready[0].id)
    assert set(states_of(stages, [attempt(stage) for stage in done], gone).values()) == {"done"}


SFT, PRE, RL, POST = (f"{kind}/weak.broad-16x" for kind in ("sft", "evaluate-pre", "grpo", "evaluate-post"))
NO_SFT = {"evaluate-pre/weak.no-sft", "grpo/weak.no-sft.rl-s0", "evaluate-post/weak.no-sft.rl-s0"}
RUNS = {f"{stage}{epochs}" for stage in (RL, POST) for epochs in (1, 2)} | {run for run in NO_SFT if ".rl-" in run}
MEASURED = {f"{stage}{epochs}" for stage in (PRE, POST) for epochs in (1, 2)} | {run for run in NO_SFT if "eval" in run}
TRAINED = {f"{stage}{epochs}" for stage in (SFT, PRE, RL, POST) for epochs in (1, 2)}


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("rl.yaml", "max_steps: 8", RUNS),
        ("sft.yaml", "max_length: 65", TRAINED),
        ("suite.yaml", "name: other", MEASURED),
        ("sft.yaml", "# only a comment\nmax_length: 64", set()),
    ],
)
def test_a_changed_recipe_invalidates_its_descendants_only(
    write_plan: WritePlan, tmp_path: Path, file: str, text: str, expected: set[str]
) -> None:
    before = keys(write_plan())
    (tmp_path / file).write_text(text)
    assert changed(before, keys(write_plan())) == expected


def test_keys_follow_content_not_names_or_places(write_plan: WritePlan, tmp_path: Path) -> None:
    before = keys(write_plan())
    assert changed(before, keys(write_plan(bases={"weak": {"family": "qwen3", "pretrain": {"steps": 6}}}))) == {
        "base/weak",
        *TRAINED,
        *NO_SFT,
    }
    (tmp_path / "moved.yaml").write_text("max_steps: 7")
    assert keys(write_plan(rl={"recipe": str(tmp_path / "moved.yaml")})) == before
    batched = {"suite": str(tmp_path / "suite.yaml"), "samples_before": 8, "samples_after": 4, "batch_size": 9}
    assert keys(write_plan(evaluation=batched)) == before
    spread = {**batched, "workers": 8, "engine_settings": {"gpu_memory_utilization": 0.8}}
    assert keys(write_plan(evaluation=spread)) == before
    halved = {**batched, "engine_settings": {"dtype": "bfloat16"}}
    assert changed(before, keys(write_plan(evaluation=halved))) == MEASURED
    assert changed(before, keys(write_plan(evaluation={**batched, "samples_after": 5}))) == MEASURED & RUNS
    assert keys(write_plan(launch={"mode": "spawn"}, name="other", held_out=["weak.*"])) == before


def test_states_along_one_candidate(write_plan: WritePlan) -> None:
    stages = stages_of(Plan.from_yaml(write_plan(candidates=[{"base": "weak", **GRID}])))
    base, sft, _, grpo, _ = stages
    assert list(states_of(stages, []).values()) == ["ready", "waiting", "waiting", "waiting", "waiting"]
    so_far = [attempt(base)]
    assert list(states_of(stages, so_far).values()) == ["done", "ready", "waiting", "waiting", "waiting"]
    so_far += [attempt(sft)]
    assert list(states_of(stages, so_far).values()) == ["done", "done", "ready", "ready", "waiting"]
    so_far += [attempt(grpo, "failed")]
    assert list(states_of(stages, so_far).values()) == ["done", "done", "ready", "failed", "blocked"]
    so_far += [attempt(grpo)]
    assert list(states_of(stages, so_far).values()) == ["done", "done", "ready", "done", "ready"]


def test_a_folder_holds_its_last_attempt_only(write_plan: WritePlan, tmp_path: Path) -> None:
    first = stages_of(Plan.from_yaml(write_plan()))
    (tmp_path / "rl.yaml").write_text("max_steps: 8")
    second = stages_of(Plan.from_yaml(write_plan()))
    both = [attempt(stage) for stage in (*first, *second)]
    assert set(states_of(second, both).values()) == {"done"}
    back = states_of(first, both)  # the RL folders hold the second recipe's work now
    assert {identity.split("-lr")[0] for identity, state in back.items() if state != "done"} == RUNS


def test_a_limit_takes_the_first_candidates_that_are_not_finished(write_plan: WritePlan) -> None:
    stages = stages_of(Plan.from_yaml(write_plan()))
    first = limited(stages, states_of(stages, []), 1)
    assert [stage.kind for stage in first] == ["base", "sft", "evaluate-pre", "grpo", "evaluate-post"]
    then = limited(stages, states_of(stages, [attempt(stage) for stage in first]), 1)
    assert {stage.candidate for stage in then if stage.kind != "base"} == {"weak.broad-16x2-lr0.001-s0"}
    assert limited(stages, states_of(stages, [attempt(stage) for stage in stages]), 2) == ()


def test_an_overlap_check_is_part_of_the_evaluation_before_rl(write_plan: WritePlan, tmp_path: Path) -> None:
    check = {"against": [{"path": "train.jsonl"}], "ngram": 8}
    evaluation = {"suite": str(tmp_path / "suite.yaml"), "samples_before": 8, "samples_after": 4}
    path = write_plan(evaluation={**evaluation, "overlap": check})
    stages = {stage.kind: stage for stage in stages_of(Plan.from_yaml(path))}
    assert stages["evaluate-pre"].config["overlap"] == check
    assert "overlap" not in stages["evaluate-post"].config
    assert Plan.from_yaml(path).offline
    hub = {"against": [{"hub": "owner/name"}]}
    assert not Plan.from_yaml(write_plan(evaluation={**evaluation, "overlap": hub})).offline
