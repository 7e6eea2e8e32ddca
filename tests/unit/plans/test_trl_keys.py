"""Old key names of open-r1 recipes, and everything else untouched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import RecipeError
from quagpredict.plans.trl_keys import ENVIRONMENT, EVALUATION, RENAMED, WITHOUT_EFFECT, modernise

TRANSLATED = {*RENAMED, *WITHOUT_EFFECT, *EVALUATION, *ENVIRONMENT, "env"}


def test_a_renamed_key_keeps_its_value_and_is_noted():
    assert modernise({"torch_dtype": "bfloat16"}) == ({"dtype": "bfloat16"}, ["'torch_dtype' is now 'dtype'"])


def test_where_both_names_stand_the_old_one_is_left_to_be_refused():
    assert modernise({"torch_dtype": "a", "dtype": "b"}).config == {"torch_dtype": "a", "dtype": "b"}


@given(st.dictionaries(st.text().filter(lambda key: key not in TRANSLATED), st.integers()))
def test_every_other_key_stays(config):
    assert modernise(config) == (config, [])


def test_what_belongs_into_the_environment_goes_there():
    assert modernise({"wandb_project": "p", "env": {"A": 1}}).config == {"env": {"A": 1, "WANDB_PROJECT": "p"}}


def test_evaluation_on_the_way_is_dropped_and_said_only_if_it_was_asked_for():
    assert modernise({"do_eval": False, "eval_strategy": "no"}) == ({}, [])
    assert modernise({"eval_strategy": "steps"}).config == {}
    assert "stage of their own" in modernise({"eval_strategy": "steps"}).notes[0]


@pytest.mark.parametrize("ratio", [1, 1.5, -0.1, "0.1"])
def test_a_warmup_ratio_that_would_count_steps_is_refused(ratio):
    with pytest.raises(RecipeError, match="warmup_ratio"):
        modernise({"warmup_ratio": ratio})
