"""Mixtures of the lab: pure functions of description and seed, splits that never meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import RecipeError
from quagpredict.lab import Mixture

BROAD = {"sources": [{"operators": "+-", "share": 1}, {"operators": "+-*", "required": "*", "share": 2}]}


def test_the_same_seed_gives_the_same_problems_and_another_seed_others():
    mixture = Mixture.from_mapping(BROAD)
    assert mixture.problems(50, split="train", seed=3) == mixture.problems(50, split="train", seed=3)
    assert mixture.problems(50, split="train", seed=3) != mixture.problems(50, split="train", seed=4)


def test_splits_share_no_prompt_whatever_the_mixture():
    splits = ("train", "rl", "held_out", "test")
    prompts = [
        {item.prompt for item in Mixture.from_mapping(data).problems(400, split=split, seed=seed)}
        for seed, data in enumerate([BROAD, {"operators": "+-", "lengths": [1, 2]}])
        for split in splits
    ]
    for first in range(8):
        for second in range(first):
            if first % 4 != second % 4:
                assert not prompts[first] & prompts[second]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 60))
def test_every_source_gets_its_share_to_within_one(shares, count):
    operators = ["+", "-", "*", "^", "<"]
    sources = [{"operators": operators[i], "share": share} for i, share in enumerate(shares)]
    problems = Mixture.from_mapping({"sources": sources}).problems(count, split="train", seed=0)
    assert len(problems) == count == len({problem.prompt for problem in problems})
    for operator, share in zip(operators, shares, strict=False):
        drawn = sum(operator in problem.prompt for problem in problems)
        assert abs(drawn - count * share / sum(shares)) <= 1


def test_more_problems_of_a_source_keep_the_first_ones():
    mixture = Mixture.from_mapping({"operators": "+-*"})
    few, many = (set(mixture.problems(count, split="rl", seed=0)) for count in (20, 80))
    assert few <= many


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"operator": "+"}, "unknown key 'operator'"),
        ({"sources": []}, "at least one source"),
        ({"sources": [{"share": 0}]}, "share must be a positive number"),
        ({"sources": [{}, {"lengths": [4, 2]}]}, "source 1: lengths"),
        ({"sources": ["+"]}, "source 0 must be a mapping"),
    ],
)
def test_a_bad_mixture_is_refused_with_source_and_key(data, message):
    with pytest.raises(RecipeError, match=message):
        Mixture.from_mapping(data)


def test_more_distinct_problems_than_there_are_is_an_error_not_a_hang():
    with pytest.raises(RecipeError, match="fewer distinct test problems"):
        Mixture.from_mapping({"operators": "<", "lengths": [1, 1]}).problems(10_000, split="test", seed=0)
