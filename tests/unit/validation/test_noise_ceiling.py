import numpy as np
import polars as pl
import pytest

from quagpredict.testing.synthetic import SyntheticCorpus, synthetic_corpus
from quagpredict.validation import scores
from quagpredict.validation.noise_ceiling import noise_ceiling


def _true(corpus: SyntheticCorpus, truth: np.ndarray) -> tuple[float, float]:
    """R² and Spearman of the true score against the observed one, means over RL seeds of a candidate."""
    frame = corpus.frame.with_columns(truth=truth)
    means = frame.group_by("candidate").agg(pl.col("truth").mean(), pl.col("post_pass_at_1").mean())
    y, known = means["post_pass_at_1"].to_numpy(), means["truth"].to_numpy()
    return float(scores.r2(y, known)), float(scores.spearman(y, known))


@pytest.mark.parametrize("samples", [4, 16])
def test_evaluation_noise_alone(samples: int) -> None:
    estimated, true = [], []
    for seed in range(8):
        corpus = synthetic_corpus(60, problems=20, samples_after=samples, rl_noise=0.0, seed=seed)
        ceiling = noise_ceiling(corpus.frame, resamples=5)
        estimated.append((ceiling.r2, ceiling.spearman))
        true.append(_true(corpus, corpus.true_post))
        assert np.isnan(ceiling.rl_seed_variance)
    np.testing.assert_allclose(np.mean(estimated, axis=0), np.mean(true, axis=0), atol=0.02)


@pytest.mark.parametrize("rl_seeds", [2, 3])
def test_rl_seeds_count_as_noise_where_they_are_repeated(rl_seeds: int) -> None:
    estimated, true = [], []
    for seed in range(8):
        corpus = synthetic_corpus(50, problems=20, samples_after=16, rl_seeds=rl_seeds, rl_noise=0.4, seed=seed)
        ceiling = noise_ceiling(corpus.frame, resamples=5)
        estimated.append((ceiling.r2, ceiling.spearman))
        true.append(_true(corpus, corpus.true_mean))
        assert ceiling.replicated == 50
    np.testing.assert_allclose(np.mean(estimated, axis=0), np.mean(true, axis=0), atol=0.02)


def test_the_variance_is_unbiased() -> None:
    corpus = synthetic_corpus(400, problems=15, samples_after=8, rl_noise=0.0, seed=3)
    errors = corpus.frame["post_pass_at_1"].to_numpy() - corpus.true_post
    assert noise_ceiling(corpus.frame, resamples=1).evaluation_variance == pytest.approx(np.mean(errors**2), rel=0.15)


def test_the_interval_holds_the_estimate_and_noise_lowers_the_ceiling() -> None:
    clean = noise_ceiling(synthetic_corpus(60, problems=20, samples_after=64, rl_noise=0.0, seed=1).frame)
    noisy = noise_ceiling(synthetic_corpus(60, problems=20, samples_after=2, rl_noise=0.0, seed=1).frame)
    for ceiling in (clean, noisy):
        assert ceiling.r2_low < ceiling.r2 < ceiling.r2_high
        assert ceiling.spearman_low < ceiling.spearman_high
    assert noisy.r2 < clean.r2


def test_pure_noise_has_no_ceiling_above_zero() -> None:
    rng = np.random.default_rng(0)
    problems = [[{"n": 8, "c": int(c)} for c in rng.binomial(8, 0.5, 10)] for _ in range(200)]
    means = [sum(p["c"] for p in row) / 80 for row in problems]
    frame = pl.DataFrame(
        {"candidate": [str(i) for i in range(200)], "post_pass_at_1": means, "post_problems": problems}
    )
    assert noise_ceiling(frame).r2 < 0.25


def test_without_counts_it_is_a_lower_bound_or_unknown() -> None:
    frame = synthetic_corpus(40, problems=20, samples_after=8, seed=2).frame
    bound = noise_ceiling(frame.drop("post_problems"))
    assert bound.r2 < noise_ceiling(frame).r2
    assert "at most" in bound.note
    bare = noise_ceiling(frame.select("candidate", "post_pass_at_1"))
    assert np.isnan(bare.r2)
    assert "not known" in bare.note
    assert "for post_pass_at_1 only" in noise_ceiling(frame, "post_pass_at_8").note
    assert "fewer than three" in noise_ceiling(frame.head(2)).note


def test_sft_seeds_bound_what_the_recipe_alone_can_tell() -> None:
    found, true = [], []
    for seed in range(8):
        corpus = synthetic_corpus(40, problems=20, samples_after=32, rl_seeds=2, rl_noise=0.5, seed=seed)
        # What the RL seed did is taken for the work of the SFT seed: each row is a candidate of its own.
        number = pl.col("candidate").str.slice(1).cast(pl.Int64)
        frame = corpus.frame.with_columns(recipe_unique_examples=number, recipe_seed=pl.col("rl_seed")).with_columns(
            candidate=pl.format("{}-{}", "candidate", "rl_seed"), rl_seed=0
        )
        ceiling = noise_ceiling(frame, resamples=2)
        assert np.isnan(ceiling.rl_seed_variance)
        assert ceiling.recipe_r2 < ceiling.r2
        found.append(ceiling.recipe_r2)
        true.append(float(scores.r2(frame["post_pass_at_1"].to_numpy(), corpus.true_mean)))
    assert np.mean(found) == pytest.approx(np.mean(true), abs=0.03)
    assert np.isnan(noise_ceiling(corpus.frame, resamples=2).recipe_r2)


def test_where_no_candidate_has_several_rl_seeds_the_noise_of_the_others_counts() -> None:
    corpus = synthetic_corpus(50, problems=20, samples_after=16, rl_seeds=2, rl_noise=0.4, seed=3)
    whole = noise_ceiling(corpus.frame, resamples=2)
    part = corpus.frame.unique("candidate", keep="first", maintain_order=True)
    alone, told = (noise_ceiling(part, rl_seed_variance=value) for value in (float("nan"), whole.rl_seed_variance))
    true = float(scores.r2(part["post_pass_at_1"].to_numpy(), corpus.true_mean[::2]))
    assert abs(told.r2 - true) < 0.05 < abs(alone.r2 - true)
    assert "too high" in alone.note
    assert "is that of others" in told.note
    # Replicates of its own come first.
    assert noise_ceiling(corpus.frame, rl_seed_variance=9.0, resamples=2).r2 == whole.r2


def test_the_interval_counts_how_little_is_known_of_the_seeds() -> None:
    """Few repeated candidates, one of which scatters: the interval is wide, and the ceiling without it is said."""
    corpus = synthetic_corpus(40, problems=20, samples_after=64, rl_seeds=3, rl_noise=0.05, seed=4)
    # Only c0 to c3 were run with several seeds, and one seed of c0 never took off.
    number = pl.col("candidate").str.slice(1).cast(pl.Int64)
    frame = corpus.frame.filter((pl.col("rl_seed") == 0) | (number < 4))
    first = (pl.col("candidate") == frame["candidate"].min()) & (pl.col("rl_seed") == 2)
    wild = frame.with_columns(post_pass_at_1=pl.when(first).then(0.02).otherwise("post_pass_at_1"))
    calm, scattered = noise_ceiling(frame), noise_ceiling(wild)
    assert scattered.replicated == 4
    assert scattered.largest == frame["candidate"].min()
    assert scattered.r2 < scattered.r2_without_largest
    assert scattered.r2_without_largest == pytest.approx(calm.r2, abs=0.05)
    # A draw of four groups leaves the scattered one out about one time in three: the interval reaches up to there.
    assert scattered.r2_high - scattered.r2_low > 3 * (calm.r2_high - calm.r2_low)
    assert scattered.r2_high >= scattered.r2_without_largest - 0.02


def test_one_repeated_candidate_says_nothing_of_a_largest_one() -> None:
    frame = synthetic_corpus(10, rl_seeds=2, seed=5).frame
    single = frame.filter((pl.col("rl_seed") == 0) | (pl.col("candidate") == frame["candidate"].min()))
    ceiling = noise_ceiling(single)
    assert ceiling.replicated == 1
    assert ceiling.largest == ""
    assert np.isnan(ceiling.r2_without_largest)
