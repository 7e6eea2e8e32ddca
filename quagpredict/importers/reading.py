"""What a reader of another tool's files gives back, and the reading of JSON lines that they share."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from quagpredict.errors import InvalidDataError


class ProblemRow(NamedTuple):
    """One problem of a benchmark.

    Attributes
    ----------
    benchmark, problem_id : str
    n : int
        Samples that are there. A missing sample is not a wrong one.
    c : int or None
        Correct ones by the tool's own grader; None where the file does not say it of each sample.
    responses : tuple of str
        Texts of the samples; empty where the file has none.
    gold : str or None
        The reference answer, for grading again.
    truncated : tuple of bool
        Whether the budget cut each response; empty where the file does not say.
    """

    benchmark: str
    problem_id: str
    n: int
    c: int | None
    responses: tuple[str, ...] = ()
    gold: str | None = None
    truncated: tuple[bool, ...] = ()


class Reported(NamedTuple):
    """A number of the tool itself: its name there, the k of Pass@k that it stands for, and how the tool makes it."""

    benchmark: str
    name: str
    k: int
    value: float
    how: str


@dataclass(frozen=True)
class Reading:
    """All that was found in the files of one run.

    Parameters
    ----------
    problems : sequence of ProblemRow
    settings : mapping
        What the files record of sampling (temperature, tokens, seed, ...); part of the protocol.
    reported : sequence of Reported
    notes : sequence of str
        What a user should know about how the files were read.
    """

    problems: Sequence[ProblemRow]
    settings: Mapping[str, Any] = field(default_factory=dict)
    reported: Sequence[Reported] = ()
    notes: Sequence[str] = ()


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file, gzipped or not; empty lines are passed over.

    Raises
    ------
    InvalidDataError
        If the file cannot be read, or a line is no JSON object; file and line are named.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as handle:
            for number, line in enumerate(handle, start=1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise InvalidDataError(f"{path}: line {number} is no JSON ({error})") from None
                if not isinstance(value, dict):
                    raise InvalidDataError(f"{path}: line {number} must be a JSON object, got {type(value).__name__}")
                yield value
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise InvalidDataError(f"{path}: cannot be read ({error})") from None


def json_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises
    ------
    InvalidDataError
        If the file cannot be read or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(value, dict):
        raise InvalidDataError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def need(record: Mapping[str, Any], key: str, path: Path) -> Any:
    """Return ``record[key]``, or say which file lacks it."""
    if key not in record:
        raise InvalidDataError(f"{path}: a record lacks the key '{key}'; it has {', '.join(map(str, record))}")
    return record[key]


def as_correct(value: Any, path: Path) -> bool:
    """Return whether a verdict of a tool means correct.

    Raises
    ------
    InvalidDataError
        If it is neither a truth value nor 0 or 1.

    Examples
    --------
    >>> as_correct(1.0, Path("a")), as_correct(False, Path("a"))
    (True, False)
    """
    if isinstance(value, bool) or value in (0, 1):
        return bool(value)
    raise InvalidDataError(f"{path}: a verdict must be true, false, 0 or 1, got {value!r:.60}")
