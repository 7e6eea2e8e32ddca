import json

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import count_values, level_parts, measurement, pass_at_k
from quagpredict.schema import MEASUREMENT

# All that the table stores but the held-out loss, which is no matter of samples.
SUFFIXES = {name for name in MEASUREMENT if not name.startswith("held_out_")}


def graded(problems=6, n=16, seed=0):
    rng = np.random.default_rng(seed)
    rows = problems * n
    verdict = rng.choice(["correct", "wrong", "no_answer", "truncated", "timeout", "error"], rows)
    return pl.DataFrame(
        {
            "benchmark": ["lab"] * rows,
            "problem_id": np.repeat([f"p{i}" for i in range(problems)], n),
            "level": np.repeat(np.arange(problems) + 1, n),
            "sample": np.tile(np.arange(n), problems),
            "verdict": verdict,
            "answer": [str(i % 3) if v in ("correct", "wrong") else None for i, v in enumerate(verdict)],
            "length": rng.integers(5, 50, rows),
            "finish_reason": np.where(verdict == "truncated", "length", "stop"),
            "log_prob_sum": -rng.random(rows),
            "entropy_sum": rng.random(rows),
            "tokens": rng.integers(5, 50, rows),
        }
    )


def test_values_are_the_suffixes_of_the_table_and_fit_in_json():
    found = measurement(graded())
    assert set(found.values) == SUFFIXES
    json.dumps(found.values, allow_nan=False)
    assert found.problems.schema == {
        "benchmark": pl.String,
        "problem_id": pl.String,
        "level": pl.Int64,
        "n": pl.Int64,
        "c": pl.Int64,
        "truncated": pl.Int64,
        "no_answer": pl.Int64,
        "distinct_answers": pl.Int64,
    }


def test_values_follow_from_the_samples():
    samples = graded()
    problems, values = measurement(samples)
    assert problems["n"].to_list() == [16] * 6
    correct = samples.group_by("problem_id").agg((pl.col("verdict") == "correct").sum()).sort("problem_id")
    assert problems["c"].to_list() == correct["verdict"].to_list()
    assert values["pass_at_4"] == pytest.approx(pass_at_k(problems["n"], problems["c"], 4).mean())
    assert values["pass_at_16"] == pytest.approx((problems["c"] > 0).mean())
    assert values["pass_at_32"] is None
    assert values["samples_per_problem"] == 16
    assert values["problems_count"] == 6
    assert values["pass_at_1_se"] == pytest.approx((problems["c"] / 16).std() / 6**0.5)
    assert values["pass_at_1_hard"] == pytest.approx(problems["c"].to_numpy()[4:].mean() / 16)
    assert values["truncated_share"] == pytest.approx((samples["verdict"] == "truncated").mean())
    assert values["no_answer_share"] == pytest.approx((samples["verdict"] == "no_answer").mean())
    assert values["token_entropy_nats"] == pytest.approx(samples["entropy_sum"].sum() / samples["tokens"].sum())
    assert values["token_log_prob_nats"] == pytest.approx(samples["log_prob_sum"].sum() / samples["tokens"].sum())
    assert values["length_p95"] == pytest.approx(np.quantile(samples["length"], 0.95))
    wrong = samples.filter(pl.col("verdict") == "wrong")
    assert values["length_wrong_mean"] == pytest.approx(wrong["length"].mean())


def test_the_order_of_samples_does_not_matter():
    samples = graded()
    first, second = measurement(samples), measurement(samples.sample(fraction=1.0, shuffle=True, seed=1))
    assert first.problems.equals(second.problems)
    assert first.values == pytest.approx(second.values)


def test_a_missing_sample_is_not_a_wrong_one():
    samples = graded().filter(~((pl.col("problem_id") == "p0") & (pl.col("sample") >= 4)))
    problems, values = measurement(samples)
    assert problems["n"].to_list() == [4, 16, 16, 16, 16, 16]
    assert values["samples_per_problem"] == 4
    assert values["pass_at_4"] is not None
    assert values["pass_at_8"] is None
    assert values["zero_variance_share_g8"] is None
    assert values["pass_at_1"] == pytest.approx((problems["c"] / problems["n"]).mean())


def test_optional_columns_may_be_absent():
    plain = graded().drop("level", "log_prob_sum", "entropy_sum", "tokens")
    problems, values = measurement(plain)
    assert problems["level"].null_count() == 6
    absent = {name for name, value in values.items() if value is None}
    assert absent == {
        "pass_at_1_easy",
        "pass_at_1_medium",
        "pass_at_1_hard",
        "token_entropy_nats",
        "token_log_prob_nats",
        "pass_at_32",
        "pass_at_64",
        "pass_at_128",
        "pass_at_256",
    }


def test_counts_alone_give_what_they_can_and_agree():
    problems, values = measurement(graded())
    from_counts = count_values(problems)
    assert from_counts.items() <= values.items()
    bare = count_values(problems.select("n", "c"))
    assert bare["pass_at_8"] == values["pass_at_8"]
    assert bare["truncated_share"] is None
    assert bare["distinct_answers_mean"] is None


def test_one_sample_of_one_problem():
    values = measurement(graded(problems=1, n=1)).values
    assert values["pass_at_2"] is None
    assert values["pass_at_1_se"] is None
    assert values["reward_variance"] is None


@pytest.mark.parametrize(
    ("levels", "parts"),
    [
        ([1, 1, 2, 2, 3, 3], [0, 0, 1, 1, 2, 2]),
        ([3, 1, 2], [2, 0, 1]),
        ([5, 5, 9], [0, 0, 2]),
        ([1, 2, 2, 2, 2, 3], [0, 0, 0, 0, 0, 2]),
        ([1, 2], [0, 1]),
        ([], []),
    ],
)
def test_level_parts(levels, parts):
    assert level_parts(np.array(levels, dtype=np.int64)).tolist() == parts


def test_levels_of_math_500():
    # 43, 90, 105, 128, 134 problems of level 1-5: the cuts at 166.7 and 333.3 fall into levels 3 and 4.
    levels = np.repeat([1, 2, 3, 4, 5], [43, 90, 105, 128, 134])
    parts = level_parts(levels)
    assert {int(level): int(parts[levels == level][0]) for level in np.unique(levels)} == {1: 0, 2: 0, 3: 0, 4: 1, 5: 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("verdict"), "lack column 'verdict'"),
        (lambda t: t.clear(), "no sample to measure"),
        (lambda t: t.with_columns(verdict=pl.lit("right")), "unknown verdict 'right'"),
        (lambda t: t.with_columns(length=pl.lit("long")), "column 'length' must be Int64, got String"),
        (lambda t: t.with_columns(sample=pl.lit(None, dtype=pl.Int64)), "column 'sample' is null in row 0"),
        (lambda t: t.with_columns(sample=pl.lit(0)), "sample 0 of problem lab/p0 stands more than once"),
        (lambda t: t.with_columns(level=pl.col("sample")), "problem lab/p0 carry different levels"),
    ],
)
def test_broken_samples_are_refused(change, message):
    with pytest.raises(InvalidDataError, match=message):
        measurement(change(graded()))


def test_impossible_problem_tables_are_refused():
    with pytest.raises(InvalidDataError, match="no problem to measure"):
        count_values(pl.DataFrame({"n": [], "c": []}))
    with pytest.raises(InvalidDataError, match="position 0"):
        count_values(pl.DataFrame({"n": [2], "c": [3]}))


@pytest.mark.parametrize("column", ["length", "sample"])
def test_fractions_of_tokens_are_refused(column):
    samples = graded()
    whole = samples.with_columns(pl.col(column).cast(pl.Float64))
    assert measurement(whole).values == measurement(samples).values
    with pytest.raises(InvalidDataError, match=f"samples column '{column}' must be Int64, got fractions"):
        measurement(whole.with_columns(pl.col(column) + 0.9))
