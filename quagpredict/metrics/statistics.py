"""The statistics of a measurement, each listed once: what it is of one problem, or of which samples it is the mean.

`measurement` stores those that have a column in the table; the summary of an evaluation shows all of them, each with
its interval. A new one is a line here, and a column of the schema if it is to be stored.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.metrics.learning_signal import reward_variance, zero_variance_share

Floats = NDArray[np.float64]


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


#: Name -> its value of each problem, from the table of problems, (problems,): NaN where it is not known, None where the
#: table lacks a column. Over problems it is the mean.
OF_PROBLEMS: dict[str, Callable[[pl.DataFrame], Floats | None]] = {
    "truncated_share": partial(_share, column="truncated"),
    "no_answer_share": partial(_share, column="no_answer"),
    "distinct_answers_mean": partial(_counts, column="distinct_answers"),
    "reward_variance": _variance,
    "zero_variance_share_g8": partial(_zero_variance, group_size=8),
    "zero_variance_share_g16": partial(_zero_variance, group_size=16),
}

#: Name -> the samples whose length it is the mean of, pooled over problems; in tokens.
LENGTHS: dict[str, pl.Expr] = {
    "length_mean": pl.lit(True),
    "length_finished_mean": pl.col("finish_reason") != "length",
    "length_correct_mean": pl.col("verdict") == "correct",
    "length_wrong_mean": pl.col("verdict") == "wrong",
}

#: Name -> the column of sums over a sample's tokens, of which it is the mean of a token, pooled over samples; in nats.
PER_TOKEN: dict[str, str] = {"token_entropy_nats": "entropy_sum", "token_log_prob_nats": "log_prob_sum"}
