"""Recipes: flat files of training keys, and the digests that say which recipe a candidate was made by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quagpredict.files import digest
from quagpredict.plans.reading import read_yaml

# What does not change the weights that come out. Everything else is part of a recipe, wherever it came from.
PATH_KEYS = frozenset({"output_dir", "model_name_or_path", "resume_from_checkpoint", "overwrite_output_dir"})
LOGGING_KEYS = frozenset(
    {"disable_tqdm", "num_completions_to_print", "project", "report_to", "run_name", "trackio_space_id"}
    | {"log_completions", "log_level", "log_level_replica", "log_on_each_node", "log_unique_prompts"}
)
LOGGING_PREFIXES = ("hub_", "logging_", "push_to_hub", "save_", "vllm_server_", "wandb_")
SEED_KEYS = frozenset({"seed", "data_seed"})


@dataclass(frozen=True)
class Recipe:
    """A recipe file: where it was named and what it says."""

    path: str
    config: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: str | Path, file: Path | None = None) -> "Recipe":
        """Read the recipe called `path`, which lies at `file` (default: at `path`).

        Raises
        ------
        RecipeError
            If it is not a mapping that JSON can hold.
        """
        config = read_yaml(file or path)
        return cls(str(path), config)


def recipe_content(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a resolved training config that decides which weights come out.

    Left out are:

    - paths: ``output_dir``, ``model_name_or_path``, ``resume_from_checkpoint``, ``overwrite_output_dir`` (the base
      model enters `recipe_id` by its own content instead);
    - logging and saving: ``report_to``, ``run_name``, ``disable_tqdm``, ``log_level``, ``log_level_replica``,
      ``log_on_each_node``, ``log_completions``, ``log_unique_prompts``, ``num_completions_to_print``, ``project``,
      ``trackio_space_id``, and every key that starts with ``logging_``, ``save_``, ``hub_``, ``push_to_hub`` or
      ``wandb_``;
    - where a vLLM server listens: every key that starts with ``vllm_server_``.

    Examples
    --------
    >>> recipe_content({"learning_rate": 1e-3, "output_dir": "x", "logging_steps": 5, "report_to": "none"})
    {'learning_rate': 0.001}
    """
    left_out = PATH_KEYS | LOGGING_KEYS
    return {k: v for k, v in config.items() if k not in left_out and not k.startswith(LOGGING_PREFIXES)}


def recipe_id(base: Mapping[str, Any], sft: Mapping[str, Any] | None) -> str:
    """Return the id of an SFT recipe: base model, data and training settings, the seed included.

    Parameters
    ----------
    base : mapping
        What the base model is: its pre-training config, or ``{"model_name_or_path": ..., "revision": ...}``.
    sft : mapping or None
        The resolved SFT config; `recipe_content` says which of its keys count. None for a base taken to RL as it is.

    Returns
    -------
    str
        16 hexadecimal digits. The order of keys does not matter.

    Examples
    --------
    >>> base = {"model_name_or_path": "Qwen/Qwen3-4B-Base"}
    >>> recipe_id(base, {"seed": 0, "output_dir": "a"}) == recipe_id(base, {"output_dir": "b", "seed": 0})
    True
    >>> recipe_id(base, {"seed": 0}) == recipe_id(base, {"seed": 1})
    False
    """
    return digest({"base": dict(base), "sft": None if sft is None else recipe_content(sft)})


def rl_recipe_id(rl: Mapping[str, Any]) -> str:
    """Return the id of an RL recipe: everything that fixes the RL stage but the starting point and the seeds.

    `recipe_content` says which keys count; ``seed`` and ``data_seed`` do not count either, so that seed replicates
    share one id.

    Examples
    --------
    >>> rl_recipe_id({"seed": 0, "max_steps": 260}) == rl_recipe_id({"seed": 1, "max_steps": 260})
    True
    >>> rl_recipe_id({"max_steps": 100}) == rl_recipe_id({"max_steps": 260})
    False
    """
    return digest({k: v for k, v in recipe_content(rl).items() if k not in SEED_KEYS})
