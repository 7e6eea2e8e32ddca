"""An unknown key: the nearest known one, else all, unless they are too many for a line."""

import pytest

from quagpredict.errors import RecipeError
from quagpredict.plans.keys import known_keys_only, unknown_key_message


def test_an_unknown_key_without_a_near_one_lists_all() -> None:
    with pytest.raises(RecipeError, match=r"f\.yaml: unknown key 'a\.zzz'; known keys are seed, steps"):
        known_keys_only({"zzz": 1}, ["steps", "seed"], "f.yaml", "a.")


def test_a_near_one_is_named_with_where_it_stands() -> None:
    assert (
        unknown_key_message("f.yaml", "step", ["steps"], "a.")
        == "f.yaml: unknown key 'a.step'; did you mean 'a.steps'?"
    )


def test_more_keys_than_a_line_should_list_are_not_listed() -> None:
    assert unknown_key_message("f.yaml", "zzz", [f"key_{i}" for i in range(40)]) == "f.yaml: unknown key 'zzz'"
