"""Collect a plan: run what is ready, write down how it ended, keep the table up to date, until nothing is left."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quagpredict.collection.archive import unpack
from quagpredict.collection.checks import check_measuring, checked_launcher
from quagpredict.collection.deciding import decision_stage, said
from quagpredict.collection.endings import (
    FAILURES_BORNE,
    add_to_log,
    hopeless_kind,
    reason_in,
    record_of_end,
    same_as_before,
)
from quagpredict.collection.launch import (
    Ended,
    Launcher,
    Setting,
    command_of,
    environment_of,
    launcher_of,
    resources_of,
)
from quagpredict.collection.ledger import Attempt, Ledger, locked
from quagpredict.collection.programs import Programs
from quagpredict.collection.progress import Progress, mean_seconds, remaining_seconds, spoken
from quagpredict.collection.rounds import is_raced, rounds_of
from quagpredict.collection.rows import Rows
from quagpredict.collection.selection import limited, selected
from quagpredict.collection.stages import (
    ROLE_OF,
    Kind,
    Stage,
    State,
    next_stages,
    stages_of,
    states_of,
)
from quagpredict.collection.work_folder import Place, WorkFolder, belongs_to
from quagpredict.errors import QuagpredictError, StageError
from quagpredict.plans.plan import Plan
from quagpredict.run_record import read_record
from quagpredict.shipped import matches, shipped_path

_ROWS_BETWEEN_WRITES = 8
_LOSSES_BORNE = 3


@dataclass(frozen=True)
class Summary:
    """How a collection ended.

    Attributes
    ----------
    done, left : int
        Stages of the plan that are done, and that could still be run.
    failed : tuple of Attempt
        The last attempt of every stage that failed.
    blocked : tuple of str
        Stages that cannot be run because one that they need failed.
    rows : int
        Rows of the corpus.
    """

    done: int
    left: int
    failed: tuple[Attempt, ...]
    blocked: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class _Running:
    stage: Stage
    place: Place
    started: datetime
    clock: float


def collect(
    plan: Plan | str | Path,
    out: str | Path | None = None,
    *,
    workers: int = 1,
    limit: int | None = None,
    until: Kind | None = None,
    only: Sequence[str] = (),
    retry_failed: bool = False,
    in_full: bool = False,
    records: Sequence[str | Path] = (),
    fork_server: str | Path | None = None,
    launcher: str | None = None,
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
    watch : callable, optional
        Called about twice a second with the folders that the running stages write to, by identity. An exception of it
        stops the collection; stages that run are given up, what is done stays done.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If another process collects into the same folder, a fork server is given to a plan that does not fork, the
        plan's evaluation engine, or what grades its answers, is unknown or not installed, `until` is no kind of stage,
        a pattern of `only` matches nothing, or a part is asked for that only the race of the plan could choose.
    RecipeError
        If the plan's suite cannot be read.
    InvalidDataError
        If a file of `records` is no archive.
    StageError
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
    plan = plan if isinstance(plan, Plan) else Plan.from_yaml(plan)
    mode = checked_launcher(plan, launcher, fork_server)
    check_measuring(plan)
    stages = selected(stages_of(plan), until, only)
    raced = is_raced(plan, until, only, limit, in_full=in_full)
    work = WorkFolder(out or Path("runs") / plan.name)
    archives = [file for name in records for file in matches(name) or [Path(name)]]
    try:
        work.logs.mkdir(parents=True, exist_ok=True)
        put = unpack(archives, work.root) if archives else 0
        with locked(work.root) as lock, contextlib.closing(Ledger(work.ledger)) as ledger:
            collection = _Collection(plan, mode, work, ledger, lock, stages, limit, retry_failed, watch, raced=raced)
            with Progress() as progress:
                if archives:
                    progress.say(f"{put} stages taken from the archives")
                collection.run(progress, workers, fork_server)
            return collection.summary()
    except OSError as error:  # a full disk, a folder that cannot be written
        raise StageError(f"{error.filename or work.root}: {error.strerror or error}") from error


class _Collection:
    def __init__(
        self,
        plan: Plan,
        mode: str,
        work: WorkFolder,
        ledger: Ledger,
        lock: int,
        stages: Sequence[Stage],
        limit: int | None,
        retry_failed: bool,
        watch: Callable[[Mapping[str, Path]], None] | None,
        *,
        raced: bool,
    ) -> None:
        self._watch = watch
        self._raced = raced
        self._plan = plan
        self._mode = mode
        self._lock = lock
        self._work = work
        self._ledger = ledger
        self._chosen = stages
        self._saved = work.recover(stages_of(plan), ledger)
        known = work.still_there(ledger.attempts)
        self._attempts = [attempt for attempt in known if attempt.status == "done" or not retry_failed]
        self._without_weights = work.without_weights(self._attempts)
        self._rows = Rows(plan, work)
        self._rows_new = 0
        self._running: dict[str, _Running] = {}
        self._late: set[str] = set()
        self._programs = Programs(work.root)
        self._losses = 0
        self.stages: Sequence[Stage] = stages
        if limit is not None:
            self.stages = limited(stages, self._states(stages), limit)
        self._ask_race()

    def _ask_race(self) -> None:
        """Take the stages that the race asks for by now."""
        if self._raced:
            self.stages = rounds_of(self._plan, self._chosen, self._attempts).stages

    def _states(self, stages: Sequence[Stage]) -> dict[str, State]:
        return states_of(stages, self._attempts, self._without_weights)

    def run(self, progress: Progress, workers: int, fork_server: str | Path | None) -> None:
        for identity in self._saved:
            progress.say(f"saved {identity}: it had finished when the last collect was cut off")
        if self._raced and (decisions := rounds_of(self._plan, self._chosen, self._attempts).decisions):
            progress.say(f"race/{len(decisions)}: {said(self._plan, decisions[-1])}")
        try:
            while not hopeless_kind(self._attempts) and "ready" in self._states(self.stages).values():
                try:
                    self._run_with_one_launcher(progress, workers, fork_server)
                except StageError as error:
                    self._abandon()
                    self._losses += 1
                    if self._losses > _LOSSES_BORNE or fork_server is not None:
                        raise
                    progress.say(f"{error}; starting it again")
        except BaseException:
            self._abandon()
            with contextlib.suppress(QuagpredictError):
                self._rows.write(self._attempts)
            raise
        if kind := hopeless_kind(self._attempts):
            progress.say(f"the first {FAILURES_BORNE} stages of the kind '{kind}' failed: nothing more is started")
        self._rows.refresh(self._attempts)
        self._rows.write(self._attempts)

    def _run_with_one_launcher(self, progress: Progress, workers: int, fork_server: str | Path | None) -> None:
        stages = self._chosen if self._raced else self.stages
        programs = tuple(dict.fromkeys(str(shipped_path(stage.program)) for stage in stages))
        server = None if fork_server is None else Path(fork_server)
        options = self._plan.launch.options.get(self._mode, {})
        setting = Setting(environment_of(self._plan), self._work.logs, programs, server, self._lock, options)
        launcher = launcher_of(self._mode, setting)
        with contextlib.closing(launcher):
            self._show(progress, [] if self._mode == "spawn" else [f"({self._mode} starts)"], workers)
            launcher.wait_until_ready()
            while True:
                states = self._states(self.stages)
                means = mean_seconds(self._attempts)
                ready = () if hopeless_kind(self._attempts) else next_stages(self.stages, states, self._running, means)
                if ready and ready[0].kind == "race":  # nothing else is ready then, and nothing runs
                    self._decide(ready[0], progress)
                    continue
                for stage in ready[: workers - len(self._running)]:
                    self._start(stage, launcher, progress)
                self._stop_late(launcher)
                if not self._running:
                    return
                self._show(progress, self._running, workers)
                if self._watch is not None:
                    self._watch({identity: running.place.folder for identity, running in self._running.items()})
                for ended in launcher.ended(timeout=0.5):
                    attempt = self._finish(ended)
                    self._losses = 0
                    progress.say(self._line(attempt, workers))
                    self._update_tables(attempt, progress)

    def _show(self, progress: Progress, running: Iterable[str], workers: int) -> None:
        done = self._count_done(self._states(self.stages))
        progress.show(done, len(self.stages), running, self._remaining(workers))

    def _count_done(self, states: Mapping[str, State]) -> int:
        return list(states.values()).count("done")

    def _remaining(self, workers: int) -> float | None:
        now = time.monotonic()
        since = {identity: now - running.clock for identity, running in self._running.items()}
        states = self._states(self.stages)
        return remaining_seconds(self.stages, states, mean_seconds(self._attempts), since, workers)

    def _line(self, attempt: Attempt, workers: int) -> str:
        done = self._count_done(self._states(self.stages))
        line = f"[{done}/{len(self.stages)}] {attempt.stage}: {attempt.status} in {attempt.seconds:.1f} s"
        if attempt.status == "failed":
            log = self._work.root / attempt.log
            line += f" ({reason})" if (reason := reason_in(log)) else ""
            line += f", see {log}"
        return f"{line}; {spoken(self._remaining(workers))} left"

    def _stop_late(self, launcher: Launcher) -> None:
        for identity, running in self._running.items():
            limit = self._limit(running.stage)
            if limit is not None and identity not in self._late and time.monotonic() - running.clock > limit:
                self._late.add(identity)
                launcher.kill(identity)

    def _limit(self, stage: Stage) -> float | None:
        return self._plan.launch.time_limits.get(ROLE_OF[stage.kind])

    def _start(self, stage: Stage, launcher: Launcher, progress: Progress) -> None:
        if changed := self._programs.changed(stage):
            progress.say(changed)
        place = self._work.next_place(stage)
        self._running[stage.id] = _Running(stage, place, datetime.now(UTC), time.monotonic())
        self._work.prepare(stage, place)
        command = command_of(self._plan, stage, place.config)
        launcher.start(stage.id, command, place.log, resources_of(self._plan, stage))

    def _finish(self, ended: Ended) -> Attempt:
        running = self._running.pop(ended.id)
        stage, place = running.stage, running.place
        if stage.id in self._late:
            self._late.discard(stage.id)
            add_to_log(place, f"error: ended after {self._limit(stage):g} s, the plan's launch.time_limits")
        record = record_of_end(stage, place, ended.exit_code)
        if record is not None and any(belongs_to(part, stage.id) for part in self._without_weights):
            record = same_as_before(record, read_record(self._work.stage(stage.id)), place)
        attempt = Attempt(
            key=stage.key,
            stage=stage.id,
            status="failed" if record is None else "done",
            record=record,
            log=str(place.log.relative_to(self._work.root)),
            started=running.started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - running.clock, 3),
            config=self._work.given(stage),
            exit_code=ended.exit_code,
        )
        self._write_down(attempt, place)
        if record is not None:
            self._without_weights = {part for part in self._without_weights if not belongs_to(part, stage.id)}
            if (spent := self._work.drop_paused(stage)) is not None:
                self._without_weights.add(spent)
        self._ask_race()
        return attempt

    def _write_down(self, attempt: Attempt, place: Place) -> None:
        """Put an attempt that ended into the ledger, and what it made in its place."""
        if attempt.status == "done":
            self._work.flush(place.folder)
        self._ledger.append(attempt)  # from here on it has happened; `recover` does the rest if we are cut off
        self._attempts.append(attempt)
        if attempt.status == "done":
            self._work.keep(place.folder, attempt.stage)
        else:
            self._work.give_up(place.folder)

    def _decide(self, stage: Stage, progress: Progress) -> None:
        """Take the next decision of the race, which is a stage that runs here."""
        place = self._work.next_place(stage)
        attempt = decision_stage(self._plan, stage, self._rows.frame(self._attempts), self._work, place)
        self._write_down(attempt, place)
        progress.say(f"{stage.id}: {attempt.record and said(self._plan, attempt.record.results)}")
        self._ask_race()

    def _update_tables(self, attempt: Attempt, progress: Progress) -> None:
        if attempt.status == "failed" or not attempt.stage.startswith("evaluate"):
            return
        candidate = next(stage.candidate for stage in self.stages if stage.id == attempt.stage)
        self._rows_new += 1
        try:
            self._rows.write(self._attempts, candidate)
            if self._rows_new % _ROWS_BETWEEN_WRITES == 0:
                self._rows.write(self._attempts)
        except QuagpredictError as error:  # the stages are worth more than the table, which is made again at the end
            progress.say(f"no row for {candidate} yet: {error}")

    def _abandon(self) -> None:
        for running in self._running.values():
            self._work.give_up(running.place.folder)
        self._running.clear()

    def summary(self) -> Summary:
        states = self._states(self.stages if self._raced else self._chosen)
        last = {attempt.stage: attempt for attempt in self._attempts}
        counted = list(states.values())
        return Summary(
            done=counted.count("done"),
            left=counted.count("ready") + counted.count("waiting"),
            failed=tuple(last[identity] for identity, state in states.items() if state == "failed"),
            blocked=tuple(identity for identity, state in states.items() if state == "blocked"),
            rows=self._rows.frame(self._attempts).height,
        )
