import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from quagpredict.replication.differences import (
    Difference,
    benjamini_hochberg,
    mean_difference,
    pair_differences,
    reversal_p,
)
from quagpredict.replication.problem_scores import StageScores


def _scores(table: np.ndarray, seed_variance: float = 0.0) -> StageScores:
    n = len(table)
    return StageScores(table.mean(axis=1), table, np.full(n, np.nan), np.full(n, seed_variance))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_pair_is_a_paired_t_test_over_problems(seed: int) -> None:
    table = np.random.default_rng(seed).uniform(size=(4, 12))
    first, second = np.triu_indices(4, 1)
    found = pair_differences(_scores(table), first, second)
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        expected = stats.ttest_rel(table[a], table[b], alternative="greater")
        assert found.p_above()[i] == pytest.approx(expected.pvalue)
        low, high = expected.confidence_interval(0.95).low, found.mean[i] - found.half_width(0.9)[i]
        assert high == pytest.approx(low)


def test_the_closed_form_is_the_bootstrap_clustered_by_problem() -> None:
    rng = np.random.default_rng(1)
    table = np.clip(rng.uniform(size=80) + rng.normal(0, 0.2, (2, 80)), 0, 1)
    found = pair_differences(_scores(table), np.array([0]), np.array([1]))
    drawn = rng.integers(0, 80, (20_000, 80))
    bootstrap = (table[0] - table[1])[drawn].mean(axis=1).std()
    assert found.error[0] == pytest.approx(bootstrap * np.sqrt(80 / 79), rel=0.03)


def test_pairing_helps_where_problems_are_hard_for_both() -> None:
    rng = np.random.default_rng(2)
    table = np.clip(rng.uniform(0.1, 0.9, 60) + rng.normal(0, 0.03, (2, 60)), 0, 1)
    paired = pair_differences(_scores(table), np.array([0]), np.array([1])).error[0]
    errors = table.std(axis=1, ddof=1) / np.sqrt(60)
    loose = StageScores(table.mean(axis=1), None, errors**2, np.zeros(2))
    unpaired = pair_differences(loose, np.array([0]), np.array([1]))
    assert unpaired.error[0] > 3 * paired
    assert np.isinf(unpaired.freedom[0])


def test_the_mean_over_pairs_is_the_pigeonhole_bootstrap() -> None:
    rng = np.random.default_rng(3)
    pairs, problems = 12, 60
    table = rng.normal(0, 0.2, (2 * pairs, problems)) + rng.normal(0, 0.1, (2 * pairs, 1))
    table[:pairs] += rng.normal(0, 0.15, problems)
    first, second = np.arange(pairs), np.arange(pairs, 2 * pairs)
    found = mean_difference(_scores(table), first, second)
    each = table[first] - table[second]
    drawn = [
        each[np.ix_(rng.integers(0, pairs, pairs), rng.integers(0, problems, problems))].mean() for _ in range(4000)
    ]
    assert found.error[0] == pytest.approx(np.std(drawn), rel=0.08)
    assert pairs - 1 < found.freedom[0] < pairs + problems


def test_one_pair_has_the_noise_of_its_problems_and_of_the_rl_seed() -> None:
    table = np.random.default_rng(4).uniform(size=(2, 20))
    quiet = mean_difference(_scores(table), np.array([0]), np.array([1]))
    assert quiet.error[0] == pytest.approx(pair_differences(_scores(table), np.array([0]), np.array([1])).error[0])
    noisy = mean_difference(_scores(table, 0.01), np.array([0]), np.array([1]))
    assert noisy.error[0] == pytest.approx(np.sqrt(quiet.error[0] ** 2 + 0.02))


def test_equal_candidates_show_no_difference() -> None:
    table = np.full((2, 5), 0.5)
    found = pair_differences(_scores(table), np.array([0]), np.array([1]))
    assert found.p_above()[0] == 0.5
    assert reversal_p(found, found)[0] == 0.5


def test_without_standard_errors_nothing_is_tested() -> None:
    blind = StageScores(np.array([0.2, 0.4]), None, np.full(2, np.nan), np.zeros(2))
    found = pair_differences(blind, np.array([0]), np.array([1]))
    assert np.isnan(reversal_p(found, found)[0])


def test_the_reversal_test_keeps_its_level() -> None:
    """On the border of the null, one difference 0 and the other large, it errs as often as it says."""
    rng = np.random.default_rng(5)
    draws = 20_000
    one = np.ones(draws)
    flat = Difference(rng.normal(0, 1, draws), one, one * np.inf)
    steep = Difference(rng.normal(8, 1, draws), one, one * np.inf)
    assert (reversal_p(flat, steep) <= 0.05).mean() == pytest.approx(0.05, abs=0.006)
    assert (reversal_p(flat, Difference(rng.normal(0, 1, draws), one, one * np.inf)) <= 0.05).mean() < 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(deadline=None)
def test_q_values_equal_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(np.array(p)), stats.false_discovery_control(p), atol=1e-12)
    cautious = benjamini_hochberg(np.array(p), any_dependence=True)
    np.testing.assert_allclose(cautious, stats.false_discovery_control(p, method="by"), atol=1e-12)


def test_pairs_of_one_cluster_count_as_little_as_they_are_worth() -> None:
    """Copies of a pair add nothing: what counts is how many clusters agree."""
    rng = np.random.default_rng(0)
    each = rng.normal(0.2, 0.1, 6)
    table = np.vstack([np.tile(np.clip(0.5 + each[:, None], 0, 1), (1, 400)), np.full((6, 400), 0.5)])
    zero = np.zeros(12)
    once = mean_difference(StageScores(table.mean(axis=1), table, zero, zero), np.arange(6), np.arange(6, 12))
    copies = np.concatenate([np.repeat(table[:6], 5, axis=0), np.repeat(table[6:], 5, axis=0)])
    scores = StageScores(copies.mean(axis=1), copies, np.zeros(60), np.zeros(60))
    at = np.arange(30), np.arange(30, 60)
    alone, clustered = (mean_difference(scores, *at, clusters) for clusters in (None, np.repeat(np.arange(6), 5)))
    assert clustered.mean == pytest.approx(once.mean)
    assert clustered.error[0] == pytest.approx(once.error[0], rel=1e-9)
    assert clustered.freedom[0] == pytest.approx(once.freedom[0], rel=1e-9)
    assert alone.error[0] < 0.6 * once.error[0]
    one = mean_difference(scores, *at, np.zeros(30))
    assert one.error[0] == alone.error[0]  # within a single cluster the pairs are all that is known


def test_clusters_that_agree_by_chance_do_not_narrow_the_interval() -> None:
    table = np.vstack([np.full((4, 50), 0.5) + np.array([[0.3], [-0.1], [-0.1], [0.3]]), np.full((4, 50), 0.4)])
    scores = StageScores(table.mean(axis=1), table, np.zeros(8), np.zeros(8))
    at = np.arange(4), np.arange(4, 8)
    alone, clustered = (mean_difference(scores, *at, clusters) for clusters in (None, np.array([0, 0, 1, 1])))
    assert clustered.error[0] == alone.error[0]
    assert clustered.freedom[0] < alone.freedom[0]
