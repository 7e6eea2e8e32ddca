"""Trials of dead workers are repeated once, whatever the moment of death; tests/search_kills kills real ones."""

import os
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState

from quagpredict.mixture_search import workers
from quagpredict.mixture_search.workers import (
    RETRY_OF,
    SURPLUS,
    WORKER,
    Patience,
    beating,
    give_up_the_dead,
    next_trial,
    queue_retries,
    slots,
)

NOW = Patience(beat_s=0.01, grace_s=0.0, poll_s=0.01)
LONG = Patience(grace_s=1e6, poll_s=0.01)
UNIT = {"x": optuna.distributions.FloatDistribution(0, 1)}


@pytest.fixture
def study():
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.fixture(scope="module")
def dead():
    """The identity of a worker that lived on this machine."""
    code = "import json; from quagpredict.mixture_search import workers; print(json.dumps(workers._identity()))"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    import json

    return json.loads(said)


def begun_by(study, worker):
    trial = study.ask(UNIT)
    trial.set_user_attr(WORKER, worker)
    return trial


def test_a_dead_workers_trial_is_repeated_at_once_with_its_parameters(study, dead):
    lost = begun_by(study, dead)
    retry = next_trial(study, 1, LONG)
    assert retry.user_attrs[RETRY_OF] == lost.number
    assert retry.suggest_float("x", 0, 1) == lost.params["x"]
    study.tell(retry, 1.0)
    assert next_trial(study, 1, LONG) is None
    assert [[trial.number for trial in slot] for slot in slots(study.trials)] == [[0, 1]]


def test_a_living_workers_trial_is_left_alone(study):
    begun_by(study, workers._identity())
    give_up_the_dead(study, NOW)
    assert study.trials[0].state == TrialState.RUNNING


def test_a_process_that_has_the_number_of_a_dead_one_is_another(study):
    begun_by(study, {**workers._identity(), "started": "1"})
    give_up_the_dead(study, LONG)
    assert study.trials[0].state == TrialState.FAIL


def test_a_worker_elsewhere_is_given_up_after_its_grace(study):
    begun_by(study, {**workers._identity(), "machine": "another"})
    give_up_the_dead(study, Patience(grace_s=60))
    assert study.trials[0].state == TrialState.RUNNING
    give_up_the_dead(study, NOW)
    assert study.trials[0].state == TrialState.FAIL


def test_a_suggestion_is_never_given_up(study):
    study.ask(UNIT).set_user_attr("suggested", True)
    give_up_the_dead(study, NOW)
    assert study.trials[0].state == TrialState.RUNNING


def test_beats_keep_a_worker_elsewhere_alive(study):
    trial = begun_by(study, {**workers._identity(), "machine": "another"})
    with beating(trial, NOW):
        while "beat" not in study.trials[0].user_attrs:
            pass
    assert study.trials[0].user_attrs["beat"] > study.trials[0].datetime_start.timestamp()


def test_of_two_retries_of_one_trial_the_first_counts(study, dead):
    begun_by(study, dead)
    give_up_the_dead(study, LONG)
    study.enqueue_trial({}, user_attrs={RETRY_OF: 0})
    study.enqueue_trial({}, user_attrs={RETRY_OF: 0})  # another worker was at it at the same time
    assert next_trial(study, 1, LONG).number == 1
    study.tell(1, 1.0)
    assert next_trial(study, 1, LONG) is None
    assert study.trials[2].user_attrs[SURPLUS] is True
    assert study.trials[2].state == TrialState.FAIL


def test_a_second_retry_that_was_lost_is_not_repeated(study, dead):
    begun_by(study, dead)
    give_up_the_dead(study, LONG)
    for _ in range(2):
        study.enqueue_trial({}, user_attrs={RETRY_OF: 0})
    study.tell(next_trial(study, 1, LONG), 1.0)
    begun_by(study, dead)  # takes the second, and dies before it can say that it is surplus
    assert next_trial(study, 1, LONG) is None
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "FAIL"]


def test_a_retry_that_was_not_queued_is_queued_by_the_next(study, dead):
    begun_by(study, dead)
    give_up_the_dead(study, LONG)  # and here this worker dies
    queue_retries(study)
    queue_retries(study)
    assert [trial.user_attrs.get(RETRY_OF) for trial in study.trials] == [None, 0]


def test_what_is_asked_beyond_the_number_is_surplus(study, monkeypatch):
    study.tell(next_trial(study, 2, LONG), 1.0)
    ask = study.ask

    def ask_as_another_does():
        ask().set_user_attr(WORKER, workers._identity())  # between our count and our question
        return ask()

    monkeypatch.setattr(study, "ask", ask_as_another_does)
    monkeypatch.setattr(workers.time, "sleep", lambda _: study.tell(1, 1.0))
    assert next_trial(study, 2, LONG) is None
    assert [SURPLUS in trial.user_attrs for trial in study.trials] == [False, False, True]


def test_failed_trials_are_not_repeated(study):
    trial = next_trial(study, 1, LONG)
    trial.set_user_attr("error", "out of memory")
    study.tell(trial, state=TrialState.FAIL)
    assert next_trial(study, 1, LONG) is None


def test_the_identity_is_this_process():
    assert workers._identity()["process"] == os.getpid()
    assert workers._started(os.getpid()) is not None
