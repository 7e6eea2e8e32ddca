"""The formats that can be imported, and which of them given files have."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError, QuagpredictError, UsageError, one_line
from quagpredict.importers.files import given_files, suffix_of
from quagpredict.importers.reading import Reading
from quagpredict.importers.table import READERS
from quagpredict.importers.tables import header

FORMATS = tuple(READERS)
# What the libraries below raise on damaged content. Anything else is a fault of a reader, and is not hidden.
_BY_CONTENT = (pl.exceptions.PolarsError, pl.exceptions.PanicException, RecursionError, OverflowError)
# Option of a reader -> formats that have it.
OPTIONS: dict[str, tuple[str, ...]] = {
    "filter": ("lm-eval",),
    "metric": ("lm-eval", "lighteval", "inspect", "evalplus", "trl", "verl", "verifiers"),
    **dict.fromkeys(("id", "correct", "response", "benchmark", "truncated"), ("samples",)),
    "gold": ("samples", "trl"),
    "threshold": ("samples", "trl", "verl", "verifiers", "nemo-rl"),
}


def detect(paths: Sequence[str | Path]) -> str:
    """Return the format of the files: that of the first file which was named, or of those in the folders.

    Raises
    ------
    InvalidDataError
        If none of the known formats, several in the folders, or the file cannot be read.
    """
    return format_and_files("auto", paths)[0]


def read_files(format: str, paths: Sequence[str | Path], options: dict[str, Any]) -> tuple[str, list[Path], Reading]:
    """Return the format, the files, and what was read from them.

    Raises
    ------
    UsageError
        For an unknown format, a name that does not exist, or an option that the format has not.
    InvalidDataError
        If a file has another format or breaks it.
    """
    chosen = {key: value for key, value in options.items() if value is not None}
    names_columns = any(OPTIONS[key] == ("samples",) for key in chosen)
    name, files = format_and_files("samples" if format == "auto" and names_columns else format, paths)
    for option in chosen:
        if name not in OPTIONS[option]:
            raise UsageError(f"`{option}` goes with {', '.join(OPTIONS[option])} only; the format is {name}")
    try:
        reading: Reading = import_module(READERS[name]).read(files, **chosen)
    except _BY_CONTENT as error:
        raise InvalidDataError(f"{files[0]}: not as {name} writes it ({one_line(error)})") from error
    except Exception as error:
        error.add_note(f"while {files[0]} was read as {name}")
        raise
    return name, files, reading


def format_and_files(format: str, paths: Sequence[str | Path]) -> tuple[str, list[Path]]:
    """Return the format and the files to read: all that were named, and those of folders that have the format."""
    if format != "auto" and format not in READERS:
        raise UsageError(f"unknown format '{format}'; known are auto, {', '.join(FORMATS)}")
    named, in_folders = given_files(paths)
    if format == "auto" and named:
        format = _format_of(named[0]) or ""
        if not format:
            raise InvalidDataError(
                f"{named[0]}: none of the formats {', '.join(FORMATS)}{_keys(named[0])}; name the format if it is one, "
                "or the columns of a table with a row a sample (`id`, `correct`). Answers to each problem are needed, "
                "which an evaluation tool logs on demand: summed results will not do"
            )
    # Whose columns the caller names cannot be recognised: all that is in the folder is meant.
    formats = {path: format if format == "samples" else _format_of(path, format) for path in in_folders}
    if format == "auto":
        names = sorted({name for name in formats.values() if name})
        if len(names) != 1:
            what = f"files of several formats ({', '.join(names)})" if names else "no file of a known format"
            raise InvalidDataError(f"{in_folders[0].parent}: the folder holds {what}: name the format, or the files")
        format = names[0]
    files = [*named, *(path for path, name in formats.items() if name == format)]
    if not files:
        raise InvalidDataError(f"{in_folders[0].parent}: the folder holds no file of the format {format}")
    return format, files


def _keys(path: Path) -> str:
    """Return the columns of a table that no format is known by.

    Raises
    ------
    InvalidDataError
        If it is none: broken, or empty.
    """
    if suffix_of(path) not in (".jsonl", ".ndjson", ".csv", ".tsv"):
        return ""
    columns = header(path)
    if not columns:
        raise InvalidDataError(f"{path}: the file is empty")
    return f" (it has {', '.join(columns[:8])})"


def _format_of(path: Path, wanted: str = "auto") -> str | None:
    for name, module in READERS.items():
        if wanted not in ("auto", name):
            continue
        try:
            if import_module(module).recognises(path):
                return name
        except (QuagpredictError, OSError, *_BY_CONTENT):  # whatever it is, it is not of this format
            continue
    return None
