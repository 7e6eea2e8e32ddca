"""What is listed once is the same where it is stored and where it is shown with an interval."""

import numpy as np
import polars as pl
import pytest

from quagpredict.evaluation import summarise
from quagpredict.metrics import count_values, measurement
from quagpredict.metrics.statistics import LENGTHS, OF_PROBLEMS, PER_TOKEN
from quagpredict.schema import BY_NAME


@pytest.fixture
def samples():
    draw = np.random.default_rng(3)
    rows, verdicts = 24 * 7, ["correct", "wrong", "truncated", "no_answer"]
    verdict = draw.choice(verdicts, rows)
    return pl.DataFrame(
        {
            "benchmark": "b",
            "problem_id": [f"p{i % 7}" for i in range(rows)],
            "sample": [i // 7 for i in range(rows)],
            "level": [i % 7 for i in range(rows)],
            "verdict": verdict,
            "answer": [str(answer) for answer in draw.integers(0, 4, rows)],
            "length": draw.integers(1, 90, rows),
            "finish_reason": np.where(verdict == "truncated", "length", "stop"),
            "log_prob_sum": -draw.random(rows),
            "entropy_sum": draw.random(rows),
        }
    ).with_columns(pl.col("length").alias("tokens"))


def test_the_summary_shows_what_the_measurement_stores(samples):
    problems, values = measurement(samples)
    shown = summarise(problems, samples).row(0, named=True)
    listed = {*OF_PROBLEMS, *LENGTHS, *PER_TOKEN}
    assert listed <= set(shown)
    stored = listed & set(values)
    assert stored == {name for name in listed if f"pre_{name}" in BY_NAME}
    assert len(stored) >= 11
    for name in stored:
        assert values[name] == pytest.approx(shown[name], rel=1e-12), name
        assert shown[f"{name}_low"] <= shown[name] <= shown[f"{name}_high"], name


def test_a_mean_length_is_that_of_its_samples_and_none_of_no_sample(samples):
    values = measurement(samples).values
    for verdict in ("correct", "wrong"):
        of = samples.filter(verdict=verdict)["length"]
        assert values[f"length_{verdict}_mean"] == pytest.approx(of.mean())
    assert values["length_median"] == np.quantile(samples["length"], 0.5)
    never = measurement(samples.with_columns(pl.lit("wrong").alias("verdict"))).values
    assert never["length_correct_mean"] is None
    assert never["length_wrong_mean"] == never["length_mean"]


def test_what_the_counts_do_not_tell_is_not_known():
    counts = pl.DataFrame({"benchmark": "b", "problem_id": ["p", "q"], "level": [1, 1], "n": [4, 0], "c": [1, 0]})
    torn = counts.with_columns(truncated=pl.Series([1, 0]), no_answer=pl.Series([1, None]))
    for table in (counts, torn):
        values, shown = count_values(table), summarise(table).row(0, named=True)
        for name in OF_PROBLEMS:
            assert values[name] is None, name
            assert shown.get(name) is None, name
