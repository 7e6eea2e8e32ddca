"""Which files an import reads, and their text: folders, globs, compression, encodings."""

import glob
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import polars as pl

from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.packed import Unpacked, packing_of, unpacked_zstd

# What a folder is searched for; a name may end in one of _PACKED as well.
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".eval")
_PACKED = (".gz", ".zst")
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def given_files(paths: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """Return the files that were named, and those that were found in folders; each once, those of a folder by name.

    A name that does not exist may be a glob.

    Raises
    ------
    UsageError
        If nothing was named, a name does not exist, a glob matches nothing, or a folder holds no file to read.
    """
    if not paths:
        raise UsageError("no file was given to import")
    named: list[Path] = []
    in_folders: list[Path] = []
    for path in paths:
        for each in matching(path):
            if each.is_dir():
                in_folders += _of_folder(each)
            else:
                named.append(each)
    seen = {path.resolve() for path in named}
    return _once(named), [path for path in _once(in_folders) if path.resolve() not in seen]


def matching(path: str | Path) -> list[Path]:
    """Return the path, or what a glob matches, by name.

    Raises
    ------
    UsageError
        If there is no such file or folder.
    """
    whole = Path(path)
    try:
        if whole.exists():
            return [whole]
        if not glob.has_magic(str(path)):
            raise UsageError(f"{path}: there is no such file or folder")
        matched = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - a glob may be absolute
    except (OSError, ValueError) as error:  # a name that is too long or holds a NUL
        raise UsageError(f"{str(path)!r:.200}: cannot be read ({error})") from None
    if not matched:
        raise UsageError(f"no file matches '{path}'")
    return [Path(name) for name in matched]


def _of_folder(folder: Path) -> list[Path]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and suffix_of(path) in _SUFFIXES and not any(part.startswith(".") for part in path.parts[1:])
    )
    if not files:
        raise UsageError(f"{folder}: the folder holds no file to import ({', '.join(_SUFFIXES)})")
    return files


def _once(paths: Sequence[Path]) -> list[Path]:
    return list({path.resolve(): path for path in reversed(paths)}.values())[::-1]


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case, without that of a compression.

    Examples
    --------
    >>> suffix_of(Path("a.jsonl.gz")), suffix_of(Path("a.CSV"))
    ('.jsonl', '.csv')
    """
    return Path(path.stem if path.suffix.lower() in _PACKED else path.name).suffix.lower()


def stem_of(path: Path) -> str:
    """Return the name without suffixes.

    Examples
    --------
    >>> stem_of(Path("runs/aime.csv.gz")), stem_of(Path("test_t0.6.jsonl"))
    ('aime', 'test_t0.6')
    """
    return Path(path.stem).stem if path.suffix.lower() in _PACKED else path.stem


@contextmanager
def text_of(path: Path) -> Iterator[IO[str]]:
    """Open the text of a file: UTF-8 or UTF-16, with a byte order mark or without, gzipped or compressed with zstd.

    Raises
    ------
    InvalidDataError
        If it is compressed in another way, damaged, or not text in one of these encodings.
    """
    try:
        packed = packing_of(path)
        if packed not in (None, "gzip", "zstd"):
            raise InvalidDataError(f"{path}: the file is compressed with {packed}: unpack it, or pack it with gzip")
        if packed == "zstd":
            yield io.StringIO(unpacked_zstd(path.read_bytes(), path).decode("utf-8-sig"))
            return
        with Unpacked(path) if packed else path.open("rb") as raw:
            yield io.TextIOWrapper(raw, encoding=_encoding(path, packed), newline="")
    except UnicodeDecodeError as error:
        raise InvalidDataError(
            f"{path}: the text is neither UTF-8 nor UTF-16 ({error.reason} at byte {error.start}): convert it to UTF-8"
        ) from None
    except (OSError, EOFError, UnicodeError, zlib.error, pl.exceptions.PolarsError) as error:
        raise InvalidDataError(
            f"{path}: cannot be read ({str(error).splitlines()[0] if str(error) else error})"
        ) from None


def _encoding(path: Path, packed: str | None) -> str:
    with gzip.open(path, "rb") if packed else path.open("rb") as raw:
        start = raw.read(4)
    if start[:2] in _UTF16:
        return _UTF16[start[:2]]
    # JSON and CSV start with a letter of ASCII: a zero byte beside it means UTF-16 without a mark.
    if len(start) >= 2 and start[0] == 0 and start[1] != 0:
        return "utf-16-be"
    if len(start) >= 2 and start[1] == 0 and start[0] != 0:
        return "utf-16-le"
    return "utf-8-sig"


def is_plain(path: Path) -> bool:
    """Say whether polars can read the text itself: UTF-8 without a byte order mark, not compressed otherwise."""
    if packing_of(path) is not None:
        return False
    with path.open("rb") as handle:
        start = handle.read(8)
    return start[:2] not in _UTF16 and not start.startswith(b"\xef\xbb\xbf") and 0 not in start[:2]
