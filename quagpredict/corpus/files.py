"""Files of tables: where they are, and one table of each, whatever its format, not checked yet; and writing one."""

import csv
import glob
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import polars as pl

from quagpredict.apart import read_apart
from quagpredict.arguments import check_arguments
from quagpredict.corpus.check import check_corpus, check_problems, check_types, check_values
from quagpredict.corpus.columns import origin
from quagpredict.corpus.derived import with_derived
from quagpredict.errors import CorpusError, InvalidDataError, NothingToRankError, QuagpredictError, UsageError
from quagpredict.files import canonical_json
from quagpredict.packed import packing_of
from quagpredict.parquet import SEAL, is_sealed, write_parquet
from quagpredict.schema import BY_NAME, NESTED, PROBLEM_COLUMNS, SCHEMA_VERSION
from quagpredict.shipped import matches, shipped_or_given
from quagpredict.version import own_version

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
# A file of at most so many bytes is read whole: some 2,000 candidates with 250 problems each.
_SMALL = 2**20


class Part(NamedTuple):
    """One table as it was found: what to call it, its rows, and the schema version that its file states."""

    source: str
    frame: pl.DataFrame
    schema_version: int | None


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


def parts_of(source: Any, nested: bool | tuple[str, ...] = True, derived: tuple[str, ...] = ()) -> Iterator[Part]:
    """Yield the tables of a source, unchecked: a path, a glob, a folder, a frame, ``-``, or a list of these.

    Parameters
    ----------
    nested : bool or tuple of str
        If false, nested columns of a large Parquet file are checked piece by piece and left out; or those that are
        kept.
    derived : tuple of str
        What is derived from these on the way.

    Raises
    ------
    QuagpredictError
        If nothing is there, or a file cannot be read.

    Examples
    --------
    >>> [part.source for part in parts_of(pl.DataFrame({"candidate": ["a"]}))]
    ['table']
    """
    if isinstance(source, pl.DataFrame):
        yield Part("table", source, None)
    elif isinstance(source, pl.LazyFrame):
        yield Part("table", source.collect(), None)
    elif type(source).__module__.partition(".")[0] == "pandas" and type(source).__name__ == "DataFrame":
        yield Part("table", _from_pandas(source), None)
    elif str(source) == STANDARD_INPUT and isinstance(source, (str, Path)):
        yield Part("standard input", _read_standard_input(), None)
    elif isinstance(source, (str, Path)):
        yield from (_read(path, nested, derived) for path in _paths(source))
    elif isinstance(source, Sequence) and not isinstance(source, (bytes, bytearray)):
        files: set[Path] = set()
        for number, item in enumerate(source, start=1):
            if isinstance(item, (str, Path)) and str(item) != STANDARD_INPUT:
                paths = [path for path in _paths(item) if path.resolve() not in files]
                files.update(path.resolve() for path in paths)
                yield from (_read(path, nested, derived) for path in paths)
            else:
                named = isinstance(item, (str, Path))
                for part in parts_of(item, nested, derived):
                    yield part if named else part._replace(source=f"table {number}")
    else:
        raise UsageError(f"cannot read a table from {type(source).__name__}; give a path, a glob, a folder or a frame")


def files_of(source: Any) -> list[str]:
    """Return what the tables of a source are called: paths of files, ``table`` for a frame; nothing is read.

    Examples
    --------
    >>> files_of([pl.DataFrame({"candidate": ["a"]}), "datasets/lab/corpus.parquet"])[0]
    'table'
    """
    if isinstance(source, (str, Path)):
        return ["standard input"] if str(source) == STANDARD_INPUT else list(map(str, _paths(source)))
    if isinstance(source, Sequence):
        return list(dict.fromkeys(name for item in source for name in files_of(item)))
    return ["table"]


def _from_pandas(frame: "pd.DataFrame") -> pl.DataFrame:
    name = frame.index.name or "index"
    # An index of names is a column of names, as it is once it was written to a file.
    named = name == "candidate" or (len(frame) and all(isinstance(label, str) for label in frame.index))
    if named and not {"candidate", name} & {*frame.columns}:
        frame = frame.reset_index(names=name)
    try:
        return pl.from_pandas(frame)
    except Exception as error:  # pyarrow raises its own classes for what a column cannot be
        raise CorpusError(f"table: the pandas frame cannot be converted ({_first_line(error)})") from None


def _paths(source: str | Path) -> list[Path]:
    path = shipped_or_given(source)
    try:
        if path.exists():
            tables = _tables(path)
        elif glob.has_magic(str(source)):
            tables = [table for match in matches(source) for table in _tables(match)]
            if not tables:
                raise NothingToRankError(f"no file matches '{source}'")
        else:
            raise UsageError(f"{source}: there is no such file or folder")
    except (CorpusError, UsageError):
        raise
    except (OSError, ValueError) as error:  # a name that is too long or holds a NUL, a folder that may not be read
        raise CorpusError(f"{str(source)!r:.200}: cannot be read ({_first_line(error)})") from None
    if not tables:
        raise NothingToRankError(f"{source}: the folder holds no table ({', '.join(SUFFIXES)})")
    return tables


def _tables(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    own_tables = [path / name for name in OWN_TABLES if (path / name).is_file()]
    tables = own_tables[:1] or sorted(
        child
        for child in path.iterdir()
        if child.suffix in SUFFIXES and child.name not in NOT_TABLES and not child.name.startswith(".")
    )
    # A folder of run folders, each with the candidate that `evaluate` wrote.
    return tables or sorted(path.glob("*/candidate.parquet"))


def _read(path: Path, nested: bool | tuple[str, ...], derived: tuple[str, ...]) -> Part:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        part: Part = _read_safely(_parquet_part, path, nested, derived)
        return part
    if path.is_file() and (packed := packing_of(path)) is not None:  # polars would unpack it without a limit
        raise CorpusError(f"{path}: the file is compressed with {packed}: unpack it")
    if suffix in (".csv", ".tsv"):
        return Part(str(path), _guarded(_read_csv, path), None)
    if suffix in (".jsonl", ".ndjson"):
        return Part(str(path), _guarded(partial(pl.read_ndjson, infer_schema_length=None), path), None)
    if suffix == ".json":
        return Part(str(path), _guarded(_read_json, path), None)
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


def _parquet_part(path: Path, nested: bool | tuple[str, ...], derived: tuple[str, ...]) -> Part:
    version = _version(_provenance(path).get("schema_version"), path)
    if nested is not True and path.stat().st_size > _SMALL:
        return Part(str(path), _flat_parquet(path, derived, nested or ()), version)
    return Part(str(path), pl.read_parquet(path, glob=False, hive_partitioning=False), version)


def _flat_parquet(path: Path, derived: tuple[str, ...], kept: tuple[str, ...]) -> pl.DataFrame:
    """Read all but the nested columns, and check those some rows at a time: all at once they may not fit in memory.

    What is derived from them is computed on the way.
    """
    there = pl.read_parquet_schema(path)
    names = [column.name for column in NESTED if column.name in there and column.name not in kept]
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
        raise CorpusError(f"{path}: column '{twice[0]}' appears twice; keep one of them")
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


def write_corpus(frame: pl.DataFrame, path: str | Path, provenance: Mapping[str, Any] | None = None) -> None:
    """Check a table and write it as Parquet, aside and renamed.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate. It may hold rows of several eval protocols.
    path : str or Path
        File to write; its name must end in ``.parquet``.
    provenance : mapping
        Where the rows come from; stored in the file's metadata beside ``schema_version``, ``created_by`` and a digest
        of the file's bytes, which reading compares. Values
        that are no text are stored as JSON. `read_provenance` gives it back.

    Raises
    ------
    CorpusError
        If the table breaks the schema; nothing is written then.
    UsageError
        If the name does not end in ``.parquet``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import polars as pl
    >>> from quagpredict.corpus import read_corpus, read_provenance
    >>> with TemporaryDirectory() as folder:
    ...     write_corpus(pl.DataFrame({"candidate": ["a"]}), f"{folder}/a.parquet", {"plan": "lab-pilot"})
    ...     read_corpus(f"{folder}/a.parquet")["candidate"].item(), read_provenance(f"{folder}/a.parquet")["plan"]
    ('a', 'lab-pilot')
    """
    check_arguments(write_corpus, locals())
    if Path(path).suffix != ".parquet":
        raise UsageError(f"{path}: a corpus is written as Parquet; give a name that ends in .parquet")
    frame = check_corpus(frame, str(path), allow_mixed_protocols=True)
    metadata = {"schema_version": str(SCHEMA_VERSION), "created_by": f"quagpredict {own_version()}"}
    for key, value in (provenance or {}).items():
        metadata[key] = value if isinstance(value, str) else canonical_json(value)
    # Small row groups let a reader check the nested counts of very many candidates piece by piece.
    write_parquet(frame, path, metadata, row_group_size=_ROWS_AT_ONCE)
