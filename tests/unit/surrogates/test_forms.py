import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quagpredict.surrogates.forms import training_domain


def test_leaving_a_row_out_in_closed_form_equals_doing_it() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(25, 3)) @ rng.normal(size=(3, 3))
    n, p = Z.shape
    shrinkage = p / (n + p)
    covariance = np.cov(Z.T)
    target = np.diag(covariance.diagonal())
    distances = []
    for i in range(n):
        error = Z[i] - np.delete(Z, i, axis=0).mean(axis=0)
        removed = n / (n - 1) ** 2 * np.outer(Z[i] - Z.mean(axis=0), Z[i] - Z.mean(axis=0))
        left = (1 - shrinkage) * (covariance - removed) + shrinkage * target
        distances.append(np.sqrt(error @ np.linalg.solve(left, error)))
    assert np.isclose(training_domain(Z).edge, max(distances))


def test_far_rows_are_outside_and_training_rows_inside() -> None:
    Z = np.random.default_rng(1).normal(size=(50, 2))
    domain = training_domain(Z)
    assert domain.distance(Z).max() < 1.0
    assert domain.distance(Z + 20.0).min() > 1.0


def test_departing_from_a_constant_or_collinear_feature_is_outside() -> None:
    x = np.linspace(0, 1, 40)
    domain = training_domain(np.column_stack([x, np.full(40, 0.3)]))
    assert domain.distance(np.array([[0.5, 0.3]]))[0] < 1 < domain.distance(np.array([[0.5, 0.31]]))[0]
    conflict = training_domain(np.column_stack([x, x]))
    assert conflict.distance(np.array([[0.9, 0.9]]))[0] < 1 < conflict.distance(np.array([[1.0, 0.0]]))[0]


@given(arrays(float, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.floats(-100, 100)))
def test_any_finite_table_gives_a_finite_domain(Z: np.ndarray) -> None:
    domain = training_domain(Z)
    assert np.isfinite(domain.whitening).all()
    assert domain.edge > 0
    assert np.isfinite(domain.distance(Z)).all()


def test_a_change_of_units_changes_nothing() -> None:
    Z = np.random.default_rng(2).normal(1.0, 0.1, size=(20, 3))
    scale = np.array([1000.0, 0.001, 1.0])
    np.testing.assert_allclose(training_domain(Z).distance(Z), training_domain(Z * scale).distance(Z * scale))
