"""What a collection would do: every stage with its state and its command line, and nothing is done."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from quagpredict.collection.archive import archives_of, read_archive
from quagpredict.collection.launch import command_of
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.rounds import is_raced, may_run
from quagpredict.collection.selection import limited, selected
from quagpredict.collection.stages import DECISIONS, Kind, Stage, State, stages_of, states_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.plans.plan import Plan


def planned_commands(
    plan: Plan | str | Path,
    out: str | Path | None = None,
    limit: int | None = None,
    *,
    until: Kind | None = None,
    only: Sequence[str] = (),
    in_full: bool = False,
    retry_failed: bool = False,
    records: Sequence[str | Path] = (),
) -> Iterator[tuple[Stage, State, str]]:
    """Yield every stage that `collect` would run or has run, with its state and its exact command line.

    Nothing is written. Where results decide, of a race or of how many samples are drawn, that is what was decided so
    far, and last the next decision, whose command line is a comment.

    The config that a command names is written when the stage is started; it holds the paths of the stages before it,
    which are known from the start. What archives in `records` hold counts as done, as `collect` would take it.
    """
    plan = plan if isinstance(plan, Plan) else Plan.from_yaml(plan)
    work = WorkFolder(out or Path("runs") / plan.name)
    attempts = list(work.still_there(read_ledger(work.ledger))) if work.ledger.exists() else []
    there = {attempt.stage for attempt in attempts if attempt.status == "done"}
    held = [entry for file in archives_of(records) for entry in read_archive(file) if entry[0].stage not in there]
    attempts += [attempt for attempt, _ in held]
    if retry_failed:
        attempts = [attempt for attempt in attempts if attempt.status == "done"]
    lacking = work.without_weights(attempts) - {attempt.stage for attempt, row in held if row["files"]}
    stages = selected(stages_of(plan), until, only)
    raced = is_raced(plan, until, only, limit, in_full=in_full)
    stages = may_run(plan, stages, attempts, raced=raced, whole=not only and limit is None)
    states = states_of(stages, attempts, lacking)
    for stage in stages if limit is None else limited(stages, states, limit):
        if stage.kind in DECISIONS:
            yield stage, states[stage.id], f"# decided by collect, from {len(stage.inputs)} measurements"
        else:
            yield stage, states[stage.id], shlex.join(command_of(plan, stage, work.next_place(stage).config))
