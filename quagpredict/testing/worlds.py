"""Synthetic worlds in which one law of RL holds, known to the last number: what each surrogate ought to find.

Candidates come about as in `quagpredict.testing.synthetic`: SFT trades sharpness for coverage. What RL makes of
them follows one of several laws, then come the noise of the RL run and the noise of evaluation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.errors import UsageError
from quagpredict.metrics import zero_variance_share
from quagpredict.metrics.coverage import pass_at_k
from quagpredict.surrogates.transforms import expit

Law = Literal["linear", "mixed", "effective_k", "sharpening", "saturating"]
Difficulty = Literal["normal", "uniform", "bimodal"]

_KS = (1, 2, 4, 8, 16, 32, 64, 128)
_DIFFICULTIES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, count: rng.normal(0.0, 1.5, count),
    "uniform": lambda rng, count: rng.uniform(-2.5, 2.5, count),
    "bimodal": lambda rng, count: rng.normal(0.0, 0.5, count) + np.where(rng.random(count) < 0.5, -1.5, 1.5),
}


@dataclass(frozen=True, eq=False)
class World:
    """A law of RL with its parameters; `draw` makes corpora that follow it.

    Attributes
    ----------
    law : str
        ``linear`` and ``mixed``: the score after RL is linear in the measured loss and Pass@64, for ``mixed`` with an
        intercept for each base model. ``effective_k``: it is the true Pass@k* before RL. ``sharpening``: the logit of
        each problem moves by ``shift + gain * s(p)``. ``saturating``: the logit of the score saturates in RL steps.
    slopes : (float, float)
        Of the loss (in units of 0.1 nats) and of Pass@64.
    base_deviation : float
        Between the intercepts of base models, in the unit of the score.
    half_steps : float
        RL steps after which half of the way is gone, for a candidate with the usual learning signal.
    rl_noise : float
        Deviation of a run: of the score for ``linear`` and ``mixed``, of its logit for the others.
    difficulty : str
        Distribution of the problems' difficulty.
    seed : int
        Of what belongs to the world: problems and base models.
    """

    law: Law
    k_star: float = 12.0
    shift: float = 0.5
    gain: float = 2.0
    slopes: tuple[float, float] = (-0.15, 0.5)
    base_deviation: float = 0.1
    half_steps: float = 80.0
    rl_noise: float = 0.1
    difficulty: Difficulty = "normal"
    problems: int = 60
    samples_before: int = 128
    samples_after: int = 64
    bases: int = 3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Drawn:
    """A corpus and the truth behind it.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a finished run.
    true_mean : array (rows,)
        Score after RL without the noise of the run and of evaluation.
    effects : mapping of str to float
        For ``mixed``, what each base model adds.
    """

    frame: pl.DataFrame
    true_mean: Floats
    effects: Mapping[str, float] = field(default_factory=dict)


def draw(world: World, candidates: int, *, seed: int = 0, steps: float = 200.0) -> Drawn:
    """Draw finished runs of a world; draws of several seeds share its problems and base models.

    Parameters
    ----------
    candidates : int
        Spread evenly over the base models.
    steps : float
        RL steps of every run; for ``saturating`` the score is measured along the way too, in ``post_curve``.

    Raises
    ------
    UsageError
        If the law or the difficulty is unknown.

    Examples
    --------
    >>> drawn = draw(World("effective_k"), 4, seed=1)
    >>> drawn.frame.height, drawn.true_mean.shape
    (4, (4,))
    """
    if world.law not in ("linear", "mixed", "effective_k", "sharpening", "saturating"):
        raise UsageError(f"unknown law '{world.law}'")
    if world.difficulty not in _DIFFICULTIES:
        raise UsageError(f"unknown difficulty '{world.difficulty}': expected one of {', '.join(_DIFFICULTIES)}")
    fixed = np.random.default_rng([world.seed, 1])
    difficulty = _DIFFICULTIES[world.difficulty](fixed, world.problems)
    effect = fixed.normal(0.0, world.base_deviation, world.bases) if world.law == "mixed" else np.zeros(world.bases)
    rng = np.random.default_rng([world.seed, 2, seed])
    base = np.arange(candidates) % world.bases
    coverage = 0.3 * (base - (world.bases - 1) / 2) + rng.normal(0.0, 0.6, candidates)
    sharpness = expit(-1.0 - 0.5 * coverage + rng.normal(0.0, 0.8, candidates))
    before = expit(4.0 * (coverage[:, None] - difficulty)) * sharpness[:, None]
    counts = rng.binomial(world.samples_before, before)
    loss = 0.6 - 0.1 * coverage + rng.normal(0.0, 0.02, candidates)
    n = np.full(counts.size, world.samples_before)
    ks = [k for k in _KS if k <= world.samples_before]
    curve = pass_at_k(n, counts.reshape(-1), ks).reshape(candidates, world.problems, len(ks)).mean(axis=1)
    signal = zero_variance_share(n, counts.reshape(-1), 8).reshape(candidates, world.problems).mean(axis=1)
    columns: dict[str, object] = {
        "candidate": [f"s{seed}-c{i:04d}" for i in range(candidates)],
        "base_model": [f"base-{number}" for number in base],
        "eval_protocol_id": ["synthetic-protocol"] * candidates,
        "rl_recipe_id": ["synthetic-rl"] * candidates,
        "split": ["fit"] * candidates,
        "rl_steps": [round(steps)] * candidates,
        "pre_samples_per_problem": [world.samples_before] * candidates,
        "pre_problems_count": [world.problems] * candidates,
        "post_samples_per_problem": [world.samples_after] * candidates,
        "post_problems_count": [world.problems] * candidates,
        "pre_held_out_loss_nats": loss,
        "pre_zero_variance_share_g8": signal,
        **{f"pre_pass_at_{k}": curve[:, column] for column, k in enumerate(ks)},
        "pre_problems": [
            [
                {"benchmark": "synthetic", "problem_id": str(j), "n": world.samples_before, "c": int(c)}
                for j, c in enumerate(row)
            ]
            for row in counts
        ],
    }
    trials = world.problems * world.samples_after
    noise = rng.normal(0.0, world.rl_noise, candidates)
    if world.law in ("linear", "mixed"):
        largest = curve[:, ks.index(64)] if 64 in ks else curve[:, -1]
        mean = 0.2 + world.slopes[0] * (loss - 0.6) / 0.1 + world.slopes[1] * largest + effect[base]
        score = mean + noise + rng.normal(0.0, np.sqrt(0.25 / trials), candidates)
    elif world.law == "saturating":
        mean, score, columns["post_curve"] = _along_rl(world, before, signal, noise, steps, trials, rng)
    else:
        after = _after(world, before)
        mean = after.mean(axis=1)
        moved = expit(_logit(after) + noise[:, None])
        score = rng.binomial(world.samples_after, moved).mean(axis=1) / world.samples_after
    columns["post_pass_at_1"] = score
    effects = {f"base-{number}": float(value) for number, value in enumerate(effect)}
    return Drawn(pl.DataFrame(columns), mean, effects if world.law == "mixed" else {})


def score_at(world: World, before: Floats, signal: Floats, steps: Floats) -> Floats:
    """Return the true score of the law ``saturating`` after so many RL steps, (candidates, steps).

    The logit of the score starts at that of Pass@1 before RL; its ceiling follows Pass@64, its rate the share of groups
    with signal.
    """
    start = _logit(before.mean(axis=1))
    ceiling = _logit((1.0 - (1.0 - before) ** 64).mean(axis=1)) - 0.5
    rate = np.log(2.0) / world.half_steps * np.exp(2.0 * (0.5 - signal))
    way = 1.0 - np.exp(-rate[:, None] * np.atleast_1d(steps))
    return np.asarray(expit(start[:, None] + (ceiling - start)[:, None] * way))


def _along_rl(
    world: World, before: Floats, signal: Floats, noise: Floats, steps: float, trials: int, rng: np.random.Generator
) -> tuple[Floats, Floats, list[list[dict[str, float]]]]:
    steps_measured = np.array([0.125, 0.25, 0.5, 0.75, 1.0]) * steps
    mean = score_at(world, before, signal, steps_measured)
    way = 1.0 - np.exp(-steps_measured / steps * 2.0)
    true = expit(_logit(mean) + noise[:, None] * way)
    seen = rng.binomial(trials, true) / trials
    curves = [
        [{"step": round(step), "pass_at_1": float(value)} for step, value in zip(steps_measured, row, strict=True)]
        for row in seen
    ]
    return mean[:, -1], seen[:, -1], curves


def _after(world: World, before: Floats) -> Floats:
    """Return the true success of each problem after RL."""
    if world.law == "effective_k":
        return np.asarray(1.0 - (1.0 - before) ** world.k_star)
    signal = 1.0 - before**8 - (1.0 - before) ** 8
    return expit(_logit(before) + world.shift + world.gain * signal)


def _logit(share: Floats) -> Floats:
    safe = np.clip(share, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(safe) - np.log1p(-safe))
