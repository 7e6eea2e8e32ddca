from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import r2_score

from quagpredict.errors import InvalidDataError
from quagpredict.validation import scores

# Few distinct values, so that ties are everywhere.
TIED = arrays(float, st.integers(2, 12), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@st.composite
def tied_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    y = draw(TIED)
    return y, draw(arrays(float, len(y), elements=st.sampled_from([-1.0, 0.0, 2.0, 2.5, 3.0])))


@given(tied_pairs())
@settings(max_examples=200)
def test_rank_correlations_equal_scipy_with_ties(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, predicted = pair
    if np.ptp(y) == 0 or np.ptp(predicted) == 0:  # scipy warns and gives NaN
        assert np.isnan(scores.spearman(y, predicted))
        assert np.isnan(scores.kendall(y, predicted))
        return
    assert scores.spearman(y, predicted) == pytest.approx(stats.spearmanr(y, predicted).statistic, abs=1e-12)
    assert scores.kendall(y, predicted) == pytest.approx(stats.kendalltau(y, predicted).statistic, abs=1e-12)
    np.testing.assert_allclose(scores.average_ranks(y), stats.rankdata(y))


def test_rank_correlations_equal_scipy_on_a_larger_table() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(3, 300)).round(1)
    predicted = (y + rng.normal(size=(3, 300))).round(1)
    for row in range(3):
        assert scores.spearman(y, predicted)[row] == pytest.approx(stats.spearmanr(y[row], predicted[row]).statistic)
        assert scores.kendall(y, predicted)[row] == pytest.approx(stats.kendalltau(y[row], predicted[row]).statistic)


def test_pairs_are_the_same_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    y, predicted = rng.normal(size=(2, 40)).round(1), rng.normal(size=(2, 40)).round(1)
    groups = rng.integers(0, 2, (2, 40))
    whole = scores.kendall(y, predicted), scores.pairwise_accuracy(y, predicted, groups)
    monkeypatch.setattr(scores, "_BLOCK", 70)
    np.testing.assert_allclose(scores.kendall(y, predicted), whole[0])
    np.testing.assert_allclose(scores.pairwise_accuracy(y, predicted, groups), whole[1])


def test_weights_are_copies_of_rows() -> None:
    rng = np.random.default_rng(2)
    y, predicted, groups = rng.normal(size=(3, 9)), rng.normal(size=(3, 9)), rng.integers(0, 2, (3, 9))
    places = rng.integers(0, 9, (3, 5, 9))
    weights = (places[..., None] == np.arange(9)).sum(axis=2)
    found = scores.pair_scores(y, predicted, weights, groups)
    at = (np.arange(3)[:, None, None], places)
    np.testing.assert_allclose(found.accuracy, scores.pairwise_accuracy(y[at], predicted[at], groups[at]))
    np.testing.assert_allclose(found.kendall, scores.kendall(y[at], predicted[at]))


@given(tied_pairs(), st.data())
def test_spearman_in_groups_is_the_mean_over_groups(pair: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    y, predicted = pair
    groups = np.array(data.draw(st.lists(st.sampled_from(["a", "b"]), min_size=len(y), max_size=len(y))))
    own = [scores.spearman(y[groups == group], predicted[groups == group]) for group in np.unique(groups)]
    own = [value for value in own if np.isfinite(value)]
    found = scores.spearman_in_groups(y, predicted, groups)
    assert found == pytest.approx(np.mean(own), abs=1e-12) if own else np.isnan(found)


@given(tied_pairs(), st.data())
def test_pairwise_accuracy_is_the_count(pair: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    y, predicted = pair
    groups = np.array(data.draw(st.lists(st.sampled_from(["a", "b"]), min_size=len(y), max_size=len(y))))
    right, total = 0.0, 0
    for i, j in combinations(range(len(y)), 2):
        if groups[i] == groups[j] and y[i] != y[j]:
            total += 1
            product = (y[i] - y[j]) * (predicted[i] - predicted[j])
            right += 1.0 if product > 0 else 0.5 if product == 0 else 0.0
    found = scores.pairwise_accuracy(y, predicted, groups)
    assert np.isnan(found) if total == 0 else found == pytest.approx(right / total)


@given(tied_pairs(), st.integers(1, 3))
def test_regret_and_recall_are_expectations_over_the_order_of_ties(pair: tuple[np.ndarray, np.ndarray], m: int) -> None:
    y, predicted = (values[:5] for values in pair)
    if len(y) <= m:
        assert np.isnan(scores.top_regret(y, predicted, m))
        assert np.isnan(scores.top_recall(y, predicted, m))
        return
    regrets, recalls = [], []
    for order in permutations(range(len(y))):
        shuffled = np.array(order)
        chosen = shuffled[np.argsort(-predicted[shuffled], kind="stable")][:m]
        regrets.append(y.max() - y[chosen].max())
        for other in permutations(range(len(y))) if len(y) <= 4 else ():
            again = np.array(other)
            best = again[np.argsort(-y[again], kind="stable")][:m]
            recalls.append(len(set(chosen) & set(best)) / m)
    assert scores.top_regret(y, predicted, m) == pytest.approx(np.mean(regrets))
    if recalls:
        assert scores.top_recall(y, predicted, m) == pytest.approx(np.mean(recalls))


@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_regret_in_groups_is_the_mean_of_each_groups_own(m: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, predicted = rng.integers(0, 5, (2, m)).astype(float)
    of = rng.integers(0, groups, m)
    members = [of == code for code in np.unique(of) if (of == code).sum() > 1]
    own = [scores.top_regret(y[inside], predicted[inside], 1) for inside in members]
    expected = np.mean(own) if own else np.nan
    np.testing.assert_allclose(scores.regret_in_groups(y, predicted, of), expected, atol=1e-12)
    stacked = scores.regret_in_groups(np.stack([y, y]), np.stack([predicted, -predicted]), np.stack([of, of]))
    np.testing.assert_allclose(stacked[0], expected, atol=1e-12)


def test_r2_equals_scikit_learn_and_may_be_negative() -> None:
    rng = np.random.default_rng(3)
    y, predicted = rng.normal(size=20), rng.normal(size=20)
    assert scores.r2(y, predicted) == pytest.approx(r2_score(y, predicted))
    assert scores.r2([1.0, 2.0], [2.0, 1.0]) == pytest.approx(-3.0)
    assert np.isnan(scores.r2([1.0, 1.0], [1.0, 1.0]))


def test_repeats_are_judged_one_by_one() -> None:
    rng = np.random.default_rng(4)
    y, predicted = rng.normal(size=(4, 7)), rng.normal(size=(4, 7))
    for score in (scores.r2, scores.rmse, scores.spearman, scores.kendall, scores.pairwise_accuracy, scores.top_regret):
        whole = score(y, predicted)
        assert whole.shape == (4,)
        np.testing.assert_allclose(whole, [score(y[row], predicted[row]) for row in range(4)])


def test_a_better_order_never_scores_worse() -> None:
    y = np.arange(10.0)
    worse = y[::-1].copy()
    for score in (scores.spearman, scores.kendall, scores.pairwise_accuracy):
        assert score(y, y) == 1.0
        assert score(y, worse) <= 0.0
    assert scores.top_regret(y, y) == 0.0
    assert scores.top_regret(y, worse) == 9.0
    assert scores.top_recall(y, y, 3) == 1.0
    assert scores.top_recall(y, worse, 3) == 0.0


def test_coverage_and_width() -> None:
    assert scores.interval_coverage([[1.0, 2.0, 3.0]], [[1.0, 2.5, 0.0]], [[1.0, 3.0, 4.0]]) == pytest.approx(2 / 3)
    assert scores.interval_width([[0.0, 1.0]], [[1.0, 4.0]]) == pytest.approx(2.0)


@pytest.mark.parametrize("missing", [0, 2])
def test_a_missing_value_has_no_place_in_an_order(missing: int) -> None:
    y = np.array([0.1, 0.2, 0.3, 0.4])
    holes = y.copy()
    holes[missing] = np.nan
    groups = ["a", "a", "b", "b"]
    for score in (
        scores.spearman,
        scores.kendall,
        scores.pairwise_accuracy,
        lambda a, b: scores.top_regret(a, b, 1),
        lambda a, b: scores.top_recall(a, b, 2),
        lambda a, b: scores.regret_in_groups(a, b, groups),
    ):
        assert np.isnan(score(y, holes))
        assert np.isnan(score(holes, y))
        both = score(np.stack([y, y]), np.stack([y, holes]))
        assert np.isfinite(both[0])
        assert np.isnan(both[1])


@pytest.mark.parametrize("predicted", [[3.0, 1.0, 2.0, 5.0, 4.0], [1.0, 1.0, 2.0, 2.0, 0.0]])
@pytest.mark.parametrize("trials", [1, 2, 4, 5])
def test_the_regret_of_a_search_is_its_mean_over_all_subsets_of_trials(predicted: list[float], trials: int) -> None:
    y = np.array([0.3, 0.9, 0.1, 0.4, 0.7])
    by = np.array(predicted)
    found = []
    for subset in combinations(range(5), trials):
        own = list(subset)
        best = by[own] == by[own].max()
        found.append(0.9 - y[own][best].mean())
    assert scores.regret_of_search(y, by, trials) == pytest.approx(np.mean(found))


def test_the_regret_of_a_search_needs_as_many_rows_as_trials() -> None:
    with pytest.raises(InvalidDataError, match="of at least 3 numbers, got 2 and 2"):
        scores.regret_of_search([0.1, 0.2], [1.0, 2.0], 3)
