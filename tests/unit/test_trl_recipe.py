"""Old key names of open-r1 recipes, and everything else untouched."""

from hypothesis import given
from hypothesis import strategies as st

from quagpredict.trl_recipe import RENAMED, WITHOUT_EFFECT, modernise


def test_a_renamed_key_keeps_its_value_and_is_noted():
    assert modernise({"torch_dtype": "bfloat16"}) == ({"dtype": "bfloat16"}, ["'torch_dtype' is now 'dtype'"])


def test_where_both_names_stand_the_old_one_is_left_to_be_refused():
    assert modernise({"torch_dtype": "a", "dtype": "b"}).config == {"torch_dtype": "a", "dtype": "b"}


@given(st.dictionaries(st.text().filter(lambda key: key not in {*RENAMED, *WITHOUT_EFFECT}), st.integers()))
def test_every_other_key_stays(config):
    assert modernise(config) == (config, [])
