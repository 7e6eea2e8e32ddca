"""maj@k: the mean over all subsets, ties shared, abstentions out."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import maj_at_k

ANSWERS = st.lists(st.sampled_from(["right", "a", "b", None]), min_size=1, max_size=7)


def vote(answers) -> float:
    counts = {answer: answers.count(answer) for answer in set(answers) - {None}}
    top = max(counts.values(), default=0)
    winners = [answer for answer, count in counts.items() if count == top]
    return 1 / len(winners) if "right" in winners else 0.0


@settings(deadline=None)
@given(answers=ANSWERS)
def test_it_is_the_mean_over_all_subsets(answers) -> None:
    n = len(answers)
    ks = range(1, n + 1)
    right = [answer == "right" for answer in answers]
    _, values = maj_at_k(["p"] * n, answers, right, list(ks), resamples=4000)
    for k, value in zip(ks, values[0], strict=True):
        exact = np.mean([vote([answers[at] for at in chosen]) for chosen in combinations(range(n), k)])
        if k in (1, n):
            assert value == pytest.approx(exact)
        # Five standard errors of 4,000 draws of a number between 0 and 1.
        assert abs(value - exact) < 5 * 0.5 / np.sqrt(4000)


def test_right_answers_in_several_spellings_vote_together() -> None:
    _, values = maj_at_k(["p"] * 5, ["1/2", "0.5", "7", "7", "8"], [True, True, False, False, False], [5])
    assert values.item() == 0.5


def test_problems_are_sorted_and_few_samples_are_no_value() -> None:
    labels, values = maj_at_k(["b", "a", "a"], ["1", "2", "2"], [True, False, False], [1, 2])
    assert labels.tolist() == ["a", "b"]
    assert values[0].tolist() == [0.0, 0.0]
    assert values[1, 0] == 1
    assert np.isnan(values[1, 1])


def test_the_same_seed_gives_the_same_values() -> None:
    answers = ["r", "a", "b", "a", "r", "r", "c"]
    given_ = (["p"] * 7, answers, [answer == "r" for answer in answers], [3, 5])
    assert maj_at_k(*given_)[1].tolist() == maj_at_k(*given_)[1].tolist()


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="2 problem, 1 answer, 2 correct"):
        maj_at_k(["a", "a"], ["1"], [True, False], [1])


def test_draws_in_which_nobody_votes_are_wrong() -> None:
    """One answer among many abstentions: the subsets that are drawn may all be without a vote."""
    answers = ["right", *[None] * 255]
    _, values = maj_at_k(["p"] * 256, answers, [answer == "right" for answer in answers], [1, 2, 256], resamples=3)
    assert values[0].tolist() == [1 / 256, 0.0, 1.0]
