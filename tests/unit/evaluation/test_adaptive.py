"""Adaptive sampling on synthetic candidates: honest intervals, hardly any bias, fewer samples.

A seeded, smaller edition of bench/adaptive_sampling.py, whose table is in the guide.
"""

import numpy as np
import pytest

from quagpredict.errors import UsageError
from quagpredict.evaluation.adaptive import ROUNDS, sample_adaptively

POSITION = {end: at for at, end in enumerate(ROUNDS)}


def counted(random, chance):
    steps = np.diff((0, *ROUNDS))
    results = np.cumsum(random.binomial(steps[None, :], chance[:, None]), axis=1)
    return lambda n: results[np.arange(chance.size), [POSITION[int(one)] for one in n]]


@pytest.mark.parametrize(("k", "precision"), [(64, 0.02), (1, 0.01)])
def test_intervals_cover_and_estimates_are_not_off(k, precision):
    random = np.random.default_rng([7, k])
    errors, inside, saved = [], [], []
    for _ in range(150):
        kind = random.choice(3, size=150, p=[0.3, 0.15, 0.55])
        chance = np.choose(kind, [np.zeros(150), np.ones(150), random.beta(0.6, 2.0, 150)])
        found = sample_adaptively(150, counted(random, chance), k=k, precision=precision)
        errors.append(found.value - (1 - (1 - chance) ** k).mean())
        inside.append(abs(errors[-1]) <= found.half_width)
        saved.append(found.saved)
        assert found.reached
        assert found.half_width <= precision
    # Of 150 intervals of 90 %, between 121 and 147 cover but for one time in a hundred thousand on either side.
    assert 121 <= sum(inside) <= 147
    assert abs(np.mean(errors)) < 0.002 + 4 * np.std(errors) / np.sqrt(150)
    assert np.mean(saved) > (0.3 if k == 64 else 0.0)


def test_an_unreachable_precision_is_said():
    random = np.random.default_rng(1)
    found = sample_adaptively(4, counted(random, np.full(4, 0.01)), k=64, precision=0.0001)
    assert not found.reached
    assert found.n.max() == ROUNDS[-1]


def test_the_same_results_give_the_same_samples():
    chance = np.random.default_rng(3).beta(0.5, 2, 80)
    found = [sample_adaptively(80, counted(np.random.default_rng(4), chance), k=16, precision=0.02) for _ in range(2)]
    assert found[0].n.tolist() == found[1].n.tolist()
    assert found[0].value == found[1].value


@pytest.mark.parametrize(("k", "precision"), [(0, 0.1), (2000, 0.1), (4, 0.0), (4, 1.5)])
def test_what_cannot_be_asked_for_is_refused(k, precision):
    with pytest.raises(UsageError):
        sample_adaptively(4, lambda n: n * 0, k=k, precision=precision)
