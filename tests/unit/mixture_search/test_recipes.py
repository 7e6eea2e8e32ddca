import numpy as np
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.mixture_search.recipes import recipe_of, rounded_counts
from quagpredict.testing.search_worlds import synthetic_space

SPACE = synthetic_space(3)
PARAMS = {"mixture.s0": 0.3, "mixture.s1": 0.6, "epochs": 4.0, "learning_rate": 1e-3}


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=12), st.integers(1, 5000))
def test_counts_add_up_and_are_off_by_less_than_one(weights, total):
    shares = np.array(weights) / sum(weights)
    counts = rounded_counts(shares, total)
    assert counts.sum() == total
    assert np.abs(counts - shares * total).max() < 1 + 1e-6


def test_no_count_exceeds_its_cap():
    counts = rounded_counts(np.array([0.501, 0.499]), 1001, np.array([501.9, 600]))
    assert counts.tolist() == [501, 500]


def test_mixtures_that_come_to_the_same_examples_are_one_recipe():
    near = PARAMS | {"mixture.s0": PARAMS["mixture.s0"] + 1e-7, "learning_rate": 1.0001e-3}
    assert recipe_of(SPACE, PARAMS).recipe_id == recipe_of(SPACE, near).recipe_id
    assert recipe_of(SPACE, PARAMS).recipe_id != recipe_of(SPACE, PARAMS | {"epochs": 2.0}).recipe_id


def test_a_source_without_an_example_is_left_out():
    recipe = recipe_of(SPACE, PARAMS | {"mixture.s0": 0.0})
    assert recipe.examples["s0"] == 0
    assert [source["kind"] for source in recipe.data["lab_data"]["sources"]] == ["s1", "s2"]


def test_the_file_holds_the_whole_recipe(tmp_path):
    recipe = recipe_of(SPACE, PARAMS)
    recipe.save(tmp_path / "recipe.yaml", SPACE, "By a test.")
    text = (tmp_path / "recipe.yaml").read_text()
    assert text.startswith(f"# Recipe {recipe.recipe_id} of the search 'synthetic'.\n# By a test.\n")
    content = yaml.safe_load(text)
    assert content.pop("model_name_or_path") == "synthetic"
    assert content.pop("output_dir") == f"checkpoints/{recipe.name}"
    assert content == dict(recipe.config)
    assert sum(source["share"] for source in content["lab_data"]["sources"]) == content["unique_examples"]
