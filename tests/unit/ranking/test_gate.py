"""Gates: a score, a candidate, RL from the base; none clearing one is an answer."""

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import UsageError
from quagpredict.ranking import rank
from quagpredict.ranking.gate import parse_bar
from quagpredict.surrogates import fit
from quagpredict.testing.synthetic import synthetic_corpus


@pytest.fixture(scope="module")
def runs():
    return synthetic_corpus(40, seed=1, nested=False).frame


@pytest.fixture(scope="module")
def fitted(runs):
    return fit(runs[:24])


@pytest.fixture(scope="module")
def fresh(runs):
    """Candidates that RL has not seen; the first of each base is RL from the base."""
    table = runs[24:].drop("post_pass_at_1", "rl_recipe_id", "rl_seed")
    first = pl.int_range(pl.len()) < 2
    return table.with_columns(recipe_scenario=pl.when(first).then(pl.lit("no-sft")).otherwise("recipe_scenario"))


def test_a_score_as_gate(fresh, fitted):
    ranking = rank(fresh, fitted, gate=0.5)
    gate = ranking.gate
    clear = ranking.frame.filter(pl.col("p_clear") >= 0.5)
    assert set(gate.cleared) == set(clear["candidate"])
    # The middle of the prediction is above the bar exactly where the probability is above a half, but for the draws.
    predicted = ranking.frame.filter(pl.col("prediction") >= 0.5).height
    assert abs(predicted - len(gate.cleared)) <= 1
    assert gate.p_any >= gate.p_closest == clear["p_clear"].max()


def test_none_clears_is_an_answer(fresh, fitted):
    gate = rank(fresh, fitted, gate="0.99").gate
    assert gate.cleared == ()
    assert gate.closest
    assert gate.p_closest < 0.5


def test_a_margin_and_a_probability_raise_the_bar(fresh, fitted):
    low = rank(fresh, fitted, gate=0.5).gate
    assert set(rank(fresh, fitted, gate=0.5, margin=0.1).gate.cleared) < set(low.cleared)
    assert set(rank(fresh, fitted, gate=0.5, gate_probability=0.9).gate.cleared) < set(low.cleared)


def test_another_candidate_as_gate_shares_its_errors(fresh, fitted):
    name = fresh["candidate"][5]
    ranking = rank(fresh, fitted, gate=name)
    chances = dict(ranking.frame.select("candidate", "p_clear").iter_rows())
    assert chances[name] is None
    predicted = dict(ranking.frame.select("candidate", "prediction").iter_rows())
    better = {other for other in predicted if predicted[other] > predicted[name] + 0.01}
    assert better <= {*ranking.gate.cleared}


def test_rl_from_the_base_as_gate_is_that_of_the_own_base(fresh, fitted):
    bar = parse_bar("no-sft", 0.0, fresh)
    bases = fresh["base_model"].to_list()
    assert all(bases[row] == bases[reference] for row, reference in enumerate(bar.reference))
    ranking = rank(fresh, fitted, gate="no-sft", margin=0.02)
    assert (ranking.gate.bar, ranking.gate.margin) == ("no-sft", 0.02)
    assert ranking.frame["p_clear"].null_count() == 2


def test_a_base_without_its_measurement_is_not_judged(fresh, fitted):
    without = fresh.filter(~((pl.col("recipe_scenario") == "no-sft") & (pl.col("base_model") == "base-0")))
    ranking = rank(without, fitted, gate="no-sft")
    unjudged = ranking.frame.filter(pl.col("p_clear").is_null())
    assert set(unjudged["base_model"]) == {"base-0", "base-1"}
    assert unjudged.filter(base_model="base-1").height == 1
    (said,) = (note for note in ranking.notes if note.startswith("the gate says nothing"))
    assert said.startswith(f"the gate says nothing of {unjudged.height - 1} candidates")
    assert said.endswith("there is none of base-0")


def test_a_base_of_its_own_does_not_join_the_candidates_of_another(fresh, fitted):
    both = rank(fresh, fitted, gate="no-sft")
    one = fresh.filter((pl.col("base_model") == "base-0") | (pl.col("recipe_scenario") == "no-sft"))
    ranking = rank(one, fitted, gate="no-sft", budget=2)
    assert set(ranking.frame["base_model"]) == {"base-0"}
    assert ranking.notes[1].startswith("left out, since no other candidate is of their base model: ")
    # What the gate says of the others is what it says without that row.
    assert {*ranking.gate.cleared} == {*both.gate.cleared} & {*ranking.frame["candidate"]}
    bases = fresh.filter(recipe_scenario="no-sft")
    assert rank(bases, fitted).frame.height == 2  # where there is nothing else, bases are what is ranked
    other = bases.filter(base_model="base-1")["candidate"].item()
    assert other in rank(one, fitted, gate=other).frame["candidate"]


def test_only_who_clears_the_gate_is_in_the_budget(fresh, fitted):
    cleared = rank(fresh, fitted, gate=0.5).gate.cleared
    ranking = rank(fresh, fitted, gate=0.5, budget=len(cleared) + 2)
    assert {*ranking.budget.candidates} == {*cleared}
    assert f"{len(cleared) + 2} candidates were asked for and {len(cleared)} clear the gate" in ranking.notes[-1]
    none = rank(fresh, fitted, gate=0.99, budget=2)
    assert none.budget.candidates == ()


def test_a_lower_bar_for_a_loss():
    bar = parse_bar("2.0", 0.1, pl.DataFrame({"candidate": ["a"]}), minimize=True)
    assert bar.threshold == pytest.approx(-1.9)


def test_wrong_gates(fresh, fitted):
    with pytest.raises(UsageError, match='gate="nobody": expected a score'):
        rank(fresh, fitted, gate="nobody")
    with pytest.raises(
        UsageError, match="no candidate of the base model base-0 or base-1 has the recipe_scenario 'no-sft'"
    ):
        rank(fresh.drop("recipe_scenario"), fitted, gate="no-sft")
    with pytest.raises(UsageError, match="a margin needs a gate"):
        rank(fresh, fitted, margin=0.1)
    with pytest.raises(UsageError, match="gate_probability"):
        rank(fresh, fitted, gate=0.5, gate_probability=0.0)
    with pytest.raises(UsageError, match=r"gate=0.5 needs predicted scores"):
        rank(fresh, gate=0.5)


def test_the_gate_does_not_change_the_chances(fresh, fitted):
    with_gate, without = rank(fresh, fitted, gate=0.6).frame, rank(fresh, fitted).frame
    assert np.allclose(with_gate["p_best"], without["p_best"])


def test_a_bar_in_per_cent_is_asked_about() -> None:
    table = pl.DataFrame({"candidate": ["a"]})
    with pytest.raises(UsageError, match=r'gate="70": .*for 70 % say gate=0.7'):
        parse_bar("70", 0.0, table, target="post_pass_at_1")
    with pytest.raises(UsageError, match=r"fraction between 0 and 1$"):
        parse_bar("-0.2", 0.0, table, target="post_pass_at_1")
    assert parse_bar("70", 0.0, table, target="loss").threshold == 70.0


@pytest.mark.parametrize("margin", [float("nan"), float("inf")])
def test_a_margin_is_a_number(margin):
    with pytest.raises(UsageError, match=f"margin={margin}: expected a number"):
        parse_bar(0.5, margin, pl.DataFrame({"candidate": ["a"]}))
