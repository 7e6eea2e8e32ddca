"""What a corpus says of the paper's claims: right where the truth is known, and nowhere surer than the data."""

import polars as pl
import pytest

from quagpredict.quagmires import audit
from quagpredict.replication import Replication, replicate
from quagpredict.replication.claims import MODELS, claims_of, verdict_of
from quagpredict.replication.published import PUBLISHED
from quagpredict.validation import validate
from quagpredict.validation.synthetic import synthetic_corpus


@pytest.fixture(scope="module")
def found() -> Replication:
    return replicate(
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


def test_what_the_corpus_does_not_hold_is_not_told(found: Replication) -> None:
    said = {claim.claim: claim for claim in found.claims}
    short = said["Short examples alone give a better SFT score than varied lengths"]
    assert (short.verdict, short.effect, short.measured) == ("cannot tell", None, "no matched pairs")
    assert said["RL after SFT ends above RL from the base"].verdict == "cannot tell"
    assert said["More epochs of the same examples give a better SFT score"].verdict == "cannot tell"
    assert not found.targets.height
    assert not found.checkpoints.height


def test_shuffled_outcomes_establish_no_better_predictor() -> None:
    frame = synthetic_corpus(60, seed=5).frame
    after = [name for name in frame.columns if name.startswith("post_")]
    frame = frame.with_columns(frame.select(after).sample(fraction=1.0, shuffle=True, seed=1))
    report = validate(frame, MODELS, "random-halves", repeats=30, split=None)
    for claim in claims_of(report, audit(frame)):
        if "predicts the outcome" in claim.claim or "large k" in claim.claim:
            assert claim.verdict == "cannot tell", claim


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
