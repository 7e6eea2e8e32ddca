"""Training recipes in TRL's own key names, including those that older open-r1 recipes still use."""

from collections.abc import Mapping
from typing import Any, NamedTuple

# Keys that transformers 5 and TRL 1 renamed; an open-r1 recipe from 2025 still has the old ones.
RENAMED = {
    "torch_dtype": "dtype",
    "warmup_ratio": "warmup_steps",
    "max_seq_length": "max_length",
    "evaluation_strategy": "eval_strategy",
}
# Keys of open-r1 recipes that change nothing in what is trained: accepted and dropped, with a note.
WITHOUT_EFFECT = frozenset(
    {
        "overwrite_output_dir",
        "hub_model_revision",
        "overwrite_hub_revision",
        "push_to_hub_revision",
        "benchmarks",
        "callbacks",
        "wandb_entity",
        "wandb_project",
        "wandb_run_group",
        "logging_dir",
    }
)


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

    Examples
    --------
    >>> modernise({"warmup_ratio": 0.1, "overwrite_output_dir": True, "seed": 0})
    ModernRecipe(config={'warmup_steps': 0.1, 'seed': 0}, notes=["'warmup_ratio' is now 'warmup_steps'", \
"'overwrite_output_dir' has no effect here"])
    """
    modern: dict[str, Any] = {}
    notes = []
    for key, value in config.items():
        renamed = RENAMED.get(key)
        if renamed is not None and renamed not in config:
            modern[renamed] = value
            notes.append(f"'{key}' is now '{renamed}'")
        elif key in WITHOUT_EFFECT:
            notes.append(f"'{key}' has no effect here")
        else:
            modern[key] = value
    return ModernRecipe(modern, notes)
