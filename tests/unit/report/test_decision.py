"""A ranking said in one sentence, for every kind of answer that it can give."""

import polars as pl
import pytest

from quagpredict.ranking import rank
from quagpredict.report.decision import chosen, decide, free_in_words, rule_in_words, unmarked
from quagpredict.report.formats import percent
from quagpredict.report.race_tables import decision_of, race_shown
from quagpredict.surrogates import fit

NAMES = [f"c{place}" for place in range(12)]
TABLE = pl.DataFrame(
    {
        "candidate": NAMES,
        "pre_pass_at_1": [0.30 - 0.02 * (place % 5) for place in range(12)],
        "pre_pass_at_64": [0.90 - 0.03 * place for place in range(12)],
        "pre_held_out_loss_nats": [0.40 + 0.05 * ((place * 5) % 12) for place in range(12)],
        "post_pass_at_1": [0.80 - 0.04 * place + 0.03 * (-1) ** place for place in range(12)],
    }
)
OPEN = TABLE.drop("post_pass_at_1")


@pytest.fixture(scope="module")
def surrogate():
    # Of other candidates: their names, and so their rows, are others.
    return fit(TABLE.with_columns("run-" + pl.col("candidate")), "ridge", ["pre_pass_at_64"])


def said(ranking, **settings):
    return unmarked(decide(ranking, **settings).sentence)


def test_the_first_is_taken_with_its_prediction_and_interval(surrogate):
    ranking = rank(OPEN, surrogate)
    first = ranking.frame.row(0, named=True)
    assert chosen(ranking) == ("c0",)
    assert said(ranking) == (
        f"Take c0 through RL first: predicted Pass@1 after RL {percent(first['prediction'])} % "
        f"({percent(first['low'], 0)} to {percent(first['high'], 0)} %)."
    )


def test_the_doubt_tells_the_chance_the_regret_and_who_else_may_be_best(surrogate):
    ranking = rank(OPEN, surrogate)
    first = ranking.frame.row(0, named=True)
    doubt = unmarked(decide(ranking).doubt)
    assert f"the best of all 12 with a chance of {percent(first['p_best'], 0)} %" in doubt
    assert f"cost {percent(first['expected_regret'])} points" in doubt
    others = ranking.frame.filter(pl.col("p_best") >= 0.1)["candidate"].to_list()[1:]
    assert ("The order is open" in doubt) == (first["p_best"] < 0.5 and bool(others))


def test_the_free_rules_are_told_with_what_they_are_predicted_to_cost(surrogate):
    ranking = rank(OPEN, surrogate)
    scores = dict(ranking.frame.select("candidate", "prediction").iter_rows())
    free = unmarked(decide(ranking).free)
    by_loss = OPEN.sort("pre_held_out_loss_nats")["candidate"][0]
    assert by_loss == "c0"
    assert free == "The rules that cost nothing agree: highest SFT Pass@1, highest Pass@64, lowest loss, screening."
    other = OPEN.with_columns(pre_held_out_loss_nats=1 - pl.col("pre_pass_at_64") / 10 * pl.int_range(12))
    lowest = other.sort("pre_held_out_loss_nats")["candidate"][0]
    found = rank(other, surrogate)
    assert lowest != "c0"
    gap = percent(scores["c0"] - scores[lowest])
    assert f"by lowest loss it would be {lowest}, predicted {gap} points lower" in unmarked(decide(found).free)


def test_none_is_worth_rl_is_an_answer(surrogate):
    ranking = rank(OPEN, surrogate, gate=0.9)
    assert chosen(ranking) == ()
    assert said(ranking) == (
        f"None is worth RL: none clears 90.0 %; the closest is c0, with a chance of "
        f"{percent(ranking.gate.p_closest, 0)} %."
    )
    assert decide(ranking, 24.0).cost == "At 24 GPU-hours a run, RL for all 12 would cost 288, which are saved."
    cleared = rank(OPEN, surrogate, gate=0.1)
    assert said(cleared).startswith("Take c0 through RL first")
    assert unmarked(decide(cleared).doubt).endswith("It clears 10.0 % with a chance of 100 %.")


def test_a_budget_takes_no_one_whom_the_gate_stops(surrogate):
    ranking = rank(OPEN, surrogate, gate=0.6, budget=8)
    assert 1 < len(ranking.gate.cleared) < 8
    assert {*chosen(ranking)} == {*ranking.gate.cleared}
    stopped = {*NAMES} - {*ranking.gate.cleared}
    assert not any(f" {name} " in f" {said(ranking)} " for name in stopped)
    assert "Each clears 60.0 % with a chance of at least" in unmarked(decide(ranking).doubt)
    none = rank(OPEN, surrogate, gate=0.9, budget=8)
    assert said(none).startswith("None is worth RL")


def test_a_budget_is_named(surrogate):
    ranking = rank(OPEN, surrogate, budget=2)
    expected = percent(ranking.budget.expected_best)
    named = " and ".join(ranking.budget.candidates)
    assert said(ranking) == f"Take {named} through RL: the best of them is then expected to reach {expected} %."
    most = ranking.frame["prediction"].max()
    assert ranking.budget.expected_best > most
    explained = (
        f"No single one is predicted above {percent(most)} %; {expected} % is the mean of whichever turns out best."
    )
    assert decide(ranking).doubt.endswith(explained)
    assert decide(ranking, 10.0).cost == (
        "At 10 GPU-hours a run, RL for these 2 costs 20; RL for all 12 would cost 120: 100 are saved."
    )


def test_a_result_in_hand_is_kept_or_held_against_the_others():
    some = TABLE.with_columns(post_pass_at_1=pl.when(pl.int_range(12) < 6).then("post_pass_at_1"))
    ranking = rank(some, "ridge:pass_at_64")
    best = ranking.frame.row(0, named=True)
    assert best["candidate"] == "c0"
    text = said(ranking)
    assert best["p_best"] >= 0.5
    assert chosen(ranking) == ()
    assert text.startswith("Keep c0, whose result of 83.0 % is the best of all 12 with a chance of")
    assert "of those without one c6 is next, predicted" in text
    # Whoever asks for a budget will spend it.
    two = rank(some, "ridge:pass_at_64", budget=2)
    assert "through RL: the best of all is then expected to reach" in said(two)
    assert ", beside the 83.0 % in hand; " in decide(two).doubt or two.budget.expected_best <= 0.83
    assert said(rank(some, "ridge:pass_at_64", budget=1)).startswith("c0 is ahead with its result of 83.0 %; of those")


def test_all_finished_names_the_best_result_not_the_best_prediction():
    better = TABLE.with_columns(
        post_pass_at_1=pl.when(pl.col("candidate") == "c5").then(0.99).otherwise("post_pass_at_1")
    )
    ranking = rank(better, "ridge:pass_at_64")
    assert ranking.frame["candidate"][0] == "c0"
    assert said(ranking) == "All have their result: c5 is best, 99.0 %."
    assert "c5 ended best, at 99.0 %" in unmarked(decide(ranking).result)


def test_a_screening_says_that_it_predicts_nothing():
    assert said(rank(OPEN, None)).startswith("Take c0 through RL first: of the ")
    assert said(rank(OPEN, None)).endswith("it has the highest Pass@64, 90.0 %.")
    assert said(rank(OPEN, None, budget=2)) == (
        "Take c0 and c1 through RL: of the 12 they have the highest Pass@64 that passes the screening."
    )
    assert decide(rank(OPEN, None)).doubt == ""
    done = TABLE.with_columns(post_pass_at_1=pl.when(pl.col("candidate") == "c0").then("post_pass_at_1"))
    text = "Take c1 and c3 through RL: of the 11 without a result they have the highest Pass@64 that passes"
    assert said(rank(done, None, budget=2)).startswith(text)
    assert " without a result " in said(rank(done, None))


def test_the_results_of_rules_are_told_best_first(surrogate):
    ranking = rank(OPEN, surrogate, truth=TABLE)
    text = unmarked(decide(ranking).result)
    regrets = {rule_in_words(choice.rule): choice.regret for choice in ranking.outcome.choices}
    assert text.startswith("RL has been run for 12; c0 ended best, at 83.0 %. Choices end there by prediction")
    assert all(rule in text for rule in regrets)
    assert decide(rank(OPEN, surrogate, truth=TABLE.head(2))).result == ""  # two results tell nothing


def test_a_target_that_is_to_be_low_is_said_in_its_own_unit():
    table = pl.DataFrame(
        {
            "candidate": NAMES,
            "web": [place / 12 for place in range(12)],
            "loss": [2.0 + 0.1 * place + 0.02 * (place % 4) if place % 3 else None for place in range(12)],
        }
    )
    text = said(rank(table, "ridge", features=["web"], target="loss", minimize=True))
    assert text.startswith("Take c0 through RL first: predicted loss 2.0")
    assert "%" not in text


def test_a_page_decides_also_where_the_race_takes_what_was_not_predicted():
    table = pl.DataFrame({"candidate": ["a", "b", "c"], "pre_pass_at_16": [0.5, 0.4, 0.45]})
    curves = pl.DataFrame({"candidate": ["a", "b"], "step": [100, 100], "pass_at_1": [0.31, 0.35]})
    ranking = rank(table, None, curves=curves, rl_steps=400)
    said = unmarked(free_in_words(ranking, ("c",)))
    assert said == "Sorting costs nothing, and takes others: by highest Pass@16 or screening it would be a."
    assert "predicted 3.5 points" in unmarked(free_in_words(ranking, ("b",)))
    assert decision_of(ranking, race_shown(ranking)).sentence
