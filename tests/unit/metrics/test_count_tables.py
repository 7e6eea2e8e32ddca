"""Pass@k at any k: the unbiased estimate at whole k, the ratio of gamma functions between, monotone in k and c."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import pass_at_k
from quagpredict.metrics.count_tables import count_tables, mean_curve, pass_at_any_k, success_shares


@given(n=st.integers(1, 64))
def test_whole_k_gives_the_unbiased_estimate(n: int) -> None:
    c, ks = np.arange(n + 1), np.arange(1, n + 1)
    np.testing.assert_allclose(pass_at_any_k(n, ks), pass_at_k(np.full(n + 1, n), c, ks), rtol=0, atol=1e-12)


@given(n=st.integers(2, 200), share=st.floats(0, 1), x=st.floats(0, 1))
def test_between_whole_k_it_is_the_ratio_of_gamma_functions(n: int, share: float, x: float) -> None:
    c, k = round(share * n), 1 + x * (n - 1)
    expected = 1.0
    if n - c - k + 1 > 0:
        logs = (math.lgamma(v) for v in (n - c + 1, n - k + 1, n - c - k + 1, n + 1))
        a, b, d, e = logs
        expected = 1 - math.exp(a + b - d - e)
    assert pass_at_any_k(n, k)[c, 0] == pytest.approx(expected, abs=1e-9)


@given(n=st.integers(2, 100))
def test_it_rises_with_k_and_with_c(n: int) -> None:
    values = pass_at_any_k(n, np.linspace(1, n, 37))
    assert (np.diff(values, axis=0) >= -1e-12).all()
    assert (np.diff(values, axis=1) >= -1e-12).all()


def test_k_beyond_n_is_unknown_and_below_one_refused() -> None:
    assert np.isnan(pass_at_any_k(4, 4.5)).all()
    with pytest.raises(InvalidDataError):
        pass_at_any_k(4, 0.5)


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), min_size=1, max_size=20))
def test_shares_of_problems_sum_to_one_and_the_curve_is_the_mean_over_problems(pairs: list[tuple[int, int]]) -> None:
    n = np.array([size for size, _ in pairs])
    c = np.array([min(correct, size) for size, correct in pairs])
    tables = count_tables(np.zeros(len(pairs), dtype=np.int64), n, c, 1)
    assert success_shares(*tables, np.linspace(-8.0, 8.0, 9)).sum() == pytest.approx(1.0)
    assert mean_curve(*tables, np.array([1.0]))[0, 0] == pytest.approx(float((c / n).mean()))


def test_what_else_is_asked_for_changes_no_bit_of_a_curve() -> None:
    random = np.random.default_rng(0)
    tables = count_tables(np.repeat(np.arange(7), 30), np.full(210, 256), random.integers(0, 257, 210), 7)
    alone = [mean_curve(*tables, np.array([k])) for k in (1.0, 4.0, 16.0)]
    assert np.array_equal(mean_curve(*tables, np.array([1.0, 4.0, 16.0])), np.hstack(alone))
