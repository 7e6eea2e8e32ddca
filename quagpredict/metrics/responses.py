"""What samples look like beside being right or wrong: lengths, and how much their answers agree."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import InvalidDataError


@dataclass(frozen=True, eq=False)
class Majority:
    """How much the answers of each problem agree; every array has shape (problems,), problems in sorted order.

    Attributes
    ----------
    problem : ndarray
        Labels of the problems.
    agreement : ndarray
        Share of the most common answer among all samples of the problem, 0-1. Samples without an answer count in the
        denominator and are no answer; a problem without any answer has 0. Ties do not matter.
    distinct_answers : ndarray of int64
        Number of different answers, 0 if there is none.
    """

    problem: NDArray[np.generic]
    agreement: NDArray[np.float64]
    distinct_answers: NDArray[np.int64]


def majority(problem: Iterable[Any], answer: Iterable[str | None]) -> Majority:
    """Return agreement and distinct answers of each problem.

    Parameters
    ----------
    problem : iterable, shape (samples,)
        Label of each sample's problem.
    answer : iterable of str or None, shape (samples,)
        Final answer as the grader normalised it; None for no answer. Answers are the same if their texts are.

    Returns
    -------
    Majority

    Raises
    ------
    InvalidDataError
        If the two differ in length.

    Examples
    --------
    >>> found = majority(["a", "a", "a", "b"], ["1", "1", "2", None])
    >>> found.agreement.round(3), found.distinct_answers
    (array([0.667, 0.   ]), array([2, 0]))
    """
    problems = pl.Series("problem", problem)
    answers = pl.Series("answer", answer, dtype=pl.String)
    if len(problems) != len(answers):
        raise InvalidDataError(f"majority needs one answer a sample: {len(problems)} problems, {len(answers)} answers")
    table = answer_table(pl.DataFrame([problems, answers]), ["problem"])
    return Majority(
        problem=table["problem"].to_numpy(),
        agreement=table["agreement"].to_numpy(),
        distinct_answers=table["distinct_answers"].to_numpy(),
    )


def answer_table(samples: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return columns `by`, agreement f64, distinct_answers i64 for each group of `by`, sorted by it.

    Examples
    --------
    >>> answer_table(pl.DataFrame({"p": [1, 1], "answer": ["x", None]}), ["p"]).row(0)
    (1, 0.5, 1)
    """
    answered = pl.col("answer").is_not_null()
    return (
        samples.group_by([*by, "answer"])
        .agg(pl.len().alias("count"))
        .group_by(by)
        .agg(
            (pl.col("count").filter(answered).max().fill_null(0) / pl.col("count").sum()).alias("agreement"),
            answered.sum().cast(pl.Int64).alias("distinct_answers"),
        )
        .sort(by)
    )
