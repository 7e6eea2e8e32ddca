"""Every shipped recipe parses with TRL's own parser; every plan, suite and accelerate file with its own reader."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from trl import GRPOConfig, ModelConfig, SFTConfig, TrlParser

from quagpredict.errors import RecipeError
from quagpredict.plans.plan import Plan
from quagpredict.program import parse_trl_recipe
from quagpredict.shipped import shipped_root

RECIPES = sorted((shipped_root() / "training" / "recipes").rglob("*.yaml"))
PAPER = ("llama3-8b", "mistral-nemo-12b", "qwen3-4b")
# What a machine without a GPU refuses; everything else is parsed as it stands.
ON_CPU = ["--bf16", "false", "--tf32", "false", "--use_cpu", "true"]
# What TRL or transformers would otherwise decide, and change between releases.
PINNED = {
    "sft": """
        max_length packing completion_only_loss assistant_only_loss loss_type num_train_epochs learning_rate
        lr_scheduler_type warmup_steps per_device_train_batch_size gradient_accumulation_steps optim adam_beta1
        adam_beta2 weight_decay max_grad_norm seed data_seed dtype
    """,
    "grpo": """
        num_generations max_completion_length temperature top_p top_k min_p repetition_penalty beta epsilon epsilon_high
        loss_type scale_rewards num_iterations steps_per_generation mask_truncated_completions importance_sampling_level
        reward_funcs max_steps learning_rate lr_scheduler_type warmup_steps optim adam_beta1 adam_beta2 weight_decay
        max_grad_norm per_device_train_batch_size gradient_accumulation_steps seed data_seed shuffle_dataset dtype
    """,
}


def program(name: str) -> ModuleType:
    """A program of training/, loaded by path as a launcher would, without running it."""
    spec = importlib.util.spec_from_file_location(f"program_{name}", shipped_root() / "training" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def parsers() -> dict[str, TrlParser]:
    sft, grpo = program("train_sft"), program("train_grpo")
    return {
        "sft": TrlParser((sft.SFTRecipeArguments, SFTConfig, ModelConfig)),
        "grpo": TrlParser((grpo.GRPORecipeArguments, GRPOConfig, ModelConfig)),
    }


def kind_of(recipe: Path) -> str:
    return "grpo" if recipe.stem.startswith("grpo") else "sft"


def test_the_papers_models_have_both_recipes() -> None:
    assert {recipe.parent.name for recipe in RECIPES} >= {*PAPER}
    assert all(
        Path(shipped_root(), "training/recipes", model, f"{kind}.yaml") in RECIPES for model in PAPER for kind in PINNED
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.parent.name}-{recipe.stem}")
def test_a_recipe_parses_and_says_what_it_reads(recipe: Path, tmp_path: Path, parsers: dict[str, TrlParser]) -> None:
    given: dict[str, Any] = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    arguments = ["--config", str(recipe), "--output_dir", str(tmp_path), *ON_CPU]
    parsed = parse_trl_recipe(parsers[kind_of(recipe)], arguments)
    for key, value in given.items():
        held = next(getattr(part, key) for part in parsed if hasattr(part, key))
        if key not in {"bf16", "tf32", "use_cpu", "report_to"}:
            assert str(getattr(held, "value", held)) == str(value), key
        assert not (isinstance(value, str) and value.replace(".", "").replace("e-", "").isdigit()), (
            f"{key}: quoted number"
        )


@pytest.mark.parametrize("model", PAPER)
@pytest.mark.parametrize("kind", PINNED)
def test_a_recipe_pins_what_matters(model: str, kind: str) -> None:
    recipe = shipped_root() / "training" / "recipes" / model / f"{kind}.yaml"
    given = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    assert set(PINNED[kind].split()) - set(given) == set()


@pytest.mark.parametrize("model", PAPER)
def test_the_papers_recipes_agree_with_each_other(model: str) -> None:
    folder = shipped_root() / "training" / "recipes" / model
    sft, grpo = (yaml.safe_load((folder / f"{kind}.yaml").read_text(encoding="utf-8")) for kind in ("sft", "grpo"))
    suite = yaml.safe_load((shipped_root() / "collectors/suites/paper-math.yaml").read_text(encoding="utf-8"))
    for key in ("model_name_or_path", "system_prompt", "chat_template", "dtype"):
        assert sft.get(key) == grpo.get(key), key
    assert suite["system_prompt"] == sft["system_prompt"]
    assert grpo["max_completion_length"] < grpo["vllm_max_model_length"]
    assert grpo["steps_per_generation"] == grpo["gradient_accumulation_steps"]
    assert grpo["per_device_train_batch_size"] * grpo["steps_per_generation"] * 8 % grpo["num_generations"] == 0
    assert sft["per_device_train_batch_size"] * sft["gradient_accumulation_steps"] * 8 == 128


def test_an_unknown_key_is_refused_by_name(tmp_path: Path, parsers: dict[str, TrlParser]) -> None:
    recipe = tmp_path / "grpo.yaml"
    recipe.write_text("num_generation: 8\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"num_generation'.*num_generations"):
        parse_trl_recipe(parsers["grpo"], ["--config", str(recipe), "--output_dir", str(tmp_path)])


@pytest.mark.parametrize(
    "plan", sorted((shipped_root() / "collectors" / "plans").glob("*.yaml")), ids=lambda plan: plan.stem
)
def test_every_plan_reads(plan: Path) -> None:
    read = Plan.from_yaml(plan)
    assert read.name == plan.stem
    assert len(read.candidates) > 1


@pytest.mark.parametrize(
    "file", sorted((shipped_root() / "training" / "accelerate").glob("*.yaml")), ids=lambda file: file.stem
)
def test_accelerate_reads_its_files(file: Path) -> None:
    loaded = load_config_from_file(str(file))
    assert loaded.num_processes == 8
    assert loaded.mixed_precision == "bf16"


# The keys of open-r1 recipes for Qwen2.5-1.5B-Instruct (github.com/huggingface/open-r1, recipes/Qwen2.5-1.5B-Instruct,
# grpo/config_demo.yaml and sft/config_demo.yaml), with a CPU's values where a GPU's would be refused here.
OPEN_R1 = {
    "grpo": """
        model_name_or_path: Qwen/Qwen2.5-1.5B-Instruct
        model_revision: main
        torch_dtype: bfloat16
        attn_implementation: flash_attention_2
        dataset_name: AI-MO/NuminaMath-TIR
        dataset_configs: [all]
        num_processes: 7
        use_vllm: true
        vllm_device: auto
        vllm_gpu_memory_utilization: 0.7
        do_eval: true
        eval_strategy: steps
        eval_steps: 100
        gradient_accumulation_steps: 16
        gradient_checkpointing: true
        gradient_checkpointing_kwargs: {use_reentrant: false}
        hub_model_id: x/y
        hub_strategy: every_save
        learning_rate: 2.0e-05
        log_completions: true
        log_level: info
        logging_first_step: true
        logging_steps: 1
        logging_strategy: steps
        lr_scheduler_type: cosine
        max_prompt_length: 512
        max_completion_length: 1024
        max_steps: -1
        num_generations: 8
        num_train_epochs: 1
        output_dir: data/x
        overwrite_output_dir: true
        per_device_eval_batch_size: 32
        per_device_train_batch_size: 16
        push_to_hub: true
        report_to: [wandb]
        save_strategy: epoch
        save_total_limit: 1
        seed: 42
        warmup_ratio: 0.1
    """,
    "sft": """
        model_name_or_path: Qwen/Qwen2.5-1.5B-Instruct
        model_revision: main
        torch_dtype: bfloat16
        attn_implementation: flash_attention_2
        dataset_name: open-r1/s1K-1.1
        dataset_configs: [all]
        dataset_num_proc: 48
        do_eval: false
        eval_strategy: "no"
        gradient_accumulation_steps: 1
        gradient_checkpointing: true
        gradient_checkpointing_kwargs: {use_reentrant: false}
        hub_strategy: every_save
        learning_rate: 1.0e-05
        log_level: info
        logging_steps: 1
        logging_strategy: steps
        lr_scheduler_type: cosine_with_min_lr
        lr_scheduler_kwargs: {min_lr_rate: 0.1}
        packing: true
        max_seq_length: 32768
        max_steps: -1
        num_train_epochs: 15
        output_dir: data/x
        overwrite_output_dir: true
        per_device_eval_batch_size: 1
        per_device_train_batch_size: 2
        report_to: [wandb]
        save_strategy: epoch
        save_total_limit: 1
        seed: 42
        warmup_ratio: 0.05
    """,
}


@pytest.mark.parametrize("kind", OPEN_R1)
def test_the_keys_of_an_open_r1_recipe_paste_in(
    kind: str, tmp_path: Path, parsers: dict[str, TrlParser], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "config_demo.yaml"
    recipe.write_text(OPEN_R1[kind], encoding="utf-8")
    parsed = parse_trl_recipe(parsers[kind], ["--config", str(recipe), *ON_CPU])
    found = {key: value for part in parsed for key, value in vars(part).items()}
    assert found["dtype"] == "bfloat16"
    assert found["dataset_config"] == "all"
    assert found["warmup_steps"] == yaml.safe_load(OPEN_R1[kind])["warmup_ratio"]
    assert str(getattr(found["eval_strategy"], "value", found["eval_strategy"])) == "no"
    assert found["max_length" if kind == "sft" else "max_prompt_length"] == (32768 if kind == "sft" else 512)
    notes = capsys.readouterr().err
    assert "'torch_dtype' is now 'dtype'" in notes
    assert "'overwrite_output_dir' has no effect here" in notes


@pytest.mark.parametrize("drawn", [0, -3])
def test_responses_drawn_at_once_are_at_least_one(drawn: int, tmp_path: Path) -> None:
    recipe = shipped_root() / "training" / "recipes" / "lab" / "grpo.yaml"
    words = ["--config", str(recipe), "--output_dir", str(tmp_path), *ON_CPU, "--model_name_or_path", "none"]
    with pytest.raises(RecipeError, match=f"drawn_at_once: expected a whole number of at least 1, got {drawn}"):
        program("train_grpo").main([*words, "--drawn_at_once", str(drawn)])
