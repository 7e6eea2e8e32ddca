"""Samples of a suite to the problems table and the flat values that the corpus stores."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from quagpredict.answers import VERDICTS
from quagpredict.errors import InvalidDataError
from quagpredict.metrics.coverage import pass_at_k
from quagpredict.metrics.majority_vote import answer_table
from quagpredict.metrics.statistics import LENGTHS, OF_PROBLEMS, PER_TOKEN
from quagpredict.metrics.uncertainty import standard_error_of_mean
from quagpredict.schema import BY_NAME, PASS_K

MEASURED_KS = PASS_K  # the columns of the table

_REQUIRED = {
    "benchmark": pl.String,
    "problem_id": pl.String,
    "sample": pl.Int64,
    "verdict": pl.String,
    "answer": pl.String,
    "length": pl.Int64,
    "finish_reason": pl.String,
}
_OPTIONAL = {"level": pl.Int64, "log_prob_sum": pl.Float64, "entropy_sum": pl.Float64, "tokens": pl.Int64}
_NULLABLE = {"answer", *_OPTIONAL}
_PROBLEM = ["benchmark", "problem_id"]


class Measurement(NamedTuple):
    """What a checkpoint's samples say."""

    #: benchmark, problem_id, level, n, c, truncated, no_answer, distinct_answers; one row a problem, sorted.
    problems: pl.DataFrame
    #: The suffixes of the corpus columns without the held_out_* ones; None where there is no value.
    values: dict[str, float | int | None]


def measurement(samples: pl.DataFrame) -> Measurement:
    """Return the problems table and the flat values of a set of graded samples.

    Parameters
    ----------
    samples : polars.DataFrame, one row a sample
        Columns benchmark str, problem_id str, sample i64, verdict str, answer str (null: none), length i64 (tokens),
        finish_reason str ("length" when cut by the budget); optional columns level i64, and log_prob_sum f64,
        entropy_sum f64 over `tokens` i64 sampled tokens (nats). A missing sample is not a wrong one: n is what is
        there.

    Returns
    -------
    Measurement
        Values of counts are means over problems, see `count_values`; lengths, entropy and log-probability are pooled
        over samples (tokens). length_correct_mean and length_wrong_mean are of verdicts "correct" and "wrong" only.
        agreement_mean and distinct_answers_mean are as in `answer_table`.

    Raises
    ------
    InvalidDataError
        If there is no sample, a column is missing or of another type, a required value is null, a verdict is unknown,
        a sample appears twice, or a problem has two levels.

    Examples
    --------
    >>> found = measurement(pl.DataFrame({
    ...     "benchmark": ["lab"] * 4, "problem_id": ["a", "a", "b", "b"], "sample": [0, 1, 0, 1],
    ...     "verdict": ["correct", "wrong", "wrong", "truncated"], "answer": ["7", "8", "1", None],
    ...     "length": [5, 7, 6, 10], "finish_reason": ["stop", "stop", "stop", "length"]}))
    >>> found.problems.select("problem_id", "n", "c", "truncated").rows()
    [('a', 2, 1, 0), ('b', 2, 0, 1)]
    >>> found.values["pass_at_1"], found.values["pass_at_2"], found.values["pass_at_4"], found.values["length_mean"]
    (0.25, 0.5, None, 7.0)
    """
    table = _checked(samples)
    verdict = pl.col("verdict")
    counted = (
        table.lazy()
        .group_by(_PROBLEM)
        .agg(
            pl.col("level").first(),
            pl.col("level").n_unique().alias("levels"),
            pl.len().cast(pl.Int64).alias("n"),
            (verdict == "correct").sum().cast(pl.Int64).alias("c"),
            (verdict == "truncated").sum().cast(pl.Int64).alias("truncated"),
            (verdict == "no_answer").sum().cast(pl.Int64).alias("no_answer"),
        )
        .collect(engine="streaming")  # else the whole table is copied
    )
    torn = counted.filter(pl.col("levels") > 1).sort(_PROBLEM)
    if torn.height:
        name = "/".join(torn.select(_PROBLEM).row(0))
        raise InvalidDataError(f"samples of problem {name} carry different levels; a problem has one level or null")
    answers = answer_table(table.select(*_PROBLEM, "answer"), _PROBLEM)
    problems = counted.drop("levels").join(answers, on=_PROBLEM, how="left").sort(_PROBLEM)
    values = count_values(problems)
    lengths = table["length"].to_numpy()
    for name, group in LENGTHS.items():
        if _stored(name):
            values[name] = _mean(table.select(pl.col("length").filter(group)).to_series().to_numpy())
    values |= {f"length_{name}": _number(np.quantile(lengths, q)) for name, q in (("median", 0.5), ("p95", 0.95))}
    values["agreement_mean"] = _mean(problems["agreement"].to_numpy())
    values |= {name: _per_token(table, column) for name, column in PER_TOKEN.items() if _stored(name)}
    return Measurement(problems.drop("agreement"), values)


def count_values(problems: pl.DataFrame) -> dict[str, float | int | None]:
    """Return the values that follow from the problems table alone: any subset of it gives its own.

    Parameters
    ----------
    problems : polars.DataFrame
        Columns n and c; optional level, truncated, no_answer, distinct_answers.

    Returns
    -------
    dict of str to float, int or None
        pass_at_k for k in MEASURED_KS (None where the smallest n < k, so that every k is a mean over the same
        problems), pass_at_1_se, pass_at_1_easy / _medium / _hard (see `level_parts`), truncated_share,
        no_answer_share, distinct_answers_mean, reward_variance, zero_variance_share_g8 and _g16,
        samples_per_problem (smallest n), problems_count. None where a column is missing or n is too small.

    Raises
    ------
    InvalidDataError
        If there is no problem, or counts are impossible.

    Examples
    --------
    >>> values = count_values(pl.DataFrame({"n": [8, 8], "c": [4, 0]}))
    >>> values["pass_at_1"], values["pass_at_8"], values["pass_at_16"], values["zero_variance_share_g8"]
    (0.25, 0.5, None, 0.5)
    """
    if problems.height == 0:
        raise InvalidDataError("there is no problem to measure: the table of problems is empty")
    n, c = problems["n"].to_numpy(), problems["c"].to_numpy()
    smallest = int(n.min())
    passed = pass_at_k(n, c, np.array(MEASURED_KS))
    values: dict[str, float | int | None] = {
        f"pass_at_{k}": _mean(passed[:, column]) for column, k in enumerate(MEASURED_KS)
    }
    values["pass_at_1_se"] = _number(standard_error_of_mean(passed[:, 0]))
    levels = problems["level"] if "level" in problems.columns else None
    parts = None if levels is None or levels.null_count() else level_parts(levels.to_numpy())
    for part, name in enumerate(("easy", "medium", "hard")):
        values[f"pass_at_1_{name}"] = None if parts is None else _mean(passed[parts == part, 0])
    for name, of_problems in OF_PROBLEMS.items():
        if _stored(name):
            of_each = of_problems(problems)
            values[name] = None if of_each is None else _mean(of_each)
    values["samples_per_problem"] = smallest
    values["problems_count"] = problems.height
    return values


def level_parts(level: ArrayLike) -> NDArray[np.int64]:
    """Return the part of each problem: 0 easy, 1 medium, 2 hard, by terciles of the suite's levels.

    All problems of a level go to one part. It is the part in which the level's first problem lies when the problems
    are sorted by level: easy if less than a third of the problems have a lower level, medium if less than two thirds
    have, else hard. A level across a border thus goes to the easier part, and with fewer than three levels a part may
    be empty.

    Parameters
    ----------
    level : array_like of int, shape (problems,)

    Returns
    -------
    ndarray of int64, shape (problems,)

    Examples
    --------
    >>> level_parts([1, 2, 3, 4, 5, 6])
    array([0, 0, 1, 1, 2, 2])
    >>> level_parts([3, 3, 3])
    array([0, 0, 0])
    """
    levels = np.asarray(level)
    _, inverse, counts = np.unique(levels, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    # In whole numbers, so that a border that is met exactly starts the next part on every machine.
    part = (3 * below >= levels.size).astype(np.int64) + (3 * below >= 2 * levels.size)
    return np.asarray(part[inverse.reshape(-1)], dtype=np.int64)


def _checked(samples: pl.DataFrame) -> pl.DataFrame:
    """Return the needed columns in their types, or say what is wrong with them."""
    missing = [name for name in _REQUIRED if name not in samples.columns]
    if missing:
        raise InvalidDataError(f"the samples lack column '{missing[0]}'; they have {', '.join(samples.columns)}")
    if samples.height == 0:
        raise InvalidDataError("there is no sample to measure: the table of samples is empty")
    columns = []
    for name, dtype in (_REQUIRED | _OPTIONAL).items():
        if name not in samples.columns:
            columns.append(pl.Series(name, [None] * samples.height, dtype=dtype))
            continue
        try:
            column = samples[name].cast(dtype)
        except pl.exceptions.PolarsError:
            raise InvalidDataError(f"samples column '{name}' must be {dtype}, got {samples[name].dtype}") from None
        if samples[name].dtype.is_float() and not (column.cast(pl.Float64) == samples[name]).all():
            raise InvalidDataError(f"samples column '{name}' must be {dtype}, got fractions")
        if name not in _NULLABLE and column.null_count():
            at = column.is_null().arg_max()
            raise InvalidDataError(f"samples column '{name}' is null in row {at}; every sample needs one")
        columns.append(column)
    table = pl.DataFrame(columns)
    unknown = [verdict for verdict in table["verdict"].unique(maintain_order=True) if verdict not in VERDICTS]
    if unknown:
        raise InvalidDataError(f"unknown verdict '{unknown[0]}' in the samples; known: {', '.join(VERDICTS)}")
    each = table.lazy().group_by(_PROBLEM).agg(pl.col("sample").n_unique())
    different = each.select(pl.col("sample").sum()).collect(engine="streaming").item()
    if different != table.height:  # which, takes as much memory again as the table
        doubled = table.select(*_PROBLEM, "sample").is_duplicated()
        benchmark, problem, sample = table.select(*_PROBLEM, "sample").row(int(doubled.arg_max() or 0))
        raise InvalidDataError(f"sample {sample} of problem {benchmark}/{problem} stands more than once")
    return table


def _stored(name: str) -> bool:
    """Say whether the table has a column for a statistic."""
    return f"pre_{name}" in BY_NAME


def _per_token(table: pl.DataFrame, column: str) -> float | None:
    """Return the sum of `column` over the count of tokens, over samples that have both."""
    whole = table.select(column, "tokens").filter(pl.col(column).is_not_null() & pl.col("tokens").is_not_null())
    tokens = int(whole["tokens"].sum())
    return None if tokens == 0 else _number(float(whole[column].sum()) / tokens)


def _mean(values: NDArray[np.generic]) -> float | None:
    """Return the mean, None if there is no value or one of them is NaN."""
    return None if values.size == 0 else _number(float(np.mean(np.asarray(values, dtype=np.float64))))


def _number(value: float) -> float | None:
    """Return a finite number, or None: the table and JSON have nulls, not NaN."""
    return float(value) if np.isfinite(value) else None
