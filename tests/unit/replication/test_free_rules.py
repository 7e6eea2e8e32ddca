"""Rules that need no finished run: judged within bases, on draws of bases and kinds, and without each kind."""

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError
from quagpredict.replication.free_rules import BASELINE, free_rules, left_out_order
from quagpredict.testing.synthetic import synthetic_corpus


def corpus(kinds: int = 5) -> pl.DataFrame:
    frame = synthetic_corpus(40, rl_seeds=2, seed=3).frame
    number = pl.col("candidate").str.slice(1).cast(pl.Int64)
    return frame.with_columns(recipe_data_kind=pl.format("kind-{}", number % kinds))


def test_a_rule_that_one_kind_carries_is_shown_without_it() -> None:
    frame = corpus()
    # SFT Pass@1 is made the truth, but for one kind that it puts last and that ends first.
    special = pl.col("recipe_data_kind") == "kind-2"
    frame = frame.with_columns(
        pre_pass_at_1=pl.when(special).then(0.0).otherwise(pl.col("post_pass_at_1").mean().over("candidate") / 2),
        post_pass_at_1=pl.when(special).then(1.0).otherwise("post_pass_at_1"),
    )
    found = free_rules(frame, draws=50).filter(scenario="all", rule=BASELINE)
    for row in found.iter_rows(named=True):
        assert row["kind"] == "kind-2"
    pairs, regret = (found.filter(metric=name).row(0, named=True) for name in ("pairs", "regret"))
    assert pairs["value_without"] == 1.0
    assert regret["value_without"] == 0.0
    assert pairs["value"] < 0.9
    assert regret["value"] > 0.1


def test_truth_is_the_mean_over_seeds_and_draws_take_whole_kinds() -> None:
    frame = corpus()
    once = frame.group_by("candidate", maintain_order=True).agg(
        pl.col("post_pass_at_1").mean(), pl.exclude("post_pass_at_1").first()
    )
    assert free_rules(frame, draws=30).equals(free_rules(once.select(frame.columns), draws=30))
    single = free_rules(frame.with_columns(recipe_data_kind=pl.lit("one")), draws=30).filter(scenario="all")
    # One kind a base: only bases are drawn, so the interval is that of two values.
    assert single.filter(metric="pairs", rule=BASELINE)["low"].is_not_null().all()
    assert single["value_without"].is_null().all()


def test_what_was_not_measured_is_no_rule() -> None:
    frame = corpus().drop("pre_pass_at_64", "pre_problems", "pre_held_out_loss_nats")
    assert free_rules(frame, draws=5)["rule"].unique().to_list() == [BASELINE]
    assert free_rules(frame.drop("pre_pass_at_1"), draws=5).is_empty()
    with pytest.raises(CorpusError, match=r"^lab: column 'post_pass_at_1' is missing: rules are judged on the runs"):
        free_rules(frame.drop("post_pass_at_1"), source="lab")


def test_intervals_hold_their_values() -> None:
    found = free_rules(corpus(8), draws=200, seed=1).filter(scenario="all")
    values = found.select("value", "low", "high").to_numpy()
    assert np.all(values[:, 1] <= values[:, 0] + 1e-12)
    assert np.all(values[:, 0] <= values[:, 2] + 0.05)


def test_a_single_kind_of_data_is_no_certainty() -> None:
    frame = synthetic_corpus(40, seed=1).frame.with_columns(recipe_data_kind=pl.lit("broad"))
    found = free_rules(frame, draws=200).filter(scenario="all", rule="Pass@64", metric="pairs")
    assert found["gain_high"][0] - found["gain_low"][0] > 0.01
    alone = free_rules(frame.drop("recipe_data_kind"), draws=200).filter(scenario="all", rule="Pass@64", metric="pairs")
    assert found.equals(alone)


def test_a_model_orders_a_base_by_what_it_learnt_on_the_others() -> None:
    frame = synthetic_corpus(40, seed=1).frame
    own = (frame["base_model"] == "base-0").to_numpy()
    other_way = frame.with_columns(
        post_pass_at_1=pl.when(pl.col("base_model") == "base-0")
        .then(1.0 - pl.col("post_pass_at_1"))
        .otherwise(pl.col("post_pass_at_1"))
    )
    order, turned = (left_out_order(table, "linear:both") for table in (frame, other_way))
    assert np.array_equal(order[own], turned[own])
    assert not np.allclose(order[~own], turned[~own])
    both = free_rules(frame.sample(fraction=1.0, shuffle=True, seed=1), ["linear:both"], draws=5)
    judged = both.filter(rule="linear:both", metric="pairs")
    assert set(judged["scenario"]) <= {"dataset-level", "instance-level"}
    assert (judged["value"] > 0.5).all()


def test_a_model_is_left_out_where_no_other_base_teaches_it() -> None:
    frame = synthetic_corpus(40, seed=1).frame.filter(pl.col("base_model") == "base-0")
    with pytest.raises(CorpusError, match="there is no other base model to fit it on"):
        left_out_order(frame, "linear:both")
    assert "linear:both" not in set(free_rules(frame, ["linear:both"], draws=5)["rule"])
