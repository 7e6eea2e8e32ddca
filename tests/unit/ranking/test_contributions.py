"""What drives a prediction: exact for linear surrogates, Shapley's axioms for others."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.ranking import rank
from quagpredict.ranking.predicting import contributions, of_linear, shapley
from quagpredict.surrogates import fit
from quagpredict.surrogates.linear import fit_linear
from quagpredict.testing.synthetic import synthetic_corpus


def expit(t):
    return 1 / (1 + np.exp(-t))


def test_of_a_linear_surrogate_they_are_coefficient_times_difference():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    fitted = fit_linear(X, X @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.normal(size=30), features=["a", "b", "c"])
    names, found = contributions(fitted, X)
    assert names == ("a", "b", "c")
    assert np.allclose(found, (X - X.mean(axis=0)) * fitted.form.coefficients)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 8), st.sampled_from(["identity", "logit(100)", "log"]))
def test_they_sum_to_the_difference_from_the_average_candidate(seed, p, target):
    rng = np.random.default_rng(seed)
    X = rng.random((12, p)) + 0.1
    fitted = fit_linear(X, rng.uniform(0.1, 0.9, 12), feature_transforms="log", target_transform=target)
    _, found = contributions(fitted, X)
    average = np.exp(np.log(X).mean(axis=0))  # the average candidate has the average transformed features
    expected = fitted.predict(X).mean - fitted.predict(average[None]).mean
    assert np.allclose(found.sum(axis=1), expected, atol=1e-6)


def test_a_closed_form_agrees_with_every_set_tried():
    terms = np.random.default_rng(1).normal(size=(5, 3))
    both = (
        of_linear(np.ones(3), terms, 0.2, lambda t: t),
        shapley(lambda mask: 0.2 + terms @ mask, 3),
    )
    assert np.allclose(*both)
    turned = of_linear(np.ones(3), terms, 0.2, expit)
    assert np.allclose(turned, shapley(lambda mask: expit(0.2 + terms @ mask), 3))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_shapley_values_keep_their_axioms(seed, p):
    rng = np.random.default_rng(seed)
    table = rng.random((4, 2**p))

    def value(mask):
        return table[:, int(mask @ 2 ** np.arange(p))]

    found = shapley(value, p)
    assert np.allclose(found.sum(axis=1), table[:, -1] - table[:, 0])
    idle = shapley(lambda mask: value(mask & (np.arange(p) != 0)), p)
    assert np.allclose(idle[:, 0], 0.0)


def test_many_features_are_ablated():
    x = np.arange(1.0, 9.0)[None]
    assert np.allclose(shapley(lambda mask: np.where(mask, x, 0.0).sum(axis=1), 8), x)


def test_a_row_without_a_measurement_has_none_and_does_not_shift_the_others():
    runs = synthetic_corpus(20, seed=2, nested=False).frame
    fitted = fit(runs)
    X = runs.select(fitted.features).to_numpy()
    gap = X.copy()
    gap[3, 0] = np.nan
    _, found = contributions(fitted, gap)
    assert np.isnan(found[3]).all()
    _, without = contributions(fitted, np.delete(X, 3, axis=0))
    assert np.allclose(np.delete(found, 3, axis=0), without)


def test_the_ranking_names_what_drives_it():
    runs = synthetic_corpus(30, seed=2, nested=False).frame
    ranking = rank(runs, fit(runs, "ridge", ["loss", "pass_at_64", "pass_at_8", "pass_at_1"]))
    parts = ranking.contributions
    assert parts.columns[0] == "candidate"
    assert parts["candidate"].equals(ranking.frame["candidate"])
    first = ranking.frame["drivers"][0]
    assert len(first) == 3
    sizes = [abs(driver["contribution"]) for driver in first]
    assert sizes == sorted(sizes, reverse=True)
    assert first[0]["contribution"] == parts[0, first[0]["feature"]]
    difference = ranking.frame["prediction"][0] - ranking.frame["prediction"].mean()
    assert sum(parts.row(0)[1:]) == pytest.approx(difference)
    assert parts.select(pl.exclude("candidate")).sum().row(0) == pytest.approx((0.0,) * 4, abs=1e-9)


@pytest.mark.parametrize("kind", ["linear", "bayesian_ridge"])
def test_what_all_candidates_have_alike_drives_none_of_them(kind):
    """Such as the base model of candidates of one base."""
    runs = synthetic_corpus(30, seed=2, nested=False).frame
    fitted = fit(runs, kind)
    same = runs.with_columns(pre_pass_at_64=pl.lit(0.5))
    names, found = contributions(fitted, fitted.design(same))
    assert names == ("pre_held_out_loss_nats",)
    assert found.shape == (30, 1)
    drivers = rank(same.drop("post_pass_at_1"), fitted).frame["drivers"].to_list()
    assert {driver["feature"] for of_one in drivers for driver in of_one} == {"pre_held_out_loss_nats"}
    alone = rank(runs.head(1).drop("post_pass_at_1"), fitted).frame["drivers"].to_list()
    assert alone == [[]]
