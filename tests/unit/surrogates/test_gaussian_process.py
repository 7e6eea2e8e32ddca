import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.surrogates import gaussian_process
from quagpredict.surrogates.gaussian_process import (
    fit_gaussian_process,
    largest_posterior,
    negative_log_likelihood,
)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_it_is_the_textbook_posterior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y, new = rng.normal(size=(20, 2)), rng.normal(size=20), rng.normal(size=(5, 2))
    fitted = fit_gaussian_process(X, y)
    form = fitted.form

    def kernel(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        A, B = (A - form.center) / form.scale, (B - form.center) / form.scale
        r = np.sqrt(5 * (((A[:, None] - B[None]) / form.length) ** 2).sum(axis=2))
        smooth = (1 + r + r**2 / 3) * np.exp(-r)
        return form.trend * A @ B.T / 2 + (1 - form.trend) * smooth

    K = kernel(X, X) + form.noise * np.eye(20)
    error = y - y.mean()
    np.testing.assert_allclose(fitted.predict(new).mean, y.mean() + kernel(new, X) @ np.linalg.solve(K, error))
    signal = error @ np.linalg.solve(K, error) / 19
    variance = signal * (
        np.diag(kernel(new, new) - kernel(new, X) @ np.linalg.solve(K, kernel(X, new))) + form.noise * (1 + 1 / 20)
    )
    np.testing.assert_allclose(fitted.predict(new).std, form.t_factor * np.sqrt(variance), rtol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 30), p=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_the_likelihood_is_that_of_scikit_learn_with_the_scale_integrated_out(seed: int, n: int, p: int) -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    rng = np.random.default_rng(seed)
    at, error = rng.normal(size=(n, p)), rng.normal(size=n)
    theta = rng.normal(0.0, 1.0, p + 2)
    value, slope = negative_log_likelihood(theta, at, error)
    trend, noise = np.exp(theta[p:])
    parts = ConstantKernel(trend / p) * DotProduct(1e-9) + Matern(np.exp(theta[:p]), nu=2.5) + WhiteKernel(noise)
    covariance = parts(at)
    left = error @ np.linalg.solve(covariance, error)
    # At the variance v of the largest likelihood of n - 1 degrees of freedom theirs is ours but for what is constant.
    v = left / (n - 1)
    theirs = GaussianProcessRegressor(ConstantKernel(v) * parts, optimizer=None).fit(at, error)
    expected = -theirs.log_marginal_likelihood_value_ - 0.5 * n * np.log(2 * np.pi) - 0.5 * (n - 1)
    assert value == pytest.approx(expected - 0.5 * np.log(v) + 0.5 * (n - 1) * np.log(n - 1), rel=1e-6, abs=1e-6)
    step = 1e-5
    for place in range(p + 2):
        moved = np.where(np.arange(p + 2) == place, step, 0.0)
        upper, lower = (negative_log_likelihood(theta + sign * moved, at, error)[0] for sign in (1, -1))
        assert slope[place] == pytest.approx((upper - lower) / (2 * step), rel=1e-4, abs=1e-4)


def test_it_predicts_what_scikit_learn_does_with_the_same_hyperparameters() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(40, 3)), rng.normal(size=(10, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] + rng.normal(0, 0.1, 40)
    fitted = fit_gaussian_process(X, y)
    form = fitted.form
    kernel = form.signal_variance * (
        ConstantKernel(form.trend / 3) * DotProduct(1e-9) + (1 - form.trend) * Matern(form.length, nu=2.5)
    ) + WhiteKernel(form.signal_variance * form.noise)
    theirs = GaussianProcessRegressor(kernel, optimizer=None).fit((X - form.center) / form.scale, y - y.mean())
    expected = y.mean() + theirs.predict((new - form.center) / form.scale)
    np.testing.assert_allclose(fitted.predict(new).mean, expected, rtol=1e-8)


def test_a_feature_that_says_nothing_gets_a_long_length_scale() -> None:
    rng = np.random.default_rng(0)
    at = rng.normal(size=(120, 4))
    found = largest_posterior(at, np.sin(2 * at[:, 1]) + rng.normal(0, 0.05, 120))
    assert found.length[1] < 2.5
    assert (np.delete(found.length, 1) > 10).all()
    assert found.noise < 0.1


def test_hyperparameters_of_few_rows_serve_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (300, 2))
    y = np.sin(2 * X[:, 0]) + rng.normal(0, 0.02, 300)
    few = fit_gaussian_process(X, y)
    monkeypatch.setattr(gaussian_process, "LEARNING_ROWS", 300)
    whole = fit_gaussian_process(X, y)
    assert few.form.inputs.shape == whole.form.inputs.shape == (300, 2)
    assert abs(few.predict(X).mean - whole.predict(X).mean).max() < 0.02


def test_weights_of_a_mixture_enter_by_their_roots() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([0.3, 0.3, 0.3], 60).round(3)
    y = np.sqrt(weights[:, 0]) - weights[:, 2] ** 0.25
    fitted = fit_gaussian_process(np.column_stack([weights, rng.normal(size=60)]), y)
    assert fitted.feature_transforms == ("sqrt", "sqrt", "sqrt", "identity")
    assert np.isnan(fitted.predict([[-0.1, 0.6, 0.5, 0.0]]).mean[0])


def test_a_curve_is_followed_where_a_line_is_not_enough_and_a_line_goes_on() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (60, 1))
    assert abs(fit_gaussian_process(x, np.sin(2 * x[:, 0])).predict([[0.8]]).mean[0] - np.sin(1.6)) < 0.05
    line = fit_gaussian_process(x, 2 * x[:, 0] + rng.normal(0, 0.1, 60))
    far = line.predict([[6.0]])
    assert far.mean[0] == pytest.approx(12.0, abs=1.5)
    assert far.distance[0] > 1
    assert far.std[0] > line.predict([[0.0]]).std[0]


def test_many_rows_are_thinned_evenly_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian_process, "MOST_ROWS", 50)
    x = np.random.default_rng(0).uniform(size=(300, 1))
    fitted = fit_gaussian_process(x, x[:, 0])
    assert len(fitted.form.inputs) == 50
    assert fitted.notes[1] == "fitted on 50 of the 300 rows"
    assert abs(fitted.predict(x).mean - x[:, 0]).max() < 0.05


def test_a_constant_feature_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 1))
    with_constant = np.column_stack([x, np.ones(30)])
    moved = np.column_stack([x, np.full(30, 7.0)])
    fitted = fit_gaussian_process(with_constant, x[:, 0])
    np.testing.assert_allclose(fitted.predict(moved).mean, fitted.predict(with_constant).mean)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    fitted = fit_gaussian_process(rng.normal(size=(40, 2)), rng.normal(size=40))
    new = rng.normal(size=(3000, 2))
    whole = fitted.joint(new)
    assert whole.factor.shape == (3000, 0)  # too many to hold how each errs with each
    np.testing.assert_allclose(whole.noise, fitted.predict(new).std)
