"""Read a JSON object of a stranger key by key, with errors that name the file and the key."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import SurrogateError

MAX_TEXT = 1000
#: The least number that counts as above 0.
ABOVE_ZERO = float(np.finfo(float).tiny)


class JsonObject:
    """A JSON object of which every key must be there, and no other."""

    def __init__(self, value: Any, path: Path, prefix: str, keys: frozenset[str]):
        self.path, self.prefix = path, prefix
        if not isinstance(value, dict):
            where = f"key '{prefix[:-1]}'" if prefix else "the file"
            raise SurrogateError(f"{path}: {where} must hold a JSON object, got {short(value)}")
        self.value: dict[str, Any] = value
        for key in sorted(keys - value.keys()):
            raise SurrogateError(f"{path}: key '{prefix}{key}' is missing")
        for key in sorted(value.keys() - keys):
            raise SurrogateError(
                f"{path}: key '{prefix}{key[:80]}' is unknown; expected only {', '.join(sorted(keys))}"
            )

    def error(self, key: str, expected: str, got: Any) -> SurrogateError:
        """Return the error that a key is not as it must be."""
        return SurrogateError(f"{self.path}: key '{self.prefix}{key}' must be {expected}, got {short(got)}")

    def number(self, key: str, low: float = -np.inf, high: float = np.inf) -> float:
        """Return a finite number within bounds."""
        value = self.value[key]
        if type(value) not in (int, float) or not low <= value <= high or abs(value) > 1e300:
            raise self.error(key, f"a finite number from {low:g} to {high:g}", value)
        return float(value)

    def count(self, key: str) -> int:
        """Return a whole number."""
        value = self.value[key]
        if type(value) is not int or not 0 <= value <= 10**12:
            raise self.error(key, "a whole number from 0 to 1e12", value)
        return value

    def inner(self, key: str, most: int, of: str) -> "JsonObject":
        """Return the object under a key whose own keys are free."""
        value = self.value[key]
        if not isinstance(value, dict) or len(value) > most:
            raise self.error(key, f"an object of {of}", value)
        return JsonObject(value, self.path, f"{self.prefix}{key}.", frozenset(value))

    def numbers(self, key: str, most: int) -> dict[str, float]:
        """Return numbers that are not below 0, each under a name."""
        named = self.inner(key, most, "numbers")
        return {name: named.number(name, low=0.0) for name in named.value}

    def flag(self, key: str) -> bool:
        """Return true or false."""
        if type(self.value[key]) is not bool:
            raise self.error(key, "true or false", self.value[key])
        return bool(self.value[key])

    def text(self, key: str) -> str:
        """Return a text that is not too long."""
        value = self.value[key]
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise self.error(key, f"a text of at most {MAX_TEXT} characters", value)
        return value

    def texts(self, key: str, fewest: int, most: int) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.value[key]
        if (
            not isinstance(value, list)
            or not fewest <= len(value) <= most
            or not all(isinstance(item, str) and len(item) <= MAX_TEXT for item in value)
        ):
            raise self.error(key, f"a list of {fewest} to {most} texts", value)
        return tuple(value)

    def array(
        self, key: str, shape: tuple[int, ...], low: float = -np.inf, high: float = np.inf
    ) -> NDArray[np.float64]:
        """Return finite numbers within bounds, of one shape of one or two dimensions."""
        value = self.value[key]
        bounds = "" if low == -np.inf and high == np.inf else f" from {low:g} to {high:g}"
        expected = f"finite numbers{bounds} of shape {shape}"
        rows = value if len(shape) == 2 else [value]
        wanted = shape[0] if len(shape) == 2 else 1
        if not isinstance(rows, list) or len(rows) != wanted:
            raise self.error(key, expected, value)
        for row in rows:
            if not isinstance(row, list) or len(row) != shape[-1]:
                raise self.error(key, expected, value)
            for item in row:
                if type(item) not in (int, float) or not abs(item) <= 1e300 or not low <= item <= high:
                    raise self.error(key, expected, item)
        return np.array(value, dtype=np.float64).reshape(shape)

    def places(self, key: str, low: int, high: int, shape: tuple[int]) -> NDArray[np.int64]:
        """Return whole numbers within bounds."""
        value = self.value[key]
        expected = f"{shape[0]} whole numbers from {low} to {high}"
        if not isinstance(value, list) or len(value) != shape[0]:
            raise self.error(key, expected, value)
        for item in value:
            if type(item) is not int or not low <= item <= high:
                raise self.error(key, expected, item)
        return np.array(value, dtype=np.int64)

    def spread(self) -> dict[str, float]:
        """Return the degrees of freedom of a form and its Student factor."""
        return {
            "degrees_of_freedom": self.number("degrees_of_freedom", low=1.0),
            "t_factor": self.number("t_factor", low=1.0, high=4.0),
        }

    def noise(self) -> dict[str, float]:
        """Return the residual variance of a form, its degrees of freedom and its Student factor."""
        return {"residual_variance": self.number("residual_variance", low=0.0)} | self.spread()

    def length(self, key: str, fewest: int, most: int) -> int:
        """Return how long a list is."""
        value = self.value[key]
        if not isinstance(value, list) or not fewest <= len(value) <= most:
            raise self.error(key, f"a list of {fewest} to {most} values", value)
        return len(value)


def short(value: Any) -> str:
    """Return the start of a value for an error; of a long list only its first items are looked at."""
    if isinstance(value, list) and len(value) > 20:
        return f"a list of {len(value)} values"
    return repr(value)[:80]
