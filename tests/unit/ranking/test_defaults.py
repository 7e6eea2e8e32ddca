"""What ranks where nothing was named: the command and the library follow one rule."""

import polars as pl
import pytest

from quagpredict.ranking import rank
from quagpredict.ranking.defaults import SHIPPED, default_surrogate, shipped_surrogates
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit
from quagpredict.testing.synthetic import synthetic_corpus

RUNS = synthetic_corpus(30, seed=1, nested=False).frame
FRESH = RUNS.drop([name for name in RUNS.columns if name.startswith("post_")])


def test_shipped_candidates_are_ranked_by_the_shipped_surrogate_that_was_fitted_for_them() -> None:
    for corpus in ("lab", "lab-2", "lab-pilot"):
        candidates = str(shipped_path(f"datasets/{corpus}/candidates")) + "/*.parquet"
        ranking = rank(candidates)
        assert ranking.frame["prediction"].null_count() == 0
        assert ranking.frame.equals(rank(candidates, shipped_path(f"models/{corpus}")).frame)


def test_the_first_that_applies_is_taken() -> None:
    other = fit(RUNS.with_columns(eval_protocol_id=pl.lit("other")), "ridge")
    first, second = fit(RUNS, "linear"), fit(RUNS, "effective_k")
    chosen = default_surrogate(FRESH, {"a": other, "b": first, "c": second})
    assert chosen.surrogate is first
    assert chosen.why_none == ""


def test_where_none_applies_finished_candidates_are_learnt_from_and_it_is_said_once() -> None:
    table = RUNS.with_columns(pl.when(pl.int_range(pl.len()) < 15).then("post_pass_at_1").alias("post_pass_at_1"))
    ranking = rank(table)
    assert ranking.frame["prediction"].null_count() == 0
    (said,) = [note for note in ranking.notes if "result" in note]
    assert "fitted on the 15 with a result" in said
    assert len(ranking.notes) <= 2


@pytest.mark.parametrize(
    ("results", "why"),
    [
        (0, "that takes 5 candidates with 'post_pass_at_1' (none has)"),
        (4, "that takes 5 candidates with 'post_pass_at_1' (4 have)"),
        (RUNS.height, "every candidate has its result already"),
    ],
)
def test_with_nothing_to_learn_from_it_screens(results: int, why: str) -> None:
    ranking = rank(RUNS.with_columns(pl.when(pl.int_range(pl.len()) < results).then("post_pass_at_1")))
    assert ranking.surrogate is None
    (said,) = [note for note in ranking.notes if "no score is predicted" in note]
    assert said.startswith("no surrogate: ordered by the paper's screening")
    assert why in said


def test_rl_seeds_of_two_candidates_are_no_six_candidates() -> None:
    few = RUNS.head(8).with_columns(base_model=pl.lit("b"))
    seeds = [few.head(2).with_columns(rl_seed=pl.lit(seed)) for seed in range(3)]
    rest = few.tail(6).with_columns(post_pass_at_1=pl.lit(None, pl.Float64), rl_seed=pl.lit(0))
    assert rank(pl.concat([*seeds, rest])).surrogate is None


def test_finished_candidates_listed_again_as_they_were_before_rl_are_not_learnt_from() -> None:
    """All have their result: there is nothing to predict, and a fit would be shown as its own test."""
    before = FRESH.head(6).drop("rl_recipe_id", "rl_seed")
    assert rank([RUNS.head(6), before]).surrogate is None


def test_a_surrogate_of_another_target_does_not_apply() -> None:
    chosen = default_surrogate(FRESH, {"a": fit(RUNS)}, "post_pass_at_8")
    assert chosen.surrogate is None
    assert chosen.why_none.startswith("that takes 5 candidates with 'post_pass_at_8' (none has)")


def test_every_shipped_surrogate_is_there() -> None:
    assert tuple(shipped_surrogates()) == SHIPPED
