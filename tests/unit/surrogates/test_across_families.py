"""Predictions for candidates whose benchmarks and bases no finished run has seen."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import UsageError
from quagpredict.surrogates.across_families import predict_across


def problem(rng: np.random.Generator, benchmark: str, share: float, at: int) -> dict[str, Any]:
    """Counts of one problem."""
    return {"benchmark": benchmark, "problem_id": str(at), "n": 64, "c": int(rng.binomial(64, share))}


def corpus(seed: int, benchmarks: tuple[str, ...], n: int = 24, base: str = "small") -> pl.DataFrame:
    """Candidates whose logit rises by 2 on each benchmark, with a little noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(n):
        skill = rng.normal(-1.0, 1.5, len(benchmarks))
        before = 1 / (1 + np.exp(-skill))
        after = 1 / (1 + np.exp(-(skill + 2.0 + 0.1 * rng.normal(size=len(benchmarks)))))
        nested = {
            "pre": [problem(rng, name, p, i) for name, p in zip(benchmarks, before, strict=True) for i in range(10)],
            "post": [problem(rng, name, p, i) for name, p in zip(benchmarks, after, strict=True) for i in range(10)],
        }
        rows.append(
            {
                "candidate": f"{base}-{at}",
                "base_model": base,
                "pre_held_out_loss_nats": float(np.exp(rng.normal(-0.6, 0.3))),
                "post_pass_at_1": float(np.mean([p["c"] / p["n"] for p in nested["post"]])),
                "pre_problems": nested["pre"],
                "post_problems": nested["post"],
            }
        )
    return pl.DataFrame(rows)


def test_every_predictor_orders_candidates_of_unseen_benchmarks() -> None:
    new = corpus(3, ("x", "y", "z"), base="other")
    found = predict_across(new.drop("post_problems", "post_pass_at_1"), [corpus(1, ("a", "b")), corpus(2, ("c", "d"))])
    truth = new["post_pass_at_1"].to_numpy()
    for name in ("benchmark_map", "ridge_of_levels", "geometric_mean", "hierarchical"):
        assert np.corrcoef(found[name].to_numpy(), truth)[0, 1] > 0.8, name
    low, high = (found[f"hierarchical_{end}"].to_numpy() for end in ("low", "high"))
    assert ((low <= truth) & (truth <= high)).mean() > 0.8
    assert abs(found["benchmark_map"].to_numpy() - truth).mean() < 0.05


def test_candidates_keep_their_order_and_what_is_not_measured_is_null() -> None:
    new = corpus(3, ("x", "y"))
    gap = new.with_columns(pl.when(pl.int_range(pl.len()) > 0).then("pre_held_out_loss_nats"))
    whole, holed = (predict_across(table, [corpus(1, ("a", "b"))]) for table in (new, gap))
    assert holed["candidate"].to_list() == new["candidate"].to_list()
    assert holed["hierarchical"][0] is None
    assert holed["benchmark_map"][0] is not None
    np.testing.assert_allclose(holed["hierarchical"][1:].to_numpy(), whole["hierarchical"][1:].to_numpy())


def test_no_corpus_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one corpus"):
        predict_across(corpus(1, ("a",)), [])
