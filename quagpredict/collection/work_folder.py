"""The work folder of a collection: where everything lies, and how a finished attempt becomes the stage's folder."""

import contextlib
import glob
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

from quagpredict.collection.ledger import Attempt, Ledger, flush
from quagpredict.collection.stages import RESUME, Stage
from quagpredict.errors import InvalidDataError
from quagpredict.program import last_checkpoint
from quagpredict.run_record import RECORD_NAME, RunRecord, read_record

# What the corpus needs of a stage's record: a stage that leaves something else has failed.
_MEASURED: dict[str, Any] = {"eval_protocol_id": str, "measurement": Mapping}
_TRAINED: dict[str, Any] = {"rl_curve": list, "rl_steps": int}
_NEEDED = {"evaluate-pre": _MEASURED, "evaluate-along": _MEASURED, "evaluate-post": _MEASURED, "grpo": _TRAINED}
_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
_ATTEMPT = re.compile(r"(?P<name>.+)\.attempt-(?P<key>[0-9a-f]+)-(?P<number>[0-9]+)")


def checked_record(stage: Stage, folder: Path) -> RunRecord:
    """Return the record that a stage left in a folder.

    Raises
    ------
    InvalidDataError
        If there is none, it holds NaN or is no record, or a result that the corpus needs is missing or of another
        type; the message names it.
    """
    record = read_record(folder)
    source = folder / RECORD_NAME
    for name, kind in _NEEDED.get(stage.kind, {}).items():
        if name not in record.results:
            raise InvalidDataError(f"{source}: results lack '{name}', which the corpus needs")
        value = record.results[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidDataError(f"{source}: results: '{name}' has the wrong type: {str(value)[:80]!r}")
    for name, value in record.results.get("measurement", {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise InvalidDataError(f"{source}: results: measurement: '{name}' is no number: {str(value)[:80]!r}")
    for point in record.results.get("rl_curve", []):
        if not isinstance(point, Mapping) or not isinstance(point.get("step"), int):
            raise InvalidDataError(f"{source}: results: rl_curve: expected points with a step, got {str(point)[:80]!r}")
    return record


class AttemptFiles(NamedTuple):
    """Where one attempt at a stage lives until it is done."""

    folder: Path
    config: Path
    log: Path


class WorkFolder:
    """The paths of a work folder.

    ::

        ledger.jsonl                          one line an attempt that ended
        ledger.<id>.jsonl                     the same, of a collector that joined
        collectors/ claims/                   who works here, and at what
        stages/<kind>/<name>/                 outputs of the last finished attempt
        stages/<kind>/<name>.attempt-<key>-<number>/   outputs of an attempt that runs
        logs/<kind>-<name>-<number>.log .yaml what an attempt printed, what it was given
        candidates/<candidate>.parquet        rows of one candidate
        corpus.parquet                        all rows

    Examples
    --------
    >>> WorkFolder("runs/pilot").corpus.name
    'corpus.parquet'
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).resolve()
        self.ledger = self.root / "ledger.jsonl"
        self.logs = self.root / "logs"
        self.corpus = self.root / "corpus.parquet"

    def stage(self, identity: str) -> Path:
        """Return the folder of a finished stage, given its ``{kind}/{name}``."""
        return self.root / "stages" / identity

    def candidate(self, name: str) -> Path:
        """Return the file with the rows of one candidate."""
        return self.root / "candidates" / f"{name}.parquet"

    def next_files(self, stage: Stage) -> AttemptFiles:
        """Return where the next attempt at a stage would live; nothing is made."""
        stem = f"{stage.kind}-{stage.name}"
        number = self._used.get(stem, 0) + 1
        while (config := self.logs / f"{stem}-{number}.yaml").exists():  # this folder's, or another collector's
            number += 1
        self._used[stem] = number - 1
        return AttemptFiles(self._attempt(stage, number), config, config.with_suffix(".log"))

    def left_of(self, stage: Stage) -> list[Path]:
        """Return the folders of attempts at a stage that are not in its place, oldest first."""
        last = int(self.next_files(stage).config.stem.rpartition("-")[2])
        return [folder for number in range(1, last) if (folder := self._attempt(stage, number)).is_dir()]

    def _attempt(self, stage: Stage, number: int) -> Path:
        return self.root / "stages" / f"{stage.id}.attempt-{stage.key}-{number}"

    @cached_property
    def _used(self) -> dict[str, int]:
        """The last number of an attempt that each stage had when this was first asked, by ``{kind}-{name}``.

        The folder of logs is looked through once: of a large collection it has a million names.
        """
        used: dict[str, int] = {}
        given = [path.stem for path in self.logs.glob("*.yaml")]
        for folder in (folder for left in self.left_over().values() for folder in left):  # logs may have been removed
            match = _ATTEMPT.fullmatch(folder.name)
            assert match is not None
            given.append(f"{folder.parent.name}-{match['name']}-{match['number']}")
        for name in given:
            stem, _, number = name.rpartition("-")
            if number.isdecimal():
                used[stem] = max(used.get(stem, 0), int(number))
        return used

    def prepare(
        self,
        stage: Stage,
        files: AttemptFiles,
        changes: Mapping[str, Any] = MappingProxyType({}),
        *,
        is_quiet: bool = True,
    ) -> None:
        """Make an attempt's folder, with what the last one left to go on from, and write its config.

        Parameters
        ----------
        changes : mapping
            Keys of the config that this attempt is given in place of the stage's.
        is_quiet : bool
            Whether nothing can still write to what was left; else the last of it is copied, and all of it stays.

        Raises
        ------
        FileExistsError
            If another attempt has that place.
        """
        stage_folder = self.stage(stage.id)
        stage_folder.parent.mkdir(parents=True, exist_ok=True)
        left = self.left_of(stage)
        self.logs.mkdir(parents=True, exist_ok=True)
        config = {**self.resolved(stage, files.folder), **changes}
        with files.config.open("x", encoding="utf-8") as file:
            yaml.safe_dump(config, file, sort_keys=False, allow_unicode=True)
        if not is_quiet:
            _copy_or_make(left, files.folder)
            return
        for folder in left[:-1]:
            shutil.rmtree(folder)
        if left:
            left[-1].rename(files.folder)
        else:
            files.folder.mkdir()

    def resolved(self, stage: Stage, output_dir: Path) -> dict[str, Any]:
        """Return the whole config of a stage, with the paths of its inputs and of its outputs."""
        inputs = {key: str(self.stage(needed)) for key, needed in stage.needs.items()}
        return {**stage.config, **inputs, "output_dir": str(output_dir)}

    def given(self, stage: Stage) -> dict[str, Any]:
        """Return the config of a stage as the ledger keeps it: inputs relative to this folder, no ``output_dir``."""
        return {**stage.config, **{key: f"stages/{needed}" for key, needed in stage.needs.items()}}

    def flush(self, attempt_folder: Path) -> None:
        """Flush what an attempt made to disk; the ledger may say that it is done only then."""
        for path in (*attempt_folder.rglob("*"), attempt_folder, attempt_folder.parent):
            if not path.is_symlink():
                flush(path)

    def give_up(self, attempt_folder: Path) -> None:
        """Remove what an attempt that did not finish has left, unless the next one can go on from it.

        That is samples, which cost most of an evaluation, and checkpoints with the optimizer's state.
        """
        if not _can_go_on(attempt_folder):
            shutil.rmtree(attempt_folder, ignore_errors=True)

    def keep(self, attempt_folder: Path, identity: str) -> None:
        """Put an attempt's folder in the stage's place, instead of what is there; what was to go on from is removed."""
        stage_folder = self.stage(identity)
        while (checkpoint := last_checkpoint(attempt_folder)) is not None:
            shutil.rmtree(checkpoint)
        if not attempt_folder.exists():  # another collector, that found it left over, was as fast
            return
        if stage_folder.exists():
            shutil.rmtree(stage_folder)
        with contextlib.suppress(FileNotFoundError):
            attempt_folder.rename(stage_folder)
        flush(stage_folder.parent)

    def still_there(self, attempts: Iterable[Attempt]) -> Iterator[Attempt]:
        """Yield the attempts without those that are done by the ledger and whose folder somebody has removed."""
        for attempt in attempts:
            if attempt.status != "done" or self._is_there(attempt):
                yield attempt

    def _is_there(self, attempt: Attempt) -> bool:
        stage_folder = self.stage(attempt.stage)
        # Another collector may be about to rename it: the places in this order, so that it is not missed in between.
        return (
            (stage_folder / RECORD_NAME).exists()
            or any(
                path.exists()
                for path in stage_folder.parent.glob(f"{glob.escape(stage_folder.name)}.attempt-{attempt.key}-*")
            )
            or (stage_folder / RECORD_NAME).exists()
        )

    def without_weights(self, attempts: Iterable[Attempt]) -> set[str]:
        """Return what of the stages that are done lacks a file of weights that its record lists.

        That is ``{kind}/{name}`` for the files at the top of a stage's folder, ``{kind}/{name}/{part}`` for those in a
        part of it. Archives leave weights out, and somebody may have removed them to save space.
        """
        parts_by_stage: dict[str, set[str]] = {}
        for attempt in attempts:
            if attempt.status == "done" and attempt.record is not None:
                stage_folder = self.stage(attempt.stage)
                gone = [Path(name) for name in _weights(attempt.record) if not (stage_folder / name).is_file()]
                parts = ("/".join((attempt.stage, *name.parts[:-1][:1])) for name in gone)
                parts_by_stage[attempt.stage] = set(parts)
        return set().union(*parts_by_stage.values())

    def drop_paused(self, stage: Stage) -> None:
        """Remove what a stage went on from, now that it is done.

        It holds the optimizer's state, several times the size of the model.
        """
        paused = stage.needs.get(RESUME)
        if paused is not None:
            shutil.rmtree(self.stage(paused), ignore_errors=True)

    def left_over(self) -> dict[str, list[Path]]:
        """Return the folders of attempts that are not in their stage's place, by the stage's identity."""
        left: dict[str, list[Path]] = {}
        for folder in sorted((self.root / "stages").glob("*/*.attempt-*")):
            if match := _ATTEMPT.fullmatch(folder.name):
                left.setdefault(f"{folder.parent.name}/{match['name']}", []).append(folder)
        return left

    def recover(
        self, identity: str, folders: Sequence[Path], stage: Stage | None, ledger: Ledger, *, is_quiet: bool = True
    ) -> Attempt | None:
        """Bring what was left over of a stage into order; return the attempt whose finished work was saved.

        An attempt whose record is there has finished: it is written into the ledger unless it is there already, and put
        in its place. Of the others those stay that the next attempt can go on from. Nobody else may be at the stage.

        Parameters
        ----------
        folders : sequence of path
            From `left_over`.
        stage : Stage or None
            As the plan has it now; None if it has it no more.
        is_quiet : bool
            Whether nothing can still write there; else what has not finished is left alone.
        """
        saved = None
        for folder in folders:
            match = _ATTEMPT.fullmatch(folder.name)
            assert match is not None
            stage_then = stage if stage is not None and stage.key == match["key"] else None
            done = {attempt.stage: attempt.key for attempt in ledger.attempts if attempt.status == "done"}
            if not _is_finished(folder, stage_then):
                useless = stage_then is None or done.get(identity) == stage_then.key or not _can_go_on(folder)
                if useless and is_quiet:
                    shutil.rmtree(folder, ignore_errors=True)
            elif done.get(identity) == match["key"]:
                before = self.stage(identity)
                # Weights that were made again, and the ledger does not know it yet: only if they are what they were.
                if (
                    _is_finished(before, stage_then)
                    and other_weights(read_record(before), read_record(folder)) is not None
                ):
                    shutil.rmtree(folder)
                else:
                    self.keep(folder, identity)
            elif stage_then is not None:
                self.flush(folder)
                saved = self._found(folder, stage_then, match["number"])
                ledger.append(saved)
                self.keep(folder, identity)
            else:
                shutil.rmtree(folder)
        return saved

    def _found(self, folder: Path, stage: Stage, number: str) -> Attempt:
        record = read_record(folder)
        ended = (folder / RECORD_NAME).stat().st_mtime
        started = datetime.fromtimestamp(ended - record.seconds, UTC).isoformat(timespec="seconds")
        log = f"logs/{stage.kind}-{stage.name}-{number}.log"
        return Attempt(stage.key, stage.id, "done", record, log, started, record.seconds, self.given(stage))


def other_weights(before: RunRecord, now: RunRecord) -> str | None:
    """Return the name of a file of weights that is not what it was in an earlier attempt, or None.

    Examples
    --------
    >>> from dataclasses import replace
    >>> before = RunRecord("demo", {}, 1.0, outputs={"model.safetensors": "ab", "config.json": "cd"})
    >>> other_weights(before, replace(before, outputs={"model.safetensors": "ab", "config.json": "ef"})) is None
    True
    >>> other_weights(before, replace(before, outputs={"model.safetensors": "00"}))
    'model.safetensors'
    """
    return next((name for name in _weights(before) if now.outputs.get(name) != before.outputs[name]), None)


def _copy_or_make(left: Sequence[Path], folder: Path) -> None:
    """Copy the last of what was left, which somebody may still write to; make an empty folder where that fails."""
    for earlier in reversed(left):
        try:
            shutil.copytree(earlier, folder, symlinks=True)
        except (OSError, shutil.Error):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            (folder / RECORD_NAME).unlink(missing_ok=True)  # what it lists may not all have come along
            return
    folder.mkdir()


def _weights(record: RunRecord) -> list[str]:
    return [name for name in record.outputs if name.endswith(_WEIGHTS)]


def _can_go_on(folder: Path) -> bool:
    return (folder / "samples").is_dir() or last_checkpoint(folder) is not None


def _is_finished(folder: Path, stage: Stage | None) -> bool:
    try:
        read_record(folder) if stage is None else checked_record(stage, folder)
    except InvalidDataError:
        return False
    return True
