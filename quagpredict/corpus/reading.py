"""Read candidates and runs from files, globs, folders or frames, and check them."""

import csv
import glob
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import polars as pl

from quagpredict.apart import read_apart
from quagpredict.corpus.check import check_corpus, check_rows, check_types, check_values
from quagpredict.corpus.columns import is_derived, origin
from quagpredict.corpus.derived import with_derived
from quagpredict.corpus.foreign import Adopted, adopt, joined_by_name
from quagpredict.corpus.nested import check_problems
from quagpredict.corpus.protocols import what_differs
from quagpredict.corpus.schema import BY_NAME, NESTED, PROBLEM_COLUMNS, SCHEMA_VERSION
from quagpredict.errors import (
    CorpusError,
    IncomparableError,
    InvalidDataError,
    NothingToRankError,
    QuagpredictError,
    UsageError,
)
from quagpredict.parquet import SEAL, is_sealed
from quagpredict.shipped import matches, shipped_or_given

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = "str | Path | pl.DataFrame | pd.DataFrame"

# The table of a folder that a collection or an evaluation wrote; such a folder holds other Parquet files too.
OWN_TABLES = ("corpus.parquet", "candidate.parquet")
NOT_TABLES = ("ledger.jsonl", "problems.parquet", "grades.parquet")
SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")


#: The name that stands for what is piped in.
STANDARD_INPUT = "-"

NESTED_NAMES = frozenset(column.name for column in NESTED)

_NO_PROVENANCE = ("pandas", SEAL)

# Rows whose nested counts are held in memory at once where only the flat columns are wanted.
_ROWS_AT_ONCE = 2048


class _Part(NamedTuple):
    source: str
    frame: pl.DataFrame
    schema_version: int | None


def read_corpus(
    source: "Source | Sequence[Source]",
    *,
    nested: bool = True,
    derived: Sequence[str] = (),
    allow_mixed_protocols: bool = False,
    columns: Mapping[str, str] | None = None,
    percent: bool = False,
) -> pl.DataFrame:
    """Read one table of candidates or runs from one or many sources.

    Parameters
    ----------
    source : str, Path, polars.DataFrame, pandas.DataFrame, or a sequence of these
        A file (Parquet, CSV, TSV, JSON lines), a glob such as ``"runs/*.parquet"``, a folder (its ``corpus.parquet``
        or ``candidate.parquet``, otherwise every table in it), or a frame. A file that is named twice is read once.
        What is not there as named is looked for among the shipped files, such as ``"datasets/lab/corpus.parquet"``.
    nested : bool
        If false, the nested columns are checked and then left out, which saves memory.
    derived : sequence of str
        Columns derived from nested counts (see `quagpredict.corpus.columns`) that are computed before these are left
        out. Other names are ignored.
    allow_mixed_protocols : bool
        If true, rows may come from several eval protocols.
    columns : mapping, optional
        Of a table with headers of its own: column of the schema -> header, such as ``{"candidate": "run"}``; ``{}``
        takes what can be recognised (see `quagpredict.corpus.foreign.adopt`). None: headers are taken as they are.
    percent : bool
        Whether its scores are in per cent. They and headers are then read as with `columns`.

    Returns
    -------
    polars.DataFrame
        One row a candidate, in the order of the sources, a glob's files by name. Columns that one source lacks are
        null there; columns that the schema does not know are kept. Rows of a table with numbers and without any column
        of the schema are named by their number. ``.to_pandas()`` makes it a pandas frame.

    Raises
    ------
    NothingToRankError
        If no file matches or a table has no row.
    CorpusError
        If a file cannot be read or breaks the schema; the message names the file and the column.
    IncomparableError
        If rows come from several eval protocols and that was not allowed.
    UsageError
        If the source is none of the kinds above.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = read_corpus(pd.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.25, None]}))
    >>> frame["pre_pass_at_1"].to_list()
    [0.25, None]
    """
    wanted = tuple(name for name in derived if is_derived(name) and origin(name) in NESTED_NAMES)
    if columns is not None or percent:
        return read_foreign(source, columns, percent=percent, allow_mixed_protocols=allow_mixed_protocols).frame
    parts = [_checked(part, nested, wanted) for part in _parts(source, nested, wanted)]
    return _one_table(parts, allow_mixed_protocols)


def read_foreign(
    source: "Source | Sequence[Source]",
    columns: Mapping[str, str] | None = None,
    *,
    percent: bool = False,
    keep: Collection[str] = (),
    join: "Source | None" = None,
    allow_mixed_protocols: bool = False,
) -> Adopted:
    """Read tables with headers of their own, and say what was taken for what.

    Parameters
    ----------
    source, columns, percent, allow_mixed_protocols
        As for `read_corpus`; with `columns` None what can be recognised is taken.
    keep : collection of str
        Headers that keep their names.
    join : path or frame, optional
        A table whose columns are laid beside, by ``candidate``: the losses, say, of another tool.

    Raises
    ------
    QuagpredictError
        As `read_corpus`; a `join` that contradicts a value is a CorpusError.

    Examples
    --------
    >>> found = read_foreign(pl.DataFrame({"name": ["a", "b"], "pass@64": [0.5, 0.6]}))
    >>> found.frame.columns, found.notes[0][:42]
    (['candidate', 'pre_pass_at_64'], "table: 'pass@64' is taken for pre_pass_at_")
    """
    notes: list[str] = []
    parts = []
    for part in _parts(source, True, ()):
        adopted = adopt(part.frame, columns, percent=percent, keep=keep, source=part.source)
        notes += adopted.notes
        parts.append(_checked(part._replace(frame=adopted.frame), True, ()))
    frame = _one_table(parts, allow_mixed_protocols)
    if join is not None:
        for part in _parts(join, True, ()):
            other = adopt(part.frame, percent=percent, keep=keep, source=part.source)
            joined = joined_by_name(frame, other.frame, parts[0].source, part.source)
            frame = check_corpus(joined.frame, part.source, allow_mixed_protocols=True)
            notes += [*other.notes, *joined.notes]
    return Adopted(frame, tuple(notes))


def read_raw(source: "Source | Sequence[Source]") -> list[pl.DataFrame]:
    """Read tables as they are, unchecked: to see what their headers are.

    Examples
    --------
    >>> [frame.columns for frame in read_raw(pl.DataFrame({"name": ["a"], "pass@64": [0.5]}))]
    [['name', 'pass@64']]
    """
    return [part.frame for part in _parts(source, True, ())]


def _one_table(parts: list[_Part], allow_mixed_protocols: bool) -> pl.DataFrame:
    if not parts:
        raise NothingToRankError("no table was given; name a file, a glob or a folder")
    versions = {part.schema_version: part.source for part in parts if part.schema_version is not None}
    if len(versions) > 1:
        shown = ", ".join(f"{version} in {name}" for version, name in sorted(versions.items()))
        raise CorpusError(f"the tables have different schema versions ({shown}); write them again with one release")
    label = parts[0].source if len(parts) == 1 else f"{parts[0].source} and {len(parts) - 1} more"
    frame = parts[0].frame if len(parts) == 1 else _joined(parts)
    try:
        check_rows(frame, label, allow_mixed_protocols=allow_mixed_protocols)
    except IncomparableError as error:
        why = what_differs(read_provenance(part.source) for part in parts if part.schema_version is not None)
        raise IncomparableError(f"{error} ({why})" if why else str(error)) from None
    return frame


def checked_table(source: Any, label: str) -> pl.DataFrame:
    """Return the table of a caller, checked, whatever it came as; a frame is called `label` in errors.

    Rows of several eval protocols are let through: whoever learns from them takes those that are finished, and refuses
    a mixture of these.

    Raises
    ------
    QuagpredictError
        As `read_corpus`.

    Examples
    --------
    >>> checked_table(pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.5]}), "corpus").height
    1
    """
    if isinstance(source, pl.DataFrame):
        return check_corpus(named_rows(source), label, allow_mixed_protocols=True)
    return read_corpus(source, allow_mixed_protocols=True)


def read_provenance(path: str | Path) -> dict[str, str]:
    """Return the provenance that `write_corpus` stored in a Parquet file; empty for a file of another tool.

    Raises
    ------
    CorpusError
        If the file is not Parquet.
    """
    return dict(_read_safely(_provenance, Path(path)))


def _provenance(path: Path) -> dict[str, str]:
    metadata = pl.read_parquet_metadata(path)
    return {key: value for key, value in metadata.items() if not key.startswith("ARROW:") and key not in _NO_PROVENANCE}


def _checked(part: _Part, nested: bool, derived: tuple[str, ...]) -> _Part:
    frame = check_types(named_rows(part.frame), part.source)
    check_values(frame, part.source)
    if derived:
        frame = with_derived(frame, derived, source=part.source)
    if not nested:
        frame = frame.drop(name for name in frame.columns if name in BY_NAME and BY_NAME[name].role == "nested")
    return part._replace(frame=frame)


def named_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Name the rows of a table that is no corpus by their numbers, so that anyone's table of numbers will do.

    A table with any column of the schema is a corpus, and a missing ``candidate`` there a mistake; so is a table
    without a number, in which there is nothing to learn from.

    Examples
    --------
    >>> named_rows(pl.DataFrame({"web": [0.5, 0.2], "loss": [2.1, 2.3]}))["candidate"].to_list()
    ['row-1', 'row-2']
    """
    if any(name in BY_NAME for name in frame.columns) or not any(dtype.is_numeric() for dtype in frame.dtypes):
        return frame
    return frame.select(pl.format("row-{}", pl.int_range(1, pl.len() + 1)).alias("candidate"), pl.all())


def _joined(parts: Sequence[_Part]) -> pl.DataFrame:
    try:
        return pl.concat([part.frame for part in parts], how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        pass
    # Only columns that the schema does not know can disagree here: find the two files to name.
    seen: dict[str, tuple[pl.DataType, str]] = {}
    for part in parts:
        for name, dtype in part.frame.schema.items():
            known, where = seen.setdefault(name, (dtype, part.source))
            if known != dtype and not (known.is_numeric() and dtype.is_numeric()):
                raise CorpusError(
                    f"{part.source}: column '{name}' is {str(dtype).lower()}, but {str(known).lower()} in {where}; "
                    "give it one data type"
                )
    raise CorpusError(f"{parts[0].source} and {len(parts) - 1} more cannot be joined into one table")


def _parts(source: Any, nested: bool, derived: tuple[str, ...]) -> list[_Part]:
    if isinstance(source, pl.DataFrame):
        return [_Part("table", source, None)]
    if isinstance(source, pl.LazyFrame):
        return _parts(source.collect(), nested, derived)
    if type(source).__module__.partition(".")[0] == "pandas" and type(source).__name__ == "DataFrame":
        return [_Part("table", _from_pandas(source), None)]
    if str(source) == STANDARD_INPUT and isinstance(source, (str, Path)):
        return [_Part("standard input", _read_standard_input(), None)]
    if isinstance(source, (str, Path)):
        return [_read(path, nested, derived) for path in _paths(source)]
    if isinstance(source, Sequence) and not isinstance(source, (bytes, bytearray)):
        parts: list[_Part] = []
        files: set[Path] = set()
        for number, item in enumerate(source, start=1):
            if isinstance(item, (str, Path)) and str(item) != STANDARD_INPUT:
                paths = [path for path in _paths(item) if path.resolve() not in files]
                files.update(path.resolve() for path in paths)
                parts.extend(_read(path, nested, derived) for path in paths)
            else:
                named = isinstance(item, (str, Path))
                found = _parts(item, nested, derived)
                parts.extend(part if named else part._replace(source=f"table {number}") for part in found)
        return parts
    raise UsageError(f"cannot read a table from {type(source).__name__}; give a path, a glob, a folder or a frame")


def _from_pandas(frame: "pd.DataFrame") -> pl.DataFrame:
    if frame.index.name == "candidate" and "candidate" not in frame.columns:
        frame = frame.reset_index()
    try:
        return pl.from_pandas(frame)
    except Exception as error:  # pyarrow raises its own classes for what a column cannot be
        raise CorpusError(f"table: the pandas frame cannot be converted ({_first_line(error)})") from None


def _paths(source: str | Path) -> list[Path]:
    path = shipped_or_given(source)
    try:
        if path.exists():
            found = _tables(path)
        elif glob.has_magic(str(source)):
            found = [table for match in matches(source) for table in _tables(match)]
            if not found:
                raise NothingToRankError(f"no file matches '{source}'")
        else:
            raise UsageError(f"{source}: there is no such file or folder")
    except (CorpusError, UsageError):
        raise
    except (OSError, ValueError) as error:  # a name that is too long or holds a NUL, a folder that may not be read
        raise CorpusError(f"{str(source)!r:.200}: cannot be read ({_first_line(error)})") from None
    if not found:
        raise NothingToRankError(f"{source}: the folder holds no table ({', '.join(SUFFIXES)})")
    return found


def _tables(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    own = [path / name for name in OWN_TABLES if (path / name).is_file()]
    tables = own[:1] or sorted(
        child
        for child in path.iterdir()
        if child.suffix in SUFFIXES and child.name not in NOT_TABLES and not child.name.startswith(".")
    )
    # A folder of run folders, each with the candidate that `evaluate` wrote.
    return tables or sorted(path.glob("*/candidate.parquet"))


def _read(path: Path, nested: bool, derived: tuple[str, ...]) -> _Part:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        part: _Part = _read_safely(_parquet_part, path, nested, derived)
        return part
    if suffix in (".csv", ".tsv"):
        return _Part(str(path), _guarded(_read_csv, path), None)
    if suffix in (".jsonl", ".ndjson"):
        return _Part(str(path), _guarded(_read_json_lines, path), None)
    if suffix == ".json":
        return _Part(str(path), _guarded(_read_json, path), None)
    raise CorpusError(f"{path}: a table must be one of {', '.join(SUFFIXES)}, or JSON records (.json)")


def _read_safely(read: Callable[..., Any], path: Path, *arguments: Any) -> Any:
    """Read a Parquet file here if it vouches for its bytes, else in a process apart."""
    try:
        if _guarded(is_sealed, path):
            return _guarded(read, path, *arguments)
        return read_apart(_guarded_apart, path, read, *arguments)
    except InvalidDataError as error:
        if type(error) is InvalidDataError:
            raise CorpusError(str(error)) from None
        raise


def _parquet_part(path: Path, nested: bool, derived: tuple[str, ...]) -> _Part:
    version = _version(_provenance(path).get("schema_version"), path)
    if not nested:
        return _Part(str(path), _read_flat_parquet(path, derived), version)
    return _Part(str(path), pl.read_parquet(path, glob=False, hive_partitioning=False), version)


def _read_flat_parquet(path: Path, derived: tuple[str, ...]) -> pl.DataFrame:
    """Read all but the nested columns, and check those some rows at a time: all at once they may not fit in memory.

    What is derived from them is computed on the way.
    """
    there = pl.read_parquet_schema(path)
    names = [column.name for column in NESTED if column.name in there]
    flat = pl.read_parquet(path, columns=[name for name in there if name not in names], glob=False)
    if names:
        check_values(check_types(flat.select(pl.col("^candidate$")), str(path)), str(path))
        whole = pl.scan_parquet(path, glob=False).select("candidate", *names)
        here = [name for name in derived if origin(name) in names and name not in there]
        made = []
        for start in range(0, flat.height, _ROWS_AT_ONCE):
            part = check_types(whole.slice(start, _ROWS_AT_ONCE).collect(), str(path))
            for name in names:
                if name in PROBLEM_COLUMNS:
                    check_problems(part[name], part["candidate"], str(path))
            made.append(with_derived(part, here, source=str(path)).drop(part.columns))
        if here:
            flat = flat.hstack(pl.concat(made, how="diagonal"))
    return flat


def _read_csv(path: Path) -> pl.DataFrame:
    # Without this, a digest that happens to hold only digits would be read as a number and lose its zeros.
    texts = {column.name: pl.String for column in BY_NAME.values() if column.dtype == pl.String}
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        header = next(csv.reader(handle, delimiter=separator), [])
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise CorpusError(f"{path}: column '{twice[0]}' is there twice; keep one of them")
    if len(header) == 1 and ";" in header[0]:
        raise CorpusError(f"{path}: the header has one column, '{header[0][:60]}': separate columns by '{separator}'")
    return pl.read_csv(
        path,
        schema_overrides=texts,
        infer_schema_length=None,
        separator=separator,
        glob=False,
        null_values=["NA", "N/A"],
    )


def _read_json(path: Path) -> pl.DataFrame:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise CorpusError(f"{path}: expected a list of records, [{{...}}, ...], one a candidate")
    return pl.DataFrame(content, infer_schema_length=None)


def _read_standard_input() -> pl.DataFrame:
    """Read a table that was piped in: JSON records, JSON lines, CSV or tab-separated, by its first characters."""
    text = sys.stdin.read()
    start = text.lstrip("\ufeff \t\r\n")[:1]
    first = text.lstrip("\ufeff").partition("\n")[0]
    suffix = {"[": ".json", "{": ".jsonl"}.get(start, ".tsv" if "\t" in first and "," not in first else ".csv")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"stdin{suffix}"
        path.write_text(text, encoding="utf-8")
        try:
            return _read(path, True, ()).frame
        except QuagpredictError as error:
            raise type(error)(str(error).replace(str(path), "standard input")) from None


def _read_json_lines(path: Path) -> pl.DataFrame:
    return pl.read_ndjson(path, infer_schema_length=None)


def _guarded_apart(path: Path, read: Callable[..., Any], *arguments: Any) -> Any:
    return _guarded(read, path, *arguments)


def _guarded(read: Callable[..., Any], path: Path, *arguments: Any) -> Any:
    try:
        return read(path, *arguments)
    except pl.exceptions.NoDataError:
        raise NothingToRankError(f"{path}: the file is empty") from None
    except QuagpredictError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # the readers raise many classes on damaged files
        kind = path.suffix.lower().lstrip(".")
        raise CorpusError(f"{path}: this is no valid {kind} file ({_first_line(error)})") from None


def _version(text: str | None, path: Path) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= SCHEMA_VERSION:
        raise CorpusError(
            f"{path}: schema_version is '{text}', this release reads 1 to {SCHEMA_VERSION}; upgrade quagpredict"
        )
    return int(text)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
