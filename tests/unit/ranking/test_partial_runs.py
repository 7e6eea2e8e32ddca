"""Partial runs are evidence: `rank` predicts their ends as `race` does, and leaves all else as it was."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.corpus import read_corpus
from quagpredict.errors import CorpusError, UsageError
from quagpredict.racing import race, race_of
from quagpredict.ranking import rank
from quagpredict.shipped import shipped_path

STEPS = 300
SAYS = ["prediction", "low", "high"]


@pytest.fixture(scope="module")
def runs():
    """Six runs each of two bases, finished, with counts of each problem before RL."""
    whole = read_corpus(shipped_path("datasets/lab-2/corpus.parquet")).filter(rl_seed=0)
    return pl.concat([whole.filter(base_model=base).sort("candidate")[::3].head(6) for base in ("able", "plain")])


@pytest.fixture(scope="module")
def candidates(runs):
    return runs.select(pl.col("^(candidate|base_model|pre_.*)$"))


@pytest.fixture(scope="module")
def points(runs):
    long = runs.select("candidate", "post_curve").explode("post_curve").unnest("post_curve")
    return long.select("candidate", "step", "pass_at_1", "pass_at_16")


def said(ranking, *columns):
    return ranking.frame.sort("candidate").select("candidate", *columns)


def close(one, other, tolerance=1e-9):
    assert one["candidate"].to_list() == other["candidate"].to_list()
    for name in one.columns[1:]:
        assert one[name].to_list() == pytest.approx(other[name].to_list(), abs=tolerance, nan_ok=True)


def of_race(found):
    return found.frame.sort("candidate").select("candidate", prediction="forecast", low="low", high="high")


@pytest.mark.parametrize("surrogate", ["default", None])
def test_rank_and_race_say_the_same_of_the_same_runs(candidates, points, surrogate):
    """Some far, some not begun, on both bases: predictions, intervals, chances to be best."""
    far = dict(zip(candidates["candidate"], [0, 50, 100, 200] * 3, strict=True))
    known = points.filter(pl.col("step") <= pl.col("candidate").replace_strict(far))
    ranking = rank(candidates, surrogate, curves=known, rl_steps=STEPS)
    found = race(candidates, known, rl_steps=STEPS, prior=surrogate)
    close(said(ranking, *SAYS), of_race(found))
    close(said(ranking, *SAYS), of_race(race_of(ranking)))
    chance = found.frame.sort("candidate").select("candidate", "p_best", "expected_regret")
    close(said(ranking, "p_best", "expected_regret"), chance, 0.03)  # as far as draws tell
    assert ranking.surrogate == ("curves" if surrogate is None else "hierarchical")
    begun = "RL of 9 candidates has begun (50 to 200 of 300 steps)"
    assert any(note.startswith(begun) for note in ranking.notes)
    assert dict(ranking.frame.select("candidate", "step").rows()) == far


def test_results_and_curves_together_are_learnt_from_once(runs, candidates, points):
    """A finished run corrects the others through the surrogate; its curve says nothing more."""
    first = runs["candidate"][0]
    with_one = candidates.join(
        runs.filter(candidate=first).select("candidate", "post_pass_at_1"), on="candidate", how="left"
    )
    known = points.filter((pl.col("step") <= 50) & (pl.col("candidate") != first))
    ranking = rank(with_one, curves=known, rl_steps=STEPS)
    close(said(ranking, *SAYS), of_race(race(with_one, known, rl_steps=STEPS)), 1e-6)
    assert ranking.finished == (first,)
    whole = pl.concat([known, points.filter(candidate=first)])
    close(said(rank(with_one, curves=whole, rl_steps=STEPS), *SAYS), said(ranking, *SAYS))


def test_where_no_run_of_a_base_has_begun_nothing_changes(candidates, points):
    able = candidates.filter(base_model="able")["candidate"]
    known = points.filter(pl.col("candidate").is_in(able[:2].implode()) & (pl.col("step") == 100))
    now, before = rank(candidates, curves=known, rl_steps=STEPS), rank(candidates)
    others = ~pl.col("candidate").is_in(able.implode())
    close(said(now, *SAYS).filter(others), said(before, *SAYS).filter(others))
    assert not said(now, *SAYS).filter(~others).equals(said(before, *SAYS).filter(~others))
    cells = now.by_benchmark.filter(pl.col("candidate").is_in(able[:2].implode()))
    assert cells["prediction"].is_null().all()  # a curve says nothing of single benchmarks
    assert now.by_benchmark.filter(others)["prediction"].is_not_null().all()


def test_intervals_shrink_along_a_run_and_hold_no_less_than_was_measured(candidates, points):
    name = candidates["candidate"][2]
    widths = []
    for step in (0, 50, 100, 200, 300):
        known = points.filter(candidate=name).filter(pl.col("step") <= step)
        ranking = rank(candidates, curves=known, rl_steps=STEPS)
        row = ranking.frame.row(by_predicate=pl.col("candidate") == name, named=True)
        measured = known["pass_at_1"][-1]
        assert row["low"] <= row["prediction"] <= row["high"]
        assert row["prediction"] >= measured - 1e-9 or step == 0
        widths.append(row["high"] - row["low"])
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0.0


def test_a_curve_that_reached_the_end_is_a_result(candidates, points):
    name = candidates["candidate"][1]
    ranking = rank(candidates, curves=points.filter(candidate=name), rl_steps=STEPS, budget=2)
    assert ranking.finished == (name,)
    assert name not in ranking.budget.candidates
    assert ranking.budget.in_hand == points.filter(candidate=name, step=STEPS)["pass_at_1"].item()
    assert any("1 of them to the end" in note for note in ranking.notes)


def test_a_table_brings_its_own_curves(runs, candidates, points, tmp_path):
    """As `collect` leaves them: the curves of runs that were stopped, the length of a whole run, no score."""
    early = pl.col("post_curve").list.eval(pl.element().filter(pl.element().struct.field("step") <= 50))
    stopped = runs.select([*candidates.columns, "rl_steps"]).with_columns(runs.select(early))
    stopped.write_parquet(tmp_path / "stopped.parquet")
    ranking = rank(tmp_path / "stopped.parquet")
    known = points.filter(pl.col("step") <= 50)
    known.write_csv(tmp_path / "curves.csv")
    known.write_parquet(tmp_path / "curves.parquet")
    close(said(rank(candidates, curves=stopped, rl_steps=STEPS), *SAYS), said(ranking, *SAYS))
    long = said(rank(candidates, curves=known, rl_steps=STEPS), *SAYS)
    close(long, said(ranking, *SAYS), 0.002)  # it does not say how many responses were drawn
    for source in (known.to_pandas(), tmp_path / "curves.csv", tmp_path / "curves.parquet"):
        close(said(rank(candidates, curves=source, rl_steps=STEPS), *SAYS), long)
    without = rank(candidates)
    assert said(rank(stopped, condition=False), *SAYS).equals(said(without, *SAYS))
    unsure = rank(stopped.drop("rl_steps"))
    assert said(unsure, *SAYS).equals(said(without, *SAYS))
    assert any("'post_curve' is not used: curves need to know how long a whole run is" in note for note in unsure.notes)


def test_curves_of_finished_runs_change_nothing(runs):
    half = runs.with_columns(post_pass_at_1=pl.when(pl.col("base_model") == "able").then("post_pass_at_1"))
    for table in (runs, half):
        with_curves = table.with_columns(post_curve=pl.when(pl.col("post_pass_at_1").is_not_null()).then("post_curve"))
        one, other = rank(with_curves), rank(table.drop("post_curve"))
        assert one.frame.equals(other.frame)
        assert one.under_way is None


def test_of_several_runs_of_a_candidate_the_farthest_counts(runs, candidates):
    def until(step, seed):
        cut = pl.col("post_curve").list.eval(pl.element().filter(pl.element().struct.field("step") <= step))
        return runs.select([*candidates.columns, "rl_steps"]).with_columns(runs.select(cut), rl_seed=pl.lit(seed))

    both = pl.concat([until(50, 0), until(200, 1)])
    close(said(rank(both), *SAYS), said(rank(until(200, 1)), *SAYS))


WHO = pl.DataFrame({"candidate": ["a", "b", "c"], "pre_pass_at_1": [0.2, 0.2, 0.3], "pre_pass_at_16": [0.5, 0.4, 0.6]})


def test_without_a_surrogate_the_curves_speak_alone():
    along = pl.DataFrame(
        {"candidate": ["a", "b"], "step": [100, 100], "pass_at_1": [0.3, 0.5], "pass_at_16": [0.6, 0.7]}
    )
    ranking = rank(WHO, curves=along, rl_steps=400, budget=1, next_run=True, gate=0.4)
    assert ranking.surrogate == "curves"
    assert ranking.frame["candidate"][0] == "b"
    assert ranking.budget.candidates
    assert ranking.gate.cleared[0] == "b"
    assert any("predicted from Pass@1 and Pass@k before and along RL alone" in note for note in ranking.notes)
    with_result = WHO.with_columns(post_pass_at_1=pl.Series([None, None, 0.7]))
    close(
        said(rank(with_result, None, curves=along, rl_steps=400), *SAYS),
        of_race(race(with_result, along, rl_steps=400)),
    )
    unmeasured = pl.concat([WHO, pl.DataFrame({"candidate": ["d"]})], how="diagonal")
    last = rank(unmeasured, curves=along, rl_steps=400).frame.filter(candidate="d")
    assert last["rank"].item() is None  # nothing is known of it: the level of all runs is no prediction


@given(st.floats(0.01, 0.99), st.sampled_from([50, 100, 200]))
@settings(max_examples=5, deadline=None)
def test_a_training_reward_is_a_feature_and_no_score(reward, step):
    """No forecast is kept above it, none is known by it, and none is as sure as by a score."""
    rewarded = rank(WHO, curves=pl.DataFrame({"candidate": ["a"], "step": [step], "reward": [reward]}), rl_steps=400)
    row = rewarded.frame.filter(candidate="a").row(0, named=True)
    assert row["score"] is None
    assert row["step"] == step
    assert any("only the training reward is known" in note for note in rewarded.notes)
    scored = rank(WHO, curves=pl.DataFrame({"candidate": ["a"], "step": [step], "pass_at_1": [reward]}), rl_steps=400)
    same = scored.frame.filter(candidate="a").row(0, named=True)
    assert same["score"] == reward
    assert same["prediction"] >= reward - 1e-9
    assert row["prediction"] != same["prediction"]
    close(said(rewarded, *SAYS), of_race(race_of(rewarded)))


def test_a_reward_beside_a_score_is_not_used():
    along = pl.DataFrame({"candidate": ["a"], "step": [100], "pass_at_1": [0.3], "reward": [0.9]})
    with_reward, without = (rank(WHO, curves=one, rl_steps=400) for one in (along, along.drop("reward")))
    assert said(with_reward, *SAYS).equals(said(without, *SAYS))


def test_per_cent_are_read_for_candidates_and_curves_alike():
    along = pl.DataFrame({"run": ["a"], "step": [100], "pass@1": [30.0]})
    theirs = WHO.with_columns(pl.col("^pre_.*$") * 100)
    ours = rank(WHO, curves=pl.DataFrame({"candidate": ["a"], "step": [100], "pass_at_1": [0.3]}), rl_steps=400)
    close(said(rank(theirs, curves=along, rl_steps=400, percent=True), *SAYS), said(ours, *SAYS))


ALONG = pl.DataFrame({"candidate": ["a"], "step": [100], "pass_at_1": [0.3]})


@pytest.mark.parametrize(
    ("curves", "call", "error", "message"),
    [
        (ALONG, {}, UsageError, "how long a whole run is: pass `rl_steps`"),
        (ALONG, {"rl_steps": 99.5}, UsageError, "a whole number"),
        (ALONG, {"rl_steps": 50}, CorpusError, "'a' was measured at step 100, beyond rl_steps=50"),
        (ALONG, {"rl_steps": 400, "target": "post_pass_at_16"}, UsageError, "'post_pass_at_16' is predicted"),
        (ALONG, {"rl_steps": 400, "minimize": True}, UsageError, "of which the highest is best"),
        (ALONG.with_columns(candidate=pl.lit("z")), {"rl_steps": 400}, CorpusError, "'z' is none of the 3"),
        (ALONG.with_columns(pass_at_1=30.0), {"rl_steps": 400}, CorpusError, "a fraction from 0 to 1"),
        (ALONG.drop("step"), {"rl_steps": 400}, CorpusError, "column 'step' is missing"),
        (
            pl.DataFrame({"candidate": ["a"], "step": [400], "reward": [0.5]}),
            {"rl_steps": 400},
            CorpusError,
            "no score",
        ),
    ],
)
def test_curves_that_cannot_be_used_are_refused(curves, call, error, message):
    with pytest.raises(error) as raised:
        rank(WHO, curves=curves, **call)
    assert message in str(raised.value)


def test_curves_where_no_run_has_begun_change_nothing():
    ranking = rank(WHO, curves=ALONG.with_columns(step=0), rl_steps=400)
    assert ranking.frame.equals(rank(WHO).frame)
    assert any("add nothing" in note for note in ranking.notes)


def test_the_finished_runs_of_a_table_say_how_long_the_stopped_ones_would_have_been(runs, candidates):
    """As `collect` leaves a race: a run that was stopped has its curve, and neither a score nor a length."""
    done = pl.col("candidate") == runs["candidate"][0]
    cut = pl.col("post_curve").list.eval(pl.element().filter(pl.element().struct.field("step") <= 50))
    raced = runs.select(
        *candidates.columns,
        pl.when(done).then("post_pass_at_1").alias("post_pass_at_1"),
        pl.when(done).then("rl_steps").alias("rl_steps"),
        pl.when(done).then("post_curve").otherwise(cut).alias("post_curve"),
    )
    ranking = rank(raced)
    assert ranking.under_way.rl_steps == STEPS
    assert ranking.finished == (runs["candidate"][0],)
    assert any(note.startswith("RL of 11 candidates has begun (50 of 300 steps)") for note in ranking.notes)
    close(said(ranking, *SAYS), of_race(race_of(ranking)), 1e-6)


def test_rl_drives_no_prediction_of_a_run_that_has_not_begun():
    ranking = rank(WHO, None, curves=ALONG, rl_steps=400)
    begun = {*ALONG.filter(pl.col("step") > 0)["candidate"]}
    told = dict(ranking.contributions.select("candidate", "post_curve").iter_rows())
    assert begun
    assert {name for name, moved in told.items() if moved is not None} == begun
