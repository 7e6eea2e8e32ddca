import polars as pl
import pytest

from quagpredict.errors import StageError, UsageError
from quagpredict.mixture_search.rounds import Verified, _refitted, search_in_rounds
from quagpredict.mixture_search.study import MixtureSearch
from quagpredict.report.formats import to_json
from quagpredict.report.search_figures import write_figures
from quagpredict.report.search_tables import print_search, search_frame, search_values
from quagpredict.surrogates import fit
from quagpredict.testing.search_worlds import synthetic_world
from quagpredict.validation.conformal import with_calibration

FEATURES = "pass_at_1+pass_at_64+held_out_loss_nats"


class World:
    """A world that counts what is asked of it."""

    def __init__(self):
        self.world = synthetic_world(4, seed=1)
        self.corpus = self.world.corpus(12)
        self.surrogate = fit(self.corpus, "ridge", FEATURES, split=None)
        self.trained, self.taken_through_rl = [], []

    def measure(self, recipe, report):
        self.trained.append(recipe.recipe_id)
        return self.world.measure(recipe)

    def verify(self, recipe):
        self.taken_through_rl.append(recipe.recipe_id)
        before = {f"pre_{name}": [value] for name, value in self.world.measure(recipe).items()}
        after = {"post_pass_at_1": [self.world.after_rl(recipe)], "post_pass_at_1_se": [0.02]}
        return pl.DataFrame({"candidate": [recipe.name], **before, **after})

    def search(self, storage=None, method="surrogate", **options):
        def make(number, surrogate):
            return MixtureSearch(
                self.world.space, surrogate, method=method, storage=storage, name=f"r{number}", seed=number,
                max_distance=9.0,
            )  # fmt: skip

        given = {"trials": 12, "surrogate": self.surrogate, "corpus": self.corpus, "verify": self.verify}
        return search_in_rounds(make, self.measure, **(given | {"verify_best": 2, "rounds": 3} | options))


def test_each_round_verifies_its_best_and_learns_from_them():
    world = World()
    outcome = world.search()
    assert len(world.trained) == 12
    assert len(world.taken_through_rl) == 6 == len(set(world.taken_through_rl))
    assert [one.round for one in outcome.verified] == [1, 1, 2, 2, 3, 3]
    rows = [search.scorer.surrogate.training_rows for search in outcome.searches]
    assert rows == [12, 14, 16]
    # The last study holds every trial, scored by the last surrogate.
    assert outcome.searches[-1].frame.height == 12
    assert outcome.chosen.recipe.recipe_id == max(outcome.verified, key=lambda one: one.actual).trial.recipe.recipe_id
    assert outcome.notes == ()


def test_it_goes_on_where_it_was_stopped(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    whole = World().search(f"sqlite:///{tmp_path / 'whole.db'}")
    world = World()
    verify = world.verify

    def stopped(recipe):
        if len(world.taken_through_rl) == 3:
            raise KeyboardInterrupt
        return verify(recipe)

    world.verify = stopped
    with pytest.raises(KeyboardInterrupt):
        world.search(url)
    world.verify = verify
    again = world.search(url)
    assert len(world.trained) == 12
    assert [one.trial.recipe.recipe_id for one in again.verified] == [
        one.trial.recipe.recipe_id for one in whole.verified
    ]


def test_without_the_runs_behind_the_surrogate_nothing_learns_and_it_says_so():
    outcome = World().search(corpus=None)
    assert outcome.searches[-1].scorer.surrogate.training_rows == 12
    assert outcome.notes == ("the surrogate was not refitted: name the runs it was fitted on (score.corpus)",)


def test_the_prior_learns_from_what_was_verified_alone():
    outcome = World().search(surrogate=None, corpus=None)
    assert [search.scorer.by_prior for search in outcome.searches] == [True, False, False]
    assert [search.scorer.surrogate.training_rows for search in outcome.searches[1:]] == [2, 4]
    assert outcome.notes == ()


@pytest.mark.parametrize("corpus", [None, "its own"])
def test_a_round_that_verified_nothing_leaves_the_next_as_it_was(corpus):
    world = World()

    def measure(recipe, report):
        raise StageError("it did not train")

    world.measure = measure
    own = {} if corpus else {"surrogate": None, "corpus": None}
    outcome = world.search(**own)
    assert not outcome.verified
    assert {search.scorer.by_prior for search in outcome.searches} == {corpus is None}
    assert "round 1: no feasible trial to verify" in outcome.notes


def test_wrong_calls_are_refused():
    with pytest.raises(UsageError, match="something to learn"):
        World().search(verify_best=0)
    with pytest.raises(UsageError, match="a trial for each"):
        World().search(trials=2)


def test_workers_begin_to_verify_at_different_trials():
    first, second = World(), World()
    first.search(rounds=1)
    second.search(rounds=1, worker=1)
    assert first.taken_through_rl == second.taken_through_rl[::-1]


@pytest.fixture(scope="module")
def outcome():
    return World().search()


def test_the_table_has_every_trial_and_what_rl_gave(outcome):
    frame = search_frame(outcome)
    assert frame.height == 12
    assert frame["actual"].drop_nulls().len() == 6
    assert frame["value"].to_list() == sorted(frame["value"].to_list(), reverse=True)
    assert search_frame(outcome).write_csv().count("\n") == 13
    import json

    content = json.loads(to_json(search_values(outcome)))
    assert content["chosen"]["recipe_id"] == outcome.chosen.recipe.recipe_id
    assert len(content["verified"]) == 6


def test_the_printed_table_fits_80_columns(outcome):
    from io import StringIO

    from rich.console import Console

    said = StringIO()
    print_search(outcome, Console(file=said, width=80, highlight=False))
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "12 trials: 12 complete; 0 complete ones outside the surrogate's domain" in lines


def test_the_figures_are_drawn(outcome, tmp_path):
    made = write_figures(outcome, tmp_path)
    assert [path.name for path in made] == ["history.png", "importance.png", "mixtures.png", "verified.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in made)


@pytest.mark.parametrize("method", ["sft-pass-at-1", "regmix"])
def test_other_objectives_have_figures_and_tables_too(method, tmp_path):
    from io import StringIO

    from rich.console import Console

    world = World()
    outcome = world.search(method=method, rounds=1, verify_best=1)
    print_search(outcome, Console(file=StringIO(), width=80))
    assert len(write_figures(outcome, tmp_path)) >= 3


@pytest.mark.parametrize(("kind", "calibrated"), [("mixed", True), ("auto", False), ("ridge", True)])
def test_a_refit_keeps_kind_and_calibration(kind, calibrated):
    world = World()
    half = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("a")).otherwise(pl.lit("b"))
    corpus = world.corpus.with_columns(base_model=half)
    surrogate = fit(corpus, kind, FEATURES, split=None)
    if calibrated:
        surrogate = with_calibration(surrogate, corpus, features=FEATURES, split=None)
    row = corpus.head(1).with_columns(candidate=pl.lit("new"))
    fitted, note = _refitted(surrogate, corpus, [Verified(1, None, row)])
    assert note == ""
    assert fitted.training_rows == 13
    assert (fitted.name, fitted.choice, fitted.features) == (surrogate.name, surrogate.choice, surrogate.features)
    assert (fitted.calibration is not None) == calibrated
