"""The noise ceiling: the best that any predictor could do, given how noisily the target itself is known."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.validation.scores import spearman

Floats = NDArray[np.float64]

TARGET = "post_pass_at_1"


@dataclass(frozen=True)
class NoiseCeiling:
    """Scores of a predictor that knows every candidate's true score after RL.

    Attributes
    ----------
    r2, spearman : float
        NaN where they cannot be estimated; an R² of 0 means that the noise explains all differences.
    r2_low, r2_high, spearman_low, spearman_high : float
        90 % interval, bootstrap over candidates, and over the candidates with several RL seeds that the seed's noise
        is estimated from.
    r2_without_largest, spearman_without_largest : float
        The same without the candidate whose RL seeds differ most: where one of a few decides the ceiling, the two are
        far apart. NaN with fewer than two candidates of several RL seeds.
    largest : str
        That candidate; empty where there is none.
    evaluation_variance : float
        Mean variance of one run's target from the finite number of samples.
    rl_seed_variance : float
        Variance between RL seeds of a candidate beyond that, or what was given in its place; NaN with neither. Then
        the ceiling counts evaluation noise only and is too high.
    sft_seed_variance : float
        Variance between SFT seeds of a recipe, beyond all that; NaN without replicates.
    recipe_r2 : float
        The R² that a predictor could reach which sees the recipe but not the checkpoint: the SFT seed is noise to it.
        NaN without replicates.
    candidates, replicated : int
        Candidates, and those with several RL seeds.
    note : str
        How it was estimated, or why it was not.
    """

    r2: float
    spearman: float
    r2_low: float
    r2_high: float
    spearman_low: float
    spearman_high: float
    evaluation_variance: float
    rl_seed_variance: float
    sft_seed_variance: float
    recipe_r2: float
    candidates: int
    replicated: int
    note: str
    r2_without_largest: float = float("nan")
    spearman_without_largest: float = float("nan")
    largest: str = ""


class _SeedGroups(NamedTuple):
    """The candidates with several RL seeds: their place, freedom, squares within, and evaluation noise in these."""

    at: NDArray[np.int64]
    freedom: Floats
    squares: Floats
    evaluation: Floats

    def variance(self, chosen: NDArray[np.int64]) -> Floats:
        """Return the variance between RL seeds beyond the evaluation's, of groups chosen in each draw (draws, g)."""
        freedom = self.freedom[chosen].sum(axis=-1)
        beyond = (self.squares - self.evaluation)[chosen].sum(axis=-1)
        return np.asarray(np.maximum(0.0, beyond / freedom))


def noise_ceiling(
    runs: pl.DataFrame,
    target: str = TARGET,
    *,
    rl_seed_variance: float = float("nan"),
    resamples: int = 200,
    seed: int = 0,
) -> NoiseCeiling:
    """Estimate the noise ceiling of a table of finished runs.

    The suite is the same for all candidates, so the choice of problems is no noise; the finite number of samples is. A
    problem's Pass@1 has the variance p (1 - p) / n, estimated without bias by c (n - c) / (n² (n - 1)), and the mean
    over problems the mean of these over the number of problems. Where candidates were run with several RL seeds, the
    variance between these, less that of the evaluation, is the RL seed's. The R² of the truth against the observed
    target is one less the noise's share of the sum of squares. The Spearman correlation is found by simulation: the
    observed targets, shrunk to the variance without noise, against themselves with the noise.

    Parameters
    ----------
    runs : polars.DataFrame
        One row a finished run, of one protocol and one RL recipe. Counts are taken from ``post_problems``; without it
        ``post_samples_per_problem`` and ``post_problems_count`` give an upper bound of the noise, p (1 - p) / (n
        problems), and so a lower bound of the ceiling.
    target : str
        Only ``post_pass_at_1`` is supported; for any other the ceiling is NaN, with a note.
    rl_seed_variance : float
        Stands for the variance between RL seeds where none of these candidates has several: that of the table that they
        are a part of.
    resamples, seed : int
        Of the bootstrap over candidates, and over those with several RL seeds.

    References
    ----------
    C. Spearman, The proof and measurement of association between two things (1904), on attenuation.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> ceiling = noise_ceiling(synthetic_corpus(60, rl_seeds=2, seed=1).frame)
    >>> ceiling.replicated, bool(0.9 < ceiling.r2 < 1.0)
    (60, True)
    """
    if target != TARGET:
        return _unknown(runs, f"not known, it is estimated for {TARGET} only, not for {target}")
    variances, note = _evaluation_variances(runs)
    names, codes, counts = np.unique(runs["candidate"].to_numpy(), return_inverse=True, return_counts=True)
    if variances is None:
        return _unknown(runs, note)
    y = runs[target].cast(pl.Float64).to_numpy()
    means = np.bincount(codes, y) / counts
    mean_variance = np.bincount(codes, variances) / counts
    squares = np.bincount(codes, (y - means[codes]) ** 2).astype(np.float64)
    several = np.flatnonzero(counts > 1)
    extra = (counts - 1)[several].astype(np.float64)
    groups = _SeedGroups(several, extra, squares[several], extra * mean_variance[several])
    everyone = np.arange(len(several))
    if len(several):
        seed_variance = float(groups.variance(everyone))
        note += "; RL seed noise from the candidates with several RL seeds"
    else:
        seed_variance = rl_seed_variance
        if np.isfinite(seed_variance):
            note += (
                "; no RL seed replicates among these candidates; RL seed noise is that of others, which may have less"
            )
        else:
            note += "; no RL seed replicates, so the ceiling leaves the RL seed's noise out and is too high"
    if len(names) < 3:
        few = _unknown(runs, "not known for fewer than three candidates")
        return replace(few, rl_seed_variance=float(seed_variance))
    known_seed_variance = seed_variance if np.isfinite(seed_variance) else 0.0
    noise = (mean_variance + known_seed_variance) / counts
    rng = np.random.default_rng(seed)
    rows = np.vstack([np.arange(len(names)), rng.integers(0, len(names), (resamples, len(names)))])
    drawn = np.full(resamples + 1, known_seed_variance)
    if len(several) > 1:  # of one group alone nothing is known of how groups differ
        drawn[1:] = groups.variance(rng.integers(0, len(several), (resamples, len(several))))
    r2s, rhos = _ceilings(means[rows], (mean_variance[rows] + drawn[:, None]) / counts[rows], rng)
    largest, without = "", (np.nan, np.nan)
    if len(several) > 1:
        worst = int(np.argmax(groups.squares / groups.freedom))
        largest = str(names[several[worst]])
        fewer = (mean_variance + float(groups.variance(np.delete(everyone, worst)))) / counts
        r2_fewer, rho_fewer = _ceilings(means[None], fewer[None], rng)
        without = (float(r2_fewer[0]), float(rho_fewer[0]))
    sft_variance = _between_sft_seeds(runs, names, means, noise)
    total = float(means.var())
    recipe_r2 = 1.0 - (float(noise.mean()) + sft_variance) / total if total > 0 else np.nan
    low, high = _interval(r2s)
    rho_low, rho_high = _interval(rhos)
    return NoiseCeiling(
        r2=float(r2s[0]),
        spearman=float(rhos[0]),
        r2_low=low,
        r2_high=high,
        spearman_low=rho_low,
        spearman_high=rho_high,
        evaluation_variance=float(variances.mean()),
        rl_seed_variance=float(seed_variance),
        sft_seed_variance=sft_variance,
        recipe_r2=float(np.clip(recipe_r2, 0.0, 1.0)),
        candidates=len(names),
        replicated=len(several),
        note=note,
        r2_without_largest=without[0],
        spearman_without_largest=without[1],
        largest=largest,
    )


def _between_sft_seeds(runs: pl.DataFrame, names: NDArray[np.str_], means: Floats, noise: Floats) -> float:
    """Return the variance between candidates of one recipe that differ in the seed of SFT; NaN if there are none."""
    columns = [
        name
        for name in runs.columns
        if name == "base_model" or (name.startswith("recipe_") and name not in ("recipe_id", "recipe_seed"))
    ]
    # A recipe that is known by its hash alone changes with the seed: nothing says which are replicates.
    told = [name for name in columns if name not in ("base_model", "recipe_scenario")]
    if "recipe_seed" not in runs.columns or not told:
        return float("nan")
    first = runs.unique("candidate", keep="first").sort("candidate")
    # `names` are sorted likewise; a recipe that is not known is no replicate of another.
    told_apart = pl.any_horizontal(pl.col(told).is_not_null()) & pl.col("recipe_seed").is_not_null()
    recipes = first.with_row_index("place").filter(told_apart)
    lost = freedom = 0.0
    for _, part in recipes.group_by(columns):
        at = part["place"].to_numpy()
        if part["recipe_seed"].n_unique() == len(at) > 1:
            lost += float(((means[at] - means[at].mean()) ** 2).sum() - (1 - 1 / len(at)) * noise[at].sum())
            freedom += len(at) - 1
    assert len(names) == first.height
    return max(lost / freedom, 0.0) if freedom else float("nan")


def evaluation_noise(runs: pl.DataFrame, target: str = TARGET) -> float:
    """Return the standard deviation of a run's target from the finite number of samples; NaN where it is not known.

    Examples
    --------
    >>> problems = [[{"n": 4, "c": 2}, {"n": 4, "c": 2}]]
    >>> table = pl.DataFrame({"candidate": ["a"], "post_pass_at_1": [0.5], "post_problems": problems})
    >>> round(evaluation_noise(table), 4)
    0.2041
    """
    if target != TARGET:
        return float("nan")
    variances, _ = _evaluation_variances(runs)
    return float("nan") if variances is None else float(np.sqrt(variances.mean()))


def _evaluation_variances(runs: pl.DataFrame) -> tuple[Floats | None, str]:
    """Return the variance of each run's Pass@1 from its finite number of samples."""
    if "post_problems" in runs.columns and runs["post_problems"].null_count() == 0:
        counts = (
            runs.select(pl.int_range(pl.len()).alias("run"), "post_problems")
            .explode("post_problems")
            .unnest("post_problems")
            .select("run", pl.col("n").cast(pl.Float64), pl.col("c").cast(pl.Float64))
        )
        table = counts.filter(pl.col("n") > 1)
        per_run = (
            table.with_columns(v=pl.col("c") * (pl.col("n") - pl.col("c")) / (pl.col("n") ** 2 * (pl.col("n") - 1)))
            .group_by("run")
            .agg(pl.col("v").mean() / pl.len())
            .sort("run")
        )
        if per_run.height == runs.height:
            return per_run["v"].to_numpy(), "evaluation noise from the counts of each problem"
    needed = ["post_samples_per_problem", "post_problems_count"]
    if set(needed) <= set(runs.columns) and not any(runs[name].null_count() for name in needed):
        y = runs[TARGET].cast(pl.Float64).to_numpy()
        trials = (runs[needed[0]] * runs[needed[1]]).to_numpy()
        return y * (1 - y) / trials, "evaluation noise at most that of samples x problems, for want of counts"
    return None, "not known, neither counts (post_problems) nor numbers of samples are in the table"


def _ceilings(means: Floats, noise: Floats, rng: np.random.Generator, draws: int = 40) -> tuple[Floats, Floats]:
    """Return R² and Spearman of the truth for each row of means (repeats, n)."""
    center = means.mean(axis=1, keepdims=True)
    total = ((means - center) ** 2).sum(axis=1)
    r2s = np.clip(1.0 - np.divide(noise.sum(axis=1), total, out=np.ones_like(total), where=total > 0), 0.0, 1.0)
    latent = center + np.sqrt(r2s)[:, None] * (means - center)
    rhos = [spearman(latent, latent + np.sqrt(noise) * rng.standard_normal(latent.shape)) for _ in range(draws)]
    return r2s, np.where(r2s > 0, np.mean(rhos, axis=0), 0.0)


def _interval(values: Floats) -> tuple[float, float]:
    """Return the 90 % interval of the first value from the resamples after it."""
    low, middle, high = np.quantile(values[1:], [0.05, 0.5, 0.95])
    # Copies of a candidate in a resample shift the value; the interval is moved back to the estimate.
    shift = values[0] - middle
    return float(np.clip(low + shift, 0.0, 1.0)), float(np.clip(high + shift, 0.0, 1.0))


def _unknown(runs: pl.DataFrame, note: str) -> NoiseCeiling:
    missing = float("nan")
    return NoiseCeiling(
        r2=missing,
        spearman=missing,
        r2_low=missing,
        r2_high=missing,
        spearman_low=missing,
        spearman_high=missing,
        evaluation_variance=missing,
        rl_seed_variance=missing,
        sft_seed_variance=missing,
        recipe_r2=missing,
        candidates=runs["candidate"].n_unique(),
        replicated=0,
        note=note,
    )
