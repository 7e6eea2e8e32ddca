"""What is carried between corpora: as good as at home where the worlds are one, no better than chance elsewhere."""

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError, UsageError
from quagpredict.replication.transfer import Corpus, transfer, transfers
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation.baselines import BASELINE

HERE = Corpus("here", synthetic_corpus(60, seed=1).frame)
THERE = Corpus("there", synthetic_corpus(60, seed=2).frame)


def cells(found: pl.DataFrame, model: str, metric: str) -> dict[str, float]:
    return found.filter(model=model, metric=metric).row(0, named=True)


def test_between_corpora_of_one_world_order_and_gain_carry_over() -> None:
    found = transfer(HERE, THERE, ["linear:both"])
    order = cells(found, "linear:both", "spearman")
    assert 0.7 < order["value"] <= 1.0
    assert order["low"] <= order["value"] <= order["high"]
    assert order["gain_low"] > 0.0  # in this world coverage decides, and SFT Pass@1 misleads
    assert cells(found, "linear:both", "r2")["value"] > 0.4


def test_outcomes_that_follow_from_nothing_leave_nothing_to_carry() -> None:
    after = [name for name in THERE.frame.columns if name.startswith("post_")]
    shuffled = THERE.frame.with_columns(THERE.frame.select(after).sample(fraction=1.0, shuffle=True, seed=3))
    found = transfer(HERE, Corpus("shuffled", shuffled), ["linear:both"])
    assert cells(found, "linear:both", "r2")["value"] < 0.0
    assert cells(found, "linear:both", "spearman")["low"] < 0.0 < cells(found, "linear:both", "spearman")["high"]


def test_the_judged_outcomes_are_never_fitted_on() -> None:
    """Moving every outcome of the judged corpus moves no order, which a fit on them would turn around."""
    turned = THERE.frame.with_columns(post_pass_at_1=1.0 - pl.col("post_pass_at_1"))
    there, back = (
        transfer(HERE, Corpus("x", frame), ["ridge:both"]).filter(metric="spearman") for frame in (THERE.frame, turned)
    )
    np.testing.assert_allclose(there["value"], -back["value"])


def test_both_directions_and_the_baseline_are_there() -> None:
    found = transfers([HERE, THERE], ["linear:loss"])
    pairs = found.select("fitted_on", "judged_on", "model").unique(maintain_order=True).rows()
    assert pairs == [(a, b, m) for a, b in (("here", "there"), ("there", "here")) for m in (BASELINE, "linear:loss")]


def test_what_one_corpus_lacks_is_told_and_the_rest_carried() -> None:
    said: list[str] = []
    bare = Corpus("bare", THERE.frame.drop("pre_problems"))
    found = transfers([HERE, bare], ["sharpening", "linear:both"], say=said.append)
    assert "sharpening" not in found["model"].to_list()
    assert found["model"].n_unique() == 2
    assert any("sharpening" in line and "pre_problems" in line for line in said)


def test_a_candidate_that_cannot_be_predicted_is_not_ranked_first() -> None:
    gap = pl.when(pl.int_range(pl.len()) < 3).then(None).otherwise("pre_held_out_loss_nats")
    there = Corpus("gap", THERE.frame.with_columns(gap.alias("pre_held_out_loss_nats")))
    with pytest.raises(CorpusError, match=r"gap: .* lacks a measurement that 'linear:loss' needs"):
        transfer(HERE, there, ["linear:loss"])
    said: list[str] = []
    found = transfer(HERE, there, ["linear:loss", "linear:pass_at_64"], say=said.append)
    assert found["model"].unique(maintain_order=True).to_list() == [BASELINE, "linear:pass_at_64"]
    assert len(said) == 1


def test_what_cannot_be_carried_is_refused() -> None:
    with pytest.raises(UsageError, match="not fitted"):
        transfer(HERE, THERE, ["proxy:loss"])
    with pytest.raises(CorpusError, match="there: 3 finished candidates"):
        transfer(HERE, Corpus("there", THERE.frame[:3]), ["linear:loss"])
