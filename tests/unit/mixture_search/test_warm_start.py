import optuna
import polars as pl
import pytest

from quagpredict.mixture_search.study import MixtureSearch
from quagpredict.mixture_search.warm_start import from_corpus, from_study
from quagpredict.surrogates import fit
from quagpredict.testing.search_worlds import synthetic_world

FEATURES = "pass_at_1+pass_at_64+held_out_loss_nats"


@pytest.fixture(scope="module")
def world():
    return synthetic_world(3)


@pytest.fixture(scope="module")
def surrogates(world):
    return [fit(world.corpus(n), "ridge", FEATURES, split=None) for n in (20, 40)]


def test_trials_of_an_earlier_study_come_scored_anew_and_once(world, surrogates):
    old = MixtureSearch(world.space, surrogates[0], name="old", storage=None)
    old.run(lambda recipe, report: world.measure(recipe), 5)
    new = MixtureSearch(world.space, surrogates[1], name="new")
    assert from_study(new, old.study) == 5
    assert from_study(new, old.study) == 0
    for before, after in zip(old.study.trials, new.study.trials, strict=True):
        assert after.params == before.params
        assert after.value != before.value
        assert after.user_attrs["imported_from"] == f"old#{before.number}"
    new.run(lambda recipe, report: world.measure(recipe), 2)
    assert len(new.study.trials) == 7
    assert len(new.best(9)) >= 5


def test_trials_of_another_space_are_left_out(world, surrogates):
    other = synthetic_world(4)
    old = MixtureSearch(other.space, surrogates[0])
    old.run(lambda recipe, report: other.measure(recipe), 3)
    assert from_study(MixtureSearch(world.space, surrogates[1]), old.study) == 0
    foreign = optuna.create_study(direction="maximize")
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert from_study(MixtureSearch(world.space, surrogates[1]), foreign) == 0


def row(candidate, **changes):
    measured = {"pre_pass_at_1": 0.4, "pre_pass_at_64": 0.8, "pre_held_out_loss_nats": 0.7}
    settings = {"recipe_epochs": 4.0, "recipe_learning_rate": 1e-3, "recipe_examples_seen": 4096}
    shares = {"share_s0": 0.5, "share_s1": 0.3, "share_s2": 0.2}
    return {"candidate": candidate, "base_model": "synthetic", **settings, **shares, **measured, **changes}


def test_candidates_of_a_corpus_that_fit_the_space_are_added(world, surrogates):
    rows = [
        row("fits"),
        row("pure", share_s0=None, recipe_data_kind="s1"),
        row("other-budget", recipe_examples_seen=1000),
        row("other-base", base_model="strong"),
        row("other-rate", recipe_learning_rate=0.5),
        row("other-data", share_s0=None, recipe_data_kind="web"),
        row("unmeasured", pre_pass_at_64=None),
    ]
    search = MixtureSearch(world.space, surrogates[0])
    frame = pl.DataFrame(rows, infer_schema_length=None)
    assert from_corpus(search, frame) == 2
    assert from_corpus(search, frame) == 0
    first, second = search.study.trials
    assert first.user_attrs["imported_from"] == "corpus:fits"
    assert dict(search.finished(first).recipe.shares) == pytest.approx({"s0": 0.5, "s1": 0.3, "s2": 0.2})
    assert dict(search.finished(second).recipe.shares) == pytest.approx({"s0": 0.0, "s1": 1.0, "s2": 0.0})
