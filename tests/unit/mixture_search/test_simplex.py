"""Mixtures are uniform within their bounds: moments, rejection sampling, and the way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import UsageError
from quagpredict.mixture_search.simplex import BoundedSimplex

DRAWS = 20_000


def simplex(lower, upper):
    return BoundedSimplex(np.array(lower, dtype=float), np.array(upper, dtype=float))


def drawn(space, count=DRAWS, seed=0):
    return space.from_unit(np.random.default_rng(seed).random((count, space.sources - 1)))


def rejected(space, count=DRAWS, seed=1):
    """Uniform mixtures within the bounds, by throwing away what breaks them."""
    rng = np.random.default_rng(seed)
    kept = np.empty((0, space.sources))
    while len(kept) < count:
        tried = space.lower + space.free * rng.dirichlet(np.ones(space.sources), 50_000)
        kept = np.concatenate([kept, tried[(tried <= space.upper).all(axis=1)]])
    return kept[:count]


@pytest.mark.parametrize("sources", [2, 3, 5, 12])
def test_unbounded_mixtures_have_the_moments_of_the_dirichlet(sources):
    shares = drawn(simplex([0.0] * sources, [1.0] * sources))
    variance = (sources - 1) / (sources**2 * (sources + 1))
    error = np.sqrt(variance / DRAWS)
    assert np.abs(shares.mean(axis=0) - 1 / sources).max() < 4.5 * error
    assert np.allclose(shares.var(axis=0), variance, rtol=0.06)
    covariance = -1 / (sources**2 * (sources + 1))
    off = np.cov(shares.T)[~np.eye(sources, dtype=bool)]
    assert np.abs(off - covariance).max() < 0.1 * variance


def test_lower_bounds_shift_and_scale_the_dirichlet():
    lower = np.array([0.1, 0.3, 0.0])
    shares = drawn(simplex(lower, [1.0] * 3))
    assert np.abs(shares.mean(axis=0) - (lower + 0.6 / 3)).max() < 0.005
    assert np.allclose(shares.var(axis=0), 0.36 * 2 / (9 * 4), rtol=0.05)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ([0.1, 0.05, 0, 0], [0.5, 0.4, 1, 0.3]),
        ([0] * 4, [0.3] * 4),
        ([0] * 6, [0.25, 0.3, 0.5, 1, 0.2, 0.9]),
        ([0.02] * 8, [0.25] * 8),
    ],
)
def test_bounded_mixtures_agree_with_rejection_sampling(lower, upper):
    space = simplex(lower, upper)
    ours, theirs = drawn(space), rejected(space)
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 0.005
    assert np.abs(np.cov(ours.T) - np.cov(theirs.T)).max() < 0.0012
    # The whole distribution of each share, not its moments alone: Kolmogorov-Smirnov at a level of about 1e-5.
    grid = np.linspace(0, 1, 400)
    for one in range(space.sources):
        cdf = [np.searchsorted(np.sort(shares[:, one]), grid) / DRAWS for shares in (ours, theirs)]
        assert np.abs(cdf[0] - cdf[1]).max() < 2.5 * np.sqrt(2 / DRAWS)


bounds = st.lists(
    st.tuples(st.floats(0, 0.4), st.floats(0.02, 1.0)).map(lambda pair: (min(pair), max(pair))), min_size=2, max_size=8
).filter(lambda pairs: sum(low for low, _ in pairs) <= 1 <= sum(high for _, high in pairs))


@settings(max_examples=200, deadline=None)
@given(bounds, st.data())
def test_every_point_of_the_cube_is_a_mixture_within_the_bounds_and_back(pairs, data):
    space = simplex([low for low, _ in pairs], [high for _, high in pairs])
    inside = st.floats(0, 1)
    unit = data.draw(st.lists(inside, min_size=len(pairs) - 1, max_size=len(pairs) - 1))
    shares = space.from_unit(unit)
    assert space.contains(shares)
    # At a corner the distribution of a share is as flat as a power of K - 1: a rounding of the quantile is that root.
    inner = all(1e-6 <= value <= 1 - 1e-6 for value in unit)
    near = 1e-6 if inner else max(1e-6, 4 * np.finfo(float).eps ** (1 / (len(pairs) - 1)))
    assert np.abs(space.from_unit(space.to_unit(shares)) - shares).max() < near


def test_the_corners_of_the_cube_are_corners_of_the_simplex():
    space = simplex([0.1, 0, 0], [0.6, 1, 1])
    assert space.from_unit([0, 0]).tolist() == pytest.approx([0.1, 0, 0.9])
    assert space.from_unit([1, 1]).tolist() == pytest.approx([0.6, 0.4, 0])


def test_fixed_shares_have_no_freedom():
    space = simplex([0.2, 0.3, 0.5], [0.2, 0.3, 0.5])
    assert space.from_unit([0.9, 0.1]).tolist() == [0.2, 0.3, 0.5]
    assert space.to_unit([0.2, 0.3, 0.5]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([0.6, 0.5], [1, 1], "lower bounds add up to 1.1"),
        ([0, 0], [0.4, 0.5], "upper bounds add up to 0.9"),
        ([0.5, 0], [0.4, 1], "0 <= lower <= upper"),
    ],
)
def test_bounds_without_a_mixture_are_refused(lower, upper, message):
    with pytest.raises(UsageError, match=message):
        simplex(lower, upper)


def test_too_many_different_caps_are_refused_and_equal_ones_are_not():
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="different sums"):
        simplex([0] * 40, rng.uniform(0.04, 0.06, 40)).from_unit([0.5] * 39)
    shares = simplex([0] * 40, [0.05] * 40).from_unit(rng.random((50, 39)))
    assert (shares <= 0.05 + 1e-12).all()


def test_a_point_outside_the_cube_or_the_bounds_is_refused():
    space = simplex([0, 0], [0.7, 0.7])
    for unit in ([1.5], [float("nan")], [0.5, 0.5]):
        with pytest.raises(UsageError, match="1 numbers from 0 to 1"):
            space.from_unit(unit)
    with pytest.raises(UsageError, match="breaks the bounds"):
        space.to_unit([0.8, 0.2])


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_the_nearest_mixture_is_within_the_bounds_and_itself_if_it_already_is(shares):
    space = simplex([0, 0.1, 0], [0.5, 1, 0.8])
    nearest = space.nearest(shares)
    assert space.contains(nearest)
    assert np.abs(space.nearest(nearest) - nearest).max() < 1e-9


@pytest.mark.parametrize(
    ("lower", "upper"), [([0, 0, 0.2], [1, 1, 0.2]), ([0, 0.2, 0, 0], [1, 0.2, 1, 1]), ([0.3, 0, 0.7], [0.3, 1, 1])]
)
def test_a_fixed_share_leaves_the_others_uniform(lower, upper):
    """They are uniform on the simplex of what is left: each has the same mean above its lower bound."""
    space = simplex(lower, upper)
    mixtures = drawn(space)
    fixed = space.lower == space.upper
    assert np.array_equal(mixtures[:, fixed], np.broadcast_to(space.lower[fixed], mixtures[:, fixed].shape))
    others = space.lower[~fixed] + space.free / (~fixed).sum()
    np.testing.assert_allclose(mixtures[:, ~fixed].mean(axis=0), others, atol=0.01)
    again = space.from_unit(space.to_unit(mixtures))
    np.testing.assert_allclose(again, mixtures, atol=1e-9)
