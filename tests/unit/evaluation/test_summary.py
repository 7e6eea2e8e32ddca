"""The summary of a measured checkpoint: parts that add up, intervals that hold the mean."""

import polars as pl
import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.evaluation import summarise

PROBLEMS = pl.DataFrame(
    {
        "benchmark": ["b", "a", "a", "a"],
        "problem_id": ["1", "1", "2", "3"],
        "level": [None, 1, 2, 2],
        "n": [16, 16, 16, 8],
        "c": [16, 0, 8, 4],
        "truncated": [0, 16, 0, 0],
        "no_answer": [0, 0, 2, 0],
        "distinct_answers": [1, 1, 4, 3],
    },
    schema_overrides={"level": pl.Int64},
)


def test_parts_are_all_the_benchmarks_and_their_levels():
    summary = summarise(PROBLEMS)
    assert summary["part"].to_list() == ["all", "a", "a, level 1", "a, level 2", "b"]
    assert summary["problems"].to_list() == [4, 3, 1, 2, 1]
    assert summary["samples"].sum() == 2 * 56 + 40
    assert summary["pass_at_1"].to_list() == pytest.approx([0.5, 1 / 3, 0.0, 0.5, 1.0])


def test_ks_end_where_a_problem_has_too_few_samples():
    summary = summarise(PROBLEMS)
    assert "pass_at_8" in summary.columns
    assert "pass_at_16" not in summary.columns


def test_an_interval_holds_its_mean():
    for k in (1, 2, 4, 8):
        summary = summarise(PROBLEMS)
        assert (summary[f"pass_at_{k}_low"] <= summary[f"pass_at_{k}"] + 1e-12).all()
        assert (summary[f"pass_at_{k}"] <= summary[f"pass_at_{k}_high"] + 1e-12).all()


def test_nothing_to_summarise_is_an_error():
    with pytest.raises(InvalidDataError, match="no problem"):
        summarise(PROBLEMS.head(0))
