"""maj@k: how often the most common answer of k samples is right, over all subsets of the samples that were drawn."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError
from quagpredict.metrics.coverage import checked_ks

_CELLS = 4_000_000  # samples held in random order at a time: 32 MB


def maj_at_k(
    problem: Iterable[Any],
    answer: Iterable[str | None],
    correct: Iterable[bool],
    k: ArrayLike,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """Return each problem's probability that a majority vote among k of its samples is right.

    The votes of k samples are counted; the right answer wins if no other has more votes. **A tie is shared**: with j
    answers at the top the right one among them counts 1/j. A sample without an answer does not vote; nobody voting is
    wrong. Correct samples are one answer in however many spellings; wrong ones are the same answer if their texts are.

    The value is the mean over subsets of k of the n samples, drawn without replacement, hence unbiased for every k <= n
    (at k = n there is one subset and the value is exact). Subsets are drawn `resamples` times, seeded, for problems
    with both right and other samples; the standard error that this adds to the mean over such problems is at most
    1 / (2 sqrt(resamples x problems)).

    Parameters
    ----------
    problem : iterable, shape (samples,)
        Label of each sample's problem.
    answer : iterable of str or None, shape (samples,)
        Final answer in one spelling; None for no answer.
    correct : iterable of bool, shape (samples,)
    k : array_like of int, shape (ks,)
    resamples, seed : int
        Of the subsets.

    Returns
    -------
    problems : ndarray, shape (problems,)
        Labels in sorted order.
    values : ndarray, shape (problems, ks)
        Fractions 0-1; NaN where a problem has fewer than k samples.

    Raises
    ------
    InvalidDataError
        If the three arrays differ in length, or k < 1.

    References
    ----------
    X. Wang et al., Self-consistency improves chain of thought reasoning in language models, arXiv 2203.11171 (2022),
    for the vote; the mean over subsets is that of Pass@k, Chen et al., arXiv 2107.03374, equation 1.

    Examples
    --------
    >>> labels, values = maj_at_k(["a"] * 4, ["7", "7", "8", None], [True, True, False, False], [1, 4])
    >>> values
    array([[0.5, 1. ]])
    >>> maj_at_k(["a", "a"], ["7", "8"], [True, False], [2])[1]  # a tie of two is shared
    array([[0.5]])
    """
    ks = checked_ks(np.atleast_1d(k))
    columns = [pl.Series("problem", problem), pl.Series("answer", answer, pl.String), pl.Series("correct", correct)]
    if len({len(column) for column in columns}) > 1:
        sizes = ", ".join(f"{len(column)} {column.name}" for column in columns)
        raise InvalidDataError(f"maj@k needs one problem, one answer and one verdict a sample, got {sizes}")
    table = pl.DataFrame(columns)
    # Within a problem: 0 is the right answer, 1, 2, ... are wrong ones, -1 is no vote.
    right = pl.col("correct")
    coded = table.with_columns(
        pl.when(right)
        .then(0)
        .when(pl.col("answer").is_null())
        .then(-1)
        .otherwise(pl.when(~right).then("answer").rank("dense").over("problem", "correct"))
        .cast(pl.Int64)
        .alias("vote")
    )
    grouped = coded.group_by("problem").agg("vote").sort("problem")
    random = np.random.default_rng(seed)
    values = np.full((grouped.height, ks.size), np.nan)
    for row, votes in enumerate(grouped["vote"]):
        values[row] = _values(votes.to_numpy(), ks, resamples, random)
    return grouped["problem"].to_numpy(), values


def _values(
    votes: NDArray[np.int64], ks: NDArray[np.int64], resamples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    n = votes.size
    values = np.full(ks.size, np.nan)
    possible = ks <= n
    right = votes == 0
    if not right.any() or right.all():
        values[possible] = float(right.all())
        return values
    values[possible & (ks == 1)] = right.mean()
    todo = np.flatnonzero(possible & (ks > 1))
    whole = [at for at in todo if ks[at] == n]
    for at in whole:
        values[at] = float(_right_share(votes[None, :]).mean())
    part = [at for at in todo if ks[at] < n]
    if part:
        sums = np.zeros(len(part))
        block = max(1, _CELLS // n)
        for start in range(0, resamples, block):
            rows = min(block, resamples - start)
            shuffled = random.permuted(np.tile(votes, (rows, 1)), axis=1)
            sums += [_right_share(shuffled[:, : ks[at]]).sum() for at in part]
        values[part] = sums / resamples
    return values


def _right_share(votes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each row of votes what the right answer gets: 1 alone at the top, 1/j in a tie of j, else 0."""
    rows = votes.shape[0]
    answers = max(int(votes.max()), 0) + 2  # the first column is for no vote; nobody may have voted
    flat = (votes + 1) + answers * np.arange(rows)[:, None]
    counts = np.bincount(flat.reshape(-1), minlength=rows * answers).reshape(rows, answers)[:, 1:]
    top = counts.max(1)
    tied = (counts == top[:, None]).sum(1)
    return np.where((counts[:, 0] == top) & (top > 0), 1 / tied, 0.0)


def answer_table(samples: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return columns `by`, agreement f64, distinct_answers i64 for each group of `by`, sorted by it.

    Agreement is the share of the most common answer among all samples, 0-1; a sample without an answer (null) counts
    among these and is no answer. Ties do not matter.

    Examples
    --------
    >>> answer_table(pl.DataFrame({"p": [1, 1], "answer": ["x", None]}), ["p"]).row(0)
    (1, 0.5, 1)
    """
    answered = pl.col("answer").is_not_null()
    return (
        samples.lazy()
        .group_by([*by, "answer"])
        .agg(pl.len().alias("count"))
        .group_by(by)
        .agg(
            (pl.col("count").filter(answered).max().fill_null(0) / pl.col("count").sum()).alias("agreement"),
            answered.sum().cast(pl.Int64).alias("distinct_answers"),
        )
        .sort(by)
        .collect(engine="streaming")  # else the table is copied
    )
