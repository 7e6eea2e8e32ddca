"""The one reader of YAML: safe, plain data alone, no key twice, and errors that name the file."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from quagpredict.errors import RecipeError, UsageError
from quagpredict.files import printable

_LARGEST = 8 * 2**20  # bytes of a YAML file
_MOST_NODES = 200_000  # values in it
_MEND = "put it in quotes or remove it"


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-3`` as a number, as YAML 1.2 does, and refuses a key that is written twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            written = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else (key.tag, id(key))
            if written in seen:
                raise yaml.composer.ComposerError(
                    "while reading a mapping", node.start_mark, f"the key '{key.value}' appears twice", key.start_mark
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
        if Path(path).stat().st_size > _LARGEST:
            raise RecipeError(f"{path}: is larger than {_LARGEST >> 20} MiB, which no plan, recipe or suite is")
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        content = _loaded(text)
    except RecursionError:
        raise RecipeError(f"{path}: is nested too deep to be read") from None
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None
    except ValueError as error:  # a scalar that looks like a date or a number, and is none
        raise RecipeError(f"{path}: a value cannot be read ({printable(str(error))[:200]}): put it in quotes") from None
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


def _loaded(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        # An alias is a node that is there again: a few lines can stand for more than any memory holds.
        if _size(node, {}, set()) > _MOST_NODES:
            raise RecipeError(f"stands for more than {_MOST_NODES:,} values, aliases counted each time")
        content = loader.construct_document(node)
    finally:
        loader.dispose()
    if isinstance(content, dict) and all(isinstance(key, str) for key in content):
        fault = _no_plain_data(content, "")
        if fault is not None:
            raise RecipeError(fault)
    return content


def _size(node: yaml.Node, sizes: dict[int, int], above: set[int]) -> int:
    """Return how many values a node stands for; `sizes` holds those that were counted."""
    if id(node) in above:
        raise RecipeError("an alias stands for what it is a part of")
    if id(node) not in sizes:
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        sizes[id(node)] = 1 + sum(_size(part, sizes, above | {id(node)}) for part in parts)
    return sizes[id(node)]


def _no_plain_data(value: Any, where: str) -> str | None:
    """Return which value is none of JSON's, as a date, NaN or a set is, or None."""
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, Mapping):
        kinds = {type(key) for key in value}
        if kinds - {str, int, float, bool, type(None)} or (str in kinds and len(kinds) > 1):
            return f"{where or 'the keys'}: expected keys that are text, got {list(value)!r:.80}: put them in quotes"
        inner = ((f"{where}.{key}" if where else str(key), item) for key, item in value.items())
    elif isinstance(value, list):
        inner = ((f"{where}[{position}]", item) for position, item in enumerate(value))
    elif value is not None and not isinstance(value, str | int | float):
        return f"{where}: expected text, a number, true, false, a list or a mapping, got {value!r:.50}: {_MEND}"
    elif isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        return f"{where}: the text holds half a character"
    elif isinstance(value, float) and not math.isfinite(value):
        return f"{where}: expected a finite number, got {value}: {_MEND}"
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        return f"{where}: the whole number is beyond 64 bits"
    return next((fault for name, item in inner if (fault := _no_plain_data(item, name)) is not None), None)
