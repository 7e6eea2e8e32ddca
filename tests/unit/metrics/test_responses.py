import numpy as np
import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import majority


def test_majority_counts_samples_without_answer_in_the_denominator_only():
    found = majority(["b", "a", "a", "a", "b", "c"], ["1", "5", None, "5", "2", None])
    assert found.problem.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(found.agreement, [2 / 3, 1 / 2, 0])
    assert found.distinct_answers.tolist() == [1, 2, 0]


def test_majority_of_nothing_is_empty_and_unequal_lengths_are_refused():
    assert majority([], []).agreement.size == 0
    with pytest.raises(InvalidDataError, match="1 problems, 2 answers"):
        majority(["a"], ["1", "2"])
