import numpy as np
import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import length_statistics, majority


def test_length_statistics_of_each_group():
    verdicts = ["correct", "wrong", "wrong", "truncated", "no_answer"]
    found = length_statistics([1, 2, 4, 10, 3], verdicts, [True, True, True, False, True])
    assert found["all"] == (5, 4.0, 3.0, pytest.approx(8.8))
    assert found["correct"].mean == 1
    assert found["wrong"] == (2, 3.0, 3.0, pytest.approx(3.9))
    assert found["finished"].samples == 4


def test_an_empty_group_is_nan():
    empty = length_statistics([], [], [])["all"]
    assert empty.samples == 0
    assert np.isnan(empty[1:]).all()


def test_majority_counts_samples_without_answer_in_the_denominator_only():
    found = majority(["b", "a", "a", "a", "b", "c"], ["1", "5", None, "5", "2", None])
    assert found.problem.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(found.agreement, [2 / 3, 1 / 2, 0])
    assert found.distinct_answers.tolist() == [1, 2, 0]


def test_majority_of_nothing_is_empty_and_unequal_lengths_are_refused():
    assert majority([], []).agreement.size == 0
    with pytest.raises(InvalidDataError, match="1 problems, 2 answers"):
        majority(["a"], ["1", "2"])
