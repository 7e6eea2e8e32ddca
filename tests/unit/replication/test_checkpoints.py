"""Choosing a checkpoint: what each rule would have cost."""

import polars as pl
import pytest

from quagpredict.replication.checkpoints import checkpoint_choice


def runs() -> pl.DataFrame:
    """Two SFT runs of three checkpoints, one of a single one, one candidate without SFT; two RL seeds of everything."""
    epochs = [1.0, 4.0, 16.0, 1.0, 4.0, 16.0, 4.0, 0.0]
    after = [0.9, 0.7, 0.5, 0.6, 0.8, 0.6, 0.1, 0.3]
    table = pl.DataFrame({
        "candidate": [f"c{place}" for place in range(8)],
        "base_model": "b",
        "recipe_id": [f"r{place}" for place in range(8)],
        "recipe_data_kind": ["x"] * 3 + ["y"] * 3 + ["x", "none"],
        "recipe_epochs": epochs,
        "recipe_planned_epochs": [16.0] * 6 + [4.0, 0.0],
        "recipe_examples_seen": [100 * value for value in epochs],
        "pre_pass_at_1": [0.2, 0.3, 0.4, 0.2, 0.3, 0.4, 0.3, 0.1],
        "pre_held_out_loss_nats": [0.2, 0.3, 0.4, 0.3, 0.2, 0.4, 0.3, 0.5],
        "post_pass_at_1": after,
    })  # fmt: skip
    shift = pl.col("post_pass_at_1")
    return pl.concat([table.with_columns(shift - 0.05), table.with_columns(shift + 0.05)])


def test_each_rule_pays_what_its_choice_lacks() -> None:
    found = checkpoint_choice(runs())
    regrets = dict(found.select("rule", "regret").rows())
    assert found["sft_runs"].unique().to_list() == [2]
    assert regrets == {
        "the last one": pytest.approx((0.4 + 0.2) / 2),
        "the first one": pytest.approx((0.0 + 0.2) / 2),
        "highest SFT Pass@1": pytest.approx((0.4 + 0.2) / 2),
        "lowest held-out loss": pytest.approx(0.0),
    }
    assert (found["low"] <= found["regret"]).all()
    assert (found["regret"] <= found["high"]).all()


def test_without_several_checkpoints_of_a_run_there_is_nothing_to_choose() -> None:
    whole = runs().with_columns(recipe_planned_epochs=pl.col("recipe_epochs"))
    assert checkpoint_choice(whole).height == 0
    assert checkpoint_choice(runs().drop("recipe_planned_epochs")).height == 0


def test_runs_that_do_not_say_what_was_planned_are_no_checkpoints() -> None:
    table = runs().with_columns(recipe_planned_epochs=pl.lit(None, pl.Float64))
    assert checkpoint_choice(table).height == 0


def test_one_sft_run_has_no_interval() -> None:
    one = checkpoint_choice(runs().filter(pl.col("recipe_data_kind") == "x"))
    assert one.filter(rule="the last one").select("sft_runs", "low", "high").row(0) == (1, None, None)
