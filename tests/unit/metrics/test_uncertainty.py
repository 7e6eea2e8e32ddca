import numpy as np
import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import bootstrap_means, ratio_standard_error, standard_error_of_mean


def test_standard_error_is_the_textbook_one_and_leaves_nan_out():
    values = np.array([0.1, 0.9, 0.4, np.nan, 0.4])
    known = values[~np.isnan(values)]
    assert standard_error_of_mean(values) == pytest.approx(known.std(ddof=1) / 2)


@pytest.mark.parametrize("values", [[], [0.5], [np.nan, 0.5]])
def test_standard_error_needs_two_problems(values):
    assert np.isnan(standard_error_of_mean(values))


def test_clusters_that_disagree_within_and_agree_between_have_no_error():
    assert standard_error_of_mean([0, 1, 0, 1], clusters=["a", "a", "b", "b"]) == 0


def test_ratio_standard_error_agrees_with_the_bootstrap():
    rng = np.random.default_rng(1)
    tokens = rng.integers(10, 200, 400).astype(float)
    nll = tokens * rng.gamma(20, 0.05, 400)
    drawn = rng.integers(0, 400, (4000, 400))
    boot = (nll[drawn].sum(1) / tokens[drawn].sum(1)).std()
    assert float(ratio_standard_error(nll, tokens)) == pytest.approx(boot, rel=0.05)


def test_weights_stand_for_repeated_units():
    values, weights = np.array([0.0, 0.5, 1.0]), np.array([3, 2, 4])
    repeated = np.repeat(values, weights)
    want = ratio_standard_error(repeated, np.ones(9))
    assert ratio_standard_error(values, np.ones(3), weights) == pytest.approx(want)


def test_bootstrap_is_seeded_and_has_the_right_spread():
    values = np.random.default_rng(2).random((300, 2))
    first, again, other = (bootstrap_means(values, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(first.std(axis=0), values.std(axis=0) / np.sqrt(300), rtol=0.07)


def test_bootstrap_of_counts_has_the_distribution_of_the_bootstrap_of_rows():
    values, counts = np.array([[0.0], [0.5], [1.0]]), np.array([30, 20, 50])
    repeated = np.repeat(values, counts, axis=0)
    by_counts, by_rows = bootstrap_means(values, counts=counts), bootstrap_means(repeated, seed=1)
    np.testing.assert_allclose(
        np.quantile(by_counts, [0.05, 0.5, 0.95]), np.quantile(by_rows, [0.05, 0.5, 0.95]), atol=0.011
    )


def test_bootstrap_in_blocks_has_every_row_filled(monkeypatch):
    monkeypatch.setattr("quagpredict.metrics.uncertainty._BLOCK", 30)
    drawn = bootstrap_means(np.arange(10.0)[:, None], resamples=7)
    assert drawn.shape == (7, 1)
    assert ((drawn >= 0) & (drawn <= 9)).all()


def test_nothing_to_resample_is_nan():
    assert np.isnan(bootstrap_means(np.zeros((0, 2)), resamples=3)).all()
    assert np.isnan(bootstrap_means([[np.nan]], resamples=3)).all()


def test_bad_calls_are_refused():
    with pytest.raises(InvalidDataError, match="not both"):
        bootstrap_means([[1.0]], counts=[1], clusters=["a"])
    with pytest.raises(InvalidDataError, match="one label for each of the 2 problems"):
        standard_error_of_mean([0.0, 1.0], clusters=["a"])
