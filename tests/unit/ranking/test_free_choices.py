"""What the rules that cost nothing would take, and how far down their lists the best stands."""

from itertools import pairwise, permutations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.ranking import rank
from quagpredict.ranking.outcome import outcome

TABLE = pl.DataFrame(
    {
        "candidate": ["a", "b", "c", "d", "e"],
        "base_model": ["x", "x", "y", "y", "z"],
        "pre_pass_at_1": [0.5, 0.4, 0.3, 0.3, 0.1],
        "pre_pass_at_64": [0.7, 0.8, 0.9, 0.6, 0.2],
        "pre_held_out_loss_nats": [0.5, 0.6, 0.7, 0.4, 0.9],
    }
)


def by_rule(ranking, base=None):
    return {choice.rule: choice.candidate for choice in ranking.free_choices if choice.base_model == base}


def test_every_rule_chooses_among_all_and_within_each_base():
    ranking = rank(TABLE, None)
    assert by_rule(ranking) == {
        "pre_pass_at_1": "a",
        "pre_pass_at_64": "c",
        "pre_held_out_loss_nats": "d",
        "screening": "c",
    }
    assert by_rule(ranking, "x")["pre_pass_at_64"] == "b"
    assert by_rule(ranking, "y")["pre_pass_at_1"] == "c"  # of equal ones the first by name
    assert by_rule(ranking, "z") == {}  # one candidate leaves no choice


def test_what_has_its_result_is_not_taken_again():
    done = TABLE.with_columns(post_pass_at_1=pl.Series([None, None, 0.6, 0.5, None]))
    ranking = rank(done, None)
    assert ranking.finished == ("c", "d")
    assert by_rule(ranking)["pre_pass_at_64"] == "b"
    assert by_rule(ranking, "y") == {}
    # What only `truth` tells is not known to who chooses.
    told = rank(TABLE, None, truth=done.drop_nulls("post_pass_at_1"))
    assert told.finished == ()
    assert by_rule(told)["pre_pass_at_64"] == "c"
    # Where all have theirs there is nothing left, and the rules are told of all.
    every = rank(TABLE.with_columns(post_pass_at_1=pl.Series([0.1, 0.2, 0.3, 0.4, 0.5])), None)
    assert by_rule(every)["pre_pass_at_64"] == "c"


def test_a_rule_that_lacks_a_measurement_orders_nothing():
    ranking = rank(TABLE.with_columns(pre_held_out_loss_nats=pl.Series([None, 0.6, 0.7, 0.4, 0.9])), None)
    assert "pre_held_out_loss_nats" not in by_rule(ranking)
    assert by_rule(ranking, "y")["pre_held_out_loss_nats"] == "d"


def test_no_rule_is_free_where_the_lowest_is_best():
    table = TABLE.with_columns(loss=pl.Series([2.0, 2.1, 2.2, 2.3, None]))
    table = table.drop("base_model")
    assert rank(table, "ridge", features=["pre_pass_at_1"], target="loss", minimize=True).free_choices == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_the_runs_until_the_best_are_the_mean_over_the_orders_that_the_rule_allows(rows):
    table = pl.DataFrame(
        {
            "candidate": [f"c{place}" for place in range(len(rows))],
            "post_pass_at_1": [result / 4 for result, _ in rows],
        }
    )
    rule = pl.Series([float(value) for _, value in rows])
    (choice,) = outcome(table, rule, "prediction", "post_pass_at_1").choices
    best = max(result for result, _ in rows)
    places = [
        next(place for place, row in enumerate(order, start=1) if rows[row][0] == best)
        for order in permutations(range(len(rows)))
        if all(rows[first][1] >= rows[second][1] for first, second in pairwise(order))
    ]
    assert choice.runs_to_best == pytest.approx(sum(places) / len(places))


def test_a_rule_that_knows_the_levels_of_the_bases_keeps_them_and_orders_within_by_itself() -> None:
    table = pl.DataFrame(
        {
            "candidate": list("vwxyz"),
            "base_model": ["a", "b", "a", "b", "a"],
            "pre_pass_at_1": [0.2, 0.1, 0.2, 0.3, 0.1],
            "post_pass_at_1": [0.4, 0.7, 0.4, 0.9, 0.1],
        }
    )
    predicted = pl.Series([0.1, 0.9, 0.3, 0.7, 0.5])
    found = outcome(table, predicted, "prediction", "post_pass_at_1", knows_bases=True)
    assert found is not None
    by_rule = {choice.rule: choice for choice in found.choices}
    dealt = by_rule["base and Pass@1"]
    # Dealt in the order of Pass@1 the predictions are 0.4, 0.7, 0.4, 0.9, 0.1: what RL gave.
    assert (dealt.candidate, dealt.spearman, dealt.pairs_within) == ("y", pytest.approx(1.0), 1.0)
    mean = by_rule["base mean"]
    assert (mean.candidate, mean.actual, mean.pairs_within) == ("w", pytest.approx(0.8), 0.5)
    one = outcome(
        table.with_columns(base_model=pl.lit("a")), predicted, "prediction", "post_pass_at_1", knows_bases=True
    )
    assert one is not None
    assert not [choice for choice in one.choices if choice.rule.startswith("base")]
