"""The race as it is called: ask, measure, tell, until it is over."""

import polars as pl
import pytest

from quagpredict.errors import CorpusError, NothingToRankError, UsageError
from quagpredict.racing import race
from quagpredict.ranking import rank
from quagpredict.ranking.headers import HeadersError
from quagpredict.shipped import shipped_path

ENDS = {"a": 0.60, "b": 0.55, "c": 0.40, "d": 0.30}
WHO = pl.DataFrame(
    {
        "candidate": list(ENDS),
        "base_model": ["x"] * 4,
        "pre_pass_at_1": [0.20, 0.25, 0.22, 0.10],
        "pre_pass_at_16": [0.55, 0.52, 0.35, 0.20],
    }
)


def measured(name, step):
    """What a run shows: on the way to its end as the root of the steps."""
    start = WHO.filter(candidate=name)["pre_pass_at_1"].item()
    score = start + (ENDS[name] - start) * (step / 400) ** 0.5
    return {"candidate": name, "step": step, "pass_at_1": score, "pass_at_16": min(score + 0.15, 1.0)}


def along(*points):
    return pl.DataFrame([measured(*point) for point in points])


@pytest.fixture(scope="module")
def lab_2():
    names = ["candidate", "base_model", "rl_seed", "post_curve"]
    return pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet"), columns=names)


@pytest.fixture(scope="module")
def asked(lab_2):
    def ask(curves=None, who=WHO, **settings):
        return race(who, curves, **{"rl_steps": 400, "learn_from": [lab_2], **settings})

    return ask


@pytest.mark.parametrize("parallel", [1, 3])
def test_asked_and_told_until_it_is_over_it_finds_the_best_within_its_budget(asked, parallel):
    points, left, rounds = [], 1200.0, 0
    while True:
        now = asked(along(*points) if points else None, budget=left, parallel=parallel)
        moves = now.frame.filter(pl.col("until").is_not_null())
        assert now.over == (moves.height == 0)
        if now.over:
            break
        assert moves.height <= parallel
        left -= moves["cost"].sum()
        points += moves.select("candidate", "until").rows()
        rounds += 1
    assert left >= 0
    assert now.choice == "a"
    assert now.frame.filter(candidate="a")["state"].item() == "finished"
    assert rounds > 1
    assert any("race is over" in note for note in now.notes)


def test_the_answer_is_a_function_of_the_tables_alone(asked):
    points = along(("a", 50), ("b", 50), ("b", 100), ("c", 50))
    first = asked(points, budget=900)
    again = asked(points.sample(4, shuffle=True, seed=1), budget=900)
    assert again.frame.equals(first.frame)
    turned = asked(points, WHO.reverse(), budget=900)
    same = ["candidate", "state", "forecast", "low", "high", "action", "until"]
    assert turned.frame.sort("candidate").select(same).equals(first.frame.sort("candidate").select(same))


def test_the_unit_of_costs_does_not_matter(asked):
    points = along(("a", 50), ("b", 50))
    steps = asked(points, budget=900, measure_cost=20)
    hours = asked(points, budget=90, step_cost=0.1, measure_cost=2)
    assert hours.frame.drop("cost", "gain").equals(steps.frame.drop("cost", "gain"))
    assert hours.frame["cost"].sum() == pytest.approx(steps.frame["cost"].sum() / 10)
    assert hours.finish_cost == pytest.approx(steps.finish_cost / 10)


def test_intervals_hold_forecasts_and_shrink_along_the_run(asked):
    widths = []
    for step in (None, 50, 100, 200, 400):
        row = asked(along(("b", step)) if step else None).frame.filter(candidate="b").row(0, named=True)
        assert row["low"] <= row["forecast"] <= row["high"]
        assert row["forecast"] >= (row["score"] or 0) - 1e-9
        widths.append(row["high"] - row["low"])
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


def test_every_run_is_told_what_to_do_and_why(asked):
    found = asked(along(("a", 400), ("b", 100), ("d", 100)), budget=500)
    told = {row["candidate"]: row for row in found.frame.iter_rows(named=True)}
    assert told["a"]["action"] == "done"
    assert told["d"]["action"] == "stop"
    assert told["c"]["action"] in ("leave", "start", "wait")
    assert all(row["why"] for row in told.values())
    assert found.frame["p_best"].sum() == pytest.approx(1.0)
    assert 0 <= found.expected_regret == told[found.choice]["expected_regret"]
    assert "see .frame" in repr(found)
    assert found.to_pandas().shape == found.frame.shape


def test_a_budget_that_finishes_nothing_says_so(asked):
    found = asked(budget=100)
    assert any("finishes no run" in note for note in found.notes)
    assert found.choice is not None
    assert found.frame.filter(pl.col("until") > 100).is_empty()


def test_runs_that_were_stopped_do_not_go_on(asked):
    points = along(("a", 100), ("b", 100))
    assert asked(points, budget=900).choice == "a"
    without = asked(points, budget=900, stopped=["a"])
    assert without.choice == "b"
    assert without.frame.filter(candidate="a")["action"].item() == "stop"
    with pytest.raises(UsageError, match=r'stopped="z": no candidate'):
        asked(points, stopped=["z"])


def test_none_is_worth_rl(asked):
    found = asked(budget=2000, gate=0.99)
    assert found.choice is None
    assert found.over
    assert set(found.frame["action"]) == {"leave"}
    assert any("none is worth RL" in note for note in found.notes)
    who = WHO.with_columns(recipe_scenario=pl.Series(["no-sft", "random", "random", "random"]))
    points = along(("a", 200), ("b", 200), ("c", 200), ("d", 200))
    base = asked(points, who, budget=2000, gate="no-sft", margin=0.1)
    assert base.choice == "a"  # the base's own run is what remains
    assert base.frame.filter(pl.col("until").is_not_null())["candidate"].to_list() == ["a"]
    assert base.gate.cleared == ()
    low = asked(points, budget=2000, gate=0.3)
    assert low.choice == "a"
    assert "a" in low.gate.cleared


def test_results_that_candidates_have_count(asked):
    who = WHO.with_columns(post_pass_at_1=pl.Series([None, 0.7, None, None]))
    found = asked(None, who, budget=2000)
    assert found.frame.filter(candidate="b").select("state", "forecast").row(0) == ("finished", 0.7)
    shorter = asked(None, who.with_columns(rl_steps=200), budget=2000).frame.filter(candidate="b")
    assert shorter.select("state", "step", "score").row(0) == ("under way", 200, 0.7)


def test_any_prediction_before_rl_may_be_the_start(asked, tmp_path):
    table = WHO.select(
        "candidate",
        prediction=pl.Series([0.2, 0.5, 0.6, 0.9]),
        low=pl.Series([0.1, 0.4, 0.5, 0.85]),
        high=pl.Series([0.3, 0.6, 0.7, 0.95]),
    )
    found = asked(prior=table)
    assert found.frame["candidate"].to_list() == ["d", "c", "b", "a"]
    row = found.frame.row(0, named=True)
    assert (row["forecast"], row["low"]) == (pytest.approx(0.9, abs=1e-3), pytest.approx(0.85, abs=0.03))
    table.write_csv(tmp_path / "ranking.csv")
    assert asked(prior=tmp_path / "ranking.csv").frame.equals(found.frame)
    assert asked(prior=table.rename({"prediction": "predicted"})).frame.equals(found.frame)
    assert (
        asked(prior=table.head(1)).frame.filter(candidate="d").equals(asked(prior=None).frame.filter(candidate="d"))
        is False
    )
    runs = pl.DataFrame(
        {
            "candidate": list("klmnop"),
            "pre_pass_at_1": [0.1, 0.15, 0.2, 0.25, 0.3, 0.35],
            "post_pass_at_1": [0.3, 0.35, 0.45, 0.5, 0.6, 0.6],
        }
    )
    ranking = rank(
        pl.concat([runs, WHO.select("candidate", "pre_pass_at_1")], how="diagonal"), "linear", features="pass_at_1"
    )
    assert not any("before RL" in note for note in asked(prior=ranking).notes)
    with pytest.raises(UsageError, match="column 'prediction' is missing"):
        asked(prior=rank(WHO, "none"))
    with pytest.raises(UsageError, match="predicts none"):
        asked(prior=table.with_columns(candidate=pl.lit("z")).head(1))
    with pytest.raises(UsageError, match="int"):
        asked(prior=3)
    alone = asked(prior=None).frame.filter(candidate="a")
    unsure = table.with_columns(low=pl.when(pl.col("candidate") != "a").then("low"))
    assert asked(prior=unsure).frame.filter(candidate="a")["forecast"].item() == alone["forecast"].item()
    with pytest.raises(UsageError, match="'low' must hold numbers, not String"):
        asked(prior=table.with_columns(low=pl.lit("x")))
    with pytest.raises(UsageError, match="appears twice"):
        asked(prior=pl.concat([table, table]))


def test_curves_without_pass_at_16_are_forecast_and_a_note_says_what_is_lost(asked):
    plain = along(("a", 50)).drop("pass_at_16")
    found = asked(plain, WHO.drop("pre_pass_at_16"))
    assert any("no Pass@16" in note for note in found.notes)
    eight = asked(along(("a", 50)).rename({"pass_at_16": "pass_at_8"}), WHO.drop("pre_pass_at_16"))
    assert not any("no Pass@16" in note for note in eight.notes)
    assert any("the curves have Pass@8" in note for note in eight.notes)


@pytest.mark.parametrize("gate", [None, 0.99])
def test_who_is_neither_measured_nor_predicted_has_no_place_as_in_rank(asked, gate):
    who = WHO.with_columns(
        pl.when(pl.col("candidate") != "d").then(name).alias(name) for name in ("pre_pass_at_1", "pre_pass_at_16")
    )
    curves = along(("a", 50))
    ranked, raced = rank(who, curves=curves, rl_steps=400), asked(curves, who, prior=None, parallel=4, gate=gate)
    places = ranked.frame.filter(pl.col("rank").is_not_null())["candidate"].to_list()
    assert set(places) == {"a", "b", "c"} == set(raced.frame.drop_nulls("forecast")["candidate"])
    last = raced.frame.row(-1, named=True)
    assert (last["candidate"], last["action"], last["low"], last["p_best"]) == ("d", "leave", None, None)
    assert "neither its Pass@1 nor a prediction is known" in last["why"]
    assert any("1 candidate has neither Pass@1 nor a prediction" in note for note in raced.notes)
    assert raced.choice != "d"
    assert " d " in str(raced)
    known = asked(curves, who.filter(pl.col("candidate") != "d"), prior=None, parallel=4, gate=gate)
    assert raced.frame.head(3).equals(known.frame)


def test_a_race_of_which_nothing_is_known_is_refused(asked):
    with pytest.raises(NothingToRankError, match="neither Pass@1 nor a prediction of any of 4 candidates"):
        asked(None, WHO.select("candidate"))


def test_what_rank_predicts_is_where_it_starts_and_where_rank_cannot_the_curves_speak():
    unknown = race(WHO.select("candidate"), along(("a", 50)), rl_steps=400)
    assert any(note.startswith("before RL only the score and Pass@k are used") for note in unknown.notes)
    runs = pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet")).filter(rl_seed=0, base_model="able").head(4)
    who = runs.select(pl.col("^(candidate|base_model|pre_.*)$"), "post_curve")
    started = race(who.with_columns(post_curve=pl.col("post_curve").list.head(1)), rl_steps=300)
    ranking = rank(who.drop("post_curve"))
    assert started.notes[1] == "before RL, what `quagpredict.rank` predicts by the surrogate 'hierarchical'"
    both = started.frame.join(ranking.frame, on="candidate")
    assert both["forecast"].to_list() == pytest.approx(both["prediction"].to_list(), abs=1e-9)


def test_runs_of_the_candidates_are_not_learnt_from(asked, lab_2):
    names = lab_2.filter(base_model="able").select("candidate", "base_model").unique("candidate")
    with pytest.raises(CorpusError, match="at least two"):
        asked(None, names)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rl_steps": 0}, "rl_steps=0: expected a whole number of at least 1"),
        ({"parallel": 0}, "parallel=0"),
        ({"budget": -1.0}, "budget=-1: expected a number of at least 0"),
        ({"budget": float("nan")}, "budget=nan"),
        ({"step_cost": 0.0}, "step_cost=0: expected a number above 0"),
        ({"measure_cost": -2.0}, "measure_cost=-2"),
        ({"rungs": [0]}, "rungs=0: expected steps from 1 to 400"),
        ({"rungs": [500]}, "rungs=500"),
        ({"gate_probability": 0.0}, "gate_probability=0"),
        ({"gate": "nobody"}, 'gate="nobody": expected a score'),
    ],
)
def test_a_wrong_call_is_refused(asked, settings, message):
    with pytest.raises(UsageError) as raised:
        asked(**settings)
    assert message in str(raised.value)


def test_wrong_tables_are_refused(asked):
    with pytest.raises(CorpusError, match="'a' was measured at step 500, beyond rl_steps=400"):
        asked(along(("a", 500)))
    with pytest.raises(NothingToRankError):
        asked(None, WHO.head(0))
    twice = pl.concat([WHO, WHO.head(1)]).with_columns(rl_seed=pl.Series([0, 0, 0, 0, 1]))
    with pytest.raises(CorpusError, match="appears twice"):
        asked(None, twice)
    with pytest.raises(CorpusError, match="'base_model' and 'post_curve'"):
        asked(learn_from=[WHO])


def test_one_corpus_to_learn_from_needs_no_list():
    path = shipped_path("datasets/lab-2/corpus.parquet")
    answers = [race(WHO, None, rl_steps=400, learn_from=source).frame for source in (path, str(path), [path])]
    assert answers[0].equals(answers[1])
    assert answers[0].equals(answers[2])


def test_tables_of_other_tools_are_read_as_rank_reads_them() -> None:
    ours = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.2, 0.3], "pre_pass_at_16": [0.4, 0.5]})
    along = pl.DataFrame(
        {"candidate": ["a", "b"], "step": [50, 50], "pass_at_1": [0.25, 0.3], "pass_at_16": [0.5, 0.5]}
    )
    theirs = pl.DataFrame({"name": ["a", "b"], "pass@1 (%)": [20.0, 30.0], "Pass@16": [40.0, 50.0]})
    curves = pl.DataFrame({"run": ["a", "b"], "step": [50, 50], "pass@1": [25.0, 30.0], "pass@16": [50.0, 50.0]})
    known, foreign = race(ours, along, rl_steps=400), race(theirs, curves, rl_steps=400, percent=True)
    assert foreign.frame.equals(known.frame)
    assert "'name' as candidate" in foreign.notes[0]
    with pytest.raises(HeadersError, match="percent=True"):
        race(theirs, rl_steps=400)
    told = race(theirs.rename({"pass@1 (%)": "judge"}), curves, rl_steps=400, percent=True, columns={"pass@1": "judge"})
    assert told.frame.equals(known.frame)


def test_eval_seeds_are_joined_as_rank_joins_them():
    seeds = pl.DataFrame(
        {"candidate": ["a", "a", "b"], "seed": [0, 1, 0], "pre_pass_at_1": [0.1, 0.3, 0.3], "pre_pass_at_16": 0.5}
    )
    joined = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.2, 0.3], "pre_pass_at_16": 0.5})
    with pytest.raises(CorpusError, match=r'appears 2 times .* join_seeds="seed", which `quagpredict\.rank`'):
        race(seeds, rl_steps=400)
    found = race(seeds, rl_steps=400, join_seeds="seed")
    assert found.frame.equals(race(joined, rl_steps=400).frame)
    assert "3 rows are joined to 2 by 'seed'" in found.notes[0]
    per_cent = seeds.with_columns(pl.col("^pre_.*$") * 100)
    assert race(per_cent, rl_steps=400, percent=True, join_seeds="seed").frame.equals(found.frame)


@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_foreign_tables_without_pass_at_1_are_raced_by_what_they_hold(unit):
    theirs = pl.DataFrame({"name": ["a", "b"], "Pass@16": [0.4 * unit, 0.5 * unit]})
    curves = pl.DataFrame({"run": ["a", "b"], "step": [50, 50], "pass@1": [0.25 * unit, 0.3 * unit]})
    ours = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_16": [0.4, 0.5]})
    along = pl.DataFrame({"candidate": ["a", "b"], "step": [50, 50], "pass_at_1": [0.25, 0.3]})
    found = race(theirs, curves, rl_steps=400, percent=unit > 1)
    assert found.frame.equals(race(ours, along, rl_steps=400).frame)
    assert "'Pass@16' as pre_pass_at_16" in found.notes[0]


def test_costs_are_rl_steps_where_none_was_given():
    assert race(WHO, rl_steps=400).cost_unit == "RL steps"
    assert race(WHO, rl_steps=400, step_cost=0.5).cost_unit == ""
    assert race(WHO, rl_steps=400, measure_cost=2.0).cost_unit == ""


def test_a_margin_needs_a_gate():
    with pytest.raises(UsageError, match=r"margin=0\.1: a margin needs a gate"):
        race(WHO, rl_steps=400, margin=0.1)


def test_a_result_counts_before_the_last_point_of_its_curve_as_for_rank():
    who = WHO.with_columns(post_pass_at_1=pl.Series([0.5, None, None, None]))
    curves = along(("a", 100), ("a", 400), ("b", 100))
    raced, ranking = race(who, curves, rl_steps=400.0), rank(who, None, curves=curves, rl_steps=400)
    for found in (raced.frame, ranking.frame):
        assert found.filter(candidate="a")["score"].item() == 0.5
    assert raced.frame.filter(candidate="a")["forecast"].item() == 0.5
    assert ranking.frame.filter(candidate="a")["prediction"].item() == 0.5
    assert "after 400 RL steps" in str(raced)


@pytest.mark.parametrize("ask", [race, rank])
def test_curves_of_a_base_that_is_left_out_are_passed_over(ask):
    """A file of bases without SFT is shared, and so may be what was measured along their RL."""
    shared = pl.DataFrame({"candidate": ["base-y"], "base_model": ["y"], "recipe_scenario": ["no-sft"]})
    who = pl.concat([WHO, shared.with_columns(pre_pass_at_1=0.1, pre_pass_at_16=0.3)], how="diagonal")
    points = along(("a", 50))
    both = pl.concat([points, points.with_columns(candidate=pl.lit("base-y"))])
    found, alone = ask(who, curves=both, rl_steps=400), ask(WHO, curves=points, rl_steps=400)
    assert found.frame.equals(alone.frame)
    assert any("no other candidate is of their base model: base-y" in note for note in found.notes)
    with pytest.raises(CorpusError, match="'nobody' is none of the 4 candidates"):
        ask(who, curves=points.with_columns(candidate=pl.lit("nobody")), rl_steps=400)


def test_a_race_names_the_bases_that_a_gate_cannot_judge():
    who = WHO.with_columns(
        base_model=pl.Series(["x", "x", "y", "x"]), recipe_scenario=pl.Series(["no-sft"] + [None] * 3)
    )
    notes = race(who, along(("a", 50)), rl_steps=400, gate="no-sft").notes
    assert any("the gate says nothing of 1 candidates" in note and "none of y" in note for note in notes)
