"""Checked access to the keys of a YAML file: every error names the file and the key it is about."""

import re
from collections.abc import Mapping
from typing import Any

from quagpredict.errors import RecipeError, UsageError
from quagpredict.plans.keys import known_keys_only
from quagpredict.plans.recipe import Recipe
from quagpredict.shipped import shipped_path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class Section:
    """A mapping with the file and the key path at which it stands, so that every error can name both.

    Every method raises `RecipeError` if the value is not what it should be. A key without value or default is missing.

    Examples
    --------
    >>> Section({"steps": 5}, "plan.yaml", "rl.").whole("steps", low=1)
    5
    >>> Section({"steps": 0}, "plan.yaml", "rl.").whole("steps", low=1)
    Traceback (most recent call last):
    ...
    quagpredict.errors.RecipeError: plan.yaml: rl.steps: expected a whole number of at least 1, got 0
    """

    def __init__(self, content: Mapping[str, Any], source: str, where: str = "") -> None:
        self.content = content
        self.source = source
        self.where = where

    def error(self, key: str, problem: str) -> RecipeError:
        """Return an error about a key."""
        return RecipeError(f"{self.source}: {self.where}{key}: {problem}")

    def only(self, *known: str) -> None:
        """Refuse keys that are not known."""
        known_keys_only(self.content, known, self.source, self.where)

    def names(self) -> list[str]:
        """Return the keys, where they are names that the user chose; refuse what is no name."""
        for name in self.content:
            if not isinstance(name, str) or not NAME.fullmatch(name) or ".attempt-" in name:
                raise self.error(
                    str(name), "a name has letters, digits and _ . + - only, and starts with one of the first two"
                )
        return list(self.content)

    def section(self, key: str, default: Mapping[str, Any] | None = None) -> "Section":
        """Return the mapping under a key."""
        content = self._value(key, default)
        if not isinstance(content, Mapping):
            raise self.error(key, f"expected a mapping of keys to values, got {content!r}")
        return Section(content, self.source, f"{self.where}{key}.")

    def text(self, key: str, default: str | None = None) -> str:
        """Return the text under a key."""
        value = self._value(key, default)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"expected text, got {value!r}")
        return value

    def whole(self, key: str, low: int, default: int | None = None) -> int:
        """Return the whole number under a key."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self.error(key, f"expected a whole number of at least {low}, got {value!r}")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> Any:
        """Return the value under a key, one of `choices`."""
        value = self._value(key, default)
        if value not in choices:
            raise self.error(key, f"expected one of {', '.join(choices)}, got {value!r}")
        return value

    def listed(self, key: str, kind: type, *, low: float | None = None, empty: bool = False) -> list[Any]:
        """Return a list of values of one kind; a single value stands for a list of one."""
        value = self._value(key, None)
        values = value if isinstance(value, list) else [value]
        if not values and not empty:
            raise self.error(key, "expected at least one value, got an empty list")
        expected = {str: "text", int: "a whole number", float: "a number"}[kind]
        expected += "" if low is None else f" of at least {low}" if kind is int else f" above {low}"
        for position, entry in enumerate(values):
            right = isinstance(entry, int | float if kind is float else kind) and not isinstance(entry, bool)
            if not right or (low is not None and (entry < low or (kind is float and entry == low))):
                raise self.error(f"{key}[{position}]", f"expected {expected}, got {entry!r}")
        if len(set(values)) != len(values):
            raise self.error(key, f"the same value appears twice: {values}")
        return [kind(entry) for entry in values]

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """Return the number under a key, from `low` to `high`, both included."""
        value = self._value(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, f"expected a number from {low:g} to {high:g}, got {value!r}")
        return float(value)

    def recipe(self, key: str) -> Recipe:
        """Return the recipe whose path is under a key."""
        path = self.text(key)
        try:
            return Recipe.read(path, shipped_path(path))
        except (UsageError, RecipeError) as error:
            raise self.error(key, str(error)) from None

    def _value(self, key: str, default: Any) -> Any:
        if key in self.content:
            return self.content[key]
        if default is None:
            raise self.error(key, "this key is missing")
        return default
