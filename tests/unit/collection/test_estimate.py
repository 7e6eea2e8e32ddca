"""What a collection will cost, worked out by hand beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from quagpredict.cli import main
from quagpredict.collection.estimate import KindCost, estimate, estimate_cost
from quagpredict.collection.ledger import Attempt
from quagpredict.errors import UsageError
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

ASSUMED = {
    "gpus": 2,
    "gpu_tflops": 100,
    "utilization": 0.5,
    "tokens_per_second": 1000,
    "tokens_per_example": 600,
    "tokens_per_response": 400,
    "problems": 50,
    "parameters": {"big": 1.0e9},
}
GRID = {"data": "broad", "unique_examples": 1000, "epochs": 2, "learning_rate": 1e-3, "seed": 0}
WritePlan = Callable[..., Path]


@pytest.fixture
def file(write_plan: WritePlan, tmp_path: Path) -> Path:
    (tmp_path / "rl.yaml").write_text("{max_steps: 10, per_device_train_batch_size: 8, gradient_accumulation_steps: 4}")
    return write_plan(
        bases={"big": {"family": "qwen3", "model_name_or_path": "a/b"}},
        candidates=[{"base": "big", **GRID, "scenario": "dataset-level"}],
        estimate=ASSUMED,
    )


def test_the_sums_are_those_of_the_definition(file: Path) -> None:
    costs = {cost.kind: cost for cost in estimate(Plan.from_yaml(file))}
    rate = 2 * 100e12 * 0.5
    training = 8 * 1e9 / rate  # seconds a token, activations recomputed
    assert costs["sft"].hours * 3600 == pytest.approx(1000 * 2 * 600 * training)
    assert costs["evaluate-pre"].hours * 3600 == pytest.approx(50 * 8 * 400 / 2000)
    assert costs["evaluate-post"].hours * 3600 == pytest.approx(50 * 4 * 400 / 2000)
    tokens = 10 * (8 * 4 * 2) * 400
    assert costs["grpo"].hours * 3600 == pytest.approx(tokens / 2000 + tokens * training)
    assert {cost.gpu_hours / cost.hours for cost in costs.values() if cost.gpu_hours} == {2.0}


def test_disk_is_that_of_the_weights_and_of_checkpoints_to_go_on_from(file: Path, tmp_path: Path) -> None:
    costs = {cost.kind: cost for cost in estimate(Plan.from_yaml(file))}
    billion = 1e9 / 2**30
    assert costs["sft"].disk_gib == pytest.approx(4 * billion)  # no dtype: float32
    # A new checkpoint is written before the old one goes.
    assert costs["sft"].working_gib == pytest.approx(2 * (4 + 12) * billion)
    assert costs["evaluate-pre"].disk_gib == costs["evaluate-pre"].working_gib == 0
    (tmp_path / "rl.yaml").write_text("{max_steps: 10, dtype: bfloat16, keep_steps: [5], save_strategy: 'no'}")
    grpo = next(cost for cost in estimate(Plan.from_yaml(file)) if cost.kind == "grpo")
    assert grpo.disk_gib == pytest.approx(2 * 2 * billion)
    assert grpo.working_gib == 0


def test_a_race_costs_what_its_budget_pays_for(file: Path) -> None:
    def grpo(race: str) -> KindCost:
        file.write_text(plain + race)
        return next(cost for cost in estimate(Plan.from_yaml(file)) if cost.kind == "grpo")

    plain = file.read_text()
    alone = grpo("")
    whole, half = (grpo(f"race: {{rl_steps: {budget}, rungs: [3, 5]}}") for budget in (10, 5))
    assert (alone.stages, whole.stages) == (1, 3)
    assert whole.hours == pytest.approx(alone.hours)
    assert half.hours == pytest.approx(alone.hours / 2)
    assert half.how.endswith("the race has budget for 50% of all runs in full")
    assert alone.disk_gib is not None
    # Three models, and one state to go on from.
    assert whole.disk_gib == pytest.approx(3 * alone.disk_gib + 4 * alone.disk_gib)


def test_what_was_measured_is_taken_before_what_is_assumed(file: Path) -> None:
    done = [
        Attempt("k", f"grpo/{name}", "done", None, "", "", seconds) for name, seconds in (("a", 60.0), ("b", 180.0))
    ]
    cost = next(cost for cost in estimate(Plan.from_yaml(file), done) if cost.kind == "grpo")
    assert cost.hours * 3600 == pytest.approx(120)
    assert cost.how == "mean of the stages that were run, 120 s"


def test_a_fixed_number_of_samples_that_costs_more_than_rl_is_told(file: Path) -> None:
    file.write_text(file.read_text().replace("samples_before: 8", "samples_before: 800"))
    notes = estimate_cost(file, file.parent / "none").notes
    rl, measuring = 10 * 64 * 400 / 2000 + 10 * 64 * 400 * 8 * 1e9 / 100e12 + 50 * 4 * 400 / 2000, 50 * 800 * 400 / 2000
    assert f"takes {measuring / rl:.1f} times what RL takes; with `samples_before: auto`" in notes[-3]
    # One candidate: choosing saves nothing.
    assert f"is {measuring / rl:.0%} more than RL for all" in notes[-1]


def test_without_either_there_is_no_estimate(write_plan: WritePlan) -> None:
    with pytest.raises(UsageError, match="no 'base' stage was run yet and plan 'tiny' has no 'estimate' section"):
        estimate(Plan.from_yaml(write_plan()))


def test_assumptions_are_no_part_of_what_is_made(file: Path) -> None:
    plan = Plan.from_yaml(file)
    file.write_text(file.read_text().replace("gpus: 2", "gpus: 4"))
    assert Plan.from_yaml(file).plan_id == plan.plan_id


@pytest.mark.parametrize("name", ["qwen3-4b", "llama3-8b", "mistral-nemo-12b"])
def test_the_papers_plans_have_an_estimate(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["collect", str(shipped_path(f"collectors/plans/paper-{name}.yaml")), "--estimate"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "GiB more to resume from" in shown.err
    words = [line.split()[0] for line in lines if line[:1].isalpha()]
    assert words == ["stages", "sft", "evaluate-pre", "grpo", "evaluate-post", "all"]
    # Measuring pays: 16 samples of each candidate, and 64 if all of them stayed open, against RL for 39 runs.
    hours = {cost.kind: cost.hours for cost in estimate_cost(f"collectors/plans/paper-{name}.yaml").costs}
    rl = hours["grpo"] + hours["evaluate-post"]
    best, worst = (1 - (more * hours["evaluate-pre"] / rl + 3 / 39) for more in (1, 4))
    assert f"RL for all takes {rl:,.1f} hours" in shown.err
    assert f"is {best:.0%} less than RL for all, at worst {worst:.0%} less" in shown.err
    assert best > worst > 0.4
    assert not list(tmp_path.iterdir())
