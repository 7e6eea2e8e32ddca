"""Mappings of a suite file to frozen settings: unknown keys refused, errors that name file and key."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from quagpredict.errors import RecipeError
from quagpredict.plans.keys import known_keys_only


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
