"""Parquet files that vouch for their own bytes.

Parquet as polars writes it has no checksums: a flipped bit gives another table, an error, or an aborted process. Files
written here carry the SHA-256 of all their bytes in their metadata (the digest's own place counted as zeros), and what
reads them compares it first. Files of other tools are read in a process apart; see `quagpredict.apart`.
"""

import hashlib
import io
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.apart import read_apart
from quagpredict.errors import InvalidDataError
from quagpredict.files import written_aside

SEAL = "file_sha256"  # the key in the file's metadata
# As it stands in the file: the key, then the header of a text of 64 bytes, in Thrift's compact protocol.
_MARK = SEAL.encode() + b"\x18\x40"
_EMPTY = b"0" * 64
# The metadata stands at the end of a file. That of a table of a thousand columns takes a megabyte.
_TAIL = 64 * 2**20
_MAGIC = b"PAR1"


def write_parquet(
    frame: pl.DataFrame, path: str | Path, metadata: Mapping[str, str] | None = None, **settings: Any
) -> None:
    """Write a table with the digest of its bytes, aside and renamed.

    Parameters
    ----------
    path : path
        File to write.
    metadata : mapping of str, optional
        Stored in the file.
    **settings
        Of `polars.DataFrame.write_parquet`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_parquet(pl.DataFrame({"a": [1]}), f"{folder}/a.parquet")
    ...     is_sealed(f"{folder}/a.parquet"), read_parquet(f"{folder}/a.parquet")["a"].item()
    (True, 1)
    """
    made = io.BytesIO()  # a full disk is then Python's error, which says so; polars speaks of Thrift
    frame.write_parquet(made, metadata={**(metadata or {}), SEAL: _EMPTY.decode()}, **settings)
    with made.getbuffer() as content:
        mark_end = made.getvalue().rfind(_MARK + _EMPTY) + len(_MARK)
        content[mark_end : mark_end + len(_EMPTY)] = _digest(content, mark_end)
        with written_aside(path) as aside:
            aside.write_bytes(content)


def is_sealed(path: str | Path) -> bool:
    """Say whether a file carries the digest of its bytes, and these are what it says.

    Raises
    ------
    InvalidDataError
        If the bytes are others, or the file is not Parquet.
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - 8))
        end = handle.read(8)
        if end[4:] != _MAGIC or int.from_bytes(end[:4], "little") + 12 > size:
            raise InvalidDataError(f"{path}: this is no valid parquet file (another format, or its end is cut off)")
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            mark = content.rfind(_MARK, max(0, size - _TAIL))
            if mark < 0:
                return False
            mark_end = mark + len(_MARK)
            if content[mark_end : mark_end + len(_EMPTY)] != _digest(content, mark_end):
                raise InvalidDataError(
                    f"{path}: damaged, or changed by another tool: its bytes are not those that were written "
                    f"(metadata key {SEAL}); make it or copy it again"
                )
    return True


def read_parquet(path: str | Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the table of a Parquet file, whoever wrote it; nothing in it can take this process along.

    Raises
    ------
    InvalidDataError
        If it is damaged or no Parquet; the message names the file.
    OSError
        If it cannot be opened.
    """
    frame: pl.DataFrame = _from(path, _read, columns)
    return frame


def parquet_parts(path: str | Path, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
    """Yield the table of a Parquet file in parts of `rows` rows, in order; errors are those of `read_parquet`.

    One part is in memory at a time, and the row groups that it lies in.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_parquet(pl.DataFrame({"a": range(5)}), f"{folder}/a.parquet")
    ...     [part["a"].to_list() for part in parquet_parts(f"{folder}/a.parquet", ["a"], 2)]
    [[0, 1], [2, 3], [4]]
    """
    sealed = is_sealed(path)
    for first in range(0, _from(path, _height, sealed=sealed), rows):
        yield _from(path, _read_part, list(columns), first, rows, sealed=sealed)


def parquet_height(path: str | Path) -> int:
    """Return the number of rows of a Parquet file, whoever wrote it; errors are those of `read_parquet`."""
    height: int = _from(path, _height)
    return height


def parquet_columns(path: str | Path) -> list[str]:
    """Return the names of the columns of a Parquet file, whoever wrote it; errors are those of `read_parquet`."""
    names: list[str] = _from(path, _columns)
    return names


def _from(path: str | Path, read: Callable[..., Any], *arguments: Any, sealed: bool | None = None) -> Any:
    """Return what is read of a file: in a process apart unless the file vouches for itself."""
    sealed = is_sealed(path) if sealed is None else sealed
    return read(path, *arguments) if sealed else read_apart(read, path, *arguments)


def _columns(path: str | Path) -> list[str]:
    with _refused(path):
        return list(pl.read_parquet_schema(path))


def _read(path: str | Path, columns: Sequence[str] | None) -> pl.DataFrame:
    chosen = None if columns is None else list(columns)
    with _refused(path):
        return pl.read_parquet(path, columns=chosen, glob=False, hive_partitioning=False)


def _height(path: str | Path) -> int:
    return int(_scanned(path, lambda table: table.select(pl.len())).item())


def _read_part(path: str | Path, columns: list[str], first: int, rows: int) -> pl.DataFrame:
    return _scanned(path, lambda table: table.select(columns).slice(first, rows))


def _scanned(path: str | Path, chosen: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
    with _refused(path):
        return chosen(pl.scan_parquet(path, glob=False, hive_partitioning=False)).collect(engine="streaming")


@contextmanager
def _refused(path: str | Path) -> Iterator[None]:
    """Name the file in what polars says of one that it cannot read."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        message = " ".join(str(error).split())[:200]
        raise InvalidDataError(f"{path}: this is no valid parquet file ({message})") from None


def _digest(content: mmap.mmap | memoryview, mark_end: int) -> bytes:
    with memoryview(content) as view:
        made = hashlib.sha256(view[:mark_end])
        made.update(_EMPTY)
        made.update(view[mark_end + len(_EMPTY) :])
    return made.hexdigest().encode()
