"""Where problems and held-out solutions come from: the lab, a file, the hub; and how a row becomes one of them."""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.answers.extract import last_box
from quagpredict.errors import InvalidDataError, RecipeError, one_line
from quagpredict.lab import Mixture
from quagpredict.optional import require
from quagpredict.parquet import read_parquet
from quagpredict.plans.keys import known_keys_only, settings_of

SOURCES = ("lab", "path", "hub")
_MOST_LAB = 1_000_000  # problems of a lab benchmark
_WHOLE = re.compile(r"\D*(-?[0-9]+)\D*")


@dataclass(frozen=True)
class HubSource:
    """A split of a data set.

    Parameters
    ----------
    id : str
        Repository on the hub, ``owner/name``, or a folder with the layout of one (relative to the suite).
    config : str, optional
        Configuration (subset); the data set's only or default one if None.
    revision : str, optional
        Commit, branch or tag. A commit makes what is read the same for good.
    """

    id: str
    split: str = "test"
    config: str | None = None
    revision: str | None = None


def hub_rows(source: HubSource, base: Path, where: str) -> list[Mapping[str, Any]]:
    """Return the rows of a split; the cache of `datasets` is used, and its offline mode.

    Parameters
    ----------
    base : Path
        Folder of the suite, for a repository that is a local folder.
    where : str
        Named in errors.

    Raises
    ------
    RecipeError
        If there is no such repository, configuration, split or revision, or it cannot be reached.
    MissingExtraError
        If `datasets` is not installed.
    """
    datasets = require("datasets")
    local = base / source.id
    path = str(local) if local.is_dir() else source.id
    named = f"hub {source.id}" + (f", config {source.config}" if source.config else "") + f", split {source.split}"
    shown = datasets.utils.is_progress_bar_enabled()
    datasets.utils.disable_progress_bars()
    try:
        # A folder has no revision of its own to choose from.
        revision = None if local.is_dir() else source.revision
        dataset = datasets.load_dataset(path, source.config, split=source.split, revision=revision)
        return [dict(row) for row in dataset]
    except Exception as error:  # what a hub, a proxy or a broken file can raise is not listed anywhere
        raise RecipeError(f"{where}: {named}: cannot be read ({type(error).__name__}: {one_line(error)})") from None
    finally:
        if shown:
            datasets.utils.enable_progress_bars()


@dataclass(frozen=True)
class Problem:
    """One problem of a benchmark."""

    benchmark: str
    problem_id: str
    question: str
    answer: str
    level: int | None = None


@dataclass(frozen=True)
class HeldOut:
    """One worked solution whose loss is measured."""

    problem_id: str
    prompt: str
    completion: str


@dataclass(frozen=True)
class _Columns:
    """How a row becomes a problem: names of columns, and where the gold stands in its column."""

    question: str | Sequence[str] = "problem"
    answer: str = "answer"
    answer_after: str | None = None
    answer_boxed: bool = False
    id: str | None = None
    level: str | int | None = None
    limit: int | None = None
    skip: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _HeldOutColumns:
    prompt: str = "prompt"
    completion: str = "completion"
    id: str | None = None
    limit: int | None = None


def read_problems(entry: Mapping[str, Any], base: Path, where: str, left_out: list[str]) -> Iterator[Problem]:
    """Yield the problems of one benchmark of a suite.

    Parameters
    ----------
    entry : mapping
        ``name``; one of ``lab``, ``path``, ``hub``; and with the latter two the names of columns.
    base : Path
        Folder of the suite: paths are relative to it.
    where : str
        Named in errors.
    left_out : list of str
        Gets a line for each problem that the suite skips, with the suite's reason.

    Raises
    ------
    RecipeError
        For an unknown key, an unreadable source, a missing column or value, a gold that does not stand where the entry
        says, an id under ``skip`` that no problem has.
    """
    _one_source(entry, where)
    name = str(entry["name"])
    if "lab" in entry:
        known_keys_only(entry, {"name", "lab", "level"}, where)
        mixture, count, seed = _lab(entry["lab"], where)
        for item in mixture.problems(count, split="test", seed=seed):
            yield Problem(name, item.prompt, item.prompt, item.answer, entry.get("level", item.level))
        return
    given = {key: value for key, value in entry.items() if key not in ("name", *SOURCES)}
    columns: _Columns = settings_of(_Columns, given, where)
    skip = {str(key): str(reason) for key, reason in columns.skip.items()}
    asked = [columns.question] if isinstance(columns.question, str) else list(columns.question)
    for position, row in enumerate(rows_of(entry, base, where)[: columns.limit]):
        for key in (*asked, columns.answer, *([columns.id] if columns.id else [])):
            if row.get(key) is None:
                has = ", ".join(map(str, row))
                raise RecipeError(f"{where}: row {position} has no value for '{key}'; it has {has}")
        identity = str(row[columns.id]) if columns.id else f"{position:05d}"
        if (reason := skip.pop(identity, None)) is not None:
            left_out.append(f"{name}/{identity}: {reason}")
            continue
        level = row.get(columns.level) if isinstance(columns.level, str) else columns.level
        question = "\n".join(str(row[key]) for key in asked)
        answer = _gold(row[columns.answer], columns, f"{where}: row {position}")
        yield Problem(name, identity, question, answer, _level(level, where))
    if skip:
        raise RecipeError(f"{where}: skip names the problem {next(iter(skip))!r}, which is not there")


def _gold(value: Any, columns: _Columns, where: str) -> str:
    text = answer_text(value)
    if columns.answer_after is not None:
        _, mark, text = text.rpartition(columns.answer_after)
        if not mark:
            raise RecipeError(f"{where}: '{columns.answer}' has no {columns.answer_after!r} before a gold answer")
        return text.strip()
    if columns.answer_boxed:
        boxed = last_box(text)
        if boxed is None:
            raise RecipeError(f"{where}: '{columns.answer}' has no \\boxed{{}} with a gold answer")
        return boxed
    return text


def answer_text(value: Any) -> str:
    """Return a gold as text: several answers with commas between them, 27.0 as 27.

    Examples
    --------
    >>> answer_text(["2", "3"]), answer_text(27.0), answer_text(" 1/2")
    ('2, 3', '27', ' 1/2')
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(answer_text(part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _level(value: Any, where: str) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        number = _WHOLE.fullmatch(str(value))  # "Level 5"
        if number is None:
            raise RecipeError(f"{where}: a level must be a whole number, got {value!r}") from None
        return int(number.group(1))


def read_held_out(entry: Any, base: Path, where: str) -> Iterator[HeldOut]:
    """Yield the held-out solutions of a suite; ``id`` names the problem that a solution belongs to.

    Raises
    ------
    RecipeError
        For an unknown key, an unreadable source, or a row without text.
    """
    if not isinstance(entry, Mapping):
        raise RecipeError(f"{where}: needs either 'lab', 'path' or 'hub'")
    _one_source({"name": where, **entry}, where)
    if "lab" in entry:
        known_keys_only(entry, {"lab"}, where)
        mixture, count, seed = _lab(entry["lab"], where)
        for item in mixture.problems(count, split="held_out", seed=seed):
            yield HeldOut(item.prompt, item.prompt, item.completion)
        return
    given = {key: value for key, value in entry.items() if key not in SOURCES}
    columns: _HeldOutColumns = settings_of(_HeldOutColumns, given, where)
    for position, row in enumerate(rows_of(entry, base, where)[: columns.limit]):
        for key in (columns.prompt, columns.completion):
            if not isinstance(row.get(key), str):
                raise RecipeError(f"{where}: row {position} has no text in '{key}'; it has {', '.join(map(str, row))}")
        identity = f"{position:05d}" if columns.id is None else str(row.get(columns.id))
        yield HeldOut(identity, row[columns.prompt], row[columns.completion])


def _one_source(entry: Mapping[str, Any], where: str) -> None:
    given = [name for name in SOURCES if name in entry]
    if "name" not in entry or len(given) != 1:
        raise RecipeError(f"{where}: needs 'name' and either 'lab' or 'path' or 'hub'")


def _lab(entry: Any, where: str) -> tuple[Mixture, int, int]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("problems"), int) or "data" not in entry:
        raise RecipeError(f"{where}: lab needs 'problems' (a number), 'seed' and 'data'")
    known_keys_only(entry, {"problems", "seed", "data"}, f"{where}: lab")
    seed = entry.get("seed", 0)
    if not 1 <= entry["problems"] <= _MOST_LAB or isinstance(seed, bool) or not isinstance(seed, int):
        raise RecipeError(
            f"{where}: lab: problems must be a whole number from 1 to {_MOST_LAB:,} and seed a whole number, got "
            f"{entry['problems']!r} and {seed!r:.60}"
        )
    if not isinstance(entry["data"], Mapping):
        raise RecipeError(f"{where}: lab: data must be a mapping of keys to values, got {entry['data']!r:.60}")
    try:
        return Mixture.from_mapping(entry["data"]), entry["problems"], seed
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None


def rows_of(entry: Mapping[str, Any], base: Path, where: str) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a ``path`` or ``hub`` entry.

    Raises
    ------
    RecipeError
        If the source cannot be read; the message names it.
    """
    if "hub" in entry:
        given = {"id": entry["hub"]} if isinstance(entry["hub"], str) else entry["hub"]
        source: HubSource = settings_of(HubSource, given, f"{where}: hub")
        return hub_rows(source, base, where)
    written = str(entry["path"])
    path = os.path.expandvars(written)
    if "$" in path:
        raise RecipeError(f"{where}: path {written}: the environment variable is not set; set it, or write the folder")
    return file_rows(base / path, where)


def file_rows(path: Path, where: str) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a JSONL, JSON, CSV or Parquet file, by its suffix; an unknown one is read as JSONL.

    Raises
    ------
    RecipeError
        If the file cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            return read_parquet(path).to_dicts()
        with path.open(encoding="utf-8", newline="") as lines:
            if path.suffix == ".csv":
                rows: list[Any] = list(csv.DictReader(lines, strict=True))
            elif path.suffix == ".json":
                rows = json.load(lines)
            else:
                rows = [json.loads(line) for line in lines if line.strip()]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InvalidDataError("expected one record a row")
    except (OSError, ValueError, RecursionError, csv.Error, pl.exceptions.PolarsError) as error:
        raise RecipeError(f"{where}: {path} cannot be read ({one_line(error)})") from None
    return rows
