"""Validation gives the hierarchical surrogate what it learns from: results by benchmark."""

import polars as pl
import pytest

from quagpredict.corpus import read_corpus
from quagpredict.shipped import shipped_path
from quagpredict.validation import validate


@pytest.fixture(scope="module")
def runs() -> pl.DataFrame:
    return read_corpus(shipped_path("datasets/lab-pilot/corpus.parquet"))


def test_it_is_judged_under_every_protocol(runs: pl.DataFrame) -> None:
    report = validate(runs, ["hierarchical"], repeats=3)
    scores = report.frame.filter(pl.col("model").str.starts_with("hierarchical"), scenario="all", metric="spearman")
    assert {"random-halves", "k-fold"} <= set(scores["protocol"])
    assert scores["mean"].min() > 0.3  # type: ignore[operator]
    assert not any("hierarchical" in note and "left out" in note for note in report.notes)
