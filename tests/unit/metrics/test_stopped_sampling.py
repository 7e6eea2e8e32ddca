"""Estimates under stopping rules: unbiased by enumeration, the usual one where nothing stops early."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import pass_at_k
from quagpredict.metrics.stopped_sampling import StoppingRule, rule_moments, stopped_pass_at_k


def stopped(rule: StoppingRule, results: tuple[int, ...]) -> tuple[int, int]:
    """Samples and correct samples of a problem with these results, one after the other."""
    for position, end in enumerate(rule.rounds):
        c = sum(results[:end])
        if rule.end(c, position):
            return end, c
    raise AssertionError


@st.composite
def rules(draw: st.DrawFn) -> StoppingRule:
    rounds = tuple(sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=4))))
    pairs = st.tuples(st.integers(0, 4), st.integers(0, 9))
    return StoppingRule(rounds, tuple(draw(pairs) for _ in rounds[:-1]))


@settings(deadline=None)
@given(rule=rules(), k=st.integers(1, 9), p=st.floats(0, 1))
def test_the_mean_over_all_results_is_pass_at_k(rule: StoppingRule, k: int, p: float) -> None:
    values, chances, samples = [], [], []
    for results in product((0, 1), repeat=rule.rounds[-1]):
        n, c = stopped(rule, results)
        values.append(stopped_pass_at_k(rule, [n], [c], k)[0])
        samples.append(n)
        chances.append(p ** sum(results) * (1 - p) ** (len(results) - sum(results)))
    mean = float(np.dot(values, chances))
    moments = rule_moments(rule, k, [p])
    assert moments.samples[0] == pytest.approx(np.dot(samples, chances))
    if np.isnan(mean):  # some problem can stop before k samples without a success
        assert np.isnan(moments.variance[0])
        return
    assert mean == pytest.approx(1 - (1 - p) ** k, abs=1e-9)
    assert moments.variance[0] == pytest.approx(np.dot((np.array(values) - mean) ** 2, chances), abs=1e-9)


@settings(deadline=None)
@given(n=st.integers(1, 60), k=st.integers(1, 60), data=st.data())
def test_a_single_round_gives_the_usual_estimate(n: int, k: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    rule = StoppingRule((n,))
    usual = pass_at_k(n, c, k)
    assert stopped_pass_at_k(rule, [n], [c], k)[0] == pytest.approx(float(usual), nan_ok=True)


def test_a_stop_before_k_with_a_success_is_solved() -> None:
    rule = StoppingRule((4, 64), ((0, 0),))
    assert stopped_pass_at_k(rule, [4, 64], [1, 0], 64).tolist() == [1.0, 0.0]


def test_stopping_at_the_second_success_needs_few_samples_of_easy_problems() -> None:
    rule = StoppingRule((16, 32, 64, 128, 256), ((0, 1),) * 4)
    easy, rare = rule_moments(rule, 64, [0.3, 0.01]).samples
    assert easy < 17 < 150 < rare


@pytest.mark.parametrize(
    ("rounds", "ranges"), [((), ()), ((4, 4), ((0, 1),)), ((0, 4), ((0, 1),)), ((4, 8), ()), ((4,), ((0, 1),))]
)
def test_an_impossible_rule_is_refused(rounds, ranges) -> None:
    with pytest.raises(InvalidDataError, match="rising rounds"):
        StoppingRule(rounds, ranges)


@pytest.mark.parametrize(("n", "c"), [(4, 0), (5, 1), (8, 9), (8, -1), (8, 8)])
def test_counts_that_the_rule_cannot_lead_to_are_refused(n, c) -> None:
    with pytest.raises(InvalidDataError, match="position 1 cannot have stopped"):
        stopped_pass_at_k(StoppingRule((4, 8), ((0, 0),)), [4, n], [1, c], 2)
