"""Fine-tune on worked solutions with TRL's SFTTrainer: `python training/train_sft.py --config recipe.yaml`.

The recipe has TRL's own key names (SFTConfig, ModelConfig, ScriptArguments) and the few of `SFTRecipeArguments` below.
For large models run the same line through `accelerate launch --config_file training/accelerate/zero3.yaml`.
"""

import random
import sys
import time
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import Dataset, concatenate_datasets, disable_progress_bars, load_dataset
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.utils import logging as transformers_logging
from trl import ModelConfig, ScriptArguments, SFTConfig, SFTTrainer, TrlParser

from quagpredict.checkpoint import base_digest
from quagpredict.engines.loading import load_model
from quagpredict.engines.tokens import check_chat_template, load_config, load_tokenizer
from quagpredict.errors import RecipeError
from quagpredict.files import digest
from quagpredict.lab import Mixture
from quagpredict.plans.keys import known_keys_only
from quagpredict.program import (
    parse_trl_recipe,
    resume_point,
    run_program,
    write_record,
    write_time_spent,
)


@dataclass
class SFTRecipeArguments(ScriptArguments):
    """What a recipe may say beyond TRL's own keys."""

    lab_data: dict | None = field(default=None, metadata={"help": "A mixture of the lab instead of dataset_name."})
    dataset_mixture: dict | None = field(default=None, metadata={"help": "Data sets with shares, see mixed_examples."})
    unique_examples: int | None = field(default=None, metadata={"help": "How many distinct examples are used."})
    dataset_select: str = field(default="random", metadata={"help": "Which: random, first, shortest or longest."})
    dataset_prompt_column: str = field(default="prompt", metadata={"help": "Column with the question."})
    dataset_completion_column: str = field(default="completion", metadata={"help": "Column with the worked solution."})
    system_prompt: str | None = field(default=None, metadata={"help": "System message of conversational prompts."})
    chat_template: str | None = field(default=None, metadata={"help": "Jinja chat template to use and save."})
    keep_epochs: list[float] = field(
        default_factory=list, metadata={"help": "Epochs after which the checkpoint is kept, in at-EPOCH/."}
    )


def main(arguments: list[str]) -> None:
    """Parse the recipe, load model and data, train, save, write the record."""
    started = time.perf_counter()
    recipe, config, model_config = parse_trl_recipe(TrlParser((SFTRecipeArguments, SFTConfig, ModelConfig)), arguments)
    if config.disable_tqdm:
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        disable_progress_bars()

    if model_config.use_peft:
        raise RecipeError("use_peft: an adapter alone cannot be measured or taken to RL; train full weights")
    base = base_digest(model_config.model_name_or_path, model_config.model_revision)

    checkpoint, spent = resume_point(config)

    set_seed(config.seed)
    load_config(model_config.model_name_or_path, model_config.model_revision)  # damaged or quantised: said at once
    tokenizer = load_tokenizer(model_config.model_name_or_path, model_config.model_revision)
    if recipe.chat_template is not None:
        tokenizer.chat_template = recipe.chat_template
    check_chat_template(tokenizer, "chat_template" if recipe.chat_template else model_config.model_name_or_path)
    tokenizer.padding_side = "right"
    if recipe.lab_data:
        examples = lab_examples(recipe, config.seed)
    elif recipe.dataset_mixture:
        examples = mixed_examples(recipe, config.seed, tokenizer)
    else:
        examples = hub_examples(recipe, config.seed, tokenizer)
    inputs = {"base": base, "examples": digest(list(examples)[:100_000])}
    model = load_model(
        model_config.model_name_or_path,
        revision=model_config.model_revision,
        dtype=model_config.dtype,
        attn_implementation=model_config.attn_implementation,
    )

    trainer = SFTTrainer(model=model, args=config, train_dataset=examples, processing_class=tokenizer)
    if config.disable_tqdm:
        trainer.remove_callback(PrinterCallback)
    trainer.add_callback(KeepCheckpoints(trainer, tokenizer, recipe.keep_epochs, started - spent))
    outcome = trainer.train(resume_from_checkpoint=checkpoint)
    tokenizer.padding_side = "left"
    trainer.save_model(config.output_dir)
    if trainer.accelerator.is_main_process:
        curve = [
            {"step": entry["step"], "loss": entry["loss"]} for entry in trainer.state.log_history if "loss" in entry
        ]
        # Of a run that was gone on with, the trainer's mean is over the steps since, divided by all of them.
        resumed = checkpoint is not None and curve
        mean = sum(entry["loss"] for entry in curve) / len(curve) if resumed else outcome.training_loss
        write_record(
            config.output_dir,
            program="training/train_sft.py",
            started=started - spent,
            results={
                "unique_examples": len(examples),
                "sft_steps": outcome.global_step,
                "examples_seen": round(len(examples) * trainer.state.epoch),
                "train_loss_nats": round(mean, 6),
                "loss_curve": curve,
            },
            inputs=inputs,
        )
    trainer.accelerator.wait_for_everyone()  # one that ended early could take this one along


class KeepCheckpoints(TrainerCallback):
    """Saves the model at the first step at which a number of epochs is complete; tells checkpoints what they cost."""

    def __init__(self, trainer: SFTTrainer, tokenizer: Any, epochs: list[float], started: float) -> None:
        self.started = started
        self.trainer = trainer
        self.tokenizer = tokenizer
        self.left = sorted(epochs)

    def on_train_begin(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Leave out the epochs that a run that is gone on with has behind it: they were saved before its checkpoint."""
        self.left = [epoch for epoch in self.left if epoch > (state.epoch or 0.0) + 1e-6]

    def on_step_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Save if an epoch that is asked for has just been completed; its fraction may be off by a rounding error."""
        while self.left and state.epoch >= self.left[0] - 1e-6:
            self.tokenizer.padding_side = "left"
            self.trainer.save_model(f"{args.output_dir}/at-{self.left.pop(0):g}")
            self.tokenizer.padding_side = "right"

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Write what a checkpoint cost, in the process that writes it."""
        if state.is_world_process_zero:
            write_time_spent(args.output_dir, state.global_step, self.started)


def lab_examples(recipe: SFTRecipeArguments, seed: int) -> Dataset:
    """Return lab problems with their (perhaps noisy) solutions."""
    if recipe.unique_examples is None:
        raise RecipeError("lab_data needs unique_examples: how many distinct examples to draw")
    problems = Mixture.from_mapping(recipe.lab_data).problems(recipe.unique_examples, split="train", seed=seed)
    return Dataset.from_list([{"prompt": item.prompt, "completion": item.completion} for item in problems])


def hub_examples(recipe: SFTRecipeArguments, seed: int, tokenizer: Any) -> Dataset:
    """Return prompts and completions of a data set of the hub or of local JSONL or Parquet files."""
    if recipe.dataset_name is None:
        raise RecipeError("the recipe names no data: give dataset_name, dataset_mixture or lab_data")
    if recipe.dataset_name.endswith((".jsonl", ".json", ".parquet")):
        kind = "parquet" if recipe.dataset_name.endswith(".parquet") else "json"
        rows = load_dataset(kind, data_files=recipe.dataset_name, split="train")
    else:
        rows = load_dataset(recipe.dataset_name, recipe.dataset_config, split=recipe.dataset_train_split)
    prompt_column, completion_column = recipe.dataset_prompt_column, recipe.dataset_completion_column
    if prompt_column not in rows.column_names and "messages" in rows.column_names:
        # Whole conversations: the last message is the worked solution.
        rows = rows.map(
            lambda row: {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]},
            remove_columns=rows.column_names,
        )
        prompt_column, completion_column = "prompt", "completion"
    for column in (prompt_column, completion_column):
        if column not in rows.column_names:
            raise RecipeError(f"{recipe.dataset_name}: no column '{column}'; it has {', '.join(rows.column_names)}")

    order = list(range(len(rows)))
    if recipe.dataset_select == "random":
        random.Random(f"{seed}/select").shuffle(order)
    elif recipe.dataset_select in ("shortest", "longest"):
        lengths = [len(str(text)) for text in rows[completion_column]]
        order.sort(key=lengths.__getitem__, reverse=recipe.dataset_select == "longest")
    elif recipe.dataset_select != "first":
        raise RecipeError(f"dataset_select must be random, first, shortest or longest, got '{recipe.dataset_select}'")
    wanted = recipe.unique_examples if recipe.unique_examples is not None else len(order)
    if wanted > len(order):
        raise RecipeError(f"{recipe.dataset_name}: unique_examples is {wanted}, the data has {len(order)} rows")

    def prompt_and_completion(row: dict) -> dict:
        prompt, completion = row[prompt_column], row[completion_column]
        if tokenizer.chat_template is None:
            if isinstance(prompt, list) or isinstance(completion, list):
                raise RecipeError("the data are conversations and the model has no chat template: give chat_template")
            if recipe.system_prompt is not None:
                prompt = f"{recipe.system_prompt}\n\n{prompt}"
            return {"prompt": prompt, "completion": completion}
        messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        if recipe.system_prompt is not None:
            messages = [{"role": "system", "content": recipe.system_prompt}, *messages]
        answer = completion if isinstance(completion, list) else [{"role": "assistant", "content": completion}]
        return {"prompt": messages, "completion": answer}

    examples = rows.select(order[:wanted]).map(prompt_and_completion, remove_columns=rows.column_names)
    if tokenizer.chat_template is not None and len(examples):
        check_template(examples[0], tokenizer)
    return examples


def mixed_examples(recipe: SFTRecipeArguments, seed: int, tokenizer: Any) -> Dataset:
    """Return examples of several data sets by their shares, in random order.

    ``sources`` lists the data sets, each with ``share`` (relative, as in lab_data) and keys of the recipe that hold for
    it alone: dataset_name, dataset_config, dataset_select, the names of columns. ``unique_examples`` counts all
    together. A source that is asked for more examples than it has gives them again, in the order of its selection.
    """
    sources = recipe.dataset_mixture.get("sources") if set(recipe.dataset_mixture) == {"sources"} else None
    if not isinstance(sources, list) or not sources:
        raise RecipeError("dataset_mixture needs the key 'sources', a list with at least one data set, and no other")
    if recipe.unique_examples is None:
        raise RecipeError("dataset_mixture needs unique_examples: how many examples of all sources together")
    known = ("dataset_config", "dataset_train_split", "dataset_select", "dataset_prompt_column")
    known += ("dataset_name", "dataset_completion_column")
    shares = []
    for position, source in enumerate(sources):
        known_keys_only(source, ("share", *known), f"dataset_mixture: source {position}")
        shares.append(source.get("share", 1.0))
        if not isinstance(shares[-1], int | float) or not shares[-1] > 0:
            raise RecipeError(f"dataset_mixture: source {position}: share must be positive, got {shares[-1]!r}")
    parts = []
    taken, cumulative = 0, 0.0
    for source, share in zip(sources, shares, strict=True):
        cumulative += share
        wanted = round(recipe.unique_examples * cumulative / sum(shares)) - taken
        taken += wanted
        own = replace(recipe, unique_examples=None, **{key: value for key, value in source.items() if key != "share"})
        rows = hub_examples(own, seed, tokenizer)
        if wanted:
            parts.append(rows.select([index % len(rows) for index in range(wanted)]))
    return concatenate_datasets(parts).shuffle(seed=seed)


def check_template(example: dict, tokenizer: Any) -> None:
    """Refuse a chat template that renders a prompt otherwise once the answer follows: loss would fall on the prompt."""
    asked = tokenizer.apply_chat_template(example["prompt"], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*example["prompt"], *example["completion"]], tokenize=False)
    if not whole.startswith(asked):
        raise RecipeError(
            "the chat template renders the prompt otherwise when the answer follows (some drop the system message, "
            "some add a thought): give chat_template one that does not"
        )


if __name__ == "__main__":
    sys.exit(run_program(main))
