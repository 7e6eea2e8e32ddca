"""Files written aside and renamed, and digests that name content instead of folders."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed onto `path`.

    A reader therefore sees the old file or the new one, never half of it, and a crash leaves the old one.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     target = Path(folder) / "a.txt"
    ...     with written_aside(target) as aside:
    ...         _ = aside.write_text("whole")
    ...     target.read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".aside", delete=False) as handle:
        aside = Path(handle.name)
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def printable(text: str) -> str:
    """Return text as it may stand in a terminal: control characters, which a file can hold, become ``?``.

    Examples
    --------
    >>> printable("mix" + chr(27) + "[2J")
    'mix?[2J'
    """
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text.

    Raises
    ------
    TypeError, ValueError
        For what JSON cannot hold (NaN and infinities included).

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [1.0, "x"]})
    '{"a":[1.0,"x"],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 16) -> str:
    """Return the first `length` hexadecimal digits of the SHA-256 of the value's canonical JSON.

    Examples
    --------
    >>> digest({"a": 1}) == digest({"a": 1}), len(digest([]))
    (True, 16)
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, aside and renamed."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
