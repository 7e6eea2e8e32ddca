"""The samples of a checkpoint on disk: Parquet parts that know what they are samples of, whatever RUN is called.

    RUN/samples/<draw id>/draw.json                   what the samples are bound to
    RUN/samples/<draw id>/part-00000-<digest>.parquet

The draw id is a digest of weights, tokenizer and template, prompt, sampling settings and engine. Another checkpoint or
another setting is another folder beside this one: nothing is mixed, and nothing that was drawn is ever deleted. A part
is written aside and renamed; its name holds a digest of its bytes, so that one that is torn or changed is seen.
"""

import fcntl
import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.files import digest, write_json, written_aside

COLUMNS = {
    "key": pl.String(),
    "benchmark": pl.String(),
    "problem_id": pl.String(),
    "sample": pl.Int64(),
    "seed": pl.UInt64(),
    "prompt_tokens": pl.Int64(),
    "response": pl.String(),
    "tokens": pl.List(pl.UInt32()),
    "length": pl.Int64(),
    "finish_reason": pl.String(),
    "log_prob_sum": pl.Float64(),
    "entropy_sum": pl.Float64(),
}
_BUDGET = "max_new_tokens"


class _Held(NamedTuple):
    """What a part holds of a problem: its samples, as `SampleStore.there` says them, rows, and the prompt's length."""

    samples: int
    rows: int
    prompt_tokens: int


class SampleStore:
    """The samples under one draw id.

    Parameters
    ----------
    root : path
        ``RUN/samples``; made if it is not there.
    draw : mapping
        What the samples are bound to, as plain data; ``max_new_tokens`` is one of its keys.
    say : callable
        Gets a line where something is set aside or not reused.

    Raises
    ------
    UsageError
        If another process draws into the same folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> row = {"key": "k", "benchmark": "b", "problem_id": "1", "sample": 0, "seed": 7, "prompt_tokens": 5,
    ...        "response": "4", "tokens": [4], "length": 2, "finish_reason": "stop", "log_prob_sum": -0.1,
    ...        "entropy_sum": 0.2}
    >>> with TemporaryDirectory() as folder:
    ...     with SampleStore(Path(folder), {"max_new_tokens": 8}, print) as store:
    ...         store.add(pl.DataFrame([row], schema=COLUMNS))
    ...     with SampleStore(Path(folder), {"max_new_tokens": 8}, print) as store:
    ...         store.there()
    {'k': 1}
    """

    def __init__(self, root: Path, draw: Mapping[str, Any], say: Callable[[str], None]) -> None:
        self.draw = dict(draw)
        self.draw_id = digest(self.draw)
        self.folder = root / self.draw_id
        self._say = say
        self._root = root
        was_there = self.folder.is_dir()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (root / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise UsageError(f"{root}: another process draws samples here; wait for it, or end it") from None
        for left in root.glob("*/.*.aside"):  # half-written by a process that was killed
            left.unlink()
        write_json(self.folder / "draw.json", self.draw)
        self.parts = [part for part in _listed(self.folder) if self._whole(part)]
        self._held: list[dict[str, _Held]] = []  # of the first parts, those that were asked for
        others = [name.name for name in sorted(root.iterdir()) if name.is_dir() and name.name != self.draw_id]
        if others and not was_there:
            say(
                f"{root}: holds samples of {len(others)} other draw{'s' if len(others) > 1 else ''} (weights, template "
                "or sampling settings differ); they are kept and not mixed with these"
            )

    def __enter__(self) -> "SampleStore":
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let other processes draw."""
        self._lock.close()

    def _whole(self, part: Path) -> bool:
        if _is_whole(part):
            return True
        aside = part.with_suffix(".corrupt")
        part.replace(aside)
        self._say(
            f"{part}: torn or changed since it was written; set aside as {aside.name}, its samples are drawn again"
        )
        return False

    def add(self, rows: pl.DataFrame) -> None:
        """Write rows as one more part, whole or not at all."""
        if rows.is_empty():
            return
        buffer = io.BytesIO()
        rows.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items()).write_parquet(buffer)
        content = buffer.getvalue()
        numbers = [int(part.name.split("-")[1]) for part in _listed(self.folder)]
        path = self.folder / f"part-{max(numbers, default=-1) + 1:05d}-{_digest(content)}.parquet"
        with written_aside(path) as aside:
            aside.write_bytes(content)
        self.parts.append(path)

    def scan(self, keys: Collection[str] | None = None) -> pl.LazyFrame:
        """Return all samples, or those of some problems, each once; parts that hold none of them are not read."""
        parts = self.parts if keys is None else self._parts_with(set(keys))
        if not parts:
            return pl.LazyFrame(schema=COLUMNS)
        rows = pl.scan_parquet(parts)
        if keys is not None:
            rows = rows.filter(pl.col("key").is_in(list(keys)))
        return _each_once(rows, self._all_held())

    def there(self) -> dict[str, int]:
        """Return which samples of each key are there: bit i of its number is set if sample i is."""
        return _there(self._all_held())

    def prompt_tokens(self) -> dict[str, int]:
        """Return how many tokens the prompt of each key has."""
        return {key: kept.prompt_tokens for held in self._all_held() for key, kept in held.items()}

    def _parts_with(self, keys: set[str]) -> list[Path]:
        return [part for part, held in zip(self.parts, self._all_held(), strict=True) if not keys.isdisjoint(held)]

    def _all_held(self) -> list[dict[str, "_Held"]]:
        """Return what each part holds; one that was asked for is not read again."""
        self._held += map(_held_by, self.parts[len(self._held) :])
        return self._held

    def adopt_longer(self, decode: Callable[[list[int]], str]) -> int:
        """Take over samples that were drawn with a longer budget and differ in nothing else; return how many.

        A response that goes beyond this store's budget is cut at the token where this budget ends, and is then what
        would have been drawn: ``length`` as finish reason, the text of its first tokens. Sums of log-probability and
        entropy are not known for a cut response and become null.

        Parameters
        ----------
        decode : callable
            Token ids to text; called for cut responses only.
        """
        budget = int(self.draw[_BUDGET])
        taken = 0
        for folder in self._longer(budget):
            for part in filter(_is_whole, _listed(folder)):
                rows = pl.read_parquet(part)
                own = self.scan(rows["key"].unique()).select("key", "sample").collect()
                rows = rows.join(own, on=["key", "sample"], how="anti")
                self.add(_cut(rows.unique(["key", "sample"], maintain_order=True), budget, decode))
                taken += rows.height
        if taken:
            self._say(
                f"{taken:,} samples are taken from a longer budget, cut to {budget} tokens; none is drawn for them"
            )
        return taken

    def _longer(self, budget: int) -> list[Path]:
        """Return the folders of draws that differ in a longer budget alone, the shortest first."""
        folders = []
        for manifest in self._root.glob("*/draw.json"):
            try:
                draw = json.loads(manifest.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                continue
            if not isinstance(draw, dict) or not isinstance(draw.get(_BUDGET), int) or draw[_BUDGET] <= budget:
                continue
            if {**draw, _BUDGET: budget} == self.draw and digest(draw) == manifest.parent.name:
                folders.append((draw[_BUDGET], manifest.parent))
        return [folder for _, folder in sorted(folders)]


def _cut(rows: pl.DataFrame, budget: int, decode: Callable[[list[int]], str]) -> pl.DataFrame:
    long = rows.filter(pl.col("length") > budget)
    kept = rows.filter(pl.col("length") <= budget)
    tokens = [row[:budget] for row in long["tokens"].to_list()]
    cut = long.with_columns(
        pl.Series("tokens", tokens, COLUMNS["tokens"]),
        pl.Series("response", [decode(row) for row in tokens], pl.String),
        pl.lit(budget, pl.Int64).alias("length"),
        pl.lit("length").alias("finish_reason"),
        pl.lit(None, pl.Float64).alias("log_prob_sum"),
        pl.lit(None, pl.Float64).alias("entropy_sum"),
    )
    return pl.concat([kept, cut.select(kept.columns)])


def read_samples(run: str | Path, draw_id: str | None = None) -> pl.LazyFrame:
    """Return the drawn samples of an evaluation's folder: text, token ids, lengths, seeds; no verdicts.

    Parameters
    ----------
    run : path
        What was given as ``out``.
    draw_id : str, optional
        Which samples, if there are several: the name of a folder in ``RUN/samples``.

    Raises
    ------
    InvalidDataError
        If there are none, or several and none is named; or a part is torn or changed since it was written.
    """
    folders = sorted(path.parent for path in (Path(run) / "samples").glob(f"{draw_id or '*'}/draw.json"))
    if len(folders) != 1:
        named = f"; name one of {', '.join(folder.name for folder in folders)}" if folders else ""
        raise InvalidDataError(f"{run}: expected samples of one draw, found {len(folders)}{named}")
    parts = _listed(folders[0])
    for part in parts:
        if not _is_whole(part):
            raise InvalidDataError(f"{part}: torn or changed since it was written; evaluating again draws it again")
    if not parts:
        return pl.LazyFrame(schema=COLUMNS)
    return _each_once(pl.scan_parquet(parts), [_held_by(part) for part in parts])


def _held_by(part: Path) -> dict[str, _Held]:
    rows = pl.read_parquet(part, columns=["key", "sample", "prompt_tokens"])
    of_keys = rows.group_by("key").agg("sample", pl.col("prompt_tokens").first())
    return {key: _Held(_bits(samples), len(samples), tokens) for key, samples, tokens in of_keys.iter_rows()}


def _there(parts: Iterable[Mapping[str, _Held]]) -> dict[str, int]:
    there: dict[str, int] = {}
    for held in parts:
        for key, kept in held.items():
            there[key] = there.get(key, 0) | kept.samples
    return there


def _each_once(rows: pl.LazyFrame, parts: Sequence[Mapping[str, _Held]]) -> pl.LazyFrame:
    """Return rows without those that appear twice; to tell them apart takes the memory of all, so only if there are."""
    written = sum(kept.rows for held in parts for kept in held.values())
    if written == sum(map(int.bit_count, _there(parts).values())):
        return rows
    return rows.unique(["key", "sample"], keep="first", maintain_order=True)


def _bits(samples: list[int]) -> int:
    there = np.zeros(max(samples) + 1, dtype=np.bool_)
    there[samples] = True
    return int.from_bytes(np.packbits(there, bitorder="little").tobytes(), "little")


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*-*.parquet"))


def _is_whole(part: Path) -> bool:
    """Return whether the bytes of a part are those that its name has the digest of."""
    return _digest(part.read_bytes()) == part.stem.rpartition("-")[2]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
