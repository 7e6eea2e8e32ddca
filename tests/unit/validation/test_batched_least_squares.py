import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.surrogates import SurrogateRegressor
from quagpredict.surrogates.linear import fit_linear
from quagpredict.surrogates.mean import fit_mean
from quagpredict.validation import batched_least_squares
from quagpredict.validation.batched_least_squares import predict_splits
from quagpredict.validation.splits import random_halves, repeated_k_fold


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(12, 40), st.floats(-4, 4))
@settings(max_examples=40)
def test_it_is_the_surrogate_on_every_split(seed: int, p: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    X, y = (5.0 + rng.normal(size=(n, p))) * 10.0**scale, rng.normal(size=n)
    splits = [*random_halves(np.arange(n), 3, seed), *repeated_k_fold(np.arange(n), 5, 1, seed)]
    batched = predict_splits(X, y, splits)
    for row, split in enumerate(splits):
        single = fit_linear(X[split.train], y[split.train]).predict(X)
        np.testing.assert_allclose(batched.mean[row], single.mean, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(batched.std[row], single.std, rtol=1e-6, atol=1e-7)


def test_it_is_the_estimator() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(60, 2)), rng.uniform(size=60)
    splits = random_halves(np.arange(60), 10)
    batched = predict_splits(X, y, splits)
    for row, split in enumerate(splits):
        mean, std = SurrogateRegressor().fit(X[split.train], y[split.train]).predict(X[split.test], return_std=True)
        np.testing.assert_allclose(batched.mean[row, split.test], mean, atol=1e-11)
        np.testing.assert_allclose(batched.std[row, split.test], std, atol=1e-11)


def test_without_features_it_is_the_mean() -> None:
    y = np.random.default_rng(1).normal(size=20)
    splits = random_halves(np.arange(20), 5)
    batched = predict_splits(np.empty((20, 0)), y, splits)
    for row, split in enumerate(splits):
        single = fit_mean(np.zeros((len(split.train), 1)), y[split.train]).predict(np.zeros((20, 1)))
        np.testing.assert_allclose(batched.mean[row], single.mean)
        np.testing.assert_allclose(batched.std[row], single.std)


def test_copied_and_constant_columns() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=30), rng.normal(size=30)
    X = np.column_stack([x, x, np.full(30, 0.7)])
    splits = random_halves(np.arange(30), 4)
    batched = predict_splits(X, y, splits)
    for row, split in enumerate(splits):
        single = fit_linear(X[split.train], y[split.train]).predict(X)
        np.testing.assert_allclose(batched.mean[row], single.mean, atol=1e-6)
        np.testing.assert_allclose(batched.std[row], single.std, atol=1e-6)


def test_small_blocks_and_many_features_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    splits = random_halves(np.arange(40), 7)
    whole = predict_splits(X, y, splits)
    for block in (40 * 16, 40 * 16 - 1):  # several blocks; then one fit after another
        monkeypatch.setattr(batched_least_squares, "_BLOCK", block)
        parts = predict_splits(X, y, splits)
        np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-12)
        np.testing.assert_allclose(parts.std, whole.std, atol=1e-12)


def test_no_degree_of_freedom_no_certainty() -> None:
    splits = random_halves(np.arange(4), 2)
    batched = predict_splits(np.arange(4.0)[:, None], np.array([0.0, 1.0, 0.0, 2.0]), splits)
    assert np.isinf(batched.std).all()
    assert np.isfinite(batched.mean).all()
