"""A response surface with a known optimum: mixtures to measurements and to the score after RL, without any training.

Every source adds to *coverage* (what RL can use) and to *sharpness* (what SFT shows at once), each with decreasing
returns: coverage is ``sum_i a_i sqrt(w_i) / |a|``, so by Cauchy-Schwarz it is largest, and equal to 1, at
``w_i = a_i^2 / |a|^2``; sharpness is the same with other weights b. More epochs sharpen and cost coverage. The score
after RL follows coverage; SFT Pass@1 follows both, so that it misleads, by construction.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.mixture_search.recipes import MixtureRecipe, recipe_of
from quagpredict.mixture_search.space import Budget, SearchSpace, Setting, Source
from quagpredict.plans.parts import Base
from quagpredict.plans.recipe import Recipe
from quagpredict.surrogates.transforms import expit

_BEST_EPOCHS, _BEST_RATE = 2.0, 1e-3


def synthetic_space(sources: int = 12) -> SearchSpace:
    """Return a search space of sources ``s0``, ``s1``, ... with epochs and learning rate.

    Examples
    --------
    >>> list(synthetic_space(3).distributions())
    ['mixture.s0', 'mixture.s1', 'epochs', 'learning_rate']
    """
    return SearchSpace(
        name="synthetic",
        base=Base("synthetic", "none", model_name_or_path="synthetic"),
        base_digest="synthetic",
        sft=Recipe("synthetic.yaml", {}),
        seed=0,
        budget=Budget(4096),
        sources=tuple(Source(f"s{i}", {"kind": f"s{i}"}) for i in range(sources)),
        passes=Setting("epochs", low=1.0, high=16.0, log=True),
        learning_rate=Setting("learning_rate", low=1e-4, high=1e-2, log=True),
    )


@dataclass(frozen=True, eq=False)
class SyntheticWorld:
    """What a mixture does, for every recipe of a space of K sources.

    Attributes
    ----------
    coverage, sharpness : array (K,)
        Weights a and b of the sources, each of length 1.
    noise : float
        Standard deviation of a measurement before RL, on the scale of logits.
    rl_noise : float
        The same of the score after RL.
    """

    space: SearchSpace
    coverage: Floats
    sharpness: Floats
    noise: float = 0.1
    rl_noise: float = 0.15

    @property
    def best(self) -> float:
        """The best score after RL that there is."""
        return float(expit(self._latent(1.0, _BEST_EPOCHS, _BEST_RATE)))

    def truth(self, recipe: MixtureRecipe) -> float:
        """Return the score after RL of a recipe, without noise."""
        covered = float(np.sqrt(self._shares(recipe)) @ self.coverage)
        return float(expit(self._latent(covered, recipe.epochs, recipe.learning_rate)))

    def measure(self, recipe: MixtureRecipe, progress: float = 1.0) -> dict[str, float]:
        """Return what an evaluation before RL would give after a part of the training; the same for the same recipe."""
        rng = np.random.default_rng([int(recipe.recipe_id[:8], 16), round(1000 * progress)])
        shares = self._shares(recipe)
        # Training approaches its end by a power of what it has seen.
        covered = float(np.sqrt(shares) @ self.coverage) * progress**0.15
        reach = self._latent(covered, recipe.epochs, recipe.learning_rate)
        sharp = 8.0 * (float(np.sqrt(shares) @ self.sharpness) - 0.75) + 0.5 * np.log2(recipe.epochs)
        noise = self.noise * rng.normal(size=3)
        return {
            "pass_at_1": float(expit(0.4 * reach + 0.8 * sharp - 1.5 + noise[0])),
            "pass_at_64": float(expit(0.9 * reach + 1.0 + noise[1])),
            "held_out_loss_nats": float(np.exp(-0.25 * reach + 0.05 * sharp - 0.5 + 0.5 * noise[2])),
        }

    def after_rl(self, recipe: MixtureRecipe) -> float:
        """Return one run's score after RL."""
        rng = np.random.default_rng([int(recipe.recipe_id[8:16], 16), 0])
        truth = self.truth(recipe)
        return float(expit(float(np.log(truth / (1 - truth))) + self.rl_noise * rng.normal()))

    def corpus(self, runs: int, seed: int = 0) -> pl.DataFrame:
        """Return finished runs of recipes drawn at random, as a table."""
        rng = np.random.default_rng(seed)
        rows: list[dict[str, Any]] = []
        for number in range(runs):
            params = {name: rng.random() for name in self.space.stick_names}
            params |= {"epochs": 16.0 ** rng.random(), "learning_rate": 10.0 ** -(2 + 2 * rng.random())}
            recipe = recipe_of(self.space, params)
            before = {f"pre_{name}": value for name, value in self.measure(recipe).items()}
            rows.append({"candidate": f"run-{number}", **before, "post_pass_at_1": self.after_rl(recipe)})
        return pl.DataFrame(rows)

    def _shares(self, recipe: MixtureRecipe) -> Floats:
        counts = np.array([recipe.examples[source.name] for source in self.space.sources], dtype=np.float64)
        return np.asarray(counts / counts.sum())

    def _latent(self, covered: float, epochs: float, rate: float) -> float:
        off = 0.15 * np.log2(epochs / _BEST_EPOCHS) ** 2 + 0.8 * np.log10(rate / _BEST_RATE) ** 2
        return float(8.0 * (covered - 0.75) - off)


def synthetic_world(sources: int = 12, seed: int = 0) -> SyntheticWorld:
    """Draw a world: log-normal weights of coverage and of sharpness, independent of each other.

    Examples
    --------
    >>> round(synthetic_world(12).best, 3)
    0.881
    """
    rng = np.random.default_rng([seed, 12])
    weights = np.exp(0.8 * rng.normal(size=(2, sources)))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return SyntheticWorld(synthetic_space(sources), weights[0], weights[1])
