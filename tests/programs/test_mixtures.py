"""`dataset_mixture` of train_sft: shares of several files, each selected by itself and repeated where it is short."""

import json
import runpy
from collections import Counter
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from quagpredict.errors import RecipeError
from quagpredict.shipped import shipped_path


@pytest.fixture(scope="module")
def train_sft():
    return SimpleNamespace(**runpy.run_path(str(shipped_path("training/train_sft.py")), run_name="train_sft"))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(str(shipped_path("datasets/lab-pilot/bases/weak")))


@pytest.fixture
def files(tmp_path):
    for name, count in (("a", 30), ("b", 4)):
        rows = [json.dumps({"prompt": f"{name}{i}", "completion": "x" * (1 + i)}) for i in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    return {name: str(tmp_path / f"{name}.jsonl") for name in "ab"}


def mixed(train_sft, tokenizer, sources, examples, **more):
    recipe = train_sft.SFTRecipeArguments(dataset_mixture={"sources": sources}, unique_examples=examples, **more)
    return train_sft.mixed_examples(recipe, 0, tokenizer)


def test_shares_become_examples_and_short_sources_are_repeated(train_sft, tokenizer, files):
    sources = [{"dataset_name": files["a"], "share": 10}, {"dataset_name": files["b"], "share": 6}]
    examples = mixed(train_sft, tokenizer, sources, 16)
    drawn = Counter(example["prompt"] for example in examples)
    assert sum(count for prompt, count in drawn.items() if prompt[0] == "a") == 10
    assert all(count == 1 for prompt, count in drawn.items() if prompt[0] == "a")
    assert sorted(count for prompt, count in drawn.items() if prompt[0] == "b") == [1, 1, 2, 2]
    # Sources do not come one after the other.
    assert [example["prompt"][0] for example in examples] != sorted(example["prompt"][0] for example in examples)


def test_the_selection_holds_for_every_source_unless_it_has_its_own(train_sft, tokenizer, files):
    sources = [{"dataset_name": files["a"]}, {"dataset_name": files["b"], "dataset_select": "shortest"}]
    examples = mixed(train_sft, tokenizer, sources, 4, dataset_select="longest")
    assert sorted(len(example["completion"]) for example in examples) == [1, 2, 29, 30]


@pytest.mark.parametrize(
    ("sources", "examples", "message"),
    [
        ([], 4, "at least one data set"),
        ([{"dataset_name": "a", "weight": 1}], 4, "source 0: unknown key 'weight'"),
        ([{"dataset_name": "a", "share": 0}], 4, "source 0: share must be positive"),
        ([{"dataset_name": "a"}], None, "needs unique_examples"),
    ],
)
def test_mistakes_are_named(train_sft, tokenizer, sources, examples, message):
    with pytest.raises(RecipeError, match=message):
        mixed(train_sft, tokenizer, sources, examples)


def test_a_recipe_with_a_mixture_parses(train_sft, files, tmp_path):
    from trl import ModelConfig, SFTConfig, TrlParser

    from quagpredict.program import parse_trl_recipe

    mixture = {"sources": [{"dataset_name": files["a"], "share": 3}, {"dataset_name": files["b"], "share": 1}]}
    content = {"model_name_or_path": "x", "use_cpu": True, "bf16": False, "output_dir": str(tmp_path)}
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(content | {"dataset_mixture": mixture, "dataset_select": "longest"}))
    parser = TrlParser((train_sft.SFTRecipeArguments, SFTConfig, ModelConfig))
    recipe, _, _ = parse_trl_recipe(parser, ["--config", str(path)])
    assert recipe.dataset_mixture == mixture
    assert recipe.dataset_select == "longest"
