"""The archive of a collection: everything that its table is made from, small enough to ship, without weights.

A collection that takes days is carried from one machine to the next, and every row of a shipped corpus can be traced to
the records that it was made from. Both need the ledger's lines and the counts of every measurement, and no checkpoint.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.collection.holders import at_work
from quagpredict.collection.ledger import Attempt, attempt_of, open_ledger, read_ledger
from quagpredict.collection.stages import DECISIONS, Stage, stages_of, states_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.errors import InvalidDataError, one_line
from quagpredict.files import canonical_json, write_json, written_aside
from quagpredict.parquet import read_parquet, write_parquet
from quagpredict.plans.plan import Plan
from quagpredict.run_record import RECORD_NAME
from quagpredict.schema import PROBLEM_FIELDS, PROBLEMS
from quagpredict.shipped import matches

_FILES = pl.List(pl.Struct({"name": pl.String, "content": pl.Binary}))
_SCHEMA: dict[str, pl.DataType] = {"stage": pl.String(), "attempt": pl.String(), "problems": PROBLEMS, "files": _FILES}
_PROBLEMS = "problems.parquet"


def pack(plan: Plan, work: str | Path, out: str | Path) -> list[Path]:
    """Write ``records-<base>.parquet`` for every base: every stage of its candidates that is done.

    A row is a stage: its line of the ledger, and the counts if it is an evaluation. A base model that the plan makes is
    there with all its files, since every later stage needs it. Candidates that are measured and not yet taken through
    RL are there too: where their RL goes on, their weights are made again, and must be what the record says. So are the
    decisions of a race, and the runs that it stopped.

    Parameters
    ----------
    work : path
        The work folder; it is only read.
    out : path
        The folder to write to.

    Returns
    -------
    list of path
        The files that were written; a base without a measured candidate has none.
    """
    folder = WorkFolder(work)
    attempts = list(folder.still_there(read_ledger(folder.ledger)))
    done = {attempt.stage: attempt for attempt in attempts if attempt.status == "done"}
    written = []
    for base, stages in _done(plan, attempts):
        rows = [_packed(folder, stage, done[stage.id]) for stage in stages]
        # Each archive has the decisions, which are about all bases.
        rows += [_row(done[stage]) for stage in done if stage.partition("/")[0] in DECISIONS]
        path = Path(out) / f"records-{base}.parquet"
        write_parquet(pl.DataFrame(rows, schema=_SCHEMA), path, compression="zstd", compression_level=19)
        written.append(path)
    return written


def unpack(archives: Sequence[str | Path], work: str | Path, *, bases_only: bool = False) -> int:
    """Put the stages of archives into a work folder, except those that it has already.

    Parameters
    ----------
    archives : sequence of path
        Files that `pack` wrote.
    work : path
        The work folder; made if it is not there.
    bases_only : bool
        Whether to take the base models alone, so that everything else is done again.

    Returns
    -------
    int
        How many stages were put there.

    Raises
    ------
    InvalidDataError
        If a file is no archive; the message names it, and nothing of it is put anywhere.
    UsageError
        If another process collects into the work folder.
    """
    folder = WorkFolder(work)
    folder.root.mkdir(parents=True, exist_ok=True)
    put = 0
    with at_work(folder.root) as holders, open_ledger(folder.ledger, holders) as ledger:
        there = {attempt.stage for attempt in folder.still_there(ledger.attempts) if attempt.status == "done"}
        for archive in archives:
            for attempt, row in read_archive(Path(archive)):
                if attempt.stage in there or (bases_only and not attempt.stage.startswith("base/")):
                    continue
                _restore(folder, attempt, row)
                ledger.append(attempt)
                there.add(attempt.stage)
                put += 1
    return put


def _done(plan: Plan, attempts: Sequence[Attempt]) -> Iterator[tuple[str, list[Stage]]]:
    """Yield each base with its stages that are done, if a candidate was measured; each after its inputs."""
    stages = stages_of(plan)
    states = states_of(stages, attempts)
    for base in plan.bases:
        names = {candidate.name for candidate in plan.candidates if candidate.base == base.name}
        done = [s for s in stages if states[s.id] == "done" and (s.id == f"base/{base.name}" or s.candidate in names)]
        # The first candidate that needs a base owns its stage, whatever that candidate's own base is.
        done = [stage for stage in done if stage.kind != "base" or stage.name == base.name]
        if any(stage.kind == "evaluate-pre" for stage in done):
            yield base.name, done


def _packed(folder: WorkFolder, stage: Stage, attempt: Attempt) -> dict[str, Any]:
    stage_folder, counts, files = folder.stage(stage.id), None, None
    if (stage_folder / _PROBLEMS).exists():
        problems = read_parquet(stage_folder / _PROBLEMS).to_dicts()
        counts = [{name: row.get(name) for name in PROBLEM_FIELDS} for row in problems]
    if stage.kind == "base":
        kept = [path for path in sorted(stage_folder.iterdir()) if path.is_file() and path.name != RECORD_NAME]
        files = [{"name": path.name, "content": path.read_bytes()} for path in kept]
    return _row(attempt, counts, files)


def _row(attempt: Attempt, counts: Any = None, files: Any = None) -> dict[str, Any]:
    return {"stage": attempt.stage, "attempt": canonical_json(asdict(attempt)), "problems": counts, "files": files}


def archives_of(records: Sequence[str | Path]) -> list[Path]:
    """Return the files that names, globs and shipped paths stand for."""
    return [file for name in records for file in matches(name) or [Path(name)]]


def read_archive(path: Path) -> list[tuple[Attempt, dict[str, Any]]]:
    """Return the ledger's lines that an archive holds, each with its row: counts, and the files of a base model."""
    try:
        frame = read_parquet(path)
    except OSError as error:
        raise InvalidDataError(f"{path}: cannot be read: {one_line(error)}") from None
    if dict(frame.schema) != _SCHEMA:
        raise InvalidDataError(f"{path}: not an archive of a collection (columns {', '.join(frame.columns)})")
    entries = []
    for row in frame.iter_rows(named=True):
        attempt = attempt_of((row["attempt"] or "").encode())
        if attempt is None or attempt.record is None or attempt.stage != row["stage"] or attempt.status != "done":
            raise InvalidDataError(f"{path}: stage '{row['stage']}' has no whole line of a ledger")
        names = [file["name"] or "" for file in row["files"] or []]
        parts = (*attempt.stage.split("/"), *names)
        # An archive may come from a stranger: nothing is written outside the stage's own folder.
        if len(attempt.stage.split("/")) != 2 or any(
            part in ("", ".", "..") or set(part) & set("/\\\0") for part in parts
        ):
            raise InvalidDataError(f"{path}: '{attempt.stage}' is not a stage, or a file in it has no plain name")
        entries.append((attempt, row))
    return entries


def _restore(folder: WorkFolder, attempt: Attempt, row: dict[str, Any]) -> None:
    stage_folder = folder.stage(attempt.stage)
    stage_folder.mkdir(parents=True, exist_ok=True)
    for file in row["files"] or []:
        with written_aside(stage_folder / file["name"]) as aside:
            aside.write_bytes(file["content"])
    if row["problems"] is not None:
        write_parquet(pl.DataFrame(row["problems"], schema=PROBLEM_FIELDS), stage_folder / _PROBLEMS)
    assert attempt.record is not None
    write_json(stage_folder / RECORD_NAME, attempt.record.as_dict())
