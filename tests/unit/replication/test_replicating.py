"""What a corpus says of the paper's claims: right where the truth is known, and nowhere surer than the data."""

import re
from dataclasses import replace

import polars as pl
import pytest

from quagpredict.replication import Replication, replication_of
from quagpredict.replication.auditing import audit
from quagpredict.replication.claims import claims_of, verdict_of
from quagpredict.replication.free_rules import free_rules
from quagpredict.replication.published import PUBLISHED
from quagpredict.testing.synthetic import synthetic_corpus


@pytest.fixture(scope="module")
def found() -> Replication:
    return replication_of(
        synthetic_corpus(60, rl_seeds=2, seed=3).frame, "synthetic", surrogates=["effective_k"], repeats=20
    )


def verdicts(replication: Replication) -> dict[str, str]:
    return {claim.claim: claim.verdict for claim in replication.claims}


def test_a_world_in_which_sft_pass_at_1_misleads_agrees(found: Replication) -> None:
    """The synthetic world trades sharpness for coverage, and RL follows coverage."""
    said = verdicts(found)
    assert said["A higher SFT score can mislead"] == "agrees"
    assert said["held-out loss predicts the outcome better than SFT Pass@1 (dataset-level)"] == "agrees"
    assert said["Pass@k at large k orders candidates better than Pass@1"] == "agrees"


def test_every_effect_is_told_without_the_kind_of_data_that_decides_most_of_it(found: Replication) -> None:
    told = [claim for claim in found.claims if claim.effect is not None]
    assert len(told) > 10
    assert all(re.fullmatch(r"-?[\d.]+ \(.+\)", claim.without) for claim in told if claim.low is not None), told


def test_how_many_pairs_reverse_is_a_range() -> None:
    frame = synthetic_corpus(60, rl_seeds=2, seed=3).frame
    found = audit(frame)
    for counts in ((9, 4, 0), (9, 4, 12)):
        counted = replace(found, reversed=9, reversed_under_any_dependence=4, reversed_with_one_noise=counts[2])
        claim = next(claims_of(counted, free_rules(frame, draws=20)))
        assert (claim.low, claim.high) == tuple(100 * end / found.tested for end in (min(counts), max(counts)))
        assert claim.verdict == ("agrees" if min(counts) else "cannot tell")


def test_what_the_corpus_does_not_hold_is_not_told(found: Replication) -> None:
    said = {claim.claim: claim for claim in found.claims}
    short = said["Short examples alone give a better SFT score than varied lengths"]
    assert (short.verdict, short.effect, short.measured) == ("cannot tell", None, "no matched pairs")
    assert said["RL after SFT ends above RL from the base"].verdict == "cannot tell"
    assert said["More epochs of the same examples give a better SFT score"].verdict == "cannot tell"
    assert not found.targets.height
    assert not found.checkpoints.height


def test_shuffled_outcomes_are_ordered_no_better_and_no_worse_than_by_chance() -> None:
    """A fit that had seen half of a base would put the other half the wrong way round."""
    columns = ["candidate", "base_model", "recipe_data_kind", "recipe_scenario", "post_pass_at_1"]
    columns += ["pre_pass_at_1", "pre_pass_at_64", "pre_held_out_loss_nats"]
    shares, sure = [], 0
    for seed in range(10):
        frame = synthetic_corpus(60, seed=seed, nested=False).frame.select(columns)
        shuffled = frame.with_columns(pl.col("post_pass_at_1").shuffle(seed=seed))
        rows = free_rules(shuffled, ["linear:loss"], draws=100).filter(rule="linear:loss", metric="pairs")
        shares += rows["value"].to_list()
        sure += sum(verdict_of(*ends) != "cannot tell" for ends in rows.select("gain_low", "gain_high").rows())
    assert len(shares) == 20
    assert sum(shares) / 20 == pytest.approx(0.5, abs=0.06)
    assert sure <= 8


def test_a_base_that_leads_before_rl_is_no_sft_that_misleads() -> None:
    """Only SFT that leads its base and ends below it counts, whatever the base's row is called."""
    frame = synthetic_corpus(40, seed=1).frame.filter(pl.col("base_model") == "base-0")
    frame = frame.drop("pre_problems", "post_problems").with_columns(recipe_scenario=pl.lit("dataset-level"))
    base = frame.head(1).with_columns(
        candidate=pl.lit("untrained"), recipe_scenario=pl.lit("no-sft"), pre_pass_at_1=0.75, post_pass_at_1=0.075
    )
    both = pl.concat([frame, base])
    both = both.with_columns(pre_pass_at_1_se=0.01, post_pass_at_1_se=0.01)
    found = audit(both)
    assert found.pairs.filter(pl.col("by_sft") == "untrained").height > 3
    said = {claim.claim: claim for claim in claims_of(found, free_rules(both, draws=20))}
    assert said["SFT that lifts the score can end below RL from the base"].effect == 0.0


def test_what_a_corpus_lacks_is_said_and_the_rest_is_judged() -> None:
    """No held-out loss, no counts, rows without outcome: the page still says what it can."""
    frame = synthetic_corpus(40, nested=False, seed=1).frame.drop("pre_held_out_loss_nats")
    unfinished = frame.head(3).with_columns(candidate=pl.col("candidate") + "-new", post_pass_at_1=pl.lit(None, float))
    found = replication_of(pl.concat([frame, unfinished]), "bare", repeats=5)
    assert found.frame.height == 40
    said = {claim.claim: claim for claim in found.claims}
    assert said["A higher SFT score can mislead"].effect is None
    assert said["held-out loss predicts the outcome better than SFT Pass@1 (dataset-level)"].measured == "not measured"
    assert said["Pass@64 predicts the outcome better than SFT Pass@1 (dataset-level)"].effect is not None
    assert any(note.startswith("linear:loss is left out") for note in found.notes)
    assert any(note.startswith("sharpening is left out") for note in found.notes)


def test_a_claim_below_zero_disagrees() -> None:
    assert [verdict_of(*ends) for ends in ((0.0, 1.0), (0.01, 1.0), (-1.0, -0.01))] == [
        "cannot tell",
        "agrees",
        "disagrees",
    ]


def test_the_published_table_is_whole() -> None:
    assert PUBLISHED.height == 12
    assert PUBLISHED.filter(pl.col("metric") == "held-out loss")["scenario"].unique().to_list() == ["dataset-level"]
    assert PUBLISHED.select(pl.col("spearman", "r2").is_between(0, 1).all()).row(0) == (True, True)
