"""Compressed files: which they are, and their content up to a limit, so that a few bytes cannot fill the memory.

Gzip stops where the limit is passed. Of zstd nothing is unpacked before its blocks say how much they can hold at most:
polars unpacks it, which has no limit of its own, and Python reads it from 3.14 on only.
"""

import gzip
import io
from pathlib import Path

import polars as pl

from quagpredict.errors import InvalidDataError

_MARKS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"PK\3\4", "zip"),
)
_MOST_UNPACKED, _MOST_RATIO = 2**28, 100  # bytes, and times the packed ones: logs are packed to a tenth or so
_ZSTD_FRAME, _ZSTD_SKIPPED = 0xFD2FB528, range(0x184D2A50, 0x184D2A60)
_ZSTD_BLOCK = 2**17  # what a compressed block holds at most
_REPEATED, _COMPRESSED = 1, 2  # kinds of blocks; 0 is one as it is


def packing_of(path: Path) -> str | None:
    """Return by what a file is compressed, judged by its first bytes; None if it is not.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile() as file:
    ...     _ = Path(file.name).write_bytes(gzip.compress(b"a,b"))
    ...     packing_of(Path(file.name))
    'gzip'
    """
    with path.open("rb") as handle:
        start = handle.read(8)
    return next((name for mark, name in _MARKS if start.startswith(mark)), None)


def most_unpacked(packed: int) -> int:
    """Return how many bytes a file of so many packed ones may unpack to."""
    return max(_MOST_UNPACKED, _MOST_RATIO * packed)


def too_large(path: Path, most: int) -> InvalidDataError:
    """Return the error for a file that unpacks to more than it may."""
    return InvalidDataError(f"{path}: the file unpacks to more than {most:,} bytes: unpack it yourself")


class Unpacked(gzip.GzipFile):
    """A gzip file that stops where it unpacks to far more than any text would."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._most = most_unpacked(path.stat().st_size)
        self._path = path

    def read(self, size: int | None = -1) -> bytes:
        """Return so many bytes, or all that are left."""
        wanted = self._most - self.tell() + 1 if size is None or size < 0 else size
        return self._held(super().read(wanted))

    def read1(self, size: int = -1) -> bytes:
        """Return the next bytes, as `io.TextIOWrapper` asks for them."""
        return self._held(super().read1(size))

    def _held(self, content: bytes) -> bytes:
        if self.tell() > self._most:
            raise too_large(self._path, self._most)
        return content


def unpacked_zstd(content: bytes, path: Path, most: int | None = None) -> bytes:
    """Return the text in zstd frames, without the line break at its end.

    Parameters
    ----------
    content : bytes
        The frames.
    path : Path
        Named in errors.
    most : int, optional
        How many bytes they may unpack to; by default what `most_unpacked` says of them.

    Raises
    ------
    InvalidDataError
        If they unpack to more, are damaged, or do not hold UTF-8.
    """
    most = most_unpacked(len(content)) if most is None else most
    if not content:
        return b""
    if _zstd_bound(content, path) > most:
        raise too_large(path, most)
    try:
        lines = pl.read_lines(io.BytesIO(content))["line"]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(path, " ".join(str(error).split())[:200]) from None
    return "\n".join(lines).encode()


def _zstd_bound(content: bytes, path: Path) -> int:
    """Return how many bytes zstd frames unpack to at most, from the headers of their blocks (RFC 8878)."""
    at = total = 0
    while at < len(content):
        mark = int.from_bytes(content[at : at + 4], "little")
        if mark in _ZSTD_SKIPPED:
            at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
            continue
        if mark != _ZSTD_FRAME or at + 5 > len(content):
            raise _damaged(path, "no zstd frame where one must be")
        descriptor = content[at + 4]
        single, checked = descriptor >> 5 & 1, descriptor >> 2 & 1
        size_field = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
        at += 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + size_field
        last = False
        while not last:
            if at + 3 > len(content):
                raise _damaged(path, "its end is cut off")
            header = int.from_bytes(content[at : at + 3], "little")
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            if kind > _COMPRESSED:
                raise _damaged(path, "a zstd block of no known kind")
            total += _ZSTD_BLOCK if kind == _COMPRESSED else size
            at += 3 + (1 if kind == _REPEATED else size)
        at += 4 * checked
    if at > len(content):
        raise _damaged(path, "its end is cut off")
    return total


def _damaged(path: Path, why: str) -> InvalidDataError:
    return InvalidDataError(f"{path}: cannot be read as zstd ({why})")
