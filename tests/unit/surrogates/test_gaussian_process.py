import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.surrogates import gaussian_process
from quagpredict.surrogates.gaussian_process import fit_gaussian_process


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_it_is_the_textbook_posterior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y, new = rng.normal(size=(20, 2)), rng.normal(size=20), rng.normal(size=(5, 2))
    fitted = fit_gaussian_process(X, y)
    form = fitted.form

    def kernel(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        A, B = (A - form.center) / form.scale, (B - form.center) / form.scale
        smooth = np.exp(-0.5 * ((A[:, None] - B[None]) ** 2).sum(axis=2) / form.length**2)
        return form.trend * A @ B.T / 2 + (1 - form.trend) * smooth

    K = kernel(X, X) + form.noise * np.eye(20)
    error = y - y.mean()
    np.testing.assert_allclose(fitted.predict(new).mean, y.mean() + kernel(new, X) @ np.linalg.solve(K, error))
    signal = error @ np.linalg.solve(K, error) / 19
    variance = signal * (
        np.diag(kernel(new, new) - kernel(new, X) @ np.linalg.solve(K, kernel(X, new))) + form.noise * (1 + 1 / 20)
    )
    np.testing.assert_allclose(fitted.predict(new).std, form.t_factor * np.sqrt(variance), rtol=1e-6)


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
