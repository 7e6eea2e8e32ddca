"""Reinforcement learning with verifiable rewards: `python training/train_grpo.py --config recipe.yaml`.

TRL's GRPOTrainer with TRL's own key names (GRPOConfig, ModelConfig, ScriptArguments) and the few of
`GRPORecipeArguments` below. The reward is the grader that evaluation uses. For large models run the same line through
`accelerate launch`, with `use_vllm: true` in the recipe for the rollouts.
"""

import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, disable_progress_bars, load_dataset
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer, ModelConfig, ScriptArguments, TrlParser

from quagpredict.answers import GradingPolicy, grade_many, readable_gold
from quagpredict.checkpoint import base_digest
from quagpredict.engines.loading import load_model
from quagpredict.engines.tokens import check_chat_template, load_config, load_tokenizer
from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.files import digest
from quagpredict.lab import Mixture
from quagpredict.program import (
    PAUSED,
    parse_trl_recipe,
    resume_point,
    run_program,
    write_record,
    write_time_spent,
)

REWARDS = ("accuracy",)
CURVE = {
    "reward": "reward",
    "reward_std": "reward_std",
    "zero_variance_share": "frac_reward_zero_std",
    "entropy": "entropy",
    "completion_length": "completions/mean_length",
    "clipped_share": "completions/clipped_ratio",
}


@dataclass
class GRPORecipeArguments(ScriptArguments):
    """What a recipe may say beyond TRL's own keys."""

    lab_data: dict | None = field(default=None, metadata={"help": "A mixture of the lab instead of dataset_name."})
    lab_prompts: int = field(default=4096, metadata={"help": "How many lab prompts to train on."})
    lab_seed: int = field(default=0, metadata={"help": "Seed of the lab prompts: the same for every candidate."})
    dataset_prompt_column: str = field(default="problem", metadata={"help": "Column with the question."})
    dataset_answer_column: str = field(default="answer", metadata={"help": "Column with the gold answer."})
    system_prompt: str | None = field(default=None, metadata={"help": "System message of conversational prompts."})
    chat_template: str | None = field(default=None, metadata={"help": "Jinja chat template to use and save."})
    max_prompt_length: int | None = field(default=None, metadata={"help": "Prompts of more tokens are dropped."})
    dataset_num_proc: int | None = field(default=None, metadata={"help": "Processes that prepare the prompts."})
    reward_funcs: list[str] = field(default_factory=lambda: ["accuracy"], metadata={"help": "Only 'accuracy'."})
    grading: dict | None = field(default=None, metadata={"help": "Keys of GradingPolicy; evaluation uses the same."})
    keep_steps: list[int] = field(
        default_factory=list, metadata={"help": "Steps after which the checkpoint is kept, in at-STEP/."}
    )
    drawn_at_once: int | None = field(
        default=None,
        metadata={
            "help": "Responses that each process draws side by side, without vLLM; by default all of a generation. "
            "Fewer take less memory; they are other draws from the same distribution."
        },
    )
    pause_at: int | None = field(
        default=None,
        metadata={
            "help": "Step after which the run pauses; resume_from_checkpoint: OUTPUT_DIR/paused goes on with it."
        },
    )


def main(arguments: list[str]) -> None:
    """Parse the recipe, load model and prompts, train, save, write the record."""
    started = time.perf_counter()
    recipe, config, model_config = parse_trl_recipe(
        TrlParser((GRPORecipeArguments, GRPOConfig, ModelConfig)), arguments
    )
    for name in recipe.reward_funcs:
        if name not in REWARDS:
            raise RecipeError(f"reward_funcs: unknown reward '{name}'; known are {', '.join(REWARDS)}")
    if recipe.drawn_at_once is not None and recipe.drawn_at_once < 1:
        raise RecipeError(f"drawn_at_once: expected a whole number of at least 1, got {recipe.drawn_at_once}")
    if config.disable_tqdm:
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        disable_progress_bars()

    if model_config.use_peft:
        raise RecipeError("use_peft: an adapter alone cannot be measured; train full weights")
    candidate = base_digest(model_config.model_name_or_path, model_config.model_revision)

    check_pause(recipe.pause_at, config)
    # A checkpoint of the pause itself was not moved into its place before a kill: the way to it is gone again.
    checkpoint, spent = resume_point(config, before=recipe.pause_at)

    set_seed(config.seed)
    load_config(model_config.model_name_or_path, model_config.model_revision)  # damaged or quantised: said at once
    tokenizer = load_tokenizer(model_config.model_name_or_path, model_config.model_revision)
    if recipe.chat_template is not None:
        tokenizer.chat_template = recipe.chat_template
    check_chat_template(tokenizer, "chat_template" if recipe.chat_template else model_config.model_name_or_path)
    tokenizer.padding_side = "left"
    policy = GradingPolicy(**(recipe.grading or {}))
    prompts = lab_prompts(recipe) if recipe.lab_data else hub_prompts(recipe, tokenizer, policy)
    inputs = {"candidate": candidate, "prompts": digest(list(prompts))}
    model = load_model(
        model_config.model_name_or_path,
        revision=model_config.model_revision,
        dtype=model_config.dtype,
        attn_implementation=model_config.attn_implementation,
    )

    trainer = ResumableTrainer(
        model=model,
        reward_funcs=accuracy_reward(policy, tokenizer, model),
        args=config,
        train_dataset=prompts,
        processing_class=tokenizer,
    )
    if config.disable_tqdm:
        trainer.remove_callback(PrinterCallback)
    trainer.add_callback(KeepCheckpoints(trainer, recipe.keep_steps, recipe.pause_at, started - spent))
    trainer.drawn_at_once = recipe.drawn_at_once
    trainer.epochs_done = 0 if checkpoint is None else epochs_before(Path(checkpoint))
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(config.output_dir)
    trainer.accelerator.wait_for_everyone()
    if trainer.accelerator.is_main_process:
        if recipe.pause_at is not None:
            paused = Path(config.output_dir, PAUSED)
            shutil.rmtree(paused, ignore_errors=True)
            Path(config.output_dir, f"checkpoint-{recipe.pause_at}").rename(paused)
        write_record(
            config.output_dir,
            program="training/train_grpo.py",
            started=started - spent,
            results={"rl_steps": trainer.state.global_step, "rl_curve": reward_curve(trainer.state.log_history)},
            inputs=inputs,
        )
    trainer.accelerator.wait_for_everyone()  # one that ended early could take this one along


def check_pause(step: int | None, config: GRPOConfig) -> None:
    """Refuse a pause after which the run could not go on as if it had never paused."""
    if step is None:
        return
    if not 0 < step < config.max_steps:
        raise RecipeError(f"pause_at: expected a step from 1 to {config.max_steps - 1}, before max_steps, got {step}")
    if config.save_only_model:
        raise RecipeError("pause_at: needs the optimizer's state, so not save_only_model: true")
    if config.use_vllm:
        print("note: vLLM's random state is not saved: a run that paused goes on with other draws", file=sys.stderr)
    # Responses that are drawn for several steps are not saved.
    period = config.steps_per_generation * config.num_iterations
    if step * config.gradient_accumulation_steps % period:
        raise RecipeError(
            f"pause_at: {step} steps end amid responses that are drawn for several: pause after a multiple of "
            f"{period} / {config.gradient_accumulation_steps} steps (steps_per_generation x num_iterations / "
            "gradient_accumulation_steps)"
        )


class ResumableTrainer(GRPOTrainer):
    """TRL's trainer; in a later epoch too it goes on with the prompts that a run would have had that was never cut off.

    TRL draws the order of the prompts of every epoch from one stream of random numbers, and transformers begins that
    stream anew in the epoch of the checkpoint. And it draws all responses of a generation side by side, unless it is
    told how many at once.
    """

    epochs_done = 0
    drawn_at_once: int | None = None

    def _get_train_sampler(self, *args: Any) -> Any:
        sampler = super()._get_train_sampler(*args)
        for _ in range(self.epochs_done):
            next(iter(sampler), None)
        return sampler

    def _generate_single_turn(self, prompt_ids: list, *rest: Any, **named: Any) -> tuple[list, Any]:
        if self.drawn_at_once is None or self.use_vllm:
            return super()._generate_single_turn(prompt_ids, *rest, **named)
        drawn: list = []
        for first in range(0, len(prompt_ids), self.drawn_at_once):
            part = prompt_ids[first : first + self.drawn_at_once]
            drawn += super()._generate_single_turn(part, *rest, **named)[0]
        return drawn, None  # as without vLLM


def epochs_before(checkpoint: Path) -> int:
    """Return how many epochs were whole when a checkpoint was written."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return int(float(state.get("epoch") or 0.0) + 1e-6)


class KeepCheckpoints(TrainerCallback):
    """Saves the model after certain steps, ends at a pause, tells checkpoints what they cost."""

    def __init__(self, trainer: GRPOTrainer, steps: list[int], pause_at: int | None, started: float) -> None:
        self.started = started
        self.trainer = trainer
        self.steps = set(steps)
        self.pause_at = pause_at

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Save if this is a step that is asked for; end here, with all that is needed to go on, if it is the pause."""
        if state.global_step in self.steps:
            self.trainer.save_model(f"{args.output_dir}/at-{state.global_step}")
        if state.global_step == self.pause_at:
            control.should_save = control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Write what a checkpoint cost, in the process that writes it."""
        if state.is_world_process_zero:
            write_time_spent(args.output_dir, state.global_step, self.started)


def lab_prompts(recipe: GRPORecipeArguments) -> Dataset:
    """Return the lab's RL problems, which no other split holds."""
    problems = Mixture.from_mapping(recipe.lab_data).problems(recipe.lab_prompts, split="rl", seed=recipe.lab_seed)
    return Dataset.from_list([{"prompt": item.prompt, "answer": item.answer} for item in problems])


def hub_prompts(recipe: GRPORecipeArguments, tokenizer: Any, policy: GradingPolicy) -> Dataset:
    """Return prompts and gold answers of a data set of the hub or of local JSONL or Parquet files."""
    if recipe.dataset_name is None:
        raise RecipeError("the recipe names no data: give dataset_name or lab_data")
    if recipe.dataset_name.endswith((".jsonl", ".json", ".parquet")):
        kind = "parquet" if recipe.dataset_name.endswith(".parquet") else "json"
        rows = load_dataset(kind, data_files=recipe.dataset_name, split="train")
    else:
        rows = load_dataset(recipe.dataset_name, recipe.dataset_config, split=recipe.dataset_train_split)
    for column in (recipe.dataset_prompt_column, recipe.dataset_answer_column):
        if column not in rows.column_names:
            raise RecipeError(f"{recipe.dataset_name}: no column '{column}'; it has {', '.join(rows.column_names)}")

    def readable(row: dict) -> bool:
        try:
            readable_gold(str(row[recipe.dataset_answer_column] or ""), policy)
        except InvalidDataError:
            return False
        return True

    kept = rows.filter(readable, num_proc=recipe.dataset_num_proc)
    if len(kept) < len(rows):
        print(f"note: {len(rows) - len(kept)} of {len(rows)} golds cannot be read and are dropped", file=sys.stderr)

    def prompt_and_answer(row: dict) -> dict:
        prompt = row[recipe.dataset_prompt_column]
        if tokenizer.chat_template is None:
            if isinstance(prompt, list):
                raise RecipeError("the data are conversations and the model has no chat template: give chat_template")
            if recipe.system_prompt is not None:
                prompt = f"{recipe.system_prompt}\n\n{prompt}"
        if tokenizer.chat_template is not None:
            prompt = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
            if recipe.system_prompt is not None:
                prompt = [{"role": "system", "content": recipe.system_prompt}, *prompt]
        return {"prompt": prompt, "answer": str(row[recipe.dataset_answer_column])}

    prompts = kept.map(prompt_and_answer, remove_columns=rows.column_names, num_proc=recipe.dataset_num_proc)
    if recipe.max_prompt_length is None:
        return prompts

    def fits(row: dict) -> bool:
        if isinstance(row["prompt"], str):
            return len(tokenizer(row["prompt"])["input_ids"]) <= recipe.max_prompt_length
        templated = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True)
        return len(templated["input_ids"]) <= recipe.max_prompt_length

    short = prompts.filter(fits)
    if len(short) < len(prompts):
        print(f"note: {len(prompts) - len(short)} of {len(prompts)} prompts are too long and dropped", file=sys.stderr)
    return short


def accuracy_reward(policy: GradingPolicy, tokenizer: Any, model: Any) -> Any:
    """Return the reward function: 1 for a response that evaluation would call correct, else 0."""
    listed = model.generation_config.eos_token_id
    end_tokens = {*(listed if isinstance(listed, list) else [listed]), tokenizer.eos_token_id} - {None}

    def accuracy(completions: list, completion_ids: list, answer: list[str], **_: Any) -> list[float]:
        texts = [item if isinstance(item, str) else item[-1]["content"] for item in completions]
        # A response without an end token was cut by the budget, and a cut response is never correct.
        reasons = ["stop" if ids and ids[-1] in end_tokens else "length" for ids in completion_ids]
        graded = grade_many(texts, answer, finish_reasons=reasons, policy=policy)
        return [float(item.verdict == "correct") for item in graded]

    return accuracy


def reward_curve(history: list[dict]) -> list[dict]:
    """Return the logged training metrics under this project's names."""
    return [
        {"step": entry["step"], **{ours: round(float(entry[theirs]), 6) for ours, theirs in CURVE.items()}}
        for entry in history
        if "reward" in entry
    ]


if __name__ == "__main__":
    sys.exit(run_program(main))
