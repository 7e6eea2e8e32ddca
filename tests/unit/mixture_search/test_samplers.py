"""Where a sampler spends its trials."""

import numpy as np
import pytest

from quagpredict.mixture_search.study import MixtureSearch
from quagpredict.testing.search_worlds import synthetic_world


@pytest.mark.parametrize("seed", range(3))
def test_at_most_a_third_of_the_trials_lie_beside_the_best_before_them(seed):
    world = synthetic_world(4, seed=3)
    search = MixtureSearch(world.space, method="sft-pass-at-1", seed=seed)
    search.run(lambda recipe, report: world.measure(recipe), 40)
    frame = search.frame.sort("trial")
    shares = frame.select("^share_.*$").to_numpy()
    epochs, rate = (np.log(frame[name].to_numpy()) for name in ("epochs", "learning_rate"))
    settings = np.column_stack([epochs / np.log(16.0), rate / np.log(100.0)])  # of the ranges of `synthetic_space`
    value, beside = frame["value"].to_numpy(), 0
    for number in range(1, len(value)):
        best = int(np.argmax(value[:number]))
        mixture = np.abs(shares[number] - shares[best]).sum() / 2
        beside += mixture <= 0.1 and np.abs(settings[number] - settings[best]).max() <= 0.1
    assert 0 < beside <= len(value) / 3
