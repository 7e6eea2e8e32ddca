"""The statistics of a measurement, each listed once: what it is of one problem, or of which samples it is the mean.

`measurement` stores those that have a column in the table; the summary of an evaluation shows all of them, each with
its interval. A new one is an entry of `STATISTICS`: the schema takes its column from it.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from quagpredict.arrays import Floats
from quagpredict.column import Column, measure_column
from quagpredict.errors import InvalidDataError
from quagpredict.metrics.coverage import checked_counts, no_success_at_k


def zero_variance_share(n: ArrayLike, c: ArrayLike, group_size: int) -> NDArray[np.float64]:
    """Return the unbiased expected share of GRPO groups whose 0/1 rewards are all equal, for each problem.

    Such a group has no advantage and gives no gradient. Of the subsets of G of the n samples, C(c, G) are all correct
    and C(n-c, G) all wrong: the share is [C(c, G) + C(n-c, G)] / C(n, G).

    Parameters
    ----------
    n, c : array_like of int, shape (problems,)
        Samples and correct samples of each problem.
    group_size : int
        G, completions of one prompt in a GRPO group.

    Returns
    -------
    ndarray, shape of the counts
        Fractions 0-1; NaN where n < G. The share of a suite is the mean over problems.

    Raises
    ------
    InvalidDataError
        For impossible counts (the position is named) or a group size below 1.

    References
    ----------
    The estimator of Chen et al., arXiv 2107.03374 (2021), equation 1, applied to correct and to wrong samples; groups
    without variance are those that DAPO (Yu et al., arXiv 2503.14476, section 3.2) filters out.

    Examples
    --------
    >>> zero_variance_share([4, 4, 4, 1], [0, 2, 4, 1], 2).round(6)
    array([1.      , 0.333333, 1.      ,      nan])
    """
    if group_size < 1:
        raise InvalidDataError(f"group_size must be at least 1, got {group_size}")
    samples, correct = checked_counts(n, c)
    flat_n, flat_c, k = samples.reshape(-1), correct.reshape(-1), np.array([group_size])
    share = no_success_at_k(flat_n, flat_c, k) + no_success_at_k(flat_n, flat_n - flat_c, k)
    # One sample is both the first all-correct and the first all-wrong subset: G = 1 sums to 1, never above.
    return np.minimum(share, 1.0).reshape(samples.shape)


def reward_variance(n: ArrayLike, c: ArrayLike) -> NDArray[np.float64]:
    """Return the unbiased estimate c(n-c) / (n(n-1)) of the variance p(1-p) of a 0/1 reward, for each problem.

    Parameters
    ----------
    n, c : array_like of int, shape (problems,)
        Samples and correct samples of each problem.

    Returns
    -------
    ndarray, shape of the counts
        Between 0 and 0.5 (0.25 in the limit of many samples); NaN where n < 2.

    Raises
    ------
    InvalidDataError
        For impossible counts (the position is named).

    Examples
    --------
    >>> reward_variance([4, 4, 1], [2, 0, 1]).round(6)
    array([0.333333, 0.      ,      nan])
    """
    samples, correct = checked_counts(n, c)
    s, r = samples.astype(np.float64), correct.astype(np.float64)
    return np.where(samples >= 2, r * (s - r) / np.maximum(s * (s - 1), 1.0), np.nan)


def _counts(problems: pl.DataFrame, column: str) -> Floats | None:
    """Return a column of counts, NaN where it is not known; None without it."""
    return problems[column].cast(pl.Float64).to_numpy() if column in problems.columns else None


def _share(problems: pl.DataFrame, column: str) -> Floats | None:
    counted, n = _counts(problems, column), problems["n"].to_numpy()
    # The share of no sample at all is not known.
    return None if counted is None else np.where(n > 0, counted / np.maximum(n, 1), np.nan)


def _variance(problems: pl.DataFrame) -> Floats:
    return reward_variance(problems["n"].to_numpy(), problems["c"].to_numpy())


def _zero_variance(problems: pl.DataFrame, group_size: int) -> Floats:
    return zero_variance_share(problems["n"].to_numpy(), problems["c"].to_numpy(), group_size)


class Statistic(NamedTuple):
    """A statistic of a measurement."""

    column: Column  #: What it is called, means and may be.
    #: How it is made. A function gives its value of each problem from the table of problems, (problems,): NaN where it
    #: is not known, None where the table lacks a column; over problems it is the mean. An expression says of which
    #: samples it is the mean length in tokens, pooled over problems. A name is that of the column of sums over a
    #: sample's tokens, in nats, of which it is the mean of a token, pooled over samples. None: `measurement` has it.
    of: Callable[[pl.DataFrame], Floats | None] | pl.Expr | str | None
    stored: bool = True  #: Whether the table has its column; the summary of an evaluation shows it in any case.


STATISTICS = (
    Statistic(measure_column("length_mean", "tokens", 0, None, "mean length of a response"), pl.lit(True)),
    Statistic(
        measure_column("length_finished_mean", "tokens", 0, None, "mean length of a finished response"),
        pl.col("finish_reason") != "length",
        stored=False,
    ),
    Statistic(measure_column("length_median", "tokens", 0, None, "median length of a response"), None),
    Statistic(measure_column("length_p95", "tokens", 0, None, "95th percentile of the length of a response"), None),
    Statistic(
        measure_column("length_correct_mean", "tokens", 0, None, "mean length of correct responses"),
        pl.col("verdict") == "correct",
    ),
    Statistic(
        measure_column("length_wrong_mean", "tokens", 0, None, "mean length of wrong responses"),
        pl.col("verdict") == "wrong",
    ),
    Statistic(
        measure_column("truncated_share", "fraction", 0, 1, "responses cut by the token budget", "lower"),
        partial(_share, column="truncated"),
    ),
    Statistic(
        measure_column("no_answer_share", "fraction", 0, 1, "finished responses without a final answer", "lower"),
        partial(_share, column="no_answer"),
    ),
    Statistic(
        measure_column("distinct_answers_mean", "answers", 0, None, "distinct answers a problem, mean over problems"),
        partial(_counts, column="distinct_answers"),
    ),
    Statistic(
        measure_column(
            "agreement_mean", "fraction", 0, 1, "share of the most common answer, mean over problems", "higher"
        ),
        None,
    ),
    Statistic(
        measure_column(
            "token_entropy_nats", "nats/token", 0, None, "entropy of the next token, mean over sampled tokens"
        ),
        "entropy_sum",
    ),
    Statistic(
        measure_column(
            "token_log_prob_nats", "nats/token", None, 0, "log-probability of sampled tokens, mean", "higher"
        ),
        "log_prob_sum",
    ),
    Statistic(measure_column("reward_variance", "1", 0, 1, "unbiased p(1-p), mean over problems"), _variance),
    Statistic(
        measure_column(
            "zero_variance_share_g8", "fraction", 0, 1, "expected share of GRPO groups of 8 with equal rewards"
        ),
        partial(_zero_variance, group_size=8),
    ),
    Statistic(
        measure_column(
            "zero_variance_share_g16", "fraction", 0, 1, "expected share of GRPO groups of 16 with equal rewards"
        ),
        partial(_zero_variance, group_size=16),
    ),
)

#: Name -> its value of each problem; the samples whose length it is the mean of; the column of sums over tokens.
OF_PROBLEMS = {each.column.name: each.of for each in STATISTICS if callable(each.of)}
LENGTHS = {each.column.name: each.of for each in STATISTICS if isinstance(each.of, pl.Expr)}
PER_TOKEN = {each.column.name: each.of for each in STATISTICS if isinstance(each.of, str)}
