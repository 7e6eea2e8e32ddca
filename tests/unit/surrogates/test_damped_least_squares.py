"""Where the penalised sum of squares is least: the closed form where there is one, else what scipy finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from quagpredict.surrogates.damped_least_squares import damped_least_squares


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), q=st.integers(1, 4), strength=st.floats(1e-2, 1e2))
def test_a_linear_model_has_the_closed_form(seed: int, n: int, q: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    X, y, belief = rng.normal(size=(n, q)), rng.normal(size=n), rng.normal(size=q)
    weight, penalty = rng.uniform(0.1, 2.0, n), strength * rng.uniform(0.5, 2.0, q)
    found = damped_least_squares(lambda at: (X @ at, X), y, np.zeros(q), belief=belief, penalty=penalty, weight=weight)
    normal = (X * weight[:, None]).T @ X + np.diag(penalty)
    exact = np.linalg.solve(normal, X.T @ (weight * y) + penalty * belief)
    np.testing.assert_allclose(found.parameters, exact, atol=1e-5)
    np.testing.assert_allclose(found.residual, y - X @ found.parameters, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_curve_ends_where_scipy_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.linspace(0.0, 3.0, 30)
    observed = 2.0 * (1.0 - np.exp(-1.3 * x)) + rng.normal(0.0, 0.05, 30)
    penalty, belief = np.full(2, 0.1), np.array([1.0, 1.0])

    def model(at):
        left = np.exp(-at[1] * x)
        return at[0] * (1.0 - left), np.column_stack([1.0 - left, at[0] * x * left])

    def errors(at):
        return np.concatenate([observed - model(at)[0], np.sqrt(penalty) * (at - belief)])

    found = damped_least_squares(model, observed, belief, belief=belief, penalty=penalty)
    np.testing.assert_allclose(found.parameters, least_squares(errors, belief, xtol=1e-12).x, atol=1e-4)


def test_what_the_data_do_not_tell_ends_at_its_belief() -> None:
    X = np.column_stack([np.arange(5.0), np.zeros(5)])
    known = {"belief": np.array([0.0, 0.7]), "penalty": np.full(2, 1e-3)}
    found = damped_least_squares(lambda at: (X @ at, X), 2.0 * X[:, 0], np.zeros(2), **known)
    np.testing.assert_allclose(found.parameters, [2.0, 0.7], atol=1e-3)


def test_parameters_stay_within_the_bound() -> None:
    X = np.ones((3, 1))
    found = damped_least_squares(
        lambda at: (X @ at, X), np.full(3, 9.0), np.zeros(1), belief=np.zeros(1), penalty=np.full(1, 1e-9), bound=4.0
    )
    assert found.parameters == pytest.approx([4.0])
