"""What every surrogate estimator must keep to, scikit-learn's own checks included."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from quagpredict.errors import UsageError
from quagpredict.surrogates import SURROGATES, SurrogateRegressor, load_surrogate, save_surrogate

# These model a score from what it was: no constant can be added to it.
MECHANISTIC = ("saturating", "effective_k", "sharpening")

# What scikit-learn 1.9 runs on a regressor, less the one that is skipped.
PASSED_CHECKS = 51

each = pytest.mark.parametrize("estimator", [SurrogateRegressor(kind) for kind in SURROGATES], ids=SURROGATES)
each_statistical = pytest.mark.parametrize("kind", sorted({*SURROGATES} - {*MECHANISTIC}))


@each
def test_scikit_learn_checks_pass(estimator: Any) -> None:
    results = check_estimator(clone(estimator), on_skip=None)
    statuses = Counter(result["status"] for result in results)
    # Only the check of other array libraries is skipped: it needs an environment variable set before scipy is loaded.
    skipped = {result["check_name"] for result in results if result["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}
    assert statuses["passed"] == PASSED_CHECKS


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


@each_statistical
def test_moving_the_target_moves_the_prediction(kind: str, tables: Any) -> None:
    X, y = tables
    estimator = SurrogateRegressor(kind)
    np.testing.assert_allclose(clone(estimator).fit(X, y + 5).predict(X), clone(estimator).fit(X, y).predict(X) + 5)


@each
def test_row_order_does_not_matter(estimator: Any, tables: Any) -> None:
    X, y = tables
    order = np.random.default_rng(1).permutation(30)
    for shuffled, straight in zip(
        clone(estimator).fit(X[order], y[order]).predict(X, return_std=True),
        clone(estimator).fit(X, y).predict(X, return_std=True),
        strict=True,
    ):
        np.testing.assert_allclose(shuffled, straight, rtol=1e-6, atol=1e-9)


@each
def test_a_refit_is_the_same_to_the_last_bit(estimator: Any, tables: Any) -> None:
    X, y = tables
    first, second = (clone(estimator).fit(X, y).predict(X, return_std=True) for _ in range(2))
    assert np.array_equal(first, second)


@each
def test_what_errs_together_adds_up_to_the_deviation(estimator: Any, tables: Any) -> None:
    X, y = tables
    fitted = clone(estimator).fit(X, y).fitted_
    joint, prediction = fitted.joint(X), fitted.predict(X)
    np.testing.assert_allclose(joint.mean, prediction.mean)
    np.testing.assert_allclose(np.sqrt((joint.factor**2).sum(axis=1) + joint.noise**2), prediction.std, rtol=1e-6)


@each
def test_a_missing_value_is_predicted_as_missing(estimator: Any, tables: Any) -> None:
    X, y = tables
    holes = X[:2].copy()
    holes[1, 0] = np.nan
    prediction = clone(estimator).fit(X, y).fitted_.predict(holes)
    assert np.isfinite(np.column_stack(prediction)[0]).all()
    assert np.isnan(np.column_stack(prediction)[1]).all()
    assert clone(estimator).fit(X, y).fitted_.predict(X[:0]).mean.shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_trees_go_the_right_way(seed: int) -> None:
    import pandas as pd

    rng = np.random.default_rng(seed)
    names = ["pre_held_out_loss_nats", "pre_pass_at_64", "pre_length_mean"]
    X = rng.uniform(0, 1, (60, 3))
    y = -0.3 * X[:, 0] + 0.4 * X[:, 1] + np.sin(6 * X[:, 2]) + rng.normal(0, 0.2, 60)
    model = SurrogateRegressor("lightgbm", seed=seed).fit(pd.DataFrame(X, columns=names), y)
    grid = np.linspace(0, 1, 50)
    for place, sign in ((0, -1), (1, 1)):
        at = np.repeat(X[:10], 50, axis=0)
        at[:, place] = np.tile(grid, 10)
        steps = np.diff(model.fitted_.predict(at).mean.reshape(10, 50), axis=1)
        assert (sign * steps >= -1e-12).all()
        assert (sign * steps > 0).any()


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


def test_options_reach_the_kind_and_unknown_ones_are_refused(tables: Any) -> None:
    X, y = tables
    model = SurrogateRegressor("effective_k", options={"ks": [1, 8, 64]}).fit([[0.1, 0.3, 0.5]] * 3, [0.3, 0.31, 0.29])
    assert model.fitted_.notes[0].startswith("k* = 8 ")
    groups = np.column_stack([X[:, :1], np.repeat(np.eye(3)[:2], 15, axis=0)])
    assert "2 groups" in SurrogateRegressor("mixed", options={"groups": 3}).fit(groups, y).fitted_.notes[0]
    with pytest.raises(UsageError, match="surrogate 'mixed' has no option 'ks'; it has groups"):
        SurrogateRegressor("mixed", options={"ks": [1]}).fit(X, y)
    with pytest.raises(UsageError, match="surrogate 'linear' has no option 'seed'; it has none"):
        SurrogateRegressor("linear", options={"seed": 1}).fit(X, y)
    with pytest.raises(UsageError, match="unknown surrogate 'cubic'"):
        SurrogateRegressor("cubic").fit(X, y)
    with pytest.raises(UsageError, match="feature_transforms must be 'identity'"):
        SurrogateRegressor("sharpening", "log").fit(X, y)
