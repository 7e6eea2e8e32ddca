from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import pass_at_k, pass_at_k_curve


def exact(n, c, k):
    return 1 - Fraction(comb(n - c, k), comb(n, k))


counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def test_agrees_with_rational_arithmetic_for_all_n_up_to_64():
    for n in range(65):
        c = np.arange(n + 1)
        ks = np.arange(1, n + 2)
        got = pass_at_k(np.full(n + 1, n), c, ks)
        assert got.shape == (n + 1, n + 1)
        assert np.isnan(got[:, n]).all()
        want = np.array([[float(exact(n, int(i), int(k))) for k in ks[:n]] for i in c]).reshape(n + 1, n)
        np.testing.assert_allclose(got[:, :n], want, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "c"), [(1024, 1), (1024, 3), (1024, 200), (1024, 1023), (4096, 2)])
def test_stays_exact_for_large_n(n, c):
    ks = np.array([1, 2, 7, 64, 256, 500, 1000, 1024])
    want = [float(exact(n, c, int(k))) for k in ks]
    np.testing.assert_allclose(pass_at_k(n, c, ks), want, rtol=0, atol=1e-12)
    assert pass_at_k(n, c, n) == 1.0


def test_published_values():
    # openai/human-eval README: 6 example samples of one problem, 3 of them correct: pass@1 0.4999999999999999.
    np.testing.assert_allclose(pass_at_k(6, 3, [1, 2, 4]), [0.4999999999999999, 0.8, 1.0], atol=1e-15)
    # Chen et al. 2021, section 3.3: n = 200 samples, k up to 100. A problem solved once in 200: k / n.
    np.testing.assert_allclose(pass_at_k(200, 1, [1, 10, 100]), [0.005, 0.05, 0.5], atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.lists(counts, min_size=1, max_size=30))
def test_equals_the_published_loop(pairs):
    def loop(n, c, k):  # equation 1 as published with human-eval
        return 1.0 if n - c < k else 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))

    n, c = map(np.array, zip(*pairs, strict=True))
    ks = np.array([1, 2, 16, 100])
    want = np.array([[loop(i, j, k) if i >= k else np.nan for k in ks] for i, j in pairs])
    np.testing.assert_allclose(pass_at_k(n, c, ks), want, rtol=0, atol=1e-11)


@settings(max_examples=100, deadline=None)
@given(counts)
def test_is_monotone_in_k_and_c_and_pass_at_1_is_the_share(pair):
    n, c = pair
    ks = np.arange(1, n + 1)
    values = pass_at_k(n, c, ks)
    assert (np.diff(values) >= 0).all()
    assert values[0] == pytest.approx(c / n, abs=1e-15)
    assert ((values >= 0) & (values <= 1)).all()
    if c < n:
        assert (pass_at_k(n, c + 1, ks) >= values).all()


def test_is_unbiased_under_the_binomial():
    n, p, k = 12, 0.3, 5
    expectation = sum(comb(n, c) * p**c * (1 - p) ** (n - c) * float(pass_at_k(n, c, k)) for c in range(n + 1))
    assert expectation == pytest.approx(1 - (1 - p) ** k, abs=1e-13)


def test_unequal_n_sparse_counts_and_unsorted_ks():
    n = np.array([3, 100_000, 64, 64, 3])
    c = np.array([1, 99_999, 0, 64, 1])
    got = pass_at_k(n, c, [4, 1, 2, 1])
    assert np.isnan(got[[0, 4], 0]).all()
    np.testing.assert_allclose(got[0, 1:], [1 / 3, 2 / 3, 1 / 3])
    np.testing.assert_array_equal(got[2], np.zeros(4))
    np.testing.assert_array_equal(got[3], np.ones(4))
    np.testing.assert_array_equal(got[0], got[4])


def test_shapes_and_emptiness():
    assert pass_at_k([4, 4], [1, 2], 2).shape == (2,)
    assert pass_at_k([4, 4], [1, 2], [2]).shape == (2, 1)
    assert pass_at_k(4, 1, [1, 2]).shape == (2,)
    assert pass_at_k([], [], [1, 2]).shape == (0, 2)
    assert np.isnan(pass_at_k(0, 0, 1))
    np.testing.assert_array_equal(pass_at_k([4.0], [1.0], 2), pass_at_k([4], [1], 2))


@pytest.mark.parametrize(
    ("n", "c", "k", "message"),
    [
        ([4, 4, 4], [1, 5, 0], 1, "position 1.*n=4.*c=5"),
        ([4, -1], [0, 0], 1, "position 1"),
        ([4, 4], [0, -2], 1, "position 1.*c=-2"),
        ([4, 4], [0, 1.5], 1, "c at position 1 .*whole number.*1.5"),
        ([4, float("nan")], [0, 1], 1, "n at position 1"),
        ([4], [1], 0, "k must be at least 1, got 0"),
        ([4, 4], [1, 2, 3], 1, "one count for each problem"),
        (["four"], [1], 1, "n must hold whole numbers"),
    ],
)
def test_impossible_counts_are_refused(n, c, k, message):
    with pytest.raises(InvalidDataError, match=message):
        pass_at_k(n, c, k)


@settings(max_examples=25, deadline=None)
@given(st.lists(counts, min_size=2, max_size=20), st.randoms())
def test_curve_does_not_depend_on_the_order_of_problems(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    first, second = (pass_at_k_curve(*zip(*some, strict=True), ks=[1, 8], resamples=50) for some in (pairs, shuffled))
    for name in ("mean", "standard_error", "low", "high", "problems"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_curve_leaves_out_problems_with_too_few_samples():
    curve = pass_at_k_curve([8, 8, 2], [4, 0, 2], [1, 4, 16])
    np.testing.assert_array_equal(curve.problems, [3, 2, 0])
    np.testing.assert_allclose(curve.mean[:2], [0.5, float(exact(8, 4, 4)) / 2])
    for values in (curve.mean, curve.standard_error, curve.low, curve.high):
        assert np.isnan(values[2])
    assert curve.low[0] <= curve.mean[0] <= curve.high[0]


def test_curve_standard_error_is_that_of_a_mean_over_problems():
    rng = np.random.default_rng(0)
    c = rng.integers(0, 33, 50)
    n = np.full(50, 32)
    n[:5] = 40
    curve = pass_at_k_curve(n, c, [1, 8])
    values = pass_at_k(n, c, [1, 8])
    np.testing.assert_allclose(curve.standard_error, values.std(axis=0, ddof=1) / np.sqrt(50), rtol=1e-12)
    # With 50 problems the percentile interval is close to the normal one.
    np.testing.assert_allclose(curve.high - curve.low, 2 * 1.645 * curve.standard_error, rtol=0.1)


def test_curve_of_one_problem_and_of_clusters():
    alone = pass_at_k_curve([4], [1], [1])
    assert alone.mean[0] == 0.25
    assert np.isnan(alone.standard_error[0])
    # Copies of a problem in one cluster tell no more than the problem itself.
    n, c, labels = np.full(8, 4), np.array([0, 1, 2, 4] * 2), np.array(["a", "b", "c", "d"] * 2)
    once = pass_at_k_curve(n[:4], c[:4], [1, 2])
    twice = pass_at_k_curve(n, c, [1, 2], clusters=labels)
    np.testing.assert_allclose(twice.standard_error, once.standard_error)
    naive = pass_at_k_curve(n, c, [1, 2])
    assert (naive.standard_error < twice.standard_error).all()


def test_curve_interval_covers():
    # 90 % nominal; 300 trials have a standard error of 1.7 points.
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(300):
        p = rng.beta(0.5, 1.0, 100)
        curve = pass_at_k_curve(np.full(100, 16), rng.binomial(16, p), [4], resamples=300, seed=trial)
        truth = 1 - 128 / 315  # 1 - E[(1-p)^4] for p ~ Beta(0.5, 1): 1 - B(0.5, 5) / B(0.5, 1)
        covered += curve.low[0] <= truth <= curve.high[0]
    assert 0.85 <= covered / 300 <= 0.95


@pytest.mark.parametrize("confidence", [0.0, 1.0, 90])
def test_curve_refuses_a_confidence_outside_0_1(confidence):
    with pytest.raises(InvalidDataError, match="confidence"):
        pass_at_k_curve([4], [1], [1], confidence=confidence)
