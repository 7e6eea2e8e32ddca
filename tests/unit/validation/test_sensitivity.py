import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError, UsageError
from quagpredict.validation.sensitivity import SCHEMA, _Counts, _scores, sensitivity
from quagpredict.validation.synthetic import synthetic_corpus

CORPUS = synthetic_corpus(40, problems=25, samples_before=64, seed=5)


def test_fewer_samples_are_worth_less_and_large_k_needs_them() -> None:
    found = sensitivity(CORPUS.frame, samples=[8, 64], draws=4)
    assert list(found.frame.schema) == list(SCHEMA)
    assert (found.samples, found.candidates) == (64, 40)
    order = {
        (row["samples"], row["k"]): row["mean"]
        for row in found.frame.filter(model="proxy", metric="spearman").iter_rows(named=True)
    }
    assert set(order) == {(8, k) for k in (1, 2, 4, 8)} | {(64, k) for k in (1, 2, 4, 8, 16, 32, 64)}
    assert order[64, 64] > order[64, 1]  # by construction of the world
    assert order[64, 8] >= order[8, 8] - 0.02
    fitted = found.frame.filter(model="linear with loss", metric="r2", samples=64, k=64)["mean"][0]
    assert fitted > found.frame.filter(model="linear", metric="r2", samples=64, k=1)["mean"][0]


def test_drawn_samples_give_unbiased_scores() -> None:
    rng = np.random.default_rng(0)
    c = rng.integers(0, 65, 30)
    counts = _Counts(np.zeros(30, dtype=np.intp), np.full(30, 64), c)
    whole = _scores(counts, 64, [1, 4, 8], 1, 0, None)
    drawn = np.stack([_scores(counts, 8, [1, 4, 8], 1, 0, draw) for draw in range(600)])
    error = drawn.std(axis=0) / np.sqrt(600)
    assert (np.abs(drawn.mean(axis=0) - whole) < 4 * error + 1e-12).all()


def test_what_is_refused() -> None:
    with pytest.raises(CorpusError, match="'pre_problems' is missing"):
        sensitivity(CORPUS.frame.drop("pre_problems"))
    with pytest.raises(UsageError, match="samples must lie from 1 to 64"):
        sensitivity(CORPUS.frame, samples=[128])
    with pytest.raises(UsageError, match="k must be at least 1"):
        sensitivity(CORPUS.frame, ks=[0, 1])
    with pytest.raises(CorpusError, match="too few"):
        sensitivity(CORPUS.frame.head(8))


def test_the_flat_columns_are_what_all_samples_give() -> None:
    found = sensitivity(CORPUS.frame, ks=[1], samples=[64], draws=3)
    blank = CORPUS.frame.with_columns(pre_pass_at_1=pl.lit(0.5))
    assert sensitivity(blank, ks=[1], samples=[64], draws=3).frame.equals(found.frame)
