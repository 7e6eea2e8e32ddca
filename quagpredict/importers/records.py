"""Records of JSON and JSON lines, a fault names its file and line; and the configs beside a trainer's logs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import is_plain, text_of
from quagpredict.plans.reading import read_yaml

_HYDRA = Path(".hydra") / "config.yaml"
_WANDB = "wandb-metadata.json"  # stands beside the config.yaml of a run
_ABOVE = 4  # folders: NAME.table.json stands in files/media/table


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file; empty lines are passed over.

    Raises
    ------
    InvalidDataError
        If the file cannot be read, or a line is not a JSON object; file and line are named.
    """
    with text_of(path) as handle:
        yield from _objects(handle, path, 1)


def _objects(lines: Iterable[str], path: Path, first: int) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=first):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidDataError(f"{path}: line {number} is not JSON ({error})") from None
        if not isinstance(value, dict):
            raise InvalidDataError(f"{path}: line {number} must be a JSON object, got {type(value).__name__}")
        yield value


def json_columns(path: Path, names: Sequence[str]) -> pl.DataFrame:
    """Return some keys of a JSON lines file as columns of text; what is not text is there as JSON, what lacks is null.

    Raises
    ------
    InvalidDataError
        As `json_lines`.
    """
    table = _read_by_polars(path, names) if is_plain(path) else None
    return _table(json_lines(path), names) if table is None else table


def json_parts(path: Path, names: Sequence[str], size: int) -> Iterator[pl.DataFrame]:
    r"""Yield what `json_columns` returns, of a plain file, in parts of `size` bytes and the line that goes beyond them.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.jsonl")
    ...     _ = path.write_text('{"a": 1}\n{"a": [2]}\n\n{"b": 3}\n')
    ...     [part["a"].to_list() for part in json_parts(path, ["a"], 12)]
    [['1', '[2]'], [None]]
    """
    with path.open("rb") as handle:
        first = 1
        while lines := handle.readlines(size):
            table = _read_by_polars(b"".join(lines), names)
            if table is None:
                table = _table(_objects(_decoded(lines, path, first), path, first), names)
            yield table
            first += len(lines)


def _read_by_polars(source: Path | bytes, names: Sequence[str]) -> pl.DataFrame | None:
    """Return the columns; None where that takes the slow way: a line is broken, or polars would not make JSON of it."""
    try:
        table = pl.read_ndjson(source, schema=dict.fromkeys(names, pl.String()))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None  # NaN, or a line that is broken, which is named then
    # Polars writes lists and objects as text that is not always JSON.
    nested = table.select(pl.any_horizontal(pl.all().str.contains(r"^[\[{]").any())).item()
    return None if nested else table


def _table(records: Iterable[Mapping[str, Any]], names: Sequence[str]) -> pl.DataFrame:
    rows = [[as_text(record.get(name)) for name in names] for record in records]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")


def _decoded(lines: Sequence[bytes], path: Path, first: int) -> Iterator[str]:
    for number, line in enumerate(lines, start=first):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise InvalidDataError(f"{path}: line {number} is not UTF-8 ({error.reason})") from None


def as_text(value: Any) -> str | None:
    """Return a text as it is and another value as JSON; None stays None.

    Examples
    --------
    >>> as_text("a"), as_text(True), as_text([1, None])
    ('a', 'true', '[1, null]')
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def first_record(path: Path) -> dict[str, Any]:
    """Return the first object of a JSON lines file, an empty one where there is none."""
    return next(json_lines(path), {})


def json_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises
    ------
    InvalidDataError
        If the file cannot be read or does not hold a JSON object.
    """
    value = json_value(path)
    if not isinstance(value, dict):
        raise InvalidDataError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def json_value(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    InvalidDataError
        If the file cannot be read.
    """
    with text_of(path) as handle:
        try:
            return json.loads(handle.read())
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise InvalidDataError(f"{path}: cannot be read as JSON ({error})") from None


def section(value: Any, *keys: str) -> dict[str, Any]:
    """Return the object under some keys of JSON; an empty one where there is none, or something else.

    Examples
    --------
    >>> section({"a": {"b": {"c": 1}}}, "a", "b"), section({"a": [1]}, "a", "b"), section(None)
    ({'c': 1}, {}, {})
    """
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def check_verdicts(table: pl.DataFrame, verdict: str, path: Path) -> None:
    """Refuse a file of which no record has the key that is named as the verdict."""
    if table.height and table[verdict].null_count() == table.height:
        raise InvalidDataError(f"{path}: no record has the key '{verdict}'; there are {', '.join(first_record(path))}")


def need(record: Mapping[str, Any], key: str, path: Path) -> Any:
    """Return ``record[key]``, or say which file lacks it."""
    if key not in record:
        raise InvalidDataError(f"{path}: a record lacks the key '{key}'; it has {', '.join(map(str, record))}")
    return record[key]


def hydra_config(path: Path) -> dict[str, Any]:
    """Return the config of the Hydra run in whose folder a file stands, at most four folders above; else an empty one.

    Raises
    ------
    RecipeError
        If the config cannot be read.
    """
    folder = next((above for above in islice(path.resolve().parents, _ABOVE) if (above / _HYDRA).is_file()), None)
    return {} if folder is None else read_yaml(folder / _HYDRA)


def wandb_config(path: Path) -> dict[str, Any]:
    """Return the config of the Weights & Biases run in whose folder a file stands, or the only one logged beside it.

    Raises
    ------
    RecipeError
        If the config cannot be read.
    """
    above = list(islice(path.resolve().parents, _ABOVE))
    folders = [folder for folder in above if (folder / _WANDB).is_file()][:1]
    # A trainer's log folder has the runs in wandb/, or in wandb/wandb/, each in its own folder.
    folders = folders or sorted(
        {path.parent for depth in ("", "wandb/") for path in above[0].glob(f"wandb/{depth}*run-*/files/{_WANDB}")}
    )
    if len(folders) != 1 or not (folders[0] / "config.yaml").is_file():
        return {}
    values = read_yaml(folders[0] / "config.yaml")
    return {key: entry["value"] for key, entry in values.items() if isinstance(entry, Mapping) and "value" in entry}


def chosen(config: Mapping[str, Any], names: Mapping[str, str], *keys: str) -> dict[str, Any]:
    """Return the settings in a part of a config, by the names that they have here; none that are not set.

    Examples
    --------
    >>> chosen({"rollout": {"temperature": 1.0, "n": None}}, {"temperature": "temperature", "n": "samples"}, "rollout")
    {'temperature': 1.0}
    """
    part = section(config, *keys)
    values = {new: part.get(old) for old, new in names.items()}
    # "${...}" of Hydra stands for a value elsewhere.
    return {new: value for new, value in values.items() if isinstance(value, int | float)}
