import lightgbm
import numpy as np
import pytest

from quagpredict.errors import UsageError
from quagpredict.surrogates import lightgbm as kind
from quagpredict.surrogates.lightgbm import fit_lightgbm, monotone_directions, settings_for


@pytest.mark.parametrize(("rows", "features"), [(20, 1), (120, 4), (600, 6)])
def test_numpy_predicts_what_lightgbm_does(rows: int, features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    models = []
    booster = lightgbm.Booster

    def kept(*args: object, **settings: object) -> object:
        models.append(booster(*args, **settings))
        return models[-1]

    monkeypatch.setattr(lightgbm, "Booster", kept)
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, features)).round(1)  # values on the thresholds too
    y = np.sin(X[:, 0]) + X.sum(axis=1) + rng.normal(0, 0.1, rows)
    fitted = fit_lightgbm(X, y)
    new = np.vstack([X, rng.normal(size=(200, features)) * 3])
    theirs = np.column_stack([model.predict(new) for model in models]) + fitted.form.base
    np.testing.assert_allclose(fitted.form.each_bag(new), theirs, rtol=1e-9, atol=1e-9)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), rng.normal(size=80)
    fitted = fit_lightgbm(X, y)
    whole = fitted.predict(X).mean
    monkeypatch.setattr(kind, "_CELLS_AT_ONCE", 1000)
    assert np.array_equal(fitted.predict(X).mean, whole)


def test_few_rows_are_learnt_from_where_the_defaults_learn_nothing() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(35, 2))
    y = X[:, 0] + rng.normal(0, 0.05, 35)
    default = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(X, y)).predict(X)
    assert np.ptp(default) < 1e-9
    new = rng.uniform(size=(200, 2))
    assert np.corrcoef(fit_lightgbm(X, y).predict(new).mean, new[:, 0])[0, 1] > 0.9


def test_a_seed_fixes_the_trees_and_another_moves_them() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    one, same, other = (fit_lightgbm(X, y, seed=seed).predict(X).mean for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_only_scores_are_bound_to_directions() -> None:
    names = ("pre_held_out_loss_nats", "pre_pass_at_64", "recipe_epochs")
    assert monotone_directions(names) == (-1, 1, 0)
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(80, 2))
    wrong_way = X[:, 0] - X[:, 1]
    bound = fit_lightgbm(X, wrong_way, features=names[:2], target="post_pass_at_1")
    free = fit_lightgbm(X, wrong_way, features=names[:2], target="post_length_mean")
    assert np.ptp(bound.predict(X).mean) < 0.05  # every split would go the forbidden way
    assert np.ptp(free.predict(X).mean) > 0.5


def test_settings_grow_with_the_table_and_bad_directions_are_refused() -> None:
    leaves = [settings_for(n, 3).leaves for n in (10, 100, 1000, 10_000, 100_000)]
    assert leaves == sorted(leaves)
    with pytest.raises(UsageError, match="monotone"):
        fit_lightgbm(np.ones((10, 2)), np.ones(10), monotone=[1])


def test_a_constant_target_is_predicted() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    np.testing.assert_allclose(fit_lightgbm(X, np.full(20, 3.0)).predict(X).mean, 3.0)
