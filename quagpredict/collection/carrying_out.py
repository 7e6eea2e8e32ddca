"""One collection as it goes on: which stages are started, how each ended, and what is told and written meanwhile."""

import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quagpredict.collection.deciding import decision_in_words, decision_stage
from quagpredict.collection.endings import changes_of_next, ending_of, half_may_fit, record_of_end, same_as_before
from quagpredict.collection.holders import Holders
from quagpredict.collection.launch import (
    QUEUES,
    Ended,
    Launcher,
    Programs,
    Setting,
    add_line,
    command_of,
    environment_of,
    launcher_of,
    resources_of,
)
from quagpredict.collection.leases import Lease, Leases
from quagpredict.collection.ledger import Attempt, Ledger
from quagpredict.collection.planning import limited
from quagpredict.collection.progress import Progress, Summary, remaining_seconds, spoken, summary_of
from quagpredict.collection.rounds import may_run, rounds_of
from quagpredict.collection.rows import Rows
from quagpredict.collection.stages import DECISIONS, RESUME, ROLE_OF, Stage, stages_of, states_of
from quagpredict.collection.standing import MOST_FAILURES, Standing
from quagpredict.collection.work_folder import AttemptFiles, WorkFolder
from quagpredict.errors import LauncherError, QuagpredictError
from quagpredict.plans.plan import Plan
from quagpredict.run_record import RECORD_NAME, read_record
from quagpredict.shipped import shipped_path

_ROWS_BETWEEN_WRITES = 8
_ROWS_SHARE = 20  # of a large table a twentieth: what all its writes cost is then in proportion to it
_STAGES_SHARE = 2000  # and of all stages, each of which is looked at for that
_MOST_LOSSES = 3
_LOOK_SECONDS = 1.0  # between two looks at what other collectors are at


@dataclass(frozen=True)
class _Running:
    stage: Stage
    lease: Lease
    files: AttemptFiles
    started: datetime
    clock: float
    changes: Mapping[str, Any]  # keys of the stage's config that this attempt was given otherwise


class Collection:
    """Carries out the stages of a plan in a work folder, beside other collectors if there are any."""

    def __init__(
        self,
        plan: Plan,
        mode: str,
        work: WorkFolder,
        ledger: Ledger,
        holders: Holders,
        stages: Sequence[Stage],
        limit: int | None,
        retry_failed: bool,
        watch: Callable[[Mapping[str, Path]], None] | None,
        *,
        raced: bool,
        whole: bool,
    ) -> None:
        self._watch = watch
        self._raced, self._whole = raced, whole
        self._decides = raced or plan.evaluation.auto is not None  # results do, what is run
        self._plan, self._mode = plan, mode
        self._holders = holders
        self._leases = Leases(work.root, holders)
        self._work, self._ledger = work, ledger
        self._chosen = stages
        self._by_id = {stage.id: stage for stage in stages}
        self._elsewhere: dict[str, float] = {}
        self._lost: set[str] = set()
        self._machines_lost: Counter[str] = Counter()
        self._looked = 0.0
        self._saved = self._recover(stages_of(plan))
        earlier = work.still_there(ledger.attempts)
        self._attempts = [attempt for attempt in earlier if attempt.status == "done" or not retry_failed]
        self._rows = Rows(plan, work, self._attempts)
        self._rows_new = self._rows_written = 0
        self._running: dict[str, _Running] = {}
        self._late: set[str] = set()
        self._programs = Programs(work.root)
        self._losses = 0
        self._told: tuple[float, float, float | None] = (0.0, 0.0, None)
        self._stand = Standing(self._asked_for(), self._attempts, work.without_weights(self._attempts))
        self._outdated = False  # what is asked for
        if limit is not None:
            self._decides, self._chosen = False, self._stand.stages  # nothing is decided in a call about a part
            part = limited(self._chosen, self._stand.states, limit)
            self._stand = Standing(part, self._attempts, self._stand.without_weights)

    def _asked_for(self) -> Sequence[Stage]:
        """Return the stages that may be run by now, where results decide about that."""
        if not self._decides:
            return self._chosen
        return may_run(self._plan, self._chosen, self._attempts, raced=self._raced, whole=self._whole)

    def _take_in(self, attempt: Attempt) -> None:
        """Let all that follow the attempts know of one that ended, and note which weights there are now."""
        self._attempts.append(attempt)
        self._rows.learn(attempt)
        stage, stand = self._by_id.get(attempt.stage), self._stand
        # Done as it was asked for changes nothing about what is asked for: all else is for the next decision to see.
        if attempt.status != "done" or stage is None or stand.states.get(stage.id) not in ("ready", "waiting"):
            self._outdated = True
        # What a run went on from has no weights any more.
        stand.learn(attempt, stage.needs.get(RESUME) if stage is not None and attempt.status == "done" else None)
        decided = attempt.stage.partition("/")[0] in DECISIONS
        if self._decides and (decided or (self._outdated and stand.only_decides)):
            self._stand = Standing(self._asked_for(), self._attempts, stand.without_weights)
            self._outdated = False

    def _recover(self, stages: Sequence[Stage]) -> list[str]:
        """Bring what was left over into order, where nobody is at it; return the stages whose work was saved."""
        by_id = {stage.id: stage for stage in stages}
        left = self._work.left_over()
        return [identity for identity in left if self._recover_one(identity, left[identity], by_id.get(identity))]

    def _recover_one(self, identity: str, folders: Sequence[Path], stage: Stage | None) -> bool:
        lease = self._leases.claim(identity, self._ledger.knows)
        if lease is None:
            return False
        saved = self._work.recover(identity, folders, stage, self._ledger, is_quiet=lease.is_quiet)
        self._leases.end(lease, None if saved is None else saved.log)
        return saved is not None

    def run(self, progress: Progress, workers: int, fork_server: str | Path | None) -> None:
        """Run what is ready until nothing is left, and write the table; a launcher that is lost is started again."""
        for identity in self._saved:
            progress.say(f"saved {identity}: it had finished when the last collect was cut off")
        if self._raced and (decisions := rounds_of(self._plan, self._chosen, self._attempts).decisions):
            progress.say(f"race/{len(decisions)}: {decision_in_words(self._plan, decisions[-1])}")
        try:
            while not self._stand.hopeless_kind and self._stand.count["ready"]:
                try:
                    self._run_with_one_launcher(progress, workers, fork_server)
                except LauncherError as error:
                    self._abandon()
                    self._losses += 1
                    if self._losses > _MOST_LOSSES or fork_server is not None:
                        raise
                    progress.say(f"{error}; starting it again")
        except BaseException:
            self._abandon()
            with contextlib.suppress(QuagpredictError):
                self._rows.write()
            raise
        if kind := self._stand.hopeless_kind:
            progress.say(f"the first {MOST_FAILURES} stages of the kind '{kind}' failed: nothing more is started")
        self._rows.refresh()
        self._rows.write()
        while self._learn():  # another's rows came in while these were written: the last to write has seen all
            self._rows.write()

    def _learn(self) -> bool:
        """Take over what other collectors have written down; return whether there was something."""
        new = self._ledger.refresh()
        for attempt in new:
            self._take_in(attempt)
        return bool(new)

    def _run_with_one_launcher(self, progress: Progress, workers: int, fork_server: str | Path | None) -> None:
        stages = self._chosen if self._decides else self._stand.stages
        programs = tuple(dict.fromkeys(str(shipped_path(stage.program)) for stage in stages))
        server = None if fork_server is None else Path(fork_server)
        options = self._plan.launch.options.get(self._mode, {})
        setting = Setting(environment_of(self._plan), self._work.logs, programs, server, self._holders.stages, options)
        launcher = launcher_of(self._mode, setting)
        with contextlib.closing(launcher):
            self._show(progress, [] if self._mode == "spawn" else [f"({self._mode} starts)"], workers)
            launcher.wait_until_ready()
            while True:
                self._learn()
                self._start_what_is_free(workers, launcher, progress)
                self._stop_late(launcher)
                self._stop_lost(launcher)
                if not self._running and not self._elsewhere:
                    return
                self._show(progress, self._running, workers)
                if self._watch is not None:
                    self._watch({identity: running.files.folder for identity, running in self._running.items()})
                for ended in launcher.ended(timeout=0.5):
                    self._losses = 0
                    attempt = self._finish(ended)
                    if isinstance(attempt, str):
                        progress.say(f"{ended.id}: {attempt}")
                        continue
                    progress.say(self._line(attempt, workers))
                    self._update_tables(attempt, progress)

    def _show(self, progress: Progress, running: Iterable[str], workers: int) -> None:
        progress.show(self._stand.count["done"], len(self._stand.stages), running, self._remaining(workers))

    def _remaining(self, workers: int) -> float | None:
        """Return the time that is left; in a large collection, what it was a moment ago: asking must stay cheap."""
        now = time.monotonic()
        asked, took, remaining = self._told
        if now - asked > 20 * took:
            since = {identity: now - running.clock for identity, running in self._running.items()}
            stand = self._stand
            remaining = remaining_seconds(stand.stages, stand.states, stand.mean_seconds, since, workers)
            self._told = (now, time.monotonic() - now, remaining)
        return remaining

    def _line(self, attempt: Attempt, workers: int) -> str:
        line, stand = ending_of(attempt, self._work.root / attempt.log), self._stand
        return f"[{stand.count['done']}/{len(stand.stages)}] {line}; {spoken(self._remaining(workers))} left"

    def _stop_late(self, launcher: Launcher) -> None:
        for identity, running in self._running.items():
            if identity in launcher.waiting():
                running = self._running[identity] = replace(running, started=datetime.now(UTC), clock=time.monotonic())
            limit = self._limit(running.stage)
            if limit is not None and identity not in self._late and time.monotonic() - running.clock > limit:
                self._late.add(identity)
                launcher.kill(identity)

    def _limit(self, stage: Stage) -> float | None:
        if self._mode in QUEUES:  # waiting is no running: the limit is kept where the stage runs
            return None
        return self._plan.launch.time_limits.get(ROLE_OF[stage.kind])

    def _start_what_is_free(self, workers: int, launcher: Launcher, progress: Progress) -> None:
        """Start stages until all workers have one; those that another collector is at are asked for again later."""
        now = time.monotonic()
        self._elsewhere = {identity: seen for identity, seen in self._elsewhere.items() if now - seen < _LOOK_SECONDS}
        if self._stand.hopeless_kind:
            self._elsewhere.clear()
        while len(self._running) < workers and not self._stand.hopeless_kind:
            stage = self._stand.next({*self._running, *self._elsewhere})
            if stage is None:
                return
            lease = self._claimed(stage, launcher, progress)
            if lease is None:
                continue
            if stage.kind in DECISIONS:  # nothing else is ready then, and nothing runs
                self._decide(stage, lease, progress)
            else:
                self._start(stage, lease, launcher, progress)

    def _claimed(self, stage: Stage, launcher: Launcher, progress: Progress) -> Lease | None:
        """Return a lease on a stage that has to be run; None if it has not, or another collector is at it."""
        self._ledger.check_storage()
        for identity in stage.inputs.values():  # done by another, which may have been cut off before it was in place
            if not (self._work.stage(identity) / RECORD_NAME).exists() and (left := self._work.left_over()).get(
                identity
            ):
                self._recover_one(identity, left[identity], self._by_id.get(identity))
                self._elsewhere[stage.id] = time.monotonic()
                return None
        lease = self._leases.claim(stage.id, self._ledger.knows, running=launcher.still_running())
        if lease is None:
            self._elsewhere[stage.id] = time.monotonic()
            return None
        self._learn()
        if self._stand.states.get(stage.id) != "ready":  # it was done between the last look and the claim
            self._leases.end(lease)
            return None
        finished = [folder for folder in self._work.left_of(stage) if (folder / RECORD_NAME).is_file()]
        saved = self._work.recover(stage.id, finished, stage, self._ledger, is_quiet=lease.is_quiet)
        if saved is None:
            return lease
        self._leases.end(lease, saved.log)
        self._work.drop_paused(stage)
        self._take_in(saved)
        progress.say(f"saved {stage.id}: it had finished when the collect that ran it was cut off")
        return None

    def _start(self, stage: Stage, lease: Lease, launcher: Launcher, progress: Progress) -> None:
        if changed := self._programs.changed(stage):
            progress.say(changed)
        changes = changes_of_next(stage, self._stand.last(stage))
        files = self._prepared(stage, lease, changes)
        self._running[stage.id] = _Running(stage, lease, files, datetime.now(UTC), time.monotonic(), changes)
        command = command_of(self._plan, stage, files.config)
        launcher.start(stage.id, command, files.log, resources_of(self._plan, stage))

    def _prepared(self, stage: Stage, lease: Lease, changes: Mapping[str, Any]) -> AttemptFiles:
        while True:
            files = self._work.next_files(stage)
            # A collector that was fenced off may have had that number, and its file was not seen yet.
            with contextlib.suppress(FileExistsError):
                self._work.prepare(stage, files, changes, is_quiet=lease.is_quiet)
                return files

    def _stop_lost(self, launcher: Launcher) -> None:
        """Kill stages that another collector has taken over, since this one was silent for too long."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for identity, running in self._running.items():
            if identity not in self._lost and not self._leases.is_ours(running.lease):
                self._lost.add(identity)
                launcher.kill(identity)

    def _finish(self, ended: Ended) -> Attempt | str:
        """Write down how a stage ended; a text says why nothing is to be written down."""
        running = self._running.pop(ended.id)
        stage, files = running.stage, running.files
        if stage.id in self._late:
            self._late.discard(stage.id)
            add_line(files.log, f"error: ended after {self._limit(stage):g} s, the plan's launch.time_limits")
        record = record_of_end(stage, files, ended.exit_code)
        if record is not None and self._stand.lacks_weights(stage.id):
            record = same_as_before(record, read_record(self._work.stage(stage.id)), files)
        if record is None and ended.exit_code is None:
            self._machines_lost[stage.id] += 1
            if self._machines_lost[stage.id] < _MOST_LOSSES:
                self._work.give_up(files.folder)
                self._leases.end(running.lease)
                return "lost with its machine, started again"
            add_line(files.log, f"error: its machine was lost, for the {_MOST_LOSSES}rd time")
        attempt = Attempt(
            key=stage.key,
            stage=stage.id,
            status="failed" if record is None else "done",
            record=record,
            log=str(files.log.relative_to(self._work.root)),
            started=running.started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - running.clock, 3),
            config={**self._work.given(stage), **running.changes},
            exit_code=ended.exit_code,
            half_batch_next=record is None and not running.changes and half_may_fit(stage, files.log),
        )
        self._lost.discard(stage.id)
        if not self._write_down(attempt, files, running.lease):
            return "another collect has taken it over; what was made here is dropped"
        return attempt

    def _write_down(self, attempt: Attempt, files: AttemptFiles, lease: Lease) -> bool:
        """Put an attempt that ended into the ledger, and what it made in its place, unless it was taken over."""
        self._ledger.check_storage()
        if attempt.status == "done":
            self._work.flush(files.folder)
        if not self._leases.end(lease, attempt.log):
            shutil.rmtree(files.folder, ignore_errors=True)
            return False
        self._ledger.append(attempt)  # from here on it has happened; `recover` does the rest if we are cut off
        if attempt.status == "done":
            self._work.keep(files.folder, attempt.stage)
            if attempt.stage in self._by_id:
                self._work.drop_paused(self._by_id[attempt.stage])
        else:
            self._work.give_up(files.folder)
        self._take_in(attempt)
        return True

    def _decide(self, stage: Stage, lease: Lease, progress: Progress) -> None:
        """Take the next decision, which is a stage that runs here."""
        files = self._work.next_files(stage)
        attempt = decision_stage(self._plan, stage, self._rows.frame(), self._work, files)
        if not self._write_down(attempt, files, lease):
            return
        progress.say(f"{stage.id}: {attempt.record and decision_in_words(self._plan, attempt.record.results)}")

    def _update_tables(self, attempt: Attempt, progress: Progress) -> None:
        if attempt.status == "failed" or not attempt.stage.startswith("evaluate"):
            return
        candidate = self._by_id[attempt.stage].candidate
        self._rows_new += 1
        try:
            self._rows.write(candidate)
            enough = max(_ROWS_BETWEEN_WRITES, self._rows_written // _ROWS_SHARE, len(self._chosen) // _STAGES_SHARE)
            if self._rows_new >= enough:
                self._rows_new = 0
                self._rows_written = self._rows.write()
        except QuagpredictError as error:  # the stages are worth more than the table, which is made again at the end
            progress.say(f"no row for {candidate} yet: {error}")

    def _abandon(self) -> None:
        for running in self._running.values():
            self._work.give_up(running.files.folder)
            with contextlib.suppress(OSError):
                self._leases.end(running.lease)
        self._running.clear()

    def summary(self) -> Summary:
        """Return how it stands."""
        stages = self._stand.stages if self._decides else self._chosen
        states = states_of(stages, self._attempts, self._stand.without_weights)
        return summary_of(states, self._attempts, self._rows.frame().height)
