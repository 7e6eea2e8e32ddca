"""Several workers on one study, any of which may be killed at any moment: no trial is lost, and none counts twice.

A *slot* is one of the N trials that were asked for: the trial that was asked first, and the retries of it. A worker
that dies leaves its trial RUNNING; another one fails it and queues a retry with the same parameters. Everything is read
from the study again each time, so it does not matter between which two writes a worker was killed:

- Two workers may both queue a retry of one trial, or ask beyond N. The trial with the lower number counts, and the
  other one is failed as *surplus* before anything is trained.
- A worker may be killed after it failed a dead trial and before it queued the retry. The next one sees a lost trial
  without a retry, and queues it.

Optuna's heartbeat is not used: only databases have it, it waits for its grace period although the dead worker was on
this machine, and a worker killed between failing a trial and queueing its retry loses the trial.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

WORKER, BEAT, RETRY_OF, SURPLUS = "worker", "beat", "retry_of", "surplus"
ERROR, IMPORTED, SUGGESTED = "error", "imported_from", "suggested"


@dataclass(frozen=True)
class Patience:
    """How long workers wait for each other.

    Attributes
    ----------
    beat_s : float
        A worker says so often that it lives.
    grace_s : float
        A worker of another machine, or one that died before it said who it is, is given up after so long.
    poll_s : float
        How often a worker without work looks again.
    """

    beat_s: float = 30.0
    grace_s: float = 300.0
    poll_s: float = 1.0


def next_trial(study: optuna.Study, trials: int, patience: Patience | None = None) -> optuna.Trial | None:
    """Return a trial for this worker to run, or None when all slots are finished.

    Waits while other workers still run the last trials: one of them may die.

    Parameters
    ----------
    trials : int
        Number of slots.
    """
    patience = patience or Patience()
    while True:
        give_up_the_dead(study, patience)
        queue_retries(study)
        everything = study.get_trials(deepcopy=False)
        waiting = any(trial.state == TrialState.WAITING for trial in everything)
        if waiting or len(slots(everything)) < trials:
            trial = study.ask()
            with contextlib.suppress(ValueError, UpdateFinishedTrialError):  # so slow that we were taken for dead
                trial.set_user_attr(WORKER, _identity())
                if _counts(study, trial, trials):
                    return trial
                trial.set_user_attr(SURPLUS, True)
                study.tell(trial, state=TrialState.FAIL)
        elif all(_finished(chain) for chain in slots(everything)[:trials]):
            return None
        else:
            time.sleep(patience.poll_s)


def slots(trials: list[FrozenTrial]) -> list[list[FrozenTrial]]:
    """Return the slots in order: each a trial that was asked first, the retry of it, the retry of that, and so on.

    Of several retries of one trial only the first one counts, and nothing that follows from the others. Imported trials
    and those asked for in surplus are no slots.

    Examples
    --------
    >>> study = optuna.create_study()
    >>> first, second = study.ask(), study.ask()
    >>> study.tell(first, state=TrialState.FAIL).number
    0
    >>> queue_retries(study)
    >>> [[trial.number for trial in slot] for slot in slots(study.trials)]
    [[0, 2], [1]]
    """
    ordered = sorted(trials, key=lambda trial: trial.number)
    retry: dict[int, FrozenTrial] = {}
    for trial in ordered:
        if RETRY_OF in trial.user_attrs:
            retry.setdefault(trial.user_attrs[RETRY_OF], trial)
    free = []
    for trial in ordered:
        if not {RETRY_OF, SURPLUS, IMPORTED} & trial.user_attrs.keys():
            chain = [trial]
            while chain[-1].number in retry:
                chain.append(retry[chain[-1].number])
            free.append(chain)
    return free


def give_up_the_dead(study: optuna.Study, patience: Patience) -> None:
    """Fail every running trial whose worker is gone."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(trial, patience):
            # Another worker may be faster, or the worker may live after all and have finished just now.
            with contextlib.suppress(ValueError, UpdateFinishedTrialError):
                study.tell(trial.number, state=TrialState.FAIL)


def queue_retries(study: optuna.Study) -> None:
    """Queue every trial that was lost with its worker and is not queued yet, with the parameters that it had."""
    for chain in slots(study.get_trials(deepcopy=False)):
        last = chain[-1]
        if is_lost(last):
            params = {**last.system_attrs.get("fixed_params", {}), **last.params}
            study.enqueue_trial(params, user_attrs={RETRY_OF: last.number})


def is_lost(trial: FrozenTrial) -> bool:
    """Return whether a trial failed because its worker died, not because of an error or as surplus."""
    return trial.state == TrialState.FAIL and not {ERROR, SURPLUS, IMPORTED} & trial.user_attrs.keys()


@contextmanager
def beating(trial: optuna.Trial, patience: Patience) -> Iterator[None]:
    """Say from time to time, from a thread, that the worker of a trial lives."""
    stopped = threading.Event()

    def beat() -> None:
        while not stopped.wait(patience.beat_s):
            with contextlib.suppress(Exception):  # the trial may be finished, or the database away for a moment
                trial.set_user_attr(BEAT, time.time())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _counts(study: optuna.Study, trial: optuna.Trial, trials: int) -> bool:
    """Return whether a trial that was just asked for is one of the N, and no other one stands in its place."""
    counted = slots(study.get_trials(deepcopy=False))[:trials]
    return any(trial.number == other.number for chain in counted for other in chain)


def _finished(slot: list[FrozenTrial]) -> bool:
    return slot[-1].state.is_finished() and not is_lost(slot[-1])


def _identity() -> dict[str, Any]:
    return {
        "machine": _machine(),
        "process": os.getpid(),
        "started": _started(os.getpid()),
        "name": socket.gethostname(),
    }


def _is_dead(trial: FrozenTrial, patience: Patience) -> bool:
    if SUGGESTED in trial.user_attrs:
        return False  # somebody else's trainer has it, and no process of ours
    worker = trial.user_attrs.get(WORKER)
    if worker is not None and worker["machine"] == _machine():
        return bool(_started(worker["process"]) != worker["started"])
    begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    heard = max(begun, float(trial.user_attrs.get(BEAT, 0.0)))
    return time.time() - heard > patience.grace_s


def _machine() -> str:
    """Return what processes must share for one to see whether the other lives: kernel and process namespace."""
    read: list[Callable[[], str]] = [
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        lambda: str(Path("/proc/self/ns/pid").readlink()),
    ]
    try:
        return " ".join(part() for part in read)
    except OSError:
        return f"{socket.gethostname()} without /proc {os.getpid()}"  # nobody can look; beats decide


def _started(process: int) -> str | None:
    """Return when a process started, in the kernel's ticks: a reused number is another process. None if it is dead."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
