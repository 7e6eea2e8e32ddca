"""Chat templates: loss must fall on the answer alone, in every shipped recipe and in a user's own."""

import importlib.util
import json
import sys

import pytest
import yaml
from transformers import AutoTokenizer

from quagpredict.errors import RecipeError
from quagpredict.shipped import shipped_path, shipped_root

EXAMPLE = {
    "prompt": [{"role": "system", "content": "Think."}, {"role": "user", "content": "1+1?"}],
    "completion": [{"role": "assistant", "content": "2"}],
}
RECIPES = sorted((shipped_root() / "training" / "recipes").rglob("*.yaml"))
# What Mistral's template does: the system message is written only before the last message.
LOSES_THE_SYSTEM_MESSAGE = """{% for m in messages %}{% if m['role'] == 'user' %}[INST]{% if loop.last %}Think. {% endif
%}{{ m['content'] }}[/INST]{% elif m['role'] == 'assistant' %}{{ m['content'] }}{% endif %}{% endfor %}"""


@pytest.fixture(scope="module")
def train_sft():
    spec = importlib.util.spec_from_file_location("program_templates", shipped_path("training/train_sft.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tokenizer():
    return AutoTokenizer.from_pretrained(shipped_path("datasets/lab-pilot/bases/weak"))


def test_every_shipped_template_renders_a_prompt_as_the_start_of_the_whole(train_sft, tokenizer):
    seen = set()
    for recipe in RECIPES:
        template = yaml.safe_load(recipe.read_text()).get("chat_template")
        if template:
            tokenizer.chat_template = template
            train_sft.check_template(EXAMPLE, tokenizer)
            asked = tokenizer.apply_chat_template(EXAMPLE["prompt"], tokenize=False, add_generation_prompt=True)
            assert "Think." in asked
            seen.add(recipe.parent.name)
    assert seen >= {"mistral-nemo-12b", "qwen3-4b"}


def test_a_template_that_changes_the_prompt_is_refused(train_sft, tokenizer):
    tokenizer.chat_template = LOSES_THE_SYSTEM_MESSAGE
    with pytest.raises(RecipeError, match="renders the prompt otherwise"):
        train_sft.check_template(EXAMPLE, tokenizer)


@pytest.mark.parametrize("form", ["messages", "columns"])
def test_data_come_as_conversations_or_as_two_columns(train_sft, tokenizer, tmp_path, form):
    rows = {
        "messages": [{"messages": EXAMPLE["prompt"][1:] + EXAMPLE["completion"]} for _ in range(3)],
        "columns": [{"prompt": "1+1?", "completion": "2"} for _ in range(3)],
    }[form]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    recipe = train_sft.SFTRecipeArguments(dataset_name=str(path), unique_examples=2, system_prompt="Think.")
    examples = train_sft.hub_examples(recipe, 0, tokenizer)
    assert len(examples) == 2
    assert examples[0] == EXAMPLE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset_prompt_column": "q"}, "no column 'q'; it has prompt, completion"),
        ({"unique_examples": 9}, "unique_examples is 9, the data has 4 rows"),
        ({"dataset_select": "best"}, "random, first, shortest or longest"),
        ({"dataset_name": None}, "names no data"),
    ],
)
def test_data_that_do_not_fit_the_recipe_are_refused(train_sft, tokenizer, tmp_path, changes, message):
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": "p" * n, "completion": "c" * n}) for n in (3, 1, 4, 2)) + "\n")
    tokenizer.chat_template = None
    with pytest.raises(RecipeError, match=message):
        train_sft.hub_examples(train_sft.SFTRecipeArguments(**({"dataset_name": str(path)} | changes)), 0, tokenizer)


@pytest.mark.parametrize(("rule", "lengths"), [("shortest", [1, 2]), ("longest", [4, 3]), ("first", [3, 1])])
def test_which_examples_are_taken(train_sft, tokenizer, tmp_path, rule, lengths):
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": "p" * n, "completion": "c" * n}) for n in (3, 1, 4, 2)) + "\n")
    tokenizer.chat_template = None
    recipe = train_sft.SFTRecipeArguments(dataset_name=str(path), unique_examples=2, dataset_select=rule)
    assert [len(text) for text in train_sft.hub_examples(recipe, 0, tokenizer)["completion"]] == lengths


@pytest.fixture(scope="module")
def train_grpo():
    spec = importlib.util.spec_from_file_location("program_grpo", shipped_path("training/train_grpo.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_responses_are_drawn_as_many_at_once_as_the_recipe_says(train_grpo, monkeypatch):
    parts = []

    def generate(trainer, prompt_ids, *rest):
        parts.append(len(prompt_ids))
        return [[token + 1] for token in prompt_ids], None

    monkeypatch.setattr(train_grpo.GRPOTrainer, "_generate_single_turn", generate)
    trainer = object.__new__(train_grpo.ResumableTrainer)
    trainer.use_vllm, trainer.drawn_at_once = False, 2
    assert trainer._generate_single_turn([0, 1, 2, 3, 4], None, {}, 1) == ([[1], [2], [3], [4], [5]], None)
    trainer.drawn_at_once = None
    assert trainer._generate_single_turn([0, 1, 2], None, {}, 1)[0] == [[1], [2], [3]]
    assert parts == [2, 2, 1, 3]


def test_grpo_prompts_with_unreadable_golds_or_too_many_tokens_are_dropped_and_counted(
    train_grpo, tokenizer, tmp_path, capsys
):
    rows = [("a", "1"), ("b", ""), ("c", None), ("d" * 9, "2"), ("e", "3")]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"problem": q, "answer": a}) for q, a in rows) + "\n")
    tokenizer.chat_template = None
    recipe = train_grpo.GRPORecipeArguments(dataset_name=str(path), max_prompt_length=5)
    prompts = train_grpo.hub_prompts(recipe, tokenizer, train_grpo.GradingPolicy())
    assert list(prompts["prompt"]) == ["a", "e"]
    said = capsys.readouterr().err
    assert "2 of 5 golds cannot be read" in said
    assert "1 of 3 prompts are too long" in said
