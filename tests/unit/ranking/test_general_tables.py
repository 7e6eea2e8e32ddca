"""Anyone's table: mixture weights to a loss, no column of ours but the names."""

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError, UsageError
from quagpredict.ranking import rank
from quagpredict.ranking.finished import why_not_fitted


@pytest.fixture(scope="module")
def mixtures():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(4), 60)
    loss = 2.0 + np.exp(weights @ np.array([-1.0, 0.5, 0.0, 0.3])) * 0.3 + 0.005 * rng.normal(size=60)
    return pl.DataFrame(
        {
            "candidate": [f"mix-{i:02d}" for i in range(60)],
            **{name: weights[:, j] for j, name in enumerate(("web", "code", "books", "math"))},
            "loss": [value if i < 40 else None for i, value in enumerate(loss)],
            "true_loss": loss,
        }
    )


def test_the_lowest_loss_is_ranked_first(mixtures):
    ranking = rank(mixtures, "fit", features=["web", "code", "books"], target="loss", minimize=True)
    assert ranking.minimize
    assert ranking.frame["prediction"].is_sorted()
    left = ranking.frame.filter(pl.col("low") != pl.col("high"))
    truth = dict(mixtures.select("candidate", "true_loss").iter_rows())
    order = [truth[name] for name in left["candidate"]]
    assert np.corrcoef(np.argsort(np.argsort(order)), np.arange(len(order)))[0, 1] > 0.9
    assert ranking.outcome.best_actual == mixtures["loss"].min()
    assert ranking.frame["expected_regret"].min() >= 0


def test_pandas_in_and_out(mixtures):
    ranking = rank(mixtures.to_pandas(), "ridge", features="web+code+math", target="loss", minimize=True)
    out = ranking.frame.to_pandas()
    assert out.loc[0, "rank"] == 1
    assert set(out["candidate"]) == set(mixtures["candidate"])


def test_a_budget_and_the_next_run_for_a_loss(mixtures):
    ranking = rank(
        mixtures, "fit", features=["web", "code", "books"], target="loss", minimize=True, budget=3, next_run=True
    )
    assert len(ranking.budget.candidates) == 3
    left = set(mixtures["candidate"][40:])
    assert set(ranking.budget.candidates) <= left
    assert ranking.next_run.candidate in left
    assert ranking.next_run.regret_after <= ranking.next_run.regret_now
    assert ranking.budget.expected_best <= mixtures["loss"].min()  # what is in hand, or better


def test_what_cannot_be_fitted_is_said(mixtures):
    with pytest.raises(CorpusError, match="3 of 3 candidates have 'loss': at least 4 are needed"):
        rank(mixtures[:3], "fit", features="web", target="loss")
    with pytest.raises(CorpusError, match="they lack pre_pass_at_1"):
        rank(mixtures, "fit", target="loss")
    with pytest.raises(UsageError, match="name the kind alone, 'oracle'"):
        rank(mixtures, "fit:oracle", features="web", target="loss")
    with pytest.raises(UsageError, match="`features` are for a surrogate that is fitted"):
        rank(mixtures, "none", features="web", target="loss")
    with pytest.raises(CorpusError, match="column 'wep' is missing"):
        rank(mixtures, "fit", features="wep", target="loss")
    assert why_not_fitted(mixtures, "loss")  # nothing that is fitted on by default
