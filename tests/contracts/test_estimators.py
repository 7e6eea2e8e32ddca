"""What every surrogate estimator must keep to, scikit-learn's own checks included."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from quagpredict.surrogates import (
    AverageSurrogate,
    BayesianRidgeSurrogate,
    LinearSurrogate,
    MeanSurrogate,
    RidgeSurrogate,
    load_surrogate,
    save_surrogate,
)

ESTIMATORS = [AverageSurrogate(), BayesianRidgeSurrogate(), LinearSurrogate(), MeanSurrogate(), RidgeSurrogate()]
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)


@each
def test_scikit_learn_checks_pass(estimator: Any) -> None:
    results = check_estimator(clone(estimator), on_skip=None)
    statuses = Counter(result["status"] for result in results)
    # Only the check of other array libraries is skipped: it needs an environment variable set before scipy is loaded.
    skipped = {result["check_name"] for result in results if result["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}
    assert statuses["passed"] >= 50


@pytest.fixture
def tables() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, (30, 3))
    return X, X @ [0.5, -0.2, 0.1] + rng.normal(0, 0.02, 30)


@each
def test_std_is_positive_and_of_the_shape_of_the_mean(estimator: Any, tables: Any) -> None:
    X, y = tables
    mean, std = clone(estimator).fit(X, y).predict(X, return_std=True)
    assert mean.shape == std.shape == (30,)
    assert (std > 0).all()
    assert np.array_equal(mean, clone(estimator).fit(X, y).predict(X))


@each
def test_the_fitted_form_predicts_the_same_and_survives_storage(estimator: Any, tables: Any, tmp_path: Any) -> None:
    X, y = tables
    model = clone(estimator).fit(X, y)
    save_surrogate(model.fitted_, tmp_path)
    stored = load_surrogate(tmp_path).predict(X)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(stored.mean, mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(stored.std, std, rtol=0, atol=1e-12)


@each
def test_moving_the_target_moves_the_prediction(estimator: Any, tables: Any) -> None:
    X, y = tables
    np.testing.assert_allclose(clone(estimator).fit(X, y + 5).predict(X), clone(estimator).fit(X, y).predict(X) + 5)


@each
def test_row_order_does_not_matter(estimator: Any, tables: Any) -> None:
    X, y = tables
    order = np.random.default_rng(1).permutation(30)
    np.testing.assert_allclose(
        clone(estimator).fit(X[order], y[order]).predict(X), clone(estimator).fit(X, y).predict(X)
    )


@each
def test_predicting_before_fitting_is_refused(estimator: Any, tables: Any) -> None:
    with pytest.raises(NotFittedError):
        clone(estimator).predict(tables[0])


@each
def test_column_names_are_kept(estimator: Any, tables: Any) -> None:
    import pandas as pd

    X, y = tables
    table = pd.DataFrame(X, columns=["loss", "pass_at_1", "pass_at_64"])
    assert clone(estimator).fit(table, y).fitted_.features == ("loss", "pass_at_1", "pass_at_64")
