import polars as pl

from quagpredict.metrics.majority_vote import answer_table


def test_samples_without_answer_count_in_the_denominator_only():
    samples = pl.DataFrame({"p": ["b", "a", "a", "a", "b", "c"], "answer": ["1", "5", None, "5", "2", None]})
    assert answer_table(samples, ["p"]).rows() == [("a", 2 / 3, 1), ("b", 1 / 2, 2), ("c", 0.0, 0)]


def test_no_samples_have_no_answers():
    assert answer_table(pl.DataFrame(schema={"p": pl.String, "answer": pl.String}), ["p"]).height == 0
