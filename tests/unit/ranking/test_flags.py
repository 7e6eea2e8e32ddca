"""Flags of single measurements, at their thresholds."""

import polars as pl
import pytest

from quagpredict.ranking.flags import KINDS, measurement_flags, over_trained
from quagpredict.shipped import shipped_path


def flagged(frame, features=("pre_pass_at_64",)):
    return {(flag.candidate, flag.kind) for flag in measurement_flags(frame, features)}


def test_no_learning_signal():
    table = pl.DataFrame(
        {
            "candidate": ["a", "b", "c"],
            "pre_pass_at_64": [0.5, 0.5, 0.5],
            "pre_zero_variance_share_g8": [0.95, 0.89, None],
            "pre_zero_variance_share_g16": [0.1, 0.99, 0.99],
        }
    )
    # Groups of 8 are known for some, so those of 16 are not looked at.
    assert flagged(table) == {("a", "no-signal")}
    assert flagged(table.drop("pre_zero_variance_share_g8")) == {("b", "no-signal"), ("c", "no-signal")}


def recipes(**columns):
    count = len(columns["recipe_epochs"])
    return pl.DataFrame({"candidate": list("abcdef"[:count]), "base_model": ["x"] * count, **columns})


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        # More epochs on the same number of examples seen, and a higher loss.
        ({"recipe_epochs": [1.0, 8.0], "recipe_examples_seen": [512, 512], "loss": [0.2, 0.3]}, "b"),
        # A lower loss with more epochs is what epochs are for.
        ({"recipe_epochs": [1.0, 8.0], "recipe_examples_seen": [512, 512], "loss": [0.3, 0.2]}, ""),
        # The other saw more examples: it was trained more, not this one too much.
        ({"recipe_epochs": [1.0, 8.0], "recipe_examples_seen": [4096, 512], "loss": [0.2, 0.3]}, ""),
        # Without the number of examples, epochs decide.
        ({"recipe_epochs": [1.0, 8.0], "loss": [0.2, 0.3]}, "b"),
        # Within the noise of both.
        ({"recipe_epochs": [1.0, 8.0], "loss": [0.2, 0.23], "pre_held_out_loss_se": [0.02, 0.02]}, ""),
        ({"recipe_epochs": [1.0, 8.0], "loss": [0.2, 0.203]}, ""),
        # No SFT at all is another regime, not fewer epochs.
        ({"recipe_epochs": [0.0, 1.0], "loss": [0.2, 0.3]}, ""),
        # Other data say nothing about these.
        ({"recipe_epochs": [1.0, 8.0], "loss": [0.2, 0.3], "recipe_data_kind": ["short", "long"]}, ""),
        # Another learning rate may have trained too little.
        ({"recipe_epochs": [1.0, 8.0], "loss": [0.2, 0.3], "recipe_learning_rate": [1e-3, 1e-4]}, ""),
        # The lowest of several is what counts, and only that with fewer epochs.
        ({"recipe_epochs": [1.0, 2.0, 4.0, 8.0], "loss": [0.3, 0.2, 0.25, 0.19]}, "c"),
    ],
)
def test_over_training(columns, expected):
    table = recipes(**columns).rename({"loss": "pre_held_out_loss_nats"})
    assert "".join(flag.candidate for flag in over_trained(table)) == expected


def test_over_training_needs_its_columns():
    assert list(over_trained(pl.DataFrame({"candidate": ["a"]}))) == []


def test_over_training_on_the_shipped_corpus():
    runs = pl.read_parquet(shipped_path("datasets/lab-pilot/corpus.parquet"))
    found = {flag.candidate for flag in over_trained(runs)}
    # 64 examples 16 times lost against 1024 examples once, of the same data.
    assert {"weak.broad-64x16-lr0.001-s0", "strong.broad-64x16-lr0.001-s0"} <= found
    assert "weak.broad-4096x1-lr0.001-s0" not in found


def test_derived_features_are_missing_as_what_they_come_from():
    table = pl.DataFrame({"candidate": ["a", "b"]})
    found = list(measurement_flags(table, ("pre_problems.pass_at_2", "base_model=x"), table_design()))
    assert [(flag.candidate, flag.kind, flag.detail) for flag in found] == [("b", "missing-feature", "pre_problems")]


def table_design():
    import numpy as np

    return np.array([[0.5, 1.0], [np.nan, 0.0]])


def test_every_kind_has_a_meaning():
    assert all(KINDS.values())
