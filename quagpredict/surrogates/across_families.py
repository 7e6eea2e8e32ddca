"""Predictors that carry over to benchmarks and bases that no finished run has seen, learnt from other corpora.

What a surrogate of named columns cannot do: here a benchmark is known by its scores alone, not by its name.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.benchmarks import benchmark_scores, geometric_mean
from quagpredict.errors import UsageError
from quagpredict.surrogates.hierarchy import AFTER, BEFORE, from_logit, predicted, weights_prior
from quagpredict.surrogates.hierarchy_learning import Task, learn
from quagpredict.surrogates.hierarchy_tables import LOSS, cells_before, finished_task
from quagpredict.surrogates.stored_prior import KNOTS
from quagpredict.surrogates.training_rows import training_rows

Floats = NDArray[np.float64]

#: Penalty of the ridge on the levels, in units of a standardised feature's sum of squares for a candidate.
_RIDGE = 1.0


def predict_across(
    candidates: pl.DataFrame, corpora: Sequence[pl.DataFrame], split: str | None = "fit"
) -> pl.DataFrame:
    """Predict the score after RL of candidates with no result, from corpora of other problems and bases.

    Parameters
    ----------
    candidates : polars.DataFrame
        One row a candidate, from `read_corpus(..., nested=True)`, with ``pre_problems`` and ``pre_held_out_loss_nats``.
    corpora : sequence of polars.DataFrame
        Finished runs with ``pre_problems`` and ``post_problems``, each of one eval protocol and RL recipe.
    split : str or None
        Rows of the corpora to learn from.

    Returns
    -------
    polars.DataFrame
        ``candidate``, ``base_model``, and a score from 0 to 1 of each predictor, null where a measurement is missing:

        ``benchmark_map``
            A straight line from a cell's logit Pass@1 before RL to its logit after (a cell is a candidate and a
            benchmark), one for all bases and benchmarks; the mean over benchmarks, weighted by problems.
        ``ridge_of_levels``
            Ridge with a logit target on the mean over benchmarks, the least and the largest logit Pass@1.
        ``geometric_mean``
            Of Pass@1 over benchmarks: a rule without fit, and no prediction of the score.
        ``hierarchical``, ``hierarchical_low``, ``hierarchical_high``
            The hierarchical model's expected score and its 90 % interval, from its prior alone.

    Raises
    ------
    UsageError
        If no corpus is given.

    Examples
    --------
    >>> from quagpredict.corpus import read_corpus
    >>> from quagpredict.shipped import shipped_path
    >>> runs = read_corpus(shipped_path("datasets/lab-pilot/corpus.parquet"), nested=True)
    >>> table = predict_across(runs[:3], [runs])
    >>> table.columns[2:6], table.height
    (['benchmark_map', 'ridge_of_levels', 'geometric_mean', 'hierarchical'], 3)
    """
    if not corpora:
        raise UsageError("predictions for candidates without results need at least one corpus of finished runs")
    tasks = [finished_task(training_rows(corpus, "post_pass_at_1", split=split), (LOSS,)) for corpus in corpora]
    scores = benchmark_scores(candidates)
    weights = scores.weights
    cells = cells_before(scores, candidates, (LOSS,))
    prior = learn(tasks, np.array(KNOTS))
    mean, covariance = weights_prior(prior, len(scores.names), cells.member.shape[1])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    predictions = predicted(cells, prior.knots, mean, root, prior.spreads, weights)
    reach = 1.6448536269514722 * np.sqrt((predictions.shared**2).sum(axis=1) + predictions.own**2)
    whole = np.isfinite(scores.share).all(axis=1)
    told = whole & np.isfinite(cells.terms).all(axis=(1, 2))
    columns = {
        "benchmark_map": np.where(whole, _benchmark_map(tasks, scores.share) @ weights, np.nan),
        "ridge_of_levels": np.where(whole, _ridge_of_levels(tasks, scores.share), np.nan),
        "geometric_mean": geometric_mean(scores),
        "hierarchical": np.where(told, predictions.mean, np.nan),
        "hierarchical_low": np.where(told, np.maximum(predictions.mean - reach, 0.0), np.nan),
        "hierarchical_high": np.where(told, np.minimum(predictions.mean + reach, 1.0), np.nan),
    }
    return candidates.select("candidate", "base_model").with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in columns.items()
    )


def _benchmark_map(tasks: Sequence[Task], share: Floats) -> Floats:
    """Return the scores (n, B) that one line of logits, fitted to all cells by least squares, gives."""
    x = np.concatenate([BEFORE.forward(task.cells.share).ravel() for task in tasks])
    z = np.concatenate([task.z.ravel() for task in tasks])
    finite = np.isfinite(x) & np.isfinite(z)
    slope, level = np.polyfit(x[finite], z[finite], 1)
    return from_logit(level + slope * BEFORE.forward(share))


def _ridge_of_levels(tasks: Sequence[Task], share: Floats) -> Floats:
    """Return overall scores (n,) from mean, least and largest logit of Pass@1 over benchmarks."""

    def levels(table: Floats) -> Floats:
        x = BEFORE.forward(table)
        return np.column_stack([x.mean(axis=1), x.min(axis=1), x.max(axis=1)])

    X = np.concatenate([levels(task.cells.share) for task in tasks])
    t = np.concatenate([AFTER.forward(from_logit(task.z) @ task.weights) for task in tasks])
    finite = np.isfinite(X).all(axis=1) & np.isfinite(t)
    X, t = X[finite], t[finite]
    center, scale = X.mean(axis=0), X.std(axis=0)
    Z = (X - center) / scale
    coefficients = np.linalg.solve(Z.T @ Z + _RIDGE * np.eye(3), Z.T @ (t - t.mean()))
    return from_logit(t.mean() + (levels(share) - center) / scale @ coefficients)
