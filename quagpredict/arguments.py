"""Arguments of another type than a public function takes, refused where it is called."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import get_annotations
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from quagpredict.errors import UsageError, argument

_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text", Path: "a path"}
_SEVERAL = (Sequence, Collection, Iterable)


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments that are not of the types that a function's annotations name.

    Numbers of NumPy are numbers; one text is not several. An annotation that is a text itself, or names what is no
    class, says nothing.

    Parameters
    ----------
    given : mapping of str
        What it was called with, by the names of its parameters: ``locals()`` in its first line.

    Raises
    ------
    UsageError
        If one is of another type; it names the argument, and what is expected.

    Examples
    --------
    >>> def rank(budget: int | None = None, stopped: Sequence[str] = ()): ...
    >>> check_arguments(rank, {"budget": 2, "stopped": ["a"]})
    >>> check_arguments(rank, {"budget": "2", "stopped": []})
    Traceback (most recent call last):
        ...
    quagpredict.errors.UsageError: budget="2": expected a whole number
    >>> check_arguments(rank, {"budget": None, "stopped": "mix-a"})
    Traceback (most recent call last):
        ...
    quagpredict.errors.UsageError: stopped="mix-a": expected a list of text
    """
    for name, kind in get_annotations(function).items():
        if name in given and not _is_a(given[name], kind):
            value = given[name]
            plain = value is None or isinstance(value, str | Integral | Real)
            shown = argument(name, value) if plain else f"{name}: got {_short(value)}"
            raise UsageError(f"{shown}{': ' if plain else ', '}expected {_in_words(kind)}")


def _is_a(value: Any, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_is_a(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if kind is None or kind is NoneType:
        return value is None
    if kind is bool:
        return isinstance(value, bool) or type(value).__name__ == "bool"  # NumPy's
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if kind is Path:
        return isinstance(value, str | PathLike)
    if origin is tuple:
        return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    if origin in _SEVERAL:
        several = isinstance(value, Iterable) and not isinstance(value, str | bytes | PathLike | Mapping)
        held = value if isinstance(value, list | tuple | set | frozenset) else ()
        return several and all(_is_a(item, parts[0]) for item in held)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _is_a(key, parts[0]) and _is_a(item, parts[1]) for key, item in value.items()
        )
    if origin is not None and isinstance(origin, type) and origin.__module__ == "collections.abc":
        return callable(value)
    told = isinstance(kind, type) and kind is not Any and not getattr(kind, "_is_protocol", False)
    return isinstance(value, kind) if told else True


def _in_words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_in_words(part) for part in parts if part is not NoneType))
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in _SEVERAL:
        return f"a list of {_in_words(parts[0]).removeprefix('a ')}"
    if origin is Mapping:
        return f"a dictionary from {_in_words(parts[0])} to {_in_words(parts[1])}"
    if origin is not None:
        return "a function"
    return _WORDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def _short(value: Any) -> str:
    """Return a value that is no text and no number as an error shows it."""
    shown = repr(value)
    return shown if len(shown) <= 60 and "\n" not in shown else f"a {type(value).__name__}"
