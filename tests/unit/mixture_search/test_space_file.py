"""SPACE.yaml: what is wrong with it is said before anything is trained, with the file and the key."""

import json
import re
from pathlib import Path

import pytest
import yaml

from quagpredict.errors import RecipeError
from quagpredict.mixture_search.recipes import recipe_of
from quagpredict.mixture_search.space_file import SearchPlan
from quagpredict.plans.parts import LAUNCHERS
from quagpredict.shipped import shipped_path


@pytest.fixture
def write(tmp_path):
    """Write a space of two files with 100 and 50 examples; keyword arguments replace its top-level keys."""
    for name, count in (("a", 100), ("b", 50)):
        rows = [json.dumps({"prompt": f"{name}{i}:", "completion": "=1" * (1 + i % 3)}) for i in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "other.jsonl").write_text('{"question": "1"}\n')
    (tmp_path / "sft.yaml").write_text("max_length: 64\n")
    (tmp_path / "steps.yaml").write_text("max_steps: 5\n")

    def write(**changes):
        content = {
            "name": "two-files",
            "base": {
                "name": "weak",
                "family": "qwen3",
                "model_name_or_path": str(shipped_path("datasets/lab-pilot/bases/weak")),
            },
            "sft": {"recipe": str(tmp_path / "sft.yaml")},
            "budget": {"examples": 200},
            "sources": {
                "a": {"dataset_name": str(tmp_path / "a.jsonl"), "max_repeats": 4},
                "b": {"dataset_name": str(tmp_path / "b.jsonl"), "max_repeats": 2},
            },
            "epochs": [1, 2],
            "learning_rate": {"low": 1e-4, "high": 1e-3},
        }
        path = tmp_path / "space.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in (content | changes).items() if value is not None}))
        return path

    return write


def file(tmp_path: Path, name: str, **more: object) -> dict[str, object]:
    return {"dataset_name": str(tmp_path / f"{name}.jsonl"), **more}


def test_caps_and_budget_bound_the_shares(write):
    space = SearchPlan.from_yaml(write()).space
    assert [source.size for source in space.sources] == [100, 50]
    # 50 examples seen at most twice are half of a budget of 200.
    assert space.simplex.upper.tolist() == [1.0, 0.5]
    recipe = recipe_of(space, {"mixture.a": 0.0, "epochs": 1, "learning_rate": 1e-4})
    assert dict(recipe.examples) == {"a": 100, "b": 100}


def refused(path, message):
    with pytest.raises(RecipeError) as raised:
        SearchPlan.from_yaml(path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)


def test_bounds_that_exclude_the_simplex(write, tmp_path):
    low = {"a": file(tmp_path, "a", min=0.7), "b": file(tmp_path, "b", min=0.5)}
    refused(write(sources=low), "lower bounds of the sources add up to 1.2")
    high = {"a": file(tmp_path, "a", max=0.4), "b": file(tmp_path, "b", max=0.5)}
    refused(write(sources=high), "upper bounds of the sources add up to 0.9")
    refused(write(sources={**low, "a": file(tmp_path, "a", min=0.7, max=0.5)}), "sources.a.min: the lower bound 0.7")


def test_an_empty_or_unreadable_source(write, tmp_path):
    for name, message in (("empty", "the source is empty"), ("other", "no column 'prompt'"), ("none", "not found")):
        refused(write(sources={"a": file(tmp_path, "a"), "b": file(tmp_path, name)}), message)
    refused(write(sources={"a": file(tmp_path, "a")}), "at least two sources")


def test_a_budget_larger_than_the_data_with_repetition_capped(write):
    refused(write(budget={"examples": 10_000}), "the budget of 10000 examples is larger than the data")


def test_a_lower_bound_above_what_the_cap_allows(write, tmp_path):
    sources = {"a": file(tmp_path, "a"), "b": file(tmp_path, "b", max_repeats=2, min=0.6)}
    refused(write(sources=sources), "source 'b': its lower bound is 0.6, but 50 examples seen at most 2 times are 0.5")


def test_repeats_by_epochs_alone(write):
    refused(write(epochs=[1, 4]), "sources.b.max_repeats: an example may be seen 2 times, but there are up to 4 epochs")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": 1}, "unknown key 'budgets'; did you mean 'budget'?"),
        ({"budget": {"examples": 200, "tokens": 100}}, "one of them"),
        ({"budget": {"example": 200}}, "unknown key 'budget.example'; did you mean 'budget.examples'?"),
        ({"unique_share": 0.5}, "epochs or unique_share"),
        ({"epochs": None}, "epochs or unique_share"),
        ({"epochs": [0]}, "epochs[0]: expected a number above 0"),
        ({"learning_rate": None}, "learning_rate: this key is missing"),
        ({"learning_rate": {"low": 1e-3, "high": 1e-4}}, "low 0.001 and high 0.0001"),
        ({"selection": ["best"]}, "random, first, shortest, longest"),
        ({"rl": {"recipe": "training/recipes/lab/grpo.yaml"}}, "verifying needs the section 'evaluation'"),
        ({"rungs": {"every": 0.5}}, "rungs need the section 'evaluation'"),
        ({"score": {"surrogate": "models/none"}}, "score.surrogate: 'models/none' was not found"),
        ({"score": {"surrogate": "ridge:loss"}}, "score.corpus: this key is missing; 'ridge:loss' is to be fitted"),
        ({"launch": {"mode": "thread"}}, f"launch.mode: expected one of {', '.join(LAUNCHERS)}"),
        ({"budget": {"examples": 3}}, "fewer examples than there are sources"),
    ],
)
def test_other_mistakes(write, changes, message):
    refused(write(**changes), message)


def test_a_recipe_that_would_decide_what_is_searched(write, tmp_path):
    refused(write(sft={"recipe": str(tmp_path / "steps.yaml")}), "sets max_steps")
    (tmp_path / "sets.yaml").write_text("learning_rate: 1.0e-3\n")
    refused(write(sft={"recipe": str(tmp_path / "sets.yaml")}), "sets learning_rate, which the search decides")


def test_sources_of_the_lab(write):
    lab = {"plain": {"lab": {"operators": "+-"}}, "times": {"lab": {"operators": "+-*", "required": "*"}, "max": 0.5}}
    space = SearchPlan.from_yaml(write(sources=lab)).space
    assert space.selection is None
    data = recipe_of(space, {"mixture.plain": 0.5, "epochs": 1, "learning_rate": 1e-4}).data
    assert data["lab_data"]["sources"][0] == {"operators": "+-", "share": 150}
    refused(write(sources=lab, selection="longest"), "selection: is for files")
    refused(write(sources={**lab, "plain": {"lab": {"operator": "+"}}}), "sources.plain.lab: lab data: source 0")
    refused(write(sources={**lab, "a": {"lab": {}, "examples": 3}}), "sources.a.examples: is for files")
    few = {**lab, "plain": {"lab": {"operators": "<", "lengths": [1, 1]}}}
    refused(write(sources=few, budget={"examples": 100_000}), "the lab has fewer than 100000 different problems")


def test_lab_and_files_are_not_mixed(write, tmp_path):
    refused(write(sources={"a": file(tmp_path, "a"), "b": {"lab": {}}}), "cannot be mixed")


def test_a_budget_in_tokens(write, tmp_path):
    sources = {
        "a": file(tmp_path, "a", tokens_per_example=10),
        "b": file(tmp_path, "b", tokens_per_example=30, max_repeats=2),
    }
    space = SearchPlan.from_yaml(write(sources=sources, budget={"tokens": 6000}, epochs=1)).space
    assert space.simplex.upper.tolist() == [1.0, 0.5]
    recipe = recipe_of(space, {"mixture.a": 0.0, "learning_rate": 1e-4})
    # Half of the tokens each: 300 examples of 10, 100 of 30.
    assert dict(recipe.examples) == {"a": 300, "b": 100}


def test_tokens_are_counted_with_the_tokenizer_of_the_base(write, tmp_path):
    space = SearchPlan.from_yaml(write(budget={"tokens": 2000})).space
    assert space.sources[0].tokens_per_example == pytest.approx(8.9, abs=0.5)


def test_unique_share_is_the_inverse_of_the_epochs(write):
    space = SearchPlan.from_yaml(write(epochs=None, unique_share={"low": 0.5, "high": 1.0})).space
    recipe = recipe_of(space, {"mixture.a": 1.0, "unique_share": 0.5, "learning_rate": 1e-4})
    assert (recipe.unique_examples, recipe.epochs) == (100, 2.0)


def test_another_bound_is_another_space(write, tmp_path):
    first = SearchPlan.from_yaml(write()).space.space_id
    sources = {"a": file(tmp_path, "a", max_repeats=4, max=0.9), "b": file(tmp_path, "b", max_repeats=2)}
    assert SearchPlan.from_yaml(write(sources=sources)).space.space_id != first
    assert SearchPlan.from_yaml(write(name="renamed")).space.space_id == first


@pytest.mark.parametrize("path", sorted(shipped_path("collectors/searches").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_space_is_read(path, tmp_path):
    copy = tmp_path / path.name
    # The bases of some come from a collection or its records; any stands for them.
    copy.write_text(re.sub(r"runs/[\w-]+/stages/base/\w+", "datasets/lab-pilot/bases/weak", path.read_text()))
    plan = SearchPlan.from_yaml(copy)
    assert len(plan.space.sources) >= 7
    assert plan.space.name == path.stem
