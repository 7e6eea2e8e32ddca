"""Seeds of samples and sampling settings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.engines.contract import Sampling, sample_seed, uniforms
from quagpredict.errors import RecipeError


def test_no_two_samples_of_many_problems_share_a_seed():
    seeds = {sample_seed(f"protocol/{problem}", index) for problem in range(200) for index in range(256)}
    assert len(seeds) == 200 * 256


@given(st.text(), st.integers(0, 10_000))
def test_a_seed_depends_on_problem_and_index_alone(key, index):
    assert sample_seed(key, index) == sample_seed(key, index)
    assert sample_seed(key, index) != sample_seed(key, index + 1)
    assert sample_seed(key, index) != sample_seed(key + "x", index)


def test_uniforms_are_uniform_over_samples_and_over_positions():
    seeds = np.array([sample_seed("a", index) for index in range(4000)], dtype=np.uint64)
    drawn = np.array([uniforms(seeds, position) for position in range(20)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts, _ = np.histogram(drawn, bins=50, range=(0, 1))
    expected = drawn.size / 50
    # Chi-square with 49 degrees of freedom: 99.99 % lie below 94.
    assert ((counts - expected) ** 2 / expected).sum() < 94
    assert abs(np.corrcoef(drawn)[np.triu_indices(20, 1)]).max() < 0.08


def test_uniforms_of_a_part_are_the_same_as_of_the_whole():
    seeds = np.array([sample_seed("a", index) for index in range(8)], dtype=np.uint64)
    np.testing.assert_array_equal(uniforms(seeds, 3)[5:], uniforms(seeds[5:], 3))


@pytest.mark.parametrize(
    "bad", [{"max_new_tokens": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}]
)
def test_an_impossible_setting_is_refused_by_name(bad):
    with pytest.raises(RecipeError, match=next(iter(bad))):
        Sampling(**({"max_new_tokens": 8} | bad))
