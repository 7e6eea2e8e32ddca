import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError, UsageError
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation.sensitivity import SCHEMA, _Counts, _scores, sensitivity

CORPUS = synthetic_corpus(40, problems=25, samples_before=64, seed=5)


def test_fewer_samples_are_worth_less_and_large_k_needs_them() -> None:
    found = sensitivity(CORPUS.frame, samples=[8, 64], draws=4)
    assert list(found.frame.schema) == list(SCHEMA)
    assert (found.samples, found.candidates) == (64, 40)
    order = {
        (row["samples"], row["k"]): row["mean"]
        for row in found.frame.filter(model="proxy", metric="spearman", problems=25).iter_rows(named=True)
    }
    assert set(order) == {(8, k) for k in (1, 2, 4, 8)} | {(64, k) for k in (1, 2, 4, 8, 16, 32, 64)}
    assert order[64, 64] > order[64, 1]  # by construction of the world
    assert order[64, 8] >= order[8, 8] - 0.02
    fitted = found.frame.filter(model="linear with loss", metric="r2", samples=64, k=64)["mean"][0]
    assert fitted > found.frame.filter(model="linear", metric="r2", samples=64, k=1)["mean"][0]


@pytest.mark.parametrize("problems", [5, 30])
def test_drawn_samples_and_problems_give_unbiased_scores(problems: int) -> None:
    rng = np.random.default_rng(0)
    c = rng.integers(0, 65, 30)
    counts = _Counts(np.zeros(30, dtype=np.intp), np.arange(30), np.full(30, 64), c)
    whole = _scores(counts, 64, [1, 4, 8], 30, 0, None)
    drawn = np.stack([_scores(counts, 8, [1, 4, 8], problems, 0, draw) for draw in range(600)])
    error = drawn.std(axis=0) / np.sqrt(600)
    assert (np.abs(drawn.mean(axis=0) - whole) < 4 * error + 1e-12).all()


def test_a_smaller_suite_is_the_same_for_all_candidates() -> None:
    """Two candidates with the same counts stay equal whatever is left out; samples alone tell them apart."""
    c = np.tile(np.random.default_rng(1).integers(0, 9, 30), 2)
    counts = _Counts(np.repeat([0, 1], 30), np.tile(np.arange(30), 2), np.full(60, 8), c)
    for draw in range(20):
        first, second = _scores(counts, 8, [1, 8], 4, 0, draw)
        assert first.tolist() == second.tolist()


def test_fewer_problems_order_less_well() -> None:
    found = sensitivity(CORPUS.frame, samples=[64], ks=[64], problems=[2, 25], draws=10)
    pairs = dict(found.frame.filter(model="proxy", metric="pairwise_accuracy").select("problems", "mean").rows())
    assert found.problems == 25
    assert pairs[2] < pairs[25] - 0.03
    assert set(found.frame.filter(problems=2)["model"]) == {"proxy"}


def test_candidates_of_different_problems_keep_the_whole_suite() -> None:
    first = CORPUS.frame.with_columns(
        pre_problems=pl.when(pl.int_range(pl.len()) == 0)
        .then(pl.col("pre_problems").list.head(24))
        .otherwise("pre_problems")
    )
    found = sensitivity(first, samples=[8], ks=[8], draws=1)
    assert found.frame["problems"].unique().to_list() == [25]
    assert any("differ in their problems" in note for note in found.notes)


def test_what_is_refused() -> None:
    with pytest.raises(CorpusError, match="'pre_problems' is missing"):
        sensitivity(CORPUS.frame.drop("pre_problems"))
    with pytest.raises(UsageError, match="samples must lie from 1 to 64"):
        sensitivity(CORPUS.frame, samples=[128])
    with pytest.raises(UsageError, match="k must be at least 1"):
        sensitivity(CORPUS.frame, ks=[0, 1])
    with pytest.raises(UsageError, match="problems must lie from 1 to 25"):
        sensitivity(CORPUS.frame, problems=[26])
    with pytest.raises(CorpusError, match="too few"):
        sensitivity(CORPUS.frame.head(8))


def test_the_flat_columns_are_what_all_samples_give() -> None:
    found = sensitivity(CORPUS.frame, ks=[1], samples=[64], draws=3)
    blank = CORPUS.frame.with_columns(pre_pass_at_1=pl.lit(0.5))
    assert sensitivity(blank, ks=[1], samples=[64], draws=3).frame.equals(found.frame)
