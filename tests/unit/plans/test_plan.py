import ast
import re
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import yaml

from quagpredict.errors import RecipeError
from quagpredict.plans.parts import LAUNCHERS, PRETRAIN
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

GRID = {"unique_examples": [16, 8], "epochs": [1, 2.5], "learning_rate": [1e-3, 2e-5], "seed": [0]}


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    for name, text in {"sft": "max_length: 64", "rl": "max_steps: 7", "suite": "name: tiny"}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return {
        "name": "tiny",
        "bases": {
            "weak": {"family": "qwen3", "pretrain": {"steps": 5}},
            "qwen3-4b": {"family": "qwen3", "model_name_or_path": "Qwen/Qwen3-4B-Base"},
        },
        "data": {"broad": {"lab_data": {"lengths": [1, 6]}}, "easy": {"lab_data": {"lengths": [1, 2]}}},
        "sft": {"recipe": str(tmp_path / "sft.yaml")},
        "rl": {"recipe": str(tmp_path / "rl.yaml"), "seeds": [0, 1]},
        "evaluation": {"suite": str(tmp_path / "suite.yaml"), "samples_before": 8},
        "candidates": [
            {"base": ["weak"], "data": ["broad", "easy"], **GRID, "scenario": "dataset-level"},
            {"base": ["weak", "qwen3-4b"], "no_sft": True, "rl_seeds": [5]},
        ],
        "held_out": ["*.easy-*"],
    }


def read(folder: Path, content: dict[str, Any]) -> Plan:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return Plan.from_yaml(path)


def changed(content: dict[str, Any], where: str, value: Any) -> dict[str, Any]:
    """Set (or with `...` remove) the value at a dotted path; numbers index lists."""
    *path, last = where.split(".")
    at: Any = content
    for step in path:
        at = at[int(step) if isinstance(at, list) else step]
    if value is ...:
        del at[last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
    return content


def test_entries_are_cartesian_products_in_plan_order(tmp_path: Path, content: dict[str, Any]) -> None:
    plan = read(tmp_path, content)
    assert [candidate.name for candidate in plan.candidates] == [
        f"weak.{data}-{n}x{epochs}-lr{rate}-s0"
        for data in ("broad", "easy")
        for n in (16, 8)
        for epochs in ("1", "2.5")
        for rate in ("0.001", "2e-05")
    ] + ["weak.no-sft", "qwen3-4b.no-sft"]
    first, last = plan.candidates[0], plan.candidates[-1]
    assert (first.base, first.data, first.unique_examples, first.epochs) == ("weak", "broad", 16, 1.0)
    assert (first.learning_rate, first.seed, first.scenario, first.rl_seeds) == (0.001, 0, "dataset-level", (0, 1))
    assert (last.data, last.unique_examples, last.scenario, last.rl_seeds) == (None, None, "no-sft", (5,))


def test_checkpoints_of_an_sft_run_are_candidates(tmp_path: Path, content: dict[str, Any]) -> None:
    changed(content, "candidates.0", {**content["candidates"][0], "epochs": [4], "checkpoint_epochs": [1, 2.5]})
    found = read(tmp_path, content).candidates
    parts = [candidate for candidate in found if candidate.checkpoint_epoch is not None]
    assert len(parts) == 2 * sum(candidate.epochs == 4 and candidate.checkpoint_epoch is None for candidate in found)
    assert [part.name for part in parts[:2]] == ["weak.broad-16x4-lr0.001-s0@e1", "weak.broad-16x4-lr0.001-s0@e2.5"]
    assert {part.sft_name for part in parts[:2]} == {"weak.broad-16x4-lr0.001-s0"}
    assert [(part.epochs, part.checkpoint_epoch) for part in parts[:2]] == [(4.0, 1.0), (4.0, 2.5)]


def test_an_order_seed_shuffles_the_candidates_and_changes_none(tmp_path: Path, content: dict[str, Any]) -> None:
    plain = read(tmp_path, content).candidates
    shuffled = read(tmp_path, {**content, "order_seed": 3}).candidates
    assert shuffled != plain
    assert sorted(shuffled, key=str) == sorted(plain, key=str)
    assert read(tmp_path, {**content, "order_seed": 3}).candidates == shuffled
    assert read(tmp_path, {**content, "order_seed": 4}).candidates != shuffled


def test_runs_may_go_further_where_the_learning_rate_stays_constant(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "rl.yaml").write_text("{max_steps: 7, lr_scheduler_type: constant_with_warmup}")
    changed(content, "rl.measure_at", [5, 2])
    plan = read(tmp_path, changed(content, "candidates.1.rl_further", [20, 9]))
    assert plan.rl is not None
    assert (plan.rl.steps, plan.rl.measure_at) == (7, (2, 5))
    assert {candidate.rl_further for candidate in plan.candidates} == {(), (9, 20)}


def test_splits_follow_the_patterns(tmp_path: Path, content: dict[str, Any]) -> None:
    plan = read(tmp_path, content)
    held_out = {candidate.name for candidate in plan.candidates if candidate.split == "held_out"}
    assert held_out == {candidate.name for candidate in plan.candidates if ".easy-" in candidate.name}


def test_defaults(tmp_path: Path, content: dict[str, Any]) -> None:
    plan = read(tmp_path, changed(content, "rl.seeds", ...))
    assert plan.rl is not None
    assert plan.rl.seeds == (0,)
    assert (plan.evaluation.samples_after, plan.evaluation.engine, plan.evaluation.batch_size) == (
        8,
        "transformers",
        None,
    )
    assert (plan.launch.mode, plan.launch.threads, plan.launch.accelerate) == ("spawn", None, {})
    assert plan.programs["rl"] == "training/train_grpo.py"


def test_a_single_value_stands_for_a_list_of_one(tmp_path: Path, content: dict[str, Any]) -> None:
    wide = read(tmp_path, changed(content, "candidates.0.seed", [3]))
    assert read(tmp_path, changed(content, "candidates.0.seed", 3)).candidates == wide.candidates


def test_no_rl_seeds_means_no_rl(tmp_path: Path, content: dict[str, Any]) -> None:
    assert read(tmp_path, changed(content, "candidates.0.rl_seeds", [])).candidates[0].rl_seeds == ()


def test_a_plan_may_stop_before_rl_or_have_no_sft(tmp_path: Path, content: dict[str, Any]) -> None:
    for key in ("rl", "sft", "data", "held_out"):
        del content[key]
    content["candidates"] = [{"base": "weak", "no_sft": True}]
    plan = read(tmp_path, content)
    assert plan.candidates[0].rl_seeds == ()
    assert (plan.rl, plan.sft) == (None, None)


def test_a_plan_is_frozen_and_its_id_tells_what_it_says(tmp_path: Path, content: dict[str, Any]) -> None:
    plan = read(tmp_path, content)
    with pytest.raises(FrozenInstanceError):
        plan.name = "other"  # type: ignore[misc]
    assert read(tmp_path, content).plan_id == plan.plan_id
    (tmp_path / "rl.yaml").write_text("max_steps: 8")
    assert read(tmp_path, content).plan_id != plan.plan_id


def test_only_a_plan_without_any_hub_name_is_offline(tmp_path: Path, content: dict[str, Any]) -> None:
    assert not read(tmp_path, content).offline
    del content["bases"]["qwen3-4b"]
    content["candidates"][1]["base"] = ["weak"]
    assert read(tmp_path, content).offline
    assert not read(tmp_path, changed(content, "data.easy.dataset_name", "a/b")).offline


WRONG: list[tuple[str, Any, str]] = [
    ("nam", "x", "unknown key 'nam'; did you mean 'name'?"),
    ("name", ..., "name: this key is missing"),
    ("name", "a/b", "name: expected letters"),
    ("name", 3, "name: expected text, got 3"),
    ("bases", [], "bases: expected a mapping"),
    ("bases.a/b", {}, "bases.a/b: a name has"),
    ("bases.weak.familly", "x", "unknown key 'bases.weak.familly'; did you mean 'bases.weak.family'?"),
    ("bases.weak.family", ..., "bases.weak.family: this key is missing"),
    ("bases.weak.model_name_or_path", "x", "bases.weak.pretrain: a base needs either"),
    ("bases.weak.pretrain", ..., "bases.weak.pretrain: a base needs either"),
    ("bases.weak.pretrain", 5, "bases.weak.pretrain: expected a mapping of keys to values, got 5"),
    ("bases.weak.pretrain.step", 5, "unknown key 'bases.weak.pretrain.step'; did you mean 'bases.weak.pretrain.steps'"),
    ("data.broad.lab_data.nosie", 0.1, "data.broad.lab_data: source 0: unknown key 'nosie'; did you mean 'noise'"),
    ("bases.weak.pretrain.lab_data", {"lenghts": [1, 2]}, "bases.weak.pretrain.lab_data: source 0: unknown key 'lengh"),
    ("bases.weak.pretrain.output_dir", "x", "bases.weak.pretrain.output_dir: collection decides"),
    ("data.easy", "x", "data.easy: expected a mapping"),
    ("data.easy.learning_rate", 1.0, "data.easy.learning_rate: a data entry cannot set this key"),
    ("sft.recipe", "no/such.yaml", "sft.recipe: 'no/such.yaml' was not found"),
    ("sft", ..., "candidates[0].data: the plan has no 'sft' recipe"),
    ("rl", ..., "candidates[1].rl_seeds: the plan has no 'rl' recipe"),
    ("rl.seeds", [0, 0], "rl.seeds: the same value appears twice"),
    ("rl.seeds", [], "rl.seeds: expected at least one value"),
    ("rl.seeds", [-1], "rl.seeds[0]: expected a whole number of at least 0, got -1"),
    ("rl.seeds", [True], "rl.seeds[0]: expected a whole number of at least 0, got True"),
    ("evaluation.suite", ..., "evaluation.suite: this key is missing"),
    ("evaluation.samples_before", "8", "evaluation.samples_before: expected a whole number of at least 1, got '8'"),
    ("evaluation.samples_after", 0, "evaluation.samples_after: expected a whole number of at least 1, got 0"),
    ("evaluation.samples_afte", 1, "did you mean 'evaluation.samples_after'?"),
    ("candidates", [], "candidates: expected a list with at least one entry"),
    ("candidates.0", 3, "candidates[0]: expected a mapping"),
    ("candidates.0.base", ["strong"], "candidates[0].base[0]: 'strong' is not among bases: qwen3-4b, weak"),
    ("candidates.0.data", ["broad", "x"], "candidates[0].data[1]: 'x' is not among data: broad, easy"),
    ("candidates.0.epochs", [0], "candidates[0].epochs[0]: expected a number above 0, got 0"),
    ("candidates.0.epochs", ["1"], "candidates[0].epochs[0]: expected a number above 0, got '1'"),
    ("candidates.0.epochs", [1, 1.0], "candidates[0].epochs: the same value appears twice"),
    ("candidates.0.unique_examples", [1.5], "candidates[0].unique_examples[0]: expected a whole number"),
    ("candidates.0.learning_rate", [1e-3, 1.0000001e-3], "candidates: 'weak.broad-16x1-lr0.001-s0' appears 2 times"),
    ("candidates.0.scenario", "other", "candidates[0].scenario: expected one of dataset-level, instance-level"),
    ("candidates.0.scenario", ..., "candidates[0].scenario: this key is missing"),
    ("candidates.0.epoch", 1, "did you mean 'candidates[0].epochs'?"),
    ("candidates.1.no_sft", "yes please", "candidates[1].no_sft: expected true or false"),
    ("candidates.1.epochs", [1], "unknown key 'candidates[1].epochs'"),
    ("held_out", ["*.easy-*", "strong.*"], "held_out[1]: 'strong.*' matches no candidate"),
    ("launch", {"mode": "thread"}, f"launch.mode: expected one of {', '.join(LAUNCHERS)}, got 'thread'"),
    ("launch", {"threads": 0}, "launch.threads: expected a whole number of at least 1"),
    ("launch", {"mode": "fork", "accelerate": {"rl": "x"}}, "launch.accelerate: needs mode: spawn"),
    ("launch", {"accelerate": {"rl": "x.yaml"}}, "launch.accelerate.rl: 'x.yaml' was not found"),
    ("launch", {"accelerate": {"grpo": "x.yaml"}}, "unknown key 'launch.accelerate.grpo'"),
    ("launch", {"resources": {"sft": {"gpu": 1}}}, "unknown key 'launch.resources.sft.gpu'"),
    (
        "launch",
        {"resources": {"sft": {"gpus": -1}}},
        "launch.resources.sft.gpus: expected a whole number, or a part of one GPU such as 0.5, got -1",
    ),
    (
        "launch",
        {"resources": {"sft": {"gpus": 1.5}}},
        "launch.resources.sft.gpus: expected a whole number, or a part of one GPU such as 0.5, got 1.5",
    ),
    ("launch", {"resources": {"rl": {"memory_gib": 0}}}, "launch.resources.rl.memory_gib: expected a number of GiB"),
    ("launch", {"options": {"thread": {}}}, "unknown key 'launch.options.thread'"),
    ("programs", {"rl": "x.py"}, "programs.rl: 'x.py' was not found"),
    ("rl.measure_at", [3, 7], "rl.measure_at: expected steps below max_steps of the recipe (7), got 7"),
    ("rl.measure_at", [0], "rl.measure_at[0]: expected a whole number of at least 1, got 0"),
    ("candidates.0.rl_further", [7], "candidates[0].rl_further: expected steps above max_steps of the RL recipe"),
    ("candidates.0.rl_further", [9], "needs an RL recipe whose learning rate stays constant; lr_scheduler_type is"),
    ("candidates.0.checkpoint_epochs", [1], "candidates[0].checkpoint_epochs: expected epochs below 1, got 1"),
    ("candidates.1.checkpoint_epochs", [1], "unknown key 'candidates[1].checkpoint_epochs'"),
    ("estimate", {"gpus": 8}, "estimate.gpu_tflops: this key is missing"),
    ("estimate", {"gpu": 8}, "did you mean 'estimate.gpus'?"),
    ("order_seed", -1, "order_seed: expected a whole number of at least 0"),
]


@pytest.mark.parametrize(("where", "value", "said"), WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, content: dict[str, Any], where: str, value: Any, said: str) -> None:
    if "/" in where:
        content["bases"][where.removeprefix("bases.")] = value
    else:
        changed(content, where, value)
    with pytest.raises(RecipeError, match=re.escape(said)) as error:
        read(tmp_path, content)
    assert str(error.value).startswith(str(tmp_path / "plan.yaml"))
    assert "\n" not in str(error.value)


def test_a_recipe_that_is_no_mapping_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "rl.yaml").write_text("- a")
    with pytest.raises(RecipeError, match=r"plan\.yaml: rl\.recipe: .*rl\.yaml: expected a mapping"):
        read(tmp_path, content)


def test_an_sft_recipe_that_makes_epochs_void_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "sft.yaml").write_text("max_steps: 100")
    with pytest.raises(RecipeError, match="max_steps, which would make every candidate's epochs void"):
        read(tmp_path, content)


def test_lists_that_multiply_to_more_than_anyone_trains_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    changed(content, "candidates.0.seed", list(range(50_000)))
    with pytest.raises(RecipeError, match="the lists multiply to 800,000 candidates, at most 100,000"):
        read(tmp_path, content)


def test_the_keys_of_pretraining_are_those_of_the_program():
    source = shipped_path("training/pretrain_lab_base.py").read_text()
    (config,) = (node for node in ast.walk(ast.parse(source)) if getattr(node, "name", "") == "BaseConfig")
    keys = {node.target.id for node in config.body if isinstance(node, ast.AnnAssign)}
    assert keys == {*PRETRAIN, "output_dir"}
