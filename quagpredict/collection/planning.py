"""What a call of `collect` is about, held against this machine before anything is started; and what it would do."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from quagpredict.arguments import check_arguments
from quagpredict.collection.archive import archives_of, read_archive
from quagpredict.collection.launch import command_of
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.rounds import is_raced, may_run
from quagpredict.collection.stages import DECISIONS, KINDS, Kind, Stage, State, Until, stages_of, states_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.engines.table import check_engine
from quagpredict.errors import UsageError, argument
from quagpredict.evaluation import read_suite
from quagpredict.evaluation.grading import check_grading
from quagpredict.plans.parts import LAUNCHERS, Launch
from quagpredict.plans.plan import Plan

_OUR_EVALUATION = "collectors/evaluate_checkpoint.py"  # a program of the user's own may know other engines


def checked_launcher(name: str, launch: Launch, launcher: str | None, fork_server: str | Path | None = None) -> str:
    """Return the name of the launcher: the one that is asked for, or that of the plan or search of that name.

    Raises
    ------
    UsageError
        If there is none of that name, or it does not go with the plan or with a fork server.
    """
    mode = launch.mode if launcher is None else launcher
    if mode not in LAUNCHERS:
        raise UsageError(f"{argument('launcher', mode)}: expected one of {', '.join(LAUNCHERS)}")
    if fork_server is not None and mode != "fork":
        raise UsageError(f"a fork server is for plans with 'launch: {{mode: fork}}'; '{name}' has {mode}")
    if mode == "fork" and launch.accelerate:
        raise UsageError(f"launcher: '{name}' starts stages with accelerate, which a fork cannot be")
    return mode


def with_address(launch: Launch, mode: str, address: str | None) -> Launch:
    """Return how stages are started, with the address of the launcher's cluster where the call names one."""
    if address is None:
        return launch
    return replace(launch, options={**launch.options, mode: {**launch.options.get(mode, {}), "address": address}})


def check_measuring(plan: Plan) -> None:
    """Refuse a plan whose candidates cannot be measured here: hours of SFT would end in what nobody measures.

    Raises
    ------
    UsageError
        If the engine, or what grades the answers, is unknown or not installed.
    RecipeError
        If the suite cannot be read.
    """
    if plan.programs["evaluate"] != _OUR_EVALUATION:
        return
    try:
        check_engine(plan.evaluation.engine)
    except UsageError as error:
        raise type(error)(f"plan '{plan.name}': evaluation.engine: {error} (a dry run works without)") from None
    check_grading(read_suite(plan.evaluation.suite.path))


def selected(stages: Sequence[Stage], until: Kind | None = None, only: Sequence[str] = ()) -> tuple[Stage, ...]:
    """Return the stages up to a kind, of the candidates that are meant, with the stages that these need.

    Parameters
    ----------
    stages : sequence of Stage
        All stages, each after its inputs.
    until : str, optional
        The last kind of stage, in the order of `KINDS`: ``"evaluate-pre"`` leaves out RL and what follows it.
    only : sequence of str
        Patterns of candidates' names, as in a shell; none means all.

    Raises
    ------
    UsageError
        If `until` is no kind of stage, or a pattern matches no candidate.
    """
    if until is not None and until not in KINDS:
        raise UsageError(f"{argument('until', until)}: expected one of {', '.join(KINDS)}")
    names = dict.fromkeys(stage.candidate for stage in stages if stage.kind != "base")
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"only: '{pattern}' matches no candidate, e.g. not '{next(iter(names), '')}'")
    meant = {name for name in names if not only or any(fnmatchcase(name, pattern) for pattern in only)}
    kinds = KINDS if until is None else KINDS[: KINDS.index(until) + 1]
    whole = _with_inputs(stages, {stage.id for stage in stages if stage.kind != "base" and stage.candidate in meant})
    return tuple(stage for stage in whole if stage.kind in kinds)  # what a stage needs is of an earlier kind


def _with_inputs(stages: Sequence[Stage], needed: set[str]) -> tuple[Stage, ...]:
    for stage in reversed(stages):  # inputs come first
        if stage.id in needed:
            needed |= set(stage.inputs.values())
    return tuple(stage for stage in stages if stage.id in needed)


def limited(stages: Sequence[Stage], states: Mapping[str, State], limit: int) -> tuple[Stage, ...]:
    """Return the stages of the first `limit` candidates that have something left to do, with the bases they need."""
    open_states = ("ready", "waiting")
    todo = dict.fromkeys(s.candidate for s in stages if s.kind != "base" and states[s.id] in open_states)
    chosen = set(list(todo)[:limit])
    return _with_inputs(stages, {stage.id for stage in stages if stage.kind != "base" and stage.candidate in chosen})


def planned_commands(
    plan: Plan | str | Path,
    out: str | Path | None = None,
    limit: int | None = None,
    *,
    until: Until | None = None,
    only: Sequence[str] = (),
    in_full: bool = False,
    retry_failed: bool = False,
    records: Sequence[str | Path] = (),
) -> Iterator[tuple[Stage, State, str]]:
    """Yield every stage that `collect` would run or has run, with its state and its exact command line.

    Nothing is written. Where results decide, of a race or of how many samples are drawn, that is what was decided so
    far, and last the next decision, whose command line is a comment. The parameters are those of `collect`.

    The config that a command names is written when the stage is started; it holds the paths of the stages before it,
    which are known from the start. What archives in `records` hold counts as done, as `collect` would take it.

    Yields
    ------
    tuple of Stage, str, str
        The stage, its state (``"done"``, ``"ready"``, ``"waiting"``, ``"failed"``, ``"blocked"``) and the command line.

    Examples
    --------
    >>> stage, state, command = next(planned_commands("collectors/plans/lab-pilot.yaml", "runs/none-yet"))
    >>> stage.id, state
    ('base/weak', 'ready')
    """
    check_arguments(planned_commands, locals())
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
            yield stage, states[stage.id], shlex.join(command_of(plan, stage, work.next_files(stage).config))
