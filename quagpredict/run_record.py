"""``record.json``: what a program did, written last, so that a folder with one is a finished stage."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError

RECORD_NAME = "record.json"
_DEEPEST = 32  # nesting of a record's values
_LARGEST = 64 * 2**20  # bytes


@dataclass(frozen=True)
class RunRecord:
    """What one program did.

    Examples
    --------
    >>> RunRecord.from_mapping({"program": "demo", "results": {"loss": 0.5}, "seconds": 1.0}, "record.json").results
    {'loss': 0.5}
    """

    program: str  #: Its name, e.g. ``"train_sft"``.
    results: Mapping[str, Any]  #: What it found; the keys are the program's own.
    seconds: float  #: Wall time of the program's work.
    versions: Mapping[str, str] = field(default_factory=dict)  #: Installed version of each package that matters.
    inputs: Mapping[str, str] = field(default_factory=dict)  #: Name of an input -> digest of its content.
    outputs: Mapping[str, str] = field(default_factory=dict)  #: Path inside the folder -> SHA-256 of the file.

    @classmethod
    def from_mapping(cls, mapping: Any, source: str | Path) -> "RunRecord":
        """Check and take over parsed JSON.

        Raises
        ------
        InvalidDataError
            If a field is missing or of the wrong type; the message names `source` and the field. Fields that this
            version does not know are ignored.
        """
        wanted: dict[str, Any] = {"program": str, "results": Mapping, "seconds": int | float}
        wanted |= {"versions": Mapping, "inputs": Mapping, "outputs": Mapping}
        if not isinstance(mapping, Mapping):
            raise InvalidDataError(f"{source}: expected the fields {', '.join(wanted)}, got {str(mapping)[:80]!r}")
        for name, kind in wanted.items():
            if name not in mapping and name in ("program", "results", "seconds"):
                raise InvalidDataError(f"{source}: the field '{name}' is missing; the record is not whole")
            if name in mapping and (not isinstance(mapping[name], kind) or isinstance(mapping[name], bool)):
                raise InvalidDataError(f"{source}: field '{name}' has the wrong type: {str(mapping[name])[:80]!r}")
            if name in mapping and (fault := unstorable(mapping[name], name)) is not None:
                raise InvalidDataError(f"{source}: {fault}")
        return cls(**{name: mapping[name] for name in wanted if name in mapping})

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self)


def unstorable(value: Any, where: str = "", depth: int = 0) -> str | None:
    """Return what in a value no record can hold and where it stands, or None.

    That is NaN and infinity, which JSON does not have, whole numbers beyond 64 bits, and nesting without end.

    Examples
    --------
    >>> unstorable({"loss": [0.5, float("nan")]}, "results")
    'results.loss[1] is nan, which JSON cannot hold'
    >>> unstorable({"loss": [0.5]}, "results") is None
    True
    """
    if depth > _DEEPEST:
        return f"{where.partition('.')[0]} is nested more than {_DEEPEST} deep"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where} is {value}, which JSON cannot hold"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return f"{where} is a whole number beyond 64 bits"
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, Mapping):
        inner = ((f"{where}.{key}", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        inner = ((f"{where}[{position}]", item) for position, item in enumerate(value))
    return next((fault for name, item in inner if (fault := unstorable(item, name, depth + 1)) is not None), None)


def read_record(folder: str | Path) -> RunRecord:
    """Read and check the ``record.json`` of a stage's folder.

    Raises
    ------
    InvalidDataError
        If there is none, or it is not a record.
    """
    path = Path(folder) / RECORD_NAME
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidDataError(f"{path}: larger than {_LARGEST >> 20} MiB, which no record is")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidDataError(f"{path}: not there, so the program that writes this folder did not finish") from None
    except InvalidDataError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidDataError(f"{path}: not a readable record: {error}") from None
    return RunRecord.from_mapping(content, path)
