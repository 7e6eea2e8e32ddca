"""Recipes become work folders: measured once, stopped half way, gone on with, taken through RL."""

import os
from dataclasses import replace
from pathlib import Path

import optuna
import polars as pl
import pytest
import yaml

from quagpredict.errors import StageError, UsageError
from quagpredict.mixture_search.recipe_runs import RecipeRuns
from quagpredict.mixture_search.recipes import recipe_of
from quagpredict.mixture_search.space import Budget
from quagpredict.mixture_search.space_file import Rungs, SearchPlan
from quagpredict.plans.parts import Evaluation, Launch, ReinforcementLearning
from quagpredict.plans.recipe import Recipe
from quagpredict.testing.search_worlds import synthetic_space

PROGRAM = str(Path(__file__).with_name("recipe_program.py"))
PARAMS = {"mixture.s0": 0.5, "mixture.s1": 0.5, "epochs": 2.0, "learning_rate": 1e-3}


@pytest.fixture
def plan(tmp_path):
    benchmarks = [{"name": "b", "lab": {"problems": 2, "data": {"operators": "+-", "lengths": [1, 1]}}}]
    suite = {"name": "tiny", "benchmarks": benchmarks, "sampling": {"max_new_tokens": 8}}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    space = replace(
        synthetic_space(3),
        budget=Budget(64),
        sft=Recipe("sft.yaml", {"go_on": str(tmp_path / "go_on"), "pid_file": str(tmp_path / "pid")}),
    )
    return SearchPlan(
        space,
        evaluation=Evaluation(Recipe(str(tmp_path / "suite.yaml"), {"name": "tiny"}), 8, 4, 4),
        rungs=Rungs(0.5, 4),
        rl=ReinforcementLearning(Recipe("rl.yaml", {"max_steps": 7}), (0, 1)),
        launch=Launch("spawn", 1),
    )


@pytest.fixture
def runs(plan, tmp_path):
    programs = dict.fromkeys(("sft", "rl", "evaluate"), PROGRAM)
    with RecipeRuns(plan, tmp_path / "out", programs) as runs:
        yield runs


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_trial_is_stopped_half_way_gone_on_with_and_verified(runs, plan, tmp_path):
    recipe = recipe_of(plan.space, PARAMS)
    reported = []

    def give_up(step, measurement):
        reported.append((step, measurement["pre_pass_at_1"][0]))
        raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        runs.measure(recipe, give_up)
    assert [step for step, _ in reported] == [50]
    assert not alive(int((tmp_path / "pid").read_text()))
    root = tmp_path / "out" / "recipes" / recipe.recipe_id
    assert not list(root.glob("stages/sft/*"))
    assert runs.write_corpus() is None

    def let_on(step, measurement):
        reported.append((step, measurement["pre_pass_at_1"][0]))
        (tmp_path / "go_on").touch()

    row = runs.measure(recipe, let_on)
    assert len(reported) == 2
    assert reported[0] == reported[1]
    assert row["recipe_id"].to_list() == [recipe.recipe_id]
    assert row["recipe_epochs"].to_list() == [2.0]
    assert not list(root.glob("stages/sft/*/checkpoint-*"))
    # Again, nothing is trained; and RL adds to what is there.
    ledger = (root / "ledger.jsonl").read_text()
    assert runs.measure(recipe, let_on).equals(row)
    assert (root / "ledger.jsonl").read_text() == ledger
    verified = runs.verify(recipe)
    assert verified["rl_seed"].to_list() == [0, 1]
    assert verified["post_pass_at_1"].null_count() == 0
    assert (root / "ledger.jsonl").read_text().count('"sft/') == 1
    corpus = pl.read_parquet(runs.write_corpus())
    assert corpus.height == 2
    assert corpus.select(pl.sum_horizontal("^share_.*$")).to_series().to_list() == pytest.approx([1.0, 1.0])


def test_the_rl_seeds_of_a_recipe_go_on_side_by_side(plan, tmp_path):
    (tmp_path / "go_on").touch()
    (tmp_path / "meeting").mkdir()
    rl = ReinforcementLearning(Recipe("rl.yaml", {"max_steps": 7, "meet": str(tmp_path / "meeting")}), (0, 1))
    programs = dict.fromkeys(("sft", "rl", "evaluate"), PROGRAM)
    with RecipeRuns(replace(plan, rl=rl), tmp_path / "out", programs, rl_workers=2) as runs:
        assert runs.verify(recipe_of(plan.space, PARAMS))["rl_seed"].to_list() == [0, 1]


def test_a_failed_stage_is_named_with_its_log(plan, tmp_path):
    (tmp_path / "wrong.py").write_text("import sys; sys.exit('out of memory')")
    failed = pytest.raises(StageError, match=r"sft/synthetic.mix-.* failed; see .*\.log")
    with RecipeRuns(plan, tmp_path / "out", {"sft": str(tmp_path / "wrong.py")}) as runs, failed:
        runs.measure(recipe_of(plan.space, PARAMS), lambda step, measurement: None)


def test_what_the_space_does_not_say_cannot_be_done(plan, tmp_path):
    with pytest.raises(UsageError, match="no section 'evaluation'"):
        RecipeRuns(replace(plan, evaluation=None), tmp_path)
    with pytest.raises(UsageError, match="no section 'rl'"):
        RecipeRuns(replace(plan, rl=None), tmp_path).verify(recipe_of(plan.space, PARAMS))
