"""Training recipes in TRL's own key names, including those that older open-r1 recipes still use."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from quagpredict.errors import RecipeError

# Keys that transformers 5 and TRL 1 renamed; an open-r1 recipe from 2025 still has the old ones.
RENAMED = {
    "torch_dtype": "dtype",
    "warmup_ratio": "warmup_steps",
    "max_seq_length": "max_length",
    "use_liger": "use_liger_kernel",
    "vllm_max_model_len": "vllm_max_model_length",
}
# Keys of open-r1 recipes that change nothing in what is trained: dropped, with a note.
WITHOUT_EFFECT = frozenset(
    {
        "overwrite_output_dir",
        "hub_model_revision",
        "overwrite_hub_revision",
        "push_to_hub_revision",
        "benchmarks",
        "callbacks",
        "logging_dir",
        "num_processes",
        "vllm_device",
        "wandb_log_unique_prompts",
    }
)
# Measuring is a stage of its own here, so that no training run evaluates on the way.
EVALUATION = frozenset({"do_eval", "eval_strategy", "eval_steps", "per_device_eval_batch_size"})
# open-r1 hands these on as environment variables, and so do we.
ENVIRONMENT = {
    "wandb_entity": "WANDB_ENTITY",
    "wandb_project": "WANDB_PROJECT",
    "wandb_run_group": "WANDB_RUN_GROUP",
}


class ModernRecipe(NamedTuple):
    """A recipe in today's key names, and a note for every key that was changed or dropped."""

    config: dict[str, Any]
    notes: list[str]


def modernise(config: Mapping[str, Any]) -> ModernRecipe:
    """Translate retired key names of a training recipe; everything else is left as it is.

    Parameters
    ----------
    config : mapping
        A recipe as parsed from YAML.

    Returns
    -------
    ModernRecipe
        Its ``env`` holds what TRL's parser puts into the environment.

    Raises
    ------
    RecipeError
        If ``warmup_ratio`` is not below 1: as ``warmup_steps`` it would count steps.

    Examples
    --------
    >>> modernise({"warmup_ratio": 0.1, "overwrite_output_dir": True, "seed": 0})
    ModernRecipe(config={'warmup_steps': 0.1, 'seed': 0}, notes=["'warmup_ratio' is now 'warmup_steps'", \
"'overwrite_output_dir' has no effect here"])
    """
    modern: dict[str, Any] = {}
    notes = []
    environment = dict(config.get("env") or {})
    for key, value in config.items():
        renamed = RENAMED.get(key)
        if key == "warmup_ratio" and not (isinstance(value, int | float) and 0 <= value < 1):
            raise RecipeError(f"warmup_ratio must be at least 0 and below 1, got {value!r}")
        if key == "dataset_configs" and isinstance(value, list) and len(value) == 1:
            modern["dataset_config"] = value[0]
            notes.append("'dataset_configs' is now 'dataset_config'")
        elif renamed is not None and renamed not in config:
            modern[renamed] = value
            notes.append(f"'{key}' is now '{renamed}'")
        elif key in WITHOUT_EFFECT:
            notes.append(f"'{key}' has no effect here")
        elif key in EVALUATION:
            if value not in ("no", False):
                notes.append(f"'{key}' has no effect here: checkpoints are measured by a stage of their own")
        elif key in ENVIRONMENT:
            environment[ENVIRONMENT[key]] = str(value)
        elif key != "env":
            modern[key] = value
    if environment:
        modern["env"] = environment
    return ModernRecipe(modern, notes)
