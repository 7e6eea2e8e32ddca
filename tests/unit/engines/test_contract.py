"""Seeds of samples and sampling settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.engines.contract import Sampling, sample_seed
from quagpredict.errors import RecipeError


def test_no_two_samples_of_many_problems_share_a_seed():
    seeds = {sample_seed(f"protocol/{problem}", index) for problem in range(200) for index in range(256)}
    assert len(seeds) == 200 * 256


@given(st.text(), st.integers(0, 10_000))
def test_a_seed_depends_on_problem_and_index_alone(key, index):
    assert sample_seed(key, index) == sample_seed(key, index)
    assert sample_seed(key, index) != sample_seed(key, index + 1)
    assert sample_seed(key, index) != sample_seed(key + "x", index)


@pytest.mark.parametrize(
    "bad", [{"max_new_tokens": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}]
)
def test_an_impossible_setting_is_refused_by_name(bad):
    with pytest.raises(RecipeError, match=next(iter(bad))):
        Sampling(**({"max_new_tokens": 8} | bad))
