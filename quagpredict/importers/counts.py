"""Plain counts: ``id, n, c`` and optionally ``benchmark``, as CSV or JSON lines."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import ProblemRow, Reading, json_lines, need


def recognises(path: Path) -> bool:
    """Say whether a file has records of id, n and c."""
    first = next(iter(_records(path)), {})
    return {"id", "n", "c"} <= first.keys()


def read(paths: Sequence[Path]) -> Reading:
    """Return the counts of the files; the benchmark of a record without one is the file's name.

    Raises
    ------
    InvalidDataError
        If a count is no whole number or impossible.
    """
    rows = []
    for path in paths:
        for record in _records(path):
            name = str(need(record, "id", path))
            n, c = (_whole(need(record, key, path), key, name, path) for key in ("n", "c"))
            if not (n >= 1 and 0 <= c <= n):
                raise InvalidDataError(f"{path}: problem '{name}' has n = {n}, c = {c}; expected n >= 1, 0 <= c <= n")
            rows.append(ProblemRow(str(record.get("benchmark") or path.stem), name, n, c))
    return Reading(rows)


def _records(path: Path) -> Iterable[dict[str, Any]]:
    if path.suffix.lower() != ".csv":
        yield from json_lines(path)
        return
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            yield from csv.DictReader(handle)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataError(f"{path}: cannot be read ({error})") from None


def _whole(value: Any, key: str, name: str, path: Path) -> int:
    try:
        number = float(value)
        if number == int(number) and not isinstance(value, bool):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidDataError(f"{path}: problem '{name}': {key} must be a whole number, got {value!r:.60}")
