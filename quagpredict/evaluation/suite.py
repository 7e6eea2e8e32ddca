"""Suites: which problems are asked, how they are prompted, how samples are drawn and graded. Data, in YAML."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.answers import GradingPolicy, readable_gold
from quagpredict.engines.contract import Sampling
from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.files import digest
from quagpredict.lab import Mixture
from quagpredict.recipe import read_yaml


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
class Suite:
    """Problems, held-out solutions, and the settings under which they are measured.

    Attributes
    ----------
    name : str
        Name of the suite.
    problems : tuple of Problem
        What is asked, of all benchmarks.
    held_out : tuple of HeldOut
        Solutions for the held-out loss; may be empty.
    sampling : Sampling
        How samples are drawn.
    grading : GradingPolicy
        How they are graded.
    prompt : str
        Template; ``{question}`` is replaced.
    system_prompt : str or None
        System message, for models with a chat template.
    unreadable : tuple of str
        Why problems were dropped: golds that the grader cannot read.
    held_out_max_tokens : int or None
        Held-out solutions are cut after this many tokens; the share that was cut is reported.
    """

    name: str
    problems: tuple[Problem, ...]
    held_out: tuple[HeldOut, ...]
    sampling: Sampling
    grading: GradingPolicy
    prompt: str = "{question}"
    system_prompt: str | None = None
    held_out_max_tokens: int | None = None
    unreadable: tuple[str, ...] = ()

    def prompt_of(self, question: str) -> str:
        """Return the prompt of a question; braces in it or elsewhere in the template stay what they are."""
        return self.prompt.replace("{question}", question)

    @property
    def eval_protocol_id(self) -> str:
        """The digest of everything that fixes how samples are drawn and graded; not of how many are drawn."""
        return digest(
            {
                "problems": [asdict(problem) for problem in self.problems],
                "held_out": [asdict(example) for example in self.held_out],
                "sampling": asdict(self.sampling),
                "grading": self.grading.as_dict(),
                "prompt": self.prompt,
                "system_prompt": self.system_prompt,
                "held_out_max_tokens": self.held_out_max_tokens,
            }
        )


@dataclass(frozen=True)
class _Fields:
    """Column names of a problem file."""

    path: str
    question: str = "problem"
    answer: str = "answer"
    id: str | None = None
    level: str | int | None = None
    limit: int | None = field(default=None)


def read_suite(path: str | Path) -> Suite:
    """Read a suite from YAML.

    Parameters
    ----------
    path : path
        Keys: ``name``, ``benchmarks`` (each with ``name`` and either ``lab``: problems, seed, data; or ``path``: a
        JSONL or Parquet file, with the names of its columns), ``sampling``, and optionally ``held_out``,
        ``held_out_max_tokens``, ``grading``, ``prompt``, ``system_prompt``. File paths are relative to the suite.

    Raises
    ------
    RecipeError
        For an unknown or missing key, an unreadable file, two problems of one id; the message names file and key.

    Examples
    --------
    >>> from quagpredict.shipped import shipped_path
    >>> suite = read_suite(shipped_path("collectors/suites/lab-pilot.yaml"))
    >>> sorted({problem.benchmark for problem in suite.problems})
    ['plain', 'shift', 'times']
    """
    given = read_yaml(path)
    optional = {"held_out", "held_out_max_tokens", "grading", "prompt", "system_prompt"}
    _known(given, {"name", "benchmarks", "sampling", *optional}, str(path))
    for key in ("name", "benchmarks", "sampling"):
        if key not in given:
            raise RecipeError(f"{path}: the key '{key}' is missing")
    prompt = given.get("prompt", "{question}")
    if "{question}" not in prompt:
        raise RecipeError(f"{path}: prompt must contain {{question}}, got {prompt!r}")
    benchmarks = given["benchmarks"]
    if (
        not isinstance(benchmarks, list)
        or not benchmarks
        or not all(isinstance(entry, Mapping) for entry in benchmarks)
    ):
        raise RecipeError(f"{path}: benchmarks must be a list of mappings with at least one entry")
    problems = [problem for entry in benchmarks for problem in _benchmark(entry, Path(path))]
    seen: set[tuple[str, str]] = set()
    for problem in problems:
        if (problem.benchmark, problem.problem_id) in seen:
            raise RecipeError(f"{path}: benchmark {problem.benchmark}: the id {problem.problem_id!r} stands twice")
        seen.add((problem.benchmark, problem.problem_id))
    grading = _settings(GradingPolicy, given.get("grading", {}), f"{path}: grading")
    readable, unreadable = [], []
    for problem in problems:
        try:
            readable_gold(problem.answer, grading, f"{problem.benchmark}/{problem.problem_id}")
            readable.append(problem)
        except InvalidDataError as error:
            unreadable.append(str(error))
    if not readable:
        raise RecipeError(f"{path}: no problem has a gold that can be read; the first: {unreadable[0]}")
    return Suite(
        name=str(given["name"]),
        problems=tuple(readable),
        held_out=tuple(_held_out(given["held_out"], Path(path))) if given.get("held_out") else (),
        sampling=_settings(Sampling, given["sampling"], f"{path}: sampling"),
        grading=grading,
        prompt=prompt,
        system_prompt=given.get("system_prompt"),
        held_out_max_tokens=given.get("held_out_max_tokens"),
        unreadable=tuple(unreadable),
    )


def _benchmark(entry: Mapping[str, Any], source: Path) -> Iterator[Problem]:
    where = f"{source}: benchmark {entry.get('name', '?')}"
    if "name" not in entry or ("lab" in entry) == ("path" in entry):
        raise RecipeError(f"{where}: needs 'name' and either 'lab' or 'path'")
    name = str(entry["name"])
    if "lab" in entry:
        _known(entry, {"name", "lab", "level"}, where)
        mixture, count, seed = _lab(entry["lab"], where)
        for item in mixture.problems(count, split="test", seed=seed):
            yield Problem(name, item.prompt, item.prompt, item.answer, entry.get("level", item.level))
        return
    columns = _settings(_Fields, {key: value for key, value in entry.items() if key != "name"}, where)
    for position, row in enumerate(_rows(source.parent / columns.path, where)[: columns.limit]):
        level = row.get(columns.level) if isinstance(columns.level, str) else columns.level
        for key in (columns.question, columns.answer, *([columns.id] if columns.id else [])):
            if row.get(key) is None:
                raise RecipeError(f"{where}: row {position} of {columns.path} has no value for '{key}'")
        identity = str(row[columns.id]) if columns.id else f"{position:05d}"
        yield Problem(name, identity, str(row[columns.question]), str(row[columns.answer]), _level(level, where))


def _level(value: Any, where: str) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise RecipeError(f"{where}: a level must be a whole number, got {value!r}") from None


def _held_out(entry: Any, source: Path) -> Iterator[HeldOut]:
    where = f"{source}: held_out"
    if not isinstance(entry, Mapping) or ("lab" in entry) == ("path" in entry):
        raise RecipeError(f"{where}: needs either 'lab' or 'path'")
    if "lab" in entry:
        _known(entry, {"lab"}, where)
        mixture, count, seed = _lab(entry["lab"], where)
        for item in mixture.problems(count, split="held_out", seed=seed):
            yield HeldOut(item.prompt, item.prompt, item.completion)
        return
    _known(entry, {"path", "prompt", "completion"}, where)
    columns = (entry.get("prompt", "prompt"), entry.get("completion", "completion"))
    for position, row in enumerate(_rows(source.parent / entry["path"], where)):
        for key in columns:
            if not isinstance(row.get(key), str):
                raise RecipeError(f"{where}: row {position} of {entry['path']} has no text in '{key}'")
        yield HeldOut(f"{position:05d}", row[columns[0]], row[columns[1]])


def _lab(entry: Any, where: str) -> tuple[Mixture, int, int]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("problems"), int) or "data" not in entry:
        raise RecipeError(f"{where}: lab needs 'problems' (a number), 'seed' and 'data'")
    _known(entry, {"problems", "seed", "data"}, f"{where}: lab")
    try:
        return Mixture.from_mapping(entry["data"]), entry["problems"], int(entry.get("seed", 0))
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None


def _rows(path: Path, where: str) -> Sequence[Mapping[str, Any]]:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path).to_dicts()
        with path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise RecipeError(f"{where}: {path} cannot be read ({' '.join(str(error).split())[:200]})") from None


def _settings(kind: Any, given: Any, where: str) -> Any:
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: expected a mapping of keys to values, got {given!r}")
    _known(given, {entry.name for entry in fields(kind)}, where)
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from None


def _known(given: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for key in given:
        if key not in allowed:
            raise RecipeError(f"{where}: unknown key '{key}'; known are {', '.join(sorted(allowed))}")
