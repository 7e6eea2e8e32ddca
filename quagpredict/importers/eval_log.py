"""The ``.eval`` logs of Inspect (inspect_ai 0.3.285, `inspect_ai/log/_recorders/eval.py`): zip files of JSON.

``header.json`` (version, status, eval, plan, results) is written when a run ends, ``samples/ID_epoch_N.json`` for each
sample; a large one has its folder ``samples/ID_epoch_N/`` with ``sample.json``. A member that is there twice counts as
it was written last. Members are compressed with zstd, in older logs deflated. Inspect is not needed to read them.
"""

import json
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.packed import most_unpacked, too_large, unpacked_zstd

_HEADER = "header.json"
_SAMPLE = re.compile(r"samples/.+_epoch_[0-9]+(?:\.json|/sample\.json)", re.DOTALL)  # ids may have slashes
# The events of a sample are large, and not needed.
_SHARE = ("id", "epoch", "target", "scores", "output", "error", "invalidation", "limit")
_ZSTD = 93  # as a zip file numbers it; Python's zipfile knows it from 3.14 on
_UTF8 = 0x800  # the flag of a name that is not in code page 437
_FIXED = 30  # bytes of a member's own header, before its name
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # an encrypted member, or nesting too deep
    NotImplementedError,
)


def read_eval(path: Path) -> dict[str, Any]:
    """Return what an ``.eval`` log holds, as in a ``.json`` log: the header, and under ``samples`` what counts of each.

    Raises
    ------
    InvalidDataError
        If it is no such log, damaged, of a run that did not end, or unpacks to more than it may.
    """
    try:
        with path.open("rb") as handle, zipfile.ZipFile(handle) as packed:
            # The last one of a name. All are looked at: a sample under a damaged name would be lost without a word.
            members = {member.filename: member for member in packed.infolist() if _begin(packed, member)}
            if _HEADER not in members:
                raise InvalidDataError(f"{path}: there is no {_HEADER} in it: the run did not end, or this is no log")
            left = most_unpacked(path.stat().st_size)
            log, left = _member(packed, members[_HEADER], path, left)
            samples = []
            for name in sorted(filter(_SAMPLE.fullmatch, members)):
                sample, left = _member(packed, members[name], path, left)
                samples.append({key: sample[key] for key in _SHARE if key in sample})
    except InvalidDataError:
        raise
    except _FAULTS as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidDataError(f"{path}: cannot be read as a log of Inspect ({why})") from None
    return log | {"samples": samples}


def _member(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int) -> tuple[dict[str, Any], int]:
    """Return the object in a member, and how many bytes others may still unpack to."""
    if member.compress_type == _ZSTD:
        content = unpacked_zstd(_bytes_of(packed, member), path, left)
        whole = zlib.crc32(content) == member.CRC or zlib.crc32(content + b"\n") == member.CRC
        if not whole:
            raise zipfile.BadZipFile(f"{member.filename} has another checksum")
    else:
        with packed.open(member) as handle:
            content = handle.read(left + 1)
    if len(content) > left:
        raise too_large(path, most_unpacked(path.stat().st_size))
    value = json.loads(content)
    if not isinstance(value, dict):
        raise InvalidDataError(f"{path}: {member.filename} must hold a JSON object, got {type(value).__name__}")
    return value, left - len(content)


def _begin(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return where the content of a member begins; its name must be the same there and in the table at the end."""
    handle: Any = packed.fp
    handle.seek(member.header_offset)
    flags, length, extra = struct.unpack("<6xH18xHH", handle.read(_FIXED))
    name = handle.read(length).decode("utf-8" if flags & _UTF8 else "cp437")
    if name != member.orig_filename:
        raise zipfile.BadZipFile(f"{member.filename} is called {name!r} where it stands")
    begin: int = member.header_offset + _FIXED + length + extra
    return begin


def _bytes_of(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member as it stands in the file, compressed."""
    handle: Any = packed.fp
    handle.seek(_begin(packed, member))
    content: bytes = handle.read(member.compress_size)
    if len(content) < member.compress_size:
        raise zipfile.BadZipFile(f"{member.filename} is cut off")
    return content
