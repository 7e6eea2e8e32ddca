"""What a trial is worth by each objective, and what the surrogate notes of it."""

import polars as pl
import pytest

from quagpredict.errors import CorpusError, UsageError
from quagpredict.mixture_search.scoring import Scorer, scoring_surrogate
from quagpredict.surrogates import fit
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation.conformal import with_calibration

RUNS = synthetic_corpus(40, seed=1, nested=False).frame
ROW = RUNS.head(1).drop("post_pass_at_1")


@pytest.mark.parametrize("kind", ["ridge", "mixed"])  # the second has columns that are made of the base model's name
@pytest.mark.parametrize("objective", ["pass_at_1", "held_out_loss_nats"])
def test_the_prediction_is_noted_with_every_objective(kind: str, objective: str) -> None:
    surrogate = fit(RUNS, kind, features="both")
    predicted = surrogate.predict_frame(ROW)
    noted = Scorer(objective, surrogate).score(ROW)
    by_surrogate = Scorer("lower_bound", surrogate).score(ROW)
    assert noted.prediction == by_surrogate.prediction == predicted.mean[0]
    assert noted.distance == predicted.distance[0]
    assert noted.excess is None
    assert noted.value != by_surrogate.value


def test_without_what_the_surrogate_needs_only_the_objective_counts() -> None:
    surrogate = fit(RUNS, "mixed", features="both")
    for bare in (ROW.drop("pre_pass_at_64"), ROW.with_columns(pre_pass_at_64=pl.lit(None, pl.Float64))):
        assert Scorer("pass_at_1", surrogate).score(bare)[:2] == (ROW["pre_pass_at_1"][0], None)
    with pytest.raises(CorpusError, match="pre_pass_at_64"):
        Scorer("lower_bound", surrogate).score(ROW.drop("pre_pass_at_64"))


def test_a_spec_is_fitted_on_the_corpus_as_the_command_fits_it() -> None:
    named = scoring_surrogate("ridge:loss:log-logit", RUNS)
    assert named is not None
    expected = with_calibration(
        fit(RUNS, "ridge", "loss", transforms="log-logit"), RUNS, features="loss", transforms="log-logit"
    )
    assert (named.corpus_digest, named.feature_transforms) == (expected.corpus_digest, ("log",))
    assert named.calibration == expected.calibration
    assert scoring_surrogate(named) is named
    assert scoring_surrogate(None) is None
    with pytest.raises(UsageError, match="surrogate 'ridge:loss' is a spec: name the finished runs"):
        scoring_surrogate("ridge:loss")
