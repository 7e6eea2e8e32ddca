"""The synthetic worlds, and that intervals cover and nothing is found in noise."""

import numpy as np
import pytest

from quagpredict.corpus import read_corpus
from quagpredict.errors import UsageError
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.kinds import prepare
from quagpredict.testing.worlds import World, draw


@pytest.mark.parametrize("law", ["linear", "mixed", "effective_k", "sharpening", "saturating"])
@pytest.mark.parametrize("difficulty", ["normal", "uniform", "bimodal"])
def test_a_world_gives_a_valid_corpus_and_its_truth(law: str, difficulty: str) -> None:
    drawn = draw(World(law, difficulty=difficulty, problems=15, seed=3), 9, seed=1)
    frame = read_corpus(drawn.frame)
    assert frame.height == 9
    assert abs(drawn.true_mean - frame["post_pass_at_1"].to_numpy()).max() < 0.25
    assert draw(World(law, difficulty=difficulty, problems=15, seed=3), 9, seed=1).frame.equals(drawn.frame)
    assert not draw(World(law, difficulty=difficulty, problems=15, seed=3), 9, seed=2).frame.equals(drawn.frame)


def test_unknown_laws_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown law"):
        draw(World("gravity"), 3)
    with pytest.raises(UsageError, match="unknown difficulty"):
        draw(World("linear", difficulty="hard"), 3)


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        ("linear", "linear"),
        ("ridge", "linear"),
        ("bayesian_ridge", "linear"),
        ("gaussian_process", "linear"),
        ("mixed", "mixed"),
        ("effective_k", "effective_k"),
        ("sharpening", "sharpening"),
        ("saturating", "saturating"),
    ],
)
def test_intervals_cover(kind: str, law: str) -> None:
    """A small guard of what bench/recovery.py measures with care; the bounds are wide for so few corpora."""
    covered = []
    for seed in range(12):
        world = World(law, seed=seed, bases=6, problems=30, rl_noise=0.03 if law in ("linear", "mixed") else 0.1)
        training, test = (prepare(draw(world, count, seed=one).frame, [kind]) for one, count in ((1, 48), (2, 80)))
        fitted = fit_frame(kind, training, training["post_pass_at_1"].to_numpy())
        low, high = fitted.interval(fitted.design(test))
        outcome = test["post_pass_at_1"].to_numpy()
        covered.append(((outcome >= low) & (outcome <= high)).mean())
    assert 0.83 <= np.mean(covered) <= 0.96


@pytest.mark.parametrize(
    "kind", ["linear", "gaussian_process", "lightgbm", "mixed", "effective_k", "sharpening", "auto"]
)
def test_nothing_is_found_in_a_shuffled_target(kind: str) -> None:
    # Both the rows it is fitted on and those it is judged on are shuffled: a kind that knows which way a score goes
    # (bound trees, effective_k) finds much of the truth even where its training targets are in disorder.
    scores = []
    for seed in range(8):
        world = World("sharpening", seed=seed, problems=20, samples_before=32)
        training, test = (prepare(draw(world, 40, seed=one).frame) for one in (1, 2))
        y = np.random.default_rng(seed).permutation(training["post_pass_at_1"].to_numpy())
        mean = fit_frame(kind, training, y).predict_frame(test).mean
        outcome = np.random.default_rng(seed + 100).permutation(test["post_pass_at_1"].to_numpy())
        scores.append(1 - ((outcome - mean) ** 2).mean() / outcome.var())
    assert np.mean(scores) <= 2 * np.std(scores, ddof=1) / np.sqrt(len(scores))
