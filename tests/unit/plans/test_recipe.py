from hypothesis import given
from hypothesis import strategies as st

from quagpredict.files import digest
from quagpredict.plans.recipe import recipe_content, recipe_id, rl_recipe_id

keys = st.sampled_from(["learning_rate", "num_train_epochs", "max_steps", "beta", "lab_data", "dataset_name", "seed"])
values = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.none())
configs = st.dictionaries(keys, values)
IDLE = """output_dir model_name_or_path logging_steps report_to run_name save_strategy hub_model_id disable_tqdm
    log_completions push_to_hub vllm_server_port wandb_project resume_from_checkpoint"""
idle_keys = st.sampled_from(IDLE.split())


@given(configs, idle_keys, values)
def test_ids_do_not_see_paths_and_logging(config: dict, key: str, value: object) -> None:
    base = {"pretrain": {"steps": 5}}
    assert recipe_id(base, {**config, key: value}) == recipe_id(base, config)
    assert rl_recipe_id({**config, key: value}) == rl_recipe_id(config)
    assert key not in recipe_content({**config, key: value})


@given(configs, keys, values)
def test_ids_see_everything_else(config: dict, key: str, value: object) -> None:
    changed = {**config, key: value}
    same = repr(changed) == repr({**config, key: config.get(key, object())})
    assert (recipe_id({}, changed) == recipe_id({}, config)) == same
    if key == "seed":
        assert rl_recipe_id(changed) == rl_recipe_id(config)


def test_the_base_and_the_absence_of_sft_count() -> None:
    one, other = {"model_name_or_path": "a"}, {"model_name_or_path": "b"}
    assert len({recipe_id(one, {}), recipe_id(other, {}), recipe_id(one, None), recipe_id(other, None)}) == 4


def test_an_id_of_today_is_the_id_of_tomorrow() -> None:
    assert recipe_id({"pretrain": {"steps": 5}}, {"seed": 0, "learning_rate": 1e-3}) == "284bd0cc82a5830e"
    assert rl_recipe_id({"max_steps": 260, "seed": 3, "output_dir": "x"}) == digest({"max_steps": 260})
