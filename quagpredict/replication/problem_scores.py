"""Scores before and after RL, problem by problem, so that candidates can be compared on the same problems."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Stage = Literal["pre", "post"]


@dataclass(frozen=True, eq=False)
class StageScores:
    """Pass@1 of n candidates at one stage.

    Attributes
    ----------
    mean : array (n,)
        Score of each candidate.
    by_problem : array (n, problems) or None
        Its score on each problem; None where the table has no counts of problems that all candidates share.
    variance : array (n,)
        Variance of `mean` where there are no counts: its standard error, squared; NaN where that is unknown too.
    seed_variance : array (n,)
        Variance of `mean` from the RL seed, beyond evaluation noise; 0 before RL and where it is unknown.
    seed_freedom : array (n,) or float
        Degrees of freedom of `seed_variance`; infinite where it is taken as known.
    """

    mean: Floats
    by_problem: Floats | None
    variance: Floats
    seed_variance: Floats
    seed_freedom: Floats | float = np.inf

    @property
    def problems(self) -> int:
        """Number of problems that candidates are compared on; 0 without counts."""
        return 0 if self.by_problem is None else self.by_problem.shape[1]

    def of(self, weights: Floats) -> "StageScores":
        """Return the scores of groups of candidates: `weights` (groups, n) hold the share of each candidate.

        Examples
        --------
        >>> scores = StageScores(np.array([0.2, 0.4]), None, np.array([0.01, 0.01]), np.zeros(2))
        >>> scores.of(np.array([[0.5, 0.5]])).mean.round(3), scores.of(np.array([[0.5, 0.5]])).variance
        (array([0.3]), array([0.005]))
        """
        return StageScores(
            weights @ self.mean,
            None if self.by_problem is None else weights @ self.by_problem,
            # A variance that is not known spoils the groups that the candidate is in, and no other.
            np.where((weights > 0) & np.isnan(self.variance), np.nan, weights**2 * np.nan_to_num(self.variance)).sum(1),
            weights**2 @ self.seed_variance,
            np.where(weights > 0, self.seed_freedom, np.inf).min(axis=1),  # that of the least known: on the safe side
        )


def stage_scores(
    runs: pl.DataFrame,
    candidates: list[str],
    stage: Stage,
    seed_variance: Floats | float = 0.0,
    seed_freedom: Floats | float = np.inf,
) -> StageScores:
    """Return the scores of `candidates` before or after RL.

    Parameters
    ----------
    runs : polars.DataFrame
        Finished runs, one row each; several RL seeds of a candidate are averaged, problem by problem.
    candidates : list of str
        Names, in the order of the result.
    stage : "pre" or "post"
    seed_variance, seed_freedom : float or array (n,)
        Variance of one run's score from the RL seed, of each candidate, and its degrees of freedom.

    Returns
    -------
    StageScores
        From the counts of the problems that every run was measured on (``pre_problems``, ``post_problems``), at least
        two; otherwise from ``pre_pass_at_1`` and its standard error.

    Examples
    --------
    >>> problems = [[{"benchmark": "b", "problem_id": str(j), "n": 4, "c": c} for j, c in enumerate(row)]
    ...     for row in ([4, 0], [2, 2])]
    >>> runs = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.5], "pre_problems": problems})
    >>> stage_scores(runs, ["b", "a"], "pre").by_problem
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    row_of = {name: row for row, name in enumerate(candidates)}
    rows = np.array([row_of[name] for name in runs["candidate"]], dtype=np.intp)
    runs_of = np.bincount(rows, minlength=len(candidates)).astype(np.float64)
    table = _by_problem(runs, f"{stage}_problems")
    column, error = f"{stage}_pass_at_1", f"{stage}_pass_at_1_se"
    seeds = np.full(len(candidates), seed_variance) / runs_of if stage == "post" else np.zeros(len(candidates))
    if table is not None:
        by_problem = np.zeros((len(candidates), table.shape[1]))
        np.add.at(by_problem, rows, table)
        by_problem /= runs_of[:, None]
        return StageScores(by_problem.mean(axis=1), by_problem, np.full(len(candidates), np.nan), seeds, seed_freedom)
    values = runs[column].cast(pl.Float64).to_numpy()
    errors = runs[error].cast(pl.Float64).to_numpy() if error in runs.columns else np.full(runs.height, np.nan)
    mean = np.bincount(rows, values, len(candidates)) / runs_of
    # RL seeds share one measurement before RL; after it each has its own.
    variance = np.bincount(rows, errors**2, len(candidates)) / (runs_of if stage == "pre" else runs_of**2)
    return StageScores(mean, None, variance, seeds, seed_freedom)


def _by_problem(runs: pl.DataFrame, column: str) -> Floats | None:
    """Return c / n of each run on each shared problem, (runs, problems); None without two of them."""
    if column not in runs.columns or runs[column].null_count() or not isinstance(runs[column].dtype, pl.List):
        return None
    flat = (
        runs.select(pl.int_range(pl.len()).alias("run"), column).explode(column).unnest(column).filter(pl.col("n") > 0)
    )
    if not {"benchmark", "problem_id"} <= set(flat.columns) or flat["problem_id"].null_count():
        return None
    flat = flat.with_columns(
        problem=pl.struct(pl.col("benchmark").fill_null(""), "problem_id").rank("dense"),
        share=pl.col("c") / pl.col("n"),
    )
    shared = flat.group_by("problem").agg(pl.len()).filter(pl.col("len") == runs.height)["problem"]
    if len(shared) < 2:
        return None
    kept = flat.filter(pl.col("problem").is_in(shared.implode())).sort("run", "problem")
    return kept["share"].to_numpy().reshape(runs.height, len(shared))
