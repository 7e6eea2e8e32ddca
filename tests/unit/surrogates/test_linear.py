import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.fitted import Z90
from quagpredict.surrogates.linear import fit_linear
from quagpredict.surrogates.mean import fit_mean
from quagpredict.surrogates.training_tables import t_factor


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(6, 30))
@settings(max_examples=50)
def test_predictions_equal_scikit_learn(seed: int, p: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.normal(3.0, 2.0, (n, p)), rng.normal(size=n)
    new = rng.normal(size=(5, p))
    np.testing.assert_allclose(
        fit_linear(X, y).predict(new).mean, LinearRegression().fit(X, y).predict(new), rtol=1e-7, atol=1e-7
    )


def test_the_standard_error_is_the_textbook_one() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    new = np.array([[0.3, -1.0]])
    design = np.column_stack([np.ones(12), X])
    beta, *_ = np.linalg.lstsq(design, y, rcond=None)
    variance = ((y - design @ beta) ** 2).sum() / 9
    row = np.concatenate([[1.0], new[0]])
    expected = np.sqrt(variance * (1 + row @ np.linalg.inv(design.T @ design) @ row))
    assert fit_linear(X, y).predict(new).std[0] == pytest.approx(t_factor(9) * expected)


def test_coefficients_are_recovered_on_the_transformed_scale() -> None:
    rng = np.random.default_rng(4)
    loss, share = rng.uniform(0.2, 0.9, 4000), rng.uniform(0.05, 0.95, 4000)
    z = 0.4 - 1.5 * np.log(loss) + 0.7 * np.log(share / (1 - share)) + rng.normal(0, 0.1, 4000)
    y = 1 / (1 + np.exp(-z))
    fitted = fit_linear(
        np.column_stack([loss, share]), y, feature_transforms=("log", "logit"), target_transform="logit"
    )
    np.testing.assert_allclose(fitted.form.coefficients, [-1.5, 0.7], atol=0.02)
    assert np.sqrt(fitted.form.residual_variance) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("rows", [6, 12, 40])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_cover_when_the_model_is_true(rows: int, level: float) -> None:
    rng = np.random.default_rng(rows)
    hits = []
    for _ in range(1500):
        X = rng.normal(size=(rows, 2))
        y = 0.5 + X @ [0.2, -0.1] + rng.normal(0, 0.05, rows)
        new = rng.normal(size=(4, 2))
        truth = 0.5 + new @ [0.2, -0.1] + rng.normal(0, 0.05, 4)
        low, high = fit_linear(X, y).interval(new, level)
        hits += list((low <= truth) & (truth <= high))
    assert np.mean(hits) == pytest.approx(level, abs=0.03)


def test_std_is_made_for_the_90_percent_interval() -> None:
    rng = np.random.default_rng(5)
    fitted = fit_linear(rng.normal(size=(8, 1)), rng.normal(size=8))
    prediction, interval = fitted.predict([[0.7]]), fitted.interval([[0.7]])
    assert interval.high[0] == pytest.approx(prediction.mean[0] + Z90 * prediction.std[0])
    assert interval.low[0] == pytest.approx(prediction.mean[0] - Z90 * prediction.std[0])
    assert fitted.interval([[0.7]], 0.90000001).high[0] == pytest.approx(interval.high[0], rel=1e-6)


def test_a_logit_target_keeps_intervals_between_0_and_1() -> None:
    X = np.linspace(0, 1, 10)[:, None]
    y = np.array([0.05, 0.1, 0.2, 0.15, 0.5, 0.6, 0.8, 0.7, 0.95, 0.97])
    low, high = fit_linear(X, y, target_transform="logit").interval([[-3.0], [0.5], [4.0]])
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low < high).all()


def test_missing_infinite_and_undefined_features_give_nan() -> None:
    X = np.random.default_rng(6).uniform(0.1, 0.9, (9, 2))
    fitted = fit_linear(X, X[:, 0], feature_transforms=("log", "identity"))
    prediction = fitted.predict([[np.nan, 0.5], [0.5, np.inf], [-1.0, 0.5], [0.5, 0.5]])
    for values in prediction:
        assert np.isnan(values[:3]).all()
        assert np.isfinite(values[3])


def test_collinear_and_constant_columns_do_not_break_the_fit() -> None:
    x = np.random.default_rng(7).normal(size=20)
    fitted = fit_linear(np.column_stack([x, x, np.full(20, 0.3)]), 2 * x)
    np.testing.assert_allclose(fitted.form.coefficients, [1.0, 1.0, 0.0], atol=1e-9)
    assert fitted.form.degrees_of_freedom == 18


def test_without_degrees_of_freedom_nothing_is_known_of_the_error() -> None:
    fitted = fit_linear(np.array([[0.0], [1.0]]), np.array([1.0, 2.0]))
    assert fitted.predict([[3.0]]).mean[0] == pytest.approx(4.0)
    assert fitted.predict([[3.0]]).std[0] == np.inf


def test_no_rows_give_empty_arrays_and_a_wrong_shape_is_refused() -> None:
    fitted = fit_mean(np.zeros((3, 2)), np.array([1.0, 2.0, 3.0]))
    assert fitted.predict(np.empty((0, 2))).mean.shape == (0,)
    with pytest.raises(UsageError, match=r"columns x0, x1; got shape \(1, 3\)"):
        fitted.predict(np.zeros((1, 3)))
    with pytest.raises(UsageError, match="level"):
        fitted.interval(np.zeros((1, 2)), 1.0)


def test_values_outside_a_transform_are_named() -> None:
    X, y = np.array([[0.5], [1.0], [0.2]]), np.array([0.1, 0.2, 0.3])
    with pytest.raises(CorpusError, match=r"'pass' is 1\.0 in training row 1, where 'logit' is not defined"):
        fit_linear(X, y, features=["pass"], feature_transforms="logit")
    with pytest.raises(CorpusError, match=r"target is -1\.0 in training row 0"):
        fit_linear(X, np.array([-1.0, 1.0, 2.0]), target_transform="log")
    with pytest.raises(UsageError, match="one name or 1 names"):
        fit_linear(X, y, feature_transforms=("log", "log"))
