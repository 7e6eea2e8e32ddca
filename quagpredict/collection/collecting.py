"""Collect a plan: run what is ready, write down how it ended, keep the table up to date, until nothing is left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from quagpredict.arguments import check_arguments
from quagpredict.collection.archive import archives_of, unpack
from quagpredict.collection.carrying_out import Collection
from quagpredict.collection.holders import LEASE_SECONDS, at_work
from quagpredict.collection.launch import QUEUES
from quagpredict.collection.ledger import open_ledger
from quagpredict.collection.planning import check_measuring, checked_launcher, selected, with_address
from quagpredict.collection.progress import Progress, Summary
from quagpredict.collection.rounds import is_raced
from quagpredict.collection.stages import Until, stages_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.errors import LauncherError
from quagpredict.plans.plan import Plan


def collect(
    plan: Plan | str | Path,
    out: str | Path | None = None,
    *,
    workers: int = 1,
    limit: int | None = None,
    until: Until | None = None,
    only: Sequence[str] = (),
    retry_failed: bool = False,
    in_full: bool = False,
    records: Sequence[str | Path] = (),
    fork_server: str | Path | None = None,
    launcher: str | None = None,
    join: bool = False,
    lease_seconds: float = LEASE_SECONDS,
    address: str | None = None,
    watch: Callable[[Mapping[str, Path]], None] | None = None,
) -> Summary:
    """Run the stages of a plan that are not done yet.

    Parameters
    ----------
    plan : Plan or path
        A path is read with `Plan.from_yaml`.
    out : path, optional
        The work folder; made if it is not there, gone on with if it is. By default ``runs/<name of the plan>``.
    workers : int
        How many stages run at once.
    limit : int, optional
        Only the first so many candidates, in plan order, that have something left to do.
    until : str, optional
        The last kind of stage to run: ``"evaluate-pre"`` trains and measures candidates and waits with RL, so that what
        is said of them can be written down before RL has begun.
    only : sequence of str
        Only candidates whose names match one of these patterns, as in a shell.
    retry_failed : bool
        Try again what failed in an earlier call.
    in_full : bool
        Take every run to its end and measure it at every rung, whatever the race of the plan says.
    records : sequence of path or glob
        Archives of this collection from elsewhere, see `pack`: what they hold is not done again.
    fork_server : path, optional
        Socket of a running fork server, instead of one of our own.
    launcher : str, optional
        A name of `quagpredict.plans.parts.LAUNCHERS`, instead of the plan's ``launch.mode``: stages are started
        elsewhere, and are the same.
    join : bool
        Share the work with the collectors that are at this folder, on this machine or on others that have the same
        file system: no stage is done twice. Without it another collector is an error.
    lease_seconds : float
        A collector that gives no sign of life for so long loses its stages to the others.
    address : str, optional
        Where the launcher finds its cluster, instead of ``launch.options`` of the plan.
    watch : callable, optional
        Called about twice a second with the folders that the running stages write to, by identity. An exception of it
        stops the collection; stages that run are given up, what is done stays done.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If another process collects into the same folder and `join` is false, a fork server is given to a plan that does
        not fork, the plan's evaluation engine, or what grades its answers, is unknown or not installed, `until` is no
        kind of stage, a pattern of `only` matches nothing, or a part is asked for that only the race of the plan could
        choose.
    RecipeError
        If the plan's suite cannot be read.
    InvalidDataError
        If a file of `records` is no archive.
    LauncherError
        If the process that starts the stages dies again and again, or the work folder cannot be written to.
    KeyboardInterrupt
        After Ctrl-C, when the running stages were stopped and the table was written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:  # a limit of 0 starts nothing, and tells what is left
    ...     summary = collect("collectors/plans/lab-pilot.yaml", folder, limit=0)
    >>> summary.done, summary.left > 100
    (0, True)
    """
    check_arguments(collect, locals())
    plan = plan if isinstance(plan, Plan) else Plan.from_yaml(plan)
    mode = checked_launcher(plan.name, plan.launch, launcher, fork_server)
    plan = replace(plan, launch=with_address(plan.launch, mode, address))
    check_measuring(plan)
    stages = selected(stages_of(plan), until, only)
    raced = is_raced(plan, until, only, limit, in_full=in_full)
    work = WorkFolder(out or Path("runs") / plan.name)
    archives = archives_of(records)
    try:
        work.logs.mkdir(parents=True, exist_ok=True)
        put = unpack(archives, work.root) if archives else 0
        with (
            at_work(work.root, join=join, lease_seconds=lease_seconds, elsewhere=mode in QUEUES) as holders,
            open_ledger(work.ledger, holders) as ledger,
        ):
            part = {"raced": raced, "whole": not only and limit is None}
            collection = Collection(plan, mode, work, ledger, holders, stages, limit, retry_failed, watch, **part)
            with Progress() as progress:
                if archives:
                    progress.say(f"{put} stages taken from the archives")
                collection.run(progress, workers, fork_server)
            return collection.summary()
    except OSError as error:  # a full disk, a folder that cannot be written
        raise LauncherError(f"{error.filename or work.root}: {error.strerror or error}") from error
