"""The loop, suggest and observe, and the objective: one behaviour, three ways in."""

import json
from datetime import UTC, datetime

import numpy as np
import optuna
import polars as pl
import pytest
from optuna.trial import TrialState

from quagpredict.corpus import check_corpus
from quagpredict.errors import CorpusError, LauncherError, StageError, UsageError
from quagpredict.mixture_search.scoring import measured_row
from quagpredict.mixture_search.space_file import SearchPlan
from quagpredict.mixture_search.study import METHODS, MixtureSearch
from quagpredict.surrogates import fit
from quagpredict.surrogates.hierarchical import prior_surrogate
from quagpredict.surrogates.store import load_surrogate
from quagpredict.testing.search_worlds import synthetic_world

FEATURES = "pass_at_1+pass_at_64+held_out_loss_nats"


@pytest.fixture(scope="module")
def world():
    return synthetic_world(4, seed=3)


@pytest.fixture(scope="module")
def surrogate(world):
    return fit(world.corpus(40), "ridge", FEATURES, transforms="log-logit", split=None)


def measure_of(world):
    return lambda recipe, report: world.measure(recipe)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_its_best(world, surrogate, method):
    search = MixtureSearch(world.space, surrogate, method=method, seed=1, max_distance=9.0)
    search.run(measure_of(world), 16)
    best = search.best(3)
    values = [trial.value for trial in search.study.trials]
    assert best[0].value == max(values)
    assert best[0].recipe.recipe_id == search.study.best_trial.user_attrs["recipe_id"]
    measurements = {"sft-pass-at-1": "pass_at_1", "pass-at-64": "pass_at_64", "regmix": "held_out_loss_nats"}
    expected = measurements.get(method)
    measured = world.measure(best[0].recipe)
    if expected is None:
        row = pl.DataFrame({f"pre_{name}": [value] for name, value in measured.items()})
        X = row.select(surrogate.features).to_numpy()
        assert best[0].value == pytest.approx(surrogate.interval(X, 0.8).low[0])
    else:
        assert best[0].value == pytest.approx(measured[expected] * (-1 if method == "regmix" else 1))


def test_the_equal_mixture_is_equal(world, surrogate):
    search = MixtureSearch(world.space, surrogate, method="equal", max_distance=9.0)
    search.run(measure_of(world), 3)
    assert {name: round(share, 9) for name, share in search.best()[0].recipe.shares.items()} == {
        f"s{i}": 0.25 for i in range(4)
    }
    assert len({found.recipe.recipe_id for found in search.best(3)}) == 3


def test_the_surrogate_guides_better_than_chance(world, surrogate):
    regret = {}
    for method in ("surrogate", "random", "sft-pass-at-1"):
        chosen = []
        for seed in range(4):
            search = MixtureSearch(world.space, surrogate, method=method, seed=seed, max_distance=9.0)
            search.run(measure_of(world), 40)
            chosen.append(world.best - world.truth(search.best()[0].recipe))
        regret[method] = np.mean(chosen)
    assert regret["surrogate"] < regret["random"]
    assert regret["surrogate"] < regret["sft-pass-at-1"]


def test_without_a_surrogate_the_prior_scores(world):
    search = MixtureSearch(world.space, lower_bound=0.5)
    search.run(measure_of(world), 12)
    measured = check_corpus(
        search.frame.select(pl.col("trial").cast(pl.String).alias("candidate"), "^pre_.*$"), "trials"
    )
    prior = prior_surrogate(measured)
    np.testing.assert_allclose(search.frame["value"], prior.predict(prior.design(measured, source="trials")).mean)
    assert search.best()[0].feasible


def test_a_measurement_that_the_prior_cannot_read_is_refused_and_stays_open(world):
    search = MixtureSearch(world.space)
    suggestion = search.suggest()
    with pytest.raises(CorpusError, match="measure them"):
        search.observe(suggestion, {"pass_at_1": 0.5})
    assert search.observe(suggestion, world.measure(suggestion.recipe)).prediction is not None


def test_the_prior_reads_the_same_of_every_trial(world, tmp_path):
    def opened():
        return MixtureSearch(world.space, storage=f"sqlite:///{tmp_path / 'study.db'}", lower_bound=0.5)

    search = opened()
    first = search.suggest()
    without_loss = {**world.measure(first.recipe), "held_out_loss_nats": None}
    scored = search.observe(first, without_loss)
    second = opened().suggest()  # another process reads it of the study
    richer = world.measure(second.recipe)
    assert opened().observe(second, richer) == opened().scorer.score(
        measured_row({**richer, "held_out_loss_nats": None}, second.recipe, "a")
    )
    assert scored.level == "Pass@64"
    with_loss = MixtureSearch(world.space)
    with_loss.observe(with_loss.suggest(), richer)
    with pytest.raises(CorpusError, match="first trial was scored by Pass@64 and loss, and this measurement lacks"):
        with_loss.observe(with_loss.suggest(), without_loss)


def test_distance_is_a_constraint_of_the_study(world, surrogate):
    search = MixtureSearch(world.space, surrogate, max_distance=0.5)
    search.run(measure_of(world), 25)
    trials = search.study.trials
    outside = [trial for trial in trials if trial.user_attrs["distance"] > 0.5]
    assert outside
    for trial in trials:
        assert trial.constraints["distance"] == pytest.approx(trial.user_attrs["distance"] - 0.5)
    assert search.study.best_trial.user_attrs["distance"] <= 0.5
    assert all(found.distance <= 0.5 for found in search.best(25))
    assert search.frame.filter(~pl.col("feasible")).height == len(outside)


def test_suggest_and_observe_is_the_loop(world, surrogate):
    looped = MixtureSearch(world.space, surrogate, seed=5)
    looped.run(measure_of(world), 14)
    asked = MixtureSearch(world.space, surrogate, seed=5)
    for _ in range(14):
        suggestion = asked.suggest()
        scored = asked.observe(suggestion, world.measure(suggestion.recipe))
        assert scored.value == asked.study.trials[suggestion.number].value
    assert [t.params for t in asked.study.trials] == [t.params for t in looped.study.trials]
    assert [t.value for t in asked.study.trials] == [t.value for t in looped.study.trials]


def test_several_suggestions_may_be_open(world, surrogate):
    search = MixtureSearch(world.space, surrogate)
    first, second = search.suggest(), search.suggest()
    search.observe(second, world.measure(second.recipe))
    search.observe(first, None)
    assert [trial.state for trial in search.study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]


def test_a_suggestion_may_be_observed_by_another_process(world, surrogate, tmp_path):
    options = {"storage": f"sqlite:///{tmp_path / 'study.db'}", "seed": 3}
    asked = MixtureSearch(world.space, surrogate, **options).suggest()
    later = MixtureSearch(world.space, surrogate, **options)
    again = later.suggestion(asked.number)
    assert again.recipe == asked.recipe
    later.observe(again, world.measure(again.recipe))
    assert later.study.trials[0].params == asked.trial.params
    assert later.best()[0].recipe == asked.recipe
    with pytest.raises(UsageError, match="no open suggestion 0"):
        later.suggestion(0)


def test_the_objective_drops_into_a_study_of_any_sampler(world, surrogate):
    search = MixtureSearch(world.space, surrogate)
    for sampler in (optuna.samplers.TPESampler(seed=0), optuna.samplers.NSGAIISampler(seed=0)):
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(search.objective(measure_of(world)), n_trials=12)
        assert set(study.trials[0].params) == set(world.space.distributions())
        assert study.best_trial.constraints["distance"] <= 0
        json.loads(study.best_trial.user_attrs["row"])


def test_a_known_recipe_is_not_measured_again(world, surrogate):
    search = MixtureSearch(world.space, surrogate)
    measured = []
    search.run(lambda recipe, report: measured.append(recipe.recipe_id) or world.measure(recipe), 2)
    search.study.enqueue_trial(search.study.trials[0].params)
    search.run(lambda recipe, report: measured.append(recipe.recipe_id) or world.measure(recipe), 3)
    assert len(measured) == 2
    assert [trial.user_attrs["reused"] for trial in search.study.trials] == [False, False, True]
    assert search.study.trials[2].value == search.study.trials[0].value
    assert len(search.best(3)) == 2


def test_a_hopeless_trial_is_stopped(world, surrogate):
    search = MixtureSearch(world.space, surrogate, pruner=optuna.pruners.MedianPruner(n_startup_trials=4), seed=2)
    finished = []

    def measure(recipe, report):
        for percent in (25, 50, 75):
            report(percent, world.measure(recipe, percent / 100))
        finished.append(recipe)
        return world.measure(recipe)

    search.run(measure, 20)
    states = [trial.state for trial in search.study.trials]
    assert states.count(TrialState.PRUNED) == 20 - len(finished)
    assert 2 <= states.count(TrialState.PRUNED) < 16
    worst = min(search.study.trials, key=lambda trial: trial.intermediate_values[25])
    assert worst.state == TrialState.PRUNED or worst.number < 4
    suggestion = search.suggest()
    assert search.report(suggestion, 25, {"pass_at_1": 0.001, "pass_at_64": 0.01, "held_out_loss_nats": 3.0}) is True


def test_a_failed_training_fails_its_trial_and_the_search_goes_on(world, surrogate):
    search = MixtureSearch(world.space, surrogate)

    def measure(recipe, report):
        if len(search.study.trials) == 2:
            raise StageError("sft/x failed; see x.log")
        return world.measure(recipe)

    search.run(measure, 4)
    assert [trial.state.name for trial in search.study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert search.study.trials[1].user_attrs["error"] == "sft/x failed; see x.log"


def test_a_lost_cluster_ends_the_search_and_its_trial_is_run_again(world, surrogate):
    search = MixtureSearch(world.space, surrogate)
    lost = [LauncherError("the Ray cluster is lost: killed")]

    def measure(recipe, report):
        if lost:
            raise lost.pop()
        return world.measure(recipe)

    with pytest.raises(LauncherError, match="the Ray cluster is lost"):
        search.run(measure, 2)
    (trial,) = search.study.trials
    assert trial.state == TrialState.RUNNING
    worker = {**trial.user_attrs["worker"], "started": "before"}  # the process that had it has ended
    search.study._storage.set_trial_user_attr(trial._trial_id, "worker", worker)
    search.run(measure, 2)
    assert [one.state.name for one in search.study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert search.study.trials[1].params == search.study.trials[0].params


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pass_at_1": 0.5, "held_out_loss_nats": 0.5}, "pre_pass_at_64"),
        ({"pass_at_1": 0.5, "pass_at_64": float("nan"), "held_out_loss_nats": 0.5}, "pre_pass_at_64"),
        ({"pass_at_1": 0.5, "pass_at_64": None, "held_out_loss_nats": 0.5}, "pre_pass_at_64"),
        ({"pass_at_1": "0.3"}, "a value that its column cannot have"),
        ({"pass_at_1": 41.5}, "is this per cent"),
        ({}, "the measurement is empty"),
        (0.5, "a measurement is a mapping of columns"),
        ([0.5], "a measurement is a mapping of columns"),
        ({1: 0.5}, "named by text, got 1"),
    ],
    ids=str,
)
def test_a_wrong_observation_is_refused_and_the_suggestion_stays_open(wrong, said, world, surrogate):
    search = MixtureSearch(world.space, surrogate)
    suggestion = search.suggest()
    with pytest.raises((CorpusError, UsageError), match=said):
        search.observe(suggestion, wrong)
    with pytest.raises((CorpusError, UsageError), match=said):
        search.report(suggestion, 1, wrong)
    trial = search.study.trials[suggestion.number]
    assert trial.state == TrialState.RUNNING
    assert "error" not in trial.user_attrs
    search.observe(suggestion, world.measure(suggestion.recipe))
    assert search.study.trials[suggestion.number].state == TrialState.COMPLETE
    with pytest.raises(UsageError, match="suggestion 0 was observed already"):
        search.observe(suggestion, world.measure(suggestion.recipe))


def test_a_value_that_cannot_be_stored_is_refused(world):
    search = MixtureSearch(world.space, method="sft-pass-at-1")
    suggestion = search.suggest()
    with pytest.raises(UsageError, match="cannot be stored"):
        search.observe(suggestion, {"pass_at_1": 0.3, "when": datetime(2026, 1, 1, tzinfo=UTC)})
    with pytest.raises(UsageError, match="a report's step"):
        search.report(suggestion, -1, {"pass_at_1": 0.3})
    assert search.study.trials[0].state == TrialState.RUNNING


def test_a_search_that_goes_on_repeats_no_draw(world, surrogate, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    whole = MixtureSearch(world.space, surrogate, method="random", seed=9)
    whole.run(measure_of(world), 6)
    for trials in (2, 3, 6):
        part = MixtureSearch(world.space, surrogate, method="random", seed=9, storage=url)
        part.run(measure_of(world), trials)
    assert [t.params for t in part.study.trials] == [t.params for t in whole.study.trials]
    assert len({t.user_attrs["recipe_id"] for t in part.study.trials}) == 6


def test_a_study_of_another_space_or_score_is_refused(world, surrogate, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    MixtureSearch(world.space, surrogate, storage=url, name="one")
    for space, bound in ((synthetic_world(5).space, 0.1), (world.space, 0.2)):
        with pytest.raises(UsageError, match="another search space or score"):
            MixtureSearch(space, surrogate, storage=url, name="one", lower_bound=bound)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study.db", "expected a URL"),
        ("sqlite:////no/such/folder/study.db", "cannot be opened"),
        ("nosuchdb://user:secret@host/x", "storage 'nosuchdb://user@host/x'"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_said_without_its_password(world, surrogate, url, message):
    with pytest.raises(UsageError) as raised:
        MixtureSearch(world.space, surrogate, storage=url)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_wrong_calls_are_refused(world, surrogate):
    with pytest.raises(UsageError, match='method="best": expected one of surrogate, '):
        MixtureSearch(world.space, surrogate, method="best")
    with pytest.raises(UsageError, match="at least 1"):
        MixtureSearch(world.space, surrogate).run(measure_of(world), 0)


def test_categories_are_searched_too(surrogate):
    from dataclasses import replace

    from quagpredict.mixture_search.space import Setting

    world = synthetic_world(3)
    space = replace(
        world.space,
        passes=Setting("epochs", choices=(1.0, 2.0, 4.0)),
        selection=Setting("selection", ("random", "longest")),
    )
    search = MixtureSearch(space, surrogate, max_distance=9.0)
    search.run(lambda recipe, report: world.measure(recipe), 24)
    assert {trial.params["epochs"] for trial in search.study.trials} == {1.0, 2.0, 4.0}
    assert search.best()[0].recipe.data["dataset_select"] in ("random", "longest")


def test_a_measurement_without_what_the_score_needs_fails_the_trial_of_a_loop(world, surrogate):
    search = MixtureSearch(world.space, surrogate)
    search.run(lambda recipe, report: {"pass_at_1": 0.5} if not search.frame.height > 1 else world.measure(recipe), 2)
    assert [trial.state for trial in search.study.trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_files_stand_for_the_space_the_surrogate_and_the_score(tmp_path):
    shipped = SearchPlan.from_yaml("collectors/searches/lab-mixture.yaml")
    search = MixtureSearch("collectors/searches/lab-mixture.yaml")
    assert search.space.space_id == shipped.space.space_id
    assert search.scorer.order == shipped.scoring.lower_bound
    assert search.scorer.max_distance == shipped.scoring.max_distance
    assert search.scorer.surrogate.corpus_digest == load_surrogate(shipped.scoring.surrogate).corpus_digest
    other = MixtureSearch("collectors/searches/lab-mixture.yaml", "lab", lower_bound=0.25, max_distance=3.0)
    assert (other.scorer.order, other.scorer.max_distance) == (0.25, 3.0)
    assert other.scorer.surrogate.corpus_digest == load_surrogate("models/lab").corpus_digest
    with pytest.raises(UsageError, match="unknown surrogate 'nowhere'"):
        MixtureSearch("collectors/searches/lab-mixture.yaml", "nowhere")
