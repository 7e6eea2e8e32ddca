"""Corpora from a small generative model whose truth is known: for tests, examples and benchmarks.

A candidate has a *coverage* (which problems are within its reach) and a *sharpness* (how much of its probability it
puts on what it can reach). SFT trades one for the other; RL sharpens every candidate alike. The score before RL shows
both, Pass@k at large k and the held-out loss show mostly coverage, and the score after RL follows coverage: SFT Pass@1
misleads, by construction.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.surrogates.transforms import expit


@dataclass(frozen=True, eq=False)
class SyntheticCorpus:
    """A table and the truth behind it.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a run, columns of the corpus.
    true_post : array (rows,)
        Score after RL without evaluation noise (the RL seed's effect included).
    true_mean : array (rows,)
        Score after RL without evaluation noise and without the RL seed's effect.
    """

    frame: pl.DataFrame
    true_post: Floats
    true_mean: Floats


def synthetic_corpus(
    candidates: int,
    *,
    bases: int = 2,
    problems: int = 60,
    samples_before: int = 128,
    samples_after: int = 64,
    rl_seeds: int = 1,
    rl_noise: float = 0.1,
    seed: int = 0,
    nested: bool = True,
) -> SyntheticCorpus:
    """Draw a corpus of finished runs.

    Parameters
    ----------
    candidates : int
        Number of candidates, spread evenly over the base models.
    rl_noise : float
        Standard deviation of the RL seed's effect on the logit of success.
    nested : bool
        Whether the counts of each problem are there too.

    Returns
    -------
    SyntheticCorpus
        ``candidates * rl_seeds`` rows.

    Examples
    --------
    >>> corpus = synthetic_corpus(4, problems=5, seed=1)
    >>> corpus.frame.height, corpus.frame["base_model"].unique().sort().to_list()
    (4, ['base-0', 'base-1'])
    """
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0.0, 1.5, problems)
    base = np.arange(candidates) % bases
    kind = rng.integers(0, 3, candidates)
    coverage = 0.5 * (base - (bases - 1) / 2) + rng.normal(0.0, 0.6, candidates)
    # What sharpens (repeated or narrow data) costs coverage, but only loosely.
    sharpness = expit(-1.0 - 0.5 * coverage + rng.normal(0.0, 0.8, candidates))
    before = expit(4.0 * (coverage[:, None] - difficulty)) * sharpness[:, None]
    pass_counts = rng.binomial(samples_before, before)
    loss = 0.6 - 0.1 * coverage + rng.normal(0.0, 0.02, candidates)
    columns: list[dict[str, object]] = []
    true_post, true_mean = [], []
    for i in range(candidates):
        clean = 2.0 * (coverage[i] - difficulty)
        shared = {
            "candidate": f"c{i:04d}",
            "base_model": f"base-{base[i]}",
            "base_family": "synthetic",
            "recipe_data_kind": f"kind-{kind[i]}",
            "recipe_scenario": ("dataset-level", "instance-level")[i // bases % 2],
            "eval_protocol_id": "synthetic-protocol",
            "rl_recipe_id": "synthetic-rl",
            "split": "fit",
            "pre_samples_per_problem": samples_before,
            "pre_problems_count": problems,
            "post_samples_per_problem": samples_after,
            "post_problems_count": problems,
            "pre_held_out_loss_nats": float(loss[i]),
            **_pass_at_ks(pass_counts[i], samples_before),
        }
        for rl_seed in range(rl_seeds):
            after = expit(clean + rng.normal(0.0, rl_noise))
            counts = rng.binomial(samples_after, after)
            row: dict[str, object] = {
                **shared,
                "rl_seed": rl_seed,
                "post_pass_at_1": float(counts.mean() / samples_after),
            }
            if nested:
                row["pre_problems"] = _problems(pass_counts[i], samples_before)
                row["post_problems"] = _problems(counts, samples_after)
            columns.append(row)
            true_post.append(float(after.mean()))
            true_mean.append(float(expit(clean).mean()))
    return SyntheticCorpus(pl.DataFrame(columns), np.array(true_post), np.array(true_mean))


def _pass_at_ks(counts: NDArray[np.int64], n: int) -> dict[str, float]:
    """Return the unbiased Pass@k, mean over problems, for k = 1, 2, 4, ... up to n."""
    values = {}
    for k in (2**power for power in range(9) if 2**power <= n):
        wrong = np.arange(k)
        missed = np.prod(np.clip(n - counts[:, None] - wrong, 0, None) / (n - wrong), axis=1)
        values[f"pre_pass_at_{k}"] = float(np.mean(1.0 - missed))
    return values


def _problems(counts: NDArray[np.int64], n: int) -> list[dict[str, object]]:
    return [{"benchmark": "synthetic", "problem_id": str(j), "n": n, "c": int(c)} for j, c in enumerate(counts)]
