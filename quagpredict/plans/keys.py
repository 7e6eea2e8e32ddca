"""The one error about a key that is not known, and mappings to frozen settings: errors name file, key and nearest."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from quagpredict.errors import RecipeError, did_you_mean

_MOST = 24  # more keys than a line should list


def unknown_key_message(source: str | Path, key: object, keys: Collection[str], prefix: str = "") -> str:
    """Return the message for an unknown key, with the nearest known one if any is near.

    Examples
    --------
    >>> unknown_key_message("sft.yaml", "learning_rat", ["learning_rate", "seed"])
    "sft.yaml: unknown key 'learning_rat'; did you mean 'learning_rate'?"
    """
    rest = f"; known keys are {', '.join(sorted(keys))}" if len(keys) <= _MOST else ""
    return f"{source}: unknown key '{prefix}{key}'{did_you_mean(key, keys, prefix=prefix, rest=rest)}"


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


def settings_of(kind: Any, given: Any, where: str) -> Any:
    """Return the dataclass `kind` filled from a mapping.

    Raises
    ------
    RecipeError
        If it is no mapping, has an unknown key, or lacks one, or the dataclass refuses a value.
    """
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: expected a mapping of keys to values, got {given!r}")
    known_keys_only(given, [entry.name for entry in fields(kind)], where)
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from None
