"""Workers of one study that are killed at random, twenty of them; then the study is held against what was asked for."""

import multiprocessing
import random
import runpy
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from quagpredict.mixture_search.storage import open_storage
from quagpredict.mixture_search.workers import RETRY_OF, SURPLUS, is_lost, slots

WORKER = Path(__file__).with_name("worker.py")
TRIALS, KILLS, WORKERS = 100, 20, 3


@pytest.fixture(scope="session")
def start() -> Callable[..., multiprocessing.Process]:
    """Start a worker; imports are paid once, by the server that workers are forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["optuna", "quagpredict.mixture_search.study", "quagpredict.surrogates.ridge"])

    def start(**arguments: object) -> multiprocessing.Process:
        given = {"init_globals": {"ARGUMENTS": arguments}, "run_name": "__main__"}
        process = context.Process(target=runpy.run_path, args=(str(WORKER),), kwargs=given)
        process.start()
        return process

    return start


@pytest.fixture
def survives_kills(start: Callable[..., multiprocessing.Process], tmp_path: Path) -> Callable[[str], None]:
    """Run a study with workers that are killed, and check that every trial is accounted for."""

    def run(url: str) -> None:
        rng = random.Random(7)
        arguments = {"url": url, "trials": TRIALS, "folder": str(tmp_path), "seed": 0}
        (tmp_path / "allowed.txt").write_text(str(4))
        workers = [start(**arguments) for _ in range(WORKERS)]
        killed = []
        while len(killed) < KILLS:
            chosen = rng.randrange(WORKERS)
            patient = rng.random() < 0.9
            # Most workers are killed at some moment after their first training began: in it, or in what follows.
            while patient and workers[chosen].is_alive() and not has_begun(workers[chosen], tmp_path):
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.3))
            assert workers[chosen].is_alive(), "the study ended before all workers were killed: give it more trials"
            workers[chosen].kill()
            workers[chosen].join()
            killed.append(workers[chosen].pid)
            workers[chosen] = start(**arguments)
            (tmp_path / "allowed.txt").write_text(str(10**9 if len(killed) == KILLS else (len(killed) + 1) * 4))
        for worker in workers:
            worker.join(240)
            assert worker.exitcode == 0
        study = optuna.load_study(study_name="kills", storage=open_storage(url))
        check_accounts(study, tmp_path)

    return run


def has_begun(worker: multiprocessing.Process, folder: Path) -> bool:
    written = folder / "trained.txt"
    return written.exists() and str(worker.pid) in written.read_text().split()


def check_accounts(study: optuna.Study, folder: Path) -> None:
    trials = study.get_trials(deepcopy=False)
    # None is lost: each of the slots that were asked for has a finished trial. None is doubled: it has exactly one.
    chains, beyond = slots(trials)[:TRIALS], slots(trials)[TRIALS:]
    assert len(chains) == TRIALS
    assert all(trial.state == TrialState.FAIL for chain in beyond for trial in chain)
    for chain in chains:
        finished = [trial for trial in chain if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        assert len(finished) == 1
        assert chain[-1] is finished[0]
        assert all(is_lost(trial) for trial in chain[:-1])
        # A retry tries what was lost.
        for earlier, later in pairwise(chain):
            assert later.user_attrs[RETRY_OF] == earlier.number
            known = later.system_attrs["fixed_params"] | later.params
            assert {**earlier.system_attrs.get("fixed_params", {}), **earlier.params}.items() <= known.items()
    finished = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(finished) == TRIALS
    assert not [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    # A surplus trial was never begun, and each kill costs at most one training beyond those that belong to a trial.
    trained = Counter(line.split()[0] for line in (folder / "trained.txt").read_text().splitlines())
    lost = Counter(trial.user_attrs.get("recipe_id") for trial in trials if is_lost(trial))
    assert len(trained) >= TRIALS * 0.95
    begun = sum("recipe_id" in trial.user_attrs for trial in trials)
    assert sum(trained.values()) <= begun + KILLS
    assert all("recipe_id" not in trial.user_attrs for trial in trials if SURPLUS in trial.user_attrs)
    assert sum(lost.values()) >= 5, "the kills hit next to no trial"
