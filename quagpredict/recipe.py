"""Recipes: flat YAML files of training keys, and the digests that say which recipe a candidate was made by."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from quagpredict.errors import RecipeError, UsageError
from quagpredict.files import canonical_json, digest

# What does not change the weights that come out. Everything else is part of a recipe, wherever it came from.
PATH_KEYS = frozenset({"output_dir", "model_name_or_path", "resume_from_checkpoint", "overwrite_output_dir"})
LOGGING_KEYS = frozenset(
    {"disable_tqdm", "num_completions_to_print", "project", "report_to", "run_name", "trackio_space_id"}
    | {"log_completions", "log_level", "log_level_replica", "log_on_each_node", "log_unique_prompts"}
)
LOGGING_PREFIXES = ("hub_", "logging_", "push_to_hub", "save_", "vllm_server_", "wandb_")
SEED_KEYS = frozenset({"seed", "data_seed"})


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-3`` as a number, as YAML 1.2 does, and refuses a key that is written twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            written = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else (key.tag, id(key))
            if written in seen:
                raise yaml.composer.ComposerError(
                    "while reading a mapping", node.start_mark, f"the key '{key.value}' is there twice", key.start_mark
                )
            seen.add(written)
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that must be a mapping with text keys.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
        The mapping as written. ``1e-3`` is a number, unlike in YAML 1.1. An empty file is an empty mapping.

    Raises
    ------
    UsageError
        If there is no such file.
    RecipeError
        If the file cannot be read, is not YAML, is not a mapping, or has a key twice. The message names the file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sft.yaml"
    ...     _ = path.write_text("learning_rate: 1e-3")
    ...     read_yaml(path)
    {'learning_rate': 0.001}
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', None) or 'unreadable'}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: expected a mapping of keys to values, got {type(content).__name__}")
    for key in content:
        if not isinstance(key, str):
            raise RecipeError(f"{path}: key {key!r}: expected text, got {type(key).__name__}; put it in quotes")
    return content


def unknown_key_message(source: str | Path, key: object, known: Collection[str], prefix: str = "") -> str:
    """Return the message for an unknown key, with the nearest known one if any is near.

    Examples
    --------
    >>> unknown_key_message("sft.yaml", "learning_rat", ["learning_rate", "seed"])
    "sft.yaml: unknown key 'learning_rat'; did you mean 'learning_rate'?"
    """
    near = get_close_matches(str(key), list(known), n=1)
    hint = f"did you mean '{prefix}{near[0]}'?" if near else f"known keys are {', '.join(sorted(known))}"
    return f"{source}: unknown key '{prefix}{key}'; {hint}"


def known_keys_only(
    mapping: Mapping[str, Any], known: Iterable[str], source: str | Path = "config", prefix: str = ""
) -> None:
    """Refuse a key that is not known, naming it and the nearest known one.

    Parameters
    ----------
    mapping : mapping
        What was read.
    known : iterable of str
        The keys that may be there.
    source : str or Path
        The file, for the message.
    prefix : str
        Key path of `mapping` inside the file, for the message, e.g. ``"launch."``.

    Raises
    ------
    RecipeError
        At the first key that is not known.

    Examples
    --------
    >>> known_keys_only({"seed": 1}, ["seed", "steps"], "base.yaml")
    >>> known_keys_only({"sed": 1}, ["seed", "steps"], "base.yaml")
    Traceback (most recent call last):
    ...
    quagpredict.errors.RecipeError: base.yaml: unknown key 'sed'; did you mean 'seed'?
    """
    names = list(known)
    for key in mapping:
        if key not in names:
            raise RecipeError(unknown_key_message(source, key, names, prefix))


@dataclass(frozen=True)
class Recipe:
    """A recipe file: where it was named and what it says."""

    path: str
    config: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: str | Path, found: Path | None = None) -> "Recipe":
        """Read the recipe called `path`, which lies at `found` (default: at `path`).

        Raises
        ------
        RecipeError
            If it is not a mapping that JSON can hold.
        """
        config = read_yaml(found or path)
        try:
            canonical_json(config)
        except (TypeError, ValueError):
            raise RecipeError(
                f"{path}: holds a value that is neither text, finite number, true/false, null, list nor mapping "
                "(YAML reads an unquoted 2024-01-01 as a date, .nan as not-a-number): put it in quotes or remove it"
            ) from None
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
