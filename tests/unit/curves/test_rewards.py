"""What a training reward says of the end of a run: never a score, always less sure than one."""

import numpy as np
import polars as pl
import pytest

from quagpredict.curves.model import LOGIT
from quagpredict.curves.rewards import learn_rewards, smoothed_rewards
from quagpredict.errors import CorpusError
from quagpredict.racing import race
from quagpredict.shipped import shipped_path


def rewarded_runs(bases, each, offset, noise, seed=0):
    """Runs whose scores stand still, on a suite that is harder than the training problems by `offset` on the logit."""
    random = np.random.default_rng(seed)
    rows = []
    for base in range(bases):
        for run in range(each):
            end = random.normal(-0.5, 0.8)
            r = end + offset + noise * random.standard_normal()
            score, reward = (float(LOGIT.inverse(np.array(value))) for value in (end, r))
            points = [{"step": step, "pass_at_1": score} for step in (0, 100, 200)]
            log = [{"step": step, "reward": reward} for step in (10, 100, 200)]
            rows.append({"candidate": f"{base}.{run}", "base_model": f"b{base}", "post_curve": points, "rl_curve": log})
    return pl.DataFrame(rows)


def test_an_easier_training_set_is_learnt():
    model = learn_rewards([rewarded_runs(6, 20, offset=0.7, noise=0.05)])
    for fraction in (0.3, 0.9, 1.0):
        found = model.forecast(np.array([fraction]), LOGIT.inverse(np.array([0.2])))
        assert found.mean[0] == pytest.approx(-0.5, abs=0.06)
        assert 0.02 < np.sqrt(found.own[0]) < 0.12  # not 0 at the end either: it is no score
        assert found.loading[0] < 0.06


def test_the_real_ends_of_another_family_are_within_its_intervals():
    corpora = {name: pl.read_parquet(shipped_path(f"datasets/{name}/corpus.parquet")) for name in ("lab", "lab-2")}
    model = learn_rewards([corpora["lab"]])
    runs = corpora["lab-2"].with_row_index("row")
    rewards = smoothed_rewards(runs, "row").filter(step=100).join(runs, on="row")
    found = model.forecast(np.full(rewards.height, 100 / 300), rewards["reward"].to_numpy())
    missed = np.abs(LOGIT.forward(rewards["post_pass_at_1"].to_numpy()) - found.mean)
    assert np.mean(missed < 1.645 * np.sqrt(found.own + found.loading**2)) > 0.75


def test_without_a_log_of_two_bases_nothing_is_learnt():
    runs = rewarded_runs(2, 4, 0.0, 0.1)
    assert learn_rewards([runs]) is not None
    assert learn_rewards([runs.drop("rl_curve")]) is None
    assert learn_rewards([runs.filter(base_model="b0"), runs.drop("rl_curve")]) is None


def test_a_reward_moves_a_forecast_and_is_no_score():
    lab = "datasets/lab/corpus.parquet"
    who = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.3, 0.3], "pre_pass_at_16": [0.6, 0.6]})
    along = pl.DataFrame({"candidate": ["a", "b"], "step": [100, 100], "reward": [0.35, 0.6]})
    said = race(who, along, rl_steps=400, budget=800, learn_from=lab)
    assert any(note.startswith("of 2 runs under way only the training reward is known") for note in said.notes)
    found = said.frame
    rows = {row["candidate"]: row for row in found.iter_rows(named=True)}
    assert rows["b"]["forecast"] > rows["a"]["forecast"]
    assert rows["b"]["score"] is None
    assert (rows["b"]["state"], rows["b"]["step"]) == ("under way", 100)
    assert rows["b"]["until"] in (200, 400)
    with pytest.raises(CorpusError, match="'a' has only a training reward at step 100, the end of its run"):
        race(who, along, rl_steps=100, learn_from=lab)
