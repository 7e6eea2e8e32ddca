from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import reward_variance, zero_variance_share

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def test_zero_variance_share_counts_the_groups():
    for n in range(1, 9):
        for c in range(n + 1):
            rewards = [1] * c + [0] * (n - c)
            for size in range(1, n + 1):
                groups = [len(set(group)) == 1 for group in combinations(rewards, size)]
                assert float(zero_variance_share(n, c, size)) == pytest.approx(np.mean(groups), abs=1e-14)


@settings(max_examples=80, deadline=None)
@given(counts, st.integers(1, 64))
def test_zero_variance_share_is_exact_and_symmetric(pair, size):
    n, c = pair
    got = float(zero_variance_share(n, c, size))
    if n < size:
        assert np.isnan(got)
        return
    assert got == pytest.approx(float(Fraction(comb(c, size) + comb(n - c, size), comb(n, size))), abs=1e-12)
    assert got == pytest.approx(float(zero_variance_share(n, n - c, size)), abs=1e-15)
    assert 0 <= got <= 1


def test_zero_variance_share_is_unbiased_under_the_binomial():
    n, p, size = 20, 0.2, 8
    weights = [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    share = zero_variance_share(np.full(n + 1, n), np.arange(n + 1), size)
    assert share @ weights == pytest.approx(p**size + (1 - p) ** size, abs=1e-13)


@settings(max_examples=50, deadline=None)
@given(counts)
def test_reward_variance_is_the_sample_variance(pair):
    n, c = pair
    rewards = np.array([1.0] * c + [0.0] * (n - c))
    got = float(reward_variance(n, c))
    if n < 2:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(rewards.var(ddof=1), abs=1e-14)


def test_impossible_calls_are_refused():
    with pytest.raises(InvalidDataError, match="position 0"):
        reward_variance([2], [3])
    with pytest.raises(InvalidDataError, match="group_size must be at least 1"):
        zero_variance_share([2], [1], 0)
