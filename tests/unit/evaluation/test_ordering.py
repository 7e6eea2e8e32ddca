"""Sampling for the order of candidates: enough where they are close, few where they are not, honest either way.

A seeded, smaller edition of bench/adaptive_sampling.py --order, whose table is in the guide.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import NothingToRankError, UsageError
from quagpredict.evaluation.adaptive import ROUNDS, mixture_of, sample_adaptively, standard_error
from quagpredict.evaluation.ordering import Other, open_places, place_of, sample_for_order
from quagpredict.metrics.stopped_sampling import stopped_pass_at_k

POSITION = {end: at for at, end in enumerate(ROUNDS)}
PROBLEMS = 150


def counted(random, chance):
    steps = np.diff((0, *ROUNDS))
    results = np.cumsum(random.binomial(steps[None, :], chance[:, None]), axis=1)
    return lambda n: results[np.arange(chance.size), [POSITION[int(one)] for one in n]]


def as_other(found, k):
    values = stopped_pass_at_k(found.rule, found.n, found.c, k)
    return Other("other", values, standard_error(mixture_of(found.n, found.c), found.rule, k, found.n.size))


@pytest.mark.parametrize(("k", "precision"), [(64, 0.015), (1, 0.01)])
def test_pairs_are_told_apart_the_right_way_and_estimates_are_not_off(k, precision):
    random = np.random.default_rng([11, k])
    errors, inside, pair_inside, wrong, apart, samples, whole_samples = [], [], [], 0, 0, [], []
    for _ in range(100):
        ease = random.normal(-2, 2, PROBLEMS)
        chances = 1 / (1 + np.exp(-(ease + random.normal(0, 0.5, (2, 1)) + random.normal(0, 0.5, (2, PROBLEMS)))))
        truth = (1 - (1 - chances) ** k).mean(1)
        other = as_other(sample_adaptively(PROBLEMS, counted(random, chances[0]), k=k, precision=precision), k)
        draws = counted(random, chances[1])
        found, (pair,) = sample_for_order(PROBLEMS, draws, [other], k=k, precision=precision)
        assert found.reached
        assert pair.apart == (abs(pair.difference) > pair.half_width)
        assert pair.apart or found.half_width <= precision
        assert pair.difference == pytest.approx(found.value - other.values.mean())
        errors.append(found.value - truth[1])
        inside.append(abs(errors[-1]) <= found.half_width)
        gap = truth[1] - truth[0]
        pair_inside.append(abs(pair.difference - gap) <= pair.half_width)
        apart += pair.apart
        wrong += pair.apart and pair.difference * gap < 0
        samples.append(found.n.mean())
        whole_samples.append(sample_adaptively(PROBLEMS, draws, k=k, precision=precision).n.mean())
    # Of 100 intervals of 90 %, between 76 and 99 cover but for a few times in a hundred thousand on either side.
    assert 76 <= sum(inside) <= 99
    assert 76 <= sum(pair_inside) <= 99
    assert abs(np.mean(errors)) < 0.002 + 4 * np.std(errors) / 10
    assert apart > 50
    assert wrong <= 0.05 * apart
    assert np.mean(samples) < np.mean(whole_samples)


def test_a_far_candidate_costs_the_least_and_a_near_one_more():
    chance = np.random.default_rng(2).beta(0.4, 1.5, PROBLEMS)
    truth = 1 - (1 - chance) ** 64
    far, near = Other("far", np.zeros(PROBLEMS), 0.0), Other("near", truth + 0.03, 0.001)
    few, many = (
        sample_for_order(PROBLEMS, counted(np.random.default_rng(3), chance), others, k=64, precision=0.005)
        for others in ([far], [far, near])
    )
    assert few.comparisons[0].apart
    assert few.estimate.n.sum() < many.estimate.n.sum()
    assert [one.apart for one in many.comparisons] == [True, True]
    assert many.comparisons[1].difference < 0 < many.comparisons[0].difference


def test_what_cannot_be_told_apart_ends_at_the_precision_or_the_cap():
    chance = np.random.default_rng(5).beta(0.4, 1.5, PROBLEMS)
    same = Other("same", 1 - (1 - chance) ** 64, 0.05)  # its own error hides any difference
    found, (pair,) = sample_for_order(PROBLEMS, counted(np.random.default_rng(6), chance), [same], k=64, precision=0.01)
    assert not pair.apart
    assert found.reached
    assert found.half_width <= 0.01
    assert pair.half_width > pair.other_half_width > 0.08
    capped, _ = sample_for_order(
        4,
        counted(np.random.default_rng(1), np.full(4, 0.01)),
        [Other("same", np.full(4, 0.5), 0.5)],
        k=64,
        precision=0.0001,
    )
    assert not capped.reached
    assert capped.n.max() == ROUNDS[-1]


@pytest.mark.parametrize(("k", "precision"), [(0, 0.1), (2000, 0.1), (4, 0.0), (4, 1.5)])
def test_what_cannot_be_asked_for_is_refused(k, precision):
    with pytest.raises(UsageError):
        sample_for_order(4, lambda n: n * 0, [Other("a", np.zeros(4), 0.0)], k=k, precision=precision)


def test_an_order_of_one_is_refused():
    with pytest.raises(NothingToRankError, match="at least one other candidate"):
        sample_for_order(4, lambda n: n * 0, [], k=4, precision=0.1)


candidates = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.001, 0.02, 0.1])), min_size=1, max_size=8).map(
    lambda values: [Other(f"{i}", np.array([value]), error) for i, (value, error) in enumerate(values)]
)


@given(candidates, st.integers(1, 8), st.floats(0, 0.2))
def test_an_open_pair_has_one_on_each_side_of_the_choice_and_is_not_told_apart(
    measured: list[Other], top: int, tolerance: float
) -> None:
    found = open_places(measured, top, tolerance=tolerance)
    assert found == open_places(measured[::-1], top, tolerance=tolerance)[::-1]
    if top >= len(measured):
        assert found == []
    ranked = sorted(measured, key=lambda one: (-one.values[0], one.name))
    inside, outside = ranked[:top], ranked[top:]
    for one, others in [*((one, outside) for one in inside), *((one, inside) for one in outside)]:
        widths = [(abs(one.values[0] - other.values[0]), 1.645 * np.hypot(one.error, other.error)) for other in others]
        margin = 1e-3 * (1 + tolerance)
        if all(apart > width + margin or width < tolerance - margin for apart, width in widths):
            assert one.name not in found
        if any(apart < width - margin and width > tolerance + margin for apart, width in widths):
            assert one.name in found


def test_the_error_is_that_of_many_measurements() -> None:
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 1.0, 150)
    many = [place_of("a", np.full(150, 16), rng.binomial(16, chance), 16) for _ in range(40)]
    spread = np.std([one.values.mean() for one in many], ddof=1)
    assert 0.7 < np.mean([one.error for one in many]) / spread < 1.4
