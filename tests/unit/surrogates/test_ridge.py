import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from quagpredict.surrogates.average import fit_average
from quagpredict.surrogates.bayesian_ridge import fit_bayesian_ridge
from quagpredict.surrogates.linear import fit_linear
from quagpredict.surrogates.ridge import PENALTIES, fit_ridge

RNG = np.random.default_rng(0)
X = RNG.normal(size=(25, 4))
Y = X @ [0.5, 0.0, -0.2, 0.0] + RNG.normal(0, 0.3, 25)
SCALED = (X - X.mean(axis=0)) / X.std(axis=0)


def test_leave_one_out_chooses_the_penalty_that_refitting_would() -> None:
    """The closed form keeps the scale of all rows, as a pipeline that scales first does."""
    errors = [
        ((cross_val_predict(Ridge(alpha=penalty * 25), SCALED, Y, cv=LeaveOneOut()) - Y) ** 2).mean()
        for penalty in PENALTIES[::10]
    ]
    best = PENALTIES[::10][int(np.argmin(errors))]
    fitted = fit_ridge(X, Y)
    candidates = {float(penalty): Ridge(alpha=penalty * 25).fit(SCALED, Y).predict(SCALED) for penalty in PENALTIES}
    found = min(candidates, key=lambda penalty: np.abs(candidates[penalty] - fitted.predict(X).mean).max())
    np.testing.assert_allclose(fitted.predict(X).mean, candidates[found], atol=1e-9)
    assert best / 11 < found < best * 11


def test_the_evidence_agrees_with_scikit_learn() -> None:
    theirs = BayesianRidge(alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, tol=1e-10, max_iter=5000).fit(SCALED, Y)
    ours = fit_bayesian_ridge(X, Y)
    np.testing.assert_allclose(ours.predict(X).mean, theirs.predict(SCALED), atol=0.01)
    _, std = theirs.predict(SCALED, return_std=True)
    assert ours.form.t_factor == pytest.approx(1.04, abs=0.02)
    np.testing.assert_allclose(ours.predict(X).std / ours.form.t_factor, std, rtol=0.05)


def test_without_noise_ridge_is_least_squares() -> None:
    clean = X @ [1.0, 2.0, 3.0, 4.0]
    for fit in (fit_ridge, fit_bayesian_ridge):
        np.testing.assert_allclose(fit(X, clean).form.coefficients, [1, 2, 3, 4], atol=1e-4)


@pytest.mark.parametrize("fit", [fit_ridge, fit_bayesian_ridge])
def test_more_features_than_rows(fit: object) -> None:
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(30, 100))
    coefficients = rng.normal(0, 0.1, 100)
    y = wide @ coefficients + rng.normal(0, 0.1, 30)
    new = rng.normal(size=(200, 100))
    fitted = fit(wide, y)  # type: ignore[operator]
    error = fitted.predict(new).mean - new @ coefficients
    assert (error**2).mean() < (new @ coefficients).var()
    assert np.isfinite(fitted.predict(new).std).all()
    assert np.abs(error / fitted.predict(new).std).mean() < 2


@pytest.mark.parametrize("fit", [fit_ridge, fit_bayesian_ridge, fit_average, fit_linear])
def test_units_do_not_matter(fit: object) -> None:
    scale = np.array([1e4, 1.0, 1e-4, 10.0])
    np.testing.assert_allclose(
        fit(X * scale, Y).predict(X * scale).mean,  # type: ignore[operator]
        fit(X, Y).predict(X).mean,  # type: ignore[operator]
        atol=1e-8,
    )


@pytest.mark.parametrize("fit", [fit_ridge, fit_bayesian_ridge, fit_average])
def test_intervals_cover_when_the_model_is_true(fit: object) -> None:
    """One feature, where all of these are a line; shrinking little."""
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(400):
        x = rng.normal(size=(20, 1))
        fitted = fit(x, 0.5 + 0.2 * x[:, 0] + rng.normal(0, 0.05, 20))  # type: ignore[operator]
        new = rng.normal(size=(10, 1))
        low, high = fitted.interval(new)
        truth = 0.5 + 0.2 * new[:, 0] + rng.normal(0, 0.05, 10)
        hits += list((low <= truth) & (truth <= high))
    assert 0.87 <= np.mean(hits) <= 0.93


def test_the_average_is_the_mean_of_single_lines() -> None:
    single = [LinearRegression().fit(X[:, [j]], Y).predict(X[:, [j]]) for j in range(4)]
    np.testing.assert_allclose(fit_average(X, Y).predict(X).mean, np.mean(single, axis=0))
    one = fit_average(X[:, :1], Y).predict(X[:, :1])
    line = fit_linear(X[:, :1], Y).predict(X[:, :1])
    np.testing.assert_allclose(one.mean, line.mean)
    np.testing.assert_allclose(one.std, line.std)


@pytest.mark.parametrize("fit", [fit_ridge, fit_bayesian_ridge, fit_average])
def test_constant_features_and_targets(fit: object) -> None:
    flat = fit(np.column_stack([X[:, 0], np.full(25, 0.3)]), Y)  # type: ignore[operator]
    assert flat.form.coefficients[1] == 0.0
    level = fit(X, np.full(25, 0.4))  # type: ignore[operator]
    np.testing.assert_allclose(level.predict(X).mean, 0.4)
    assert (level.predict(X).std < 1e-12).all()


@pytest.mark.parametrize("fit_kind", [fit_ridge, fit_bayesian_ridge])
@pytest.mark.parametrize("seed", range(5))
def test_few_rows_leave_a_degree_of_freedom(fit_kind, seed) -> None:
    """As many rows as features and one: a fit without error would claim an interval without end, or none."""
    rng = np.random.default_rng(seed)
    few = rng.normal(size=(4, 3))
    fitted = fit_kind(few, few @ [0.1, 0.2, 0.3])
    assert fitted.form.degrees_of_freedom >= 1 - 1e-9
    assert np.isfinite(fitted.predict(few).std).all()
    assert fitted.predict(few).std.max() < 10
