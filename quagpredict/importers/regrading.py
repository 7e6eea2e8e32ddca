"""Grade the responses of an import again, with quagpredict's own grader."""

import polars as pl

from quagpredict.answers import GradingPolicy, grade_many, readable_gold
from quagpredict.errors import InvalidDataError

_MOST_WITHOUT_LETTER = 0.5


def regraded(problems: pl.DataFrame, policy: GradingPolicy) -> pl.DataFrame:
    """Return the counts of problems by our grader.

    Parameters
    ----------
    problems : polars.DataFrame
        One row a problem: benchmark, problem_id, n, responses, gold, truncated.
    policy : GradingPolicy

    Returns
    -------
    polars.DataFrame
        benchmark, problem_id, n, c, truncated, no_answer, distinct_answers.

    Raises
    ------
    InvalidDataError
        If a problem has no responses or no gold answer, or its gold is one that this grader cannot grade by: code, a
        solution without a final answer, the letter of an option where the responses name none.
    """
    _check(problems, policy)
    sizes = problems["n"].to_list()
    texts = problems["responses"].explode(empty_as_null=False, keep_nulls=False).fill_null("").to_list()
    cut = [
        flag
        for flags, n in zip(problems["truncated"].to_list(), sizes, strict=True)
        for flag in (flags if flags and len(flags) == n else [False] * n)
    ]
    grades = grade_many(
        texts,
        [gold for gold, n in zip(problems["gold"], sizes, strict=True) for _ in range(n)],
        finish_reasons=["length" if flag else "stop" for flag in cut],
        policy=policy,
    )
    table = pl.DataFrame(
        {
            "problem": [number for number, n in enumerate(sizes) for _ in range(n)],
            "verdict": [grade.verdict for grade in grades],
            "answer": pl.Series([grade.answer for grade in grades], dtype=pl.String),
        }
    )
    _check_letters(table)
    verdict = pl.col("verdict")
    counted = table.group_by("problem", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n"),
        (verdict == "correct").sum().cast(pl.Int64).alias("c"),
        (verdict == "truncated").sum().cast(pl.Int64).alias("truncated"),
        (verdict == "no_answer").sum().cast(pl.Int64).alias("no_answer"),
        pl.col("answer").drop_nulls().n_unique().cast(pl.Int64).alias("distinct_answers"),
    )
    return problems.select("benchmark", "problem_id").hstack(counted.drop("problem"))


def _check(problems: pl.DataFrame, policy: GradingPolicy) -> None:
    lacking = problems.filter((pl.col("responses").list.len().fill_null(0) != pl.col("n")) | pl.col("gold").is_null())
    if lacking.height:
        row = lacking.row(0, named=True)
        what = "gold answer" if len(row["responses"] or []) == row["n"] else "responses"
        raise InvalidDataError(
            f"problem '{row['problem_id']:.60}' of '{row['benchmark']}' cannot be graded again: the file has no {what}"
        )
    for benchmark, name, gold in problems.select("benchmark", "problem_id", "gold").rows():
        readable_gold(gold, policy, f"'{name:.60}' of '{benchmark}'")


def _check_letters(grades: pl.DataFrame) -> None:
    """Refuse golds that are the letters of options where most answers name none: the grader calls that an error."""
    answered = grades.filter(pl.col("answer").is_not_null())
    without = 0.0 if answered.is_empty() else (answered["verdict"] == "error").sum() / answered.height
    if without > _MOST_WITHOUT_LETTER:
        raise InvalidDataError(
            f"the gold answers are letters of options, and {without:.0%} of the answers name no letter: they cannot be "
            "graded again; take the tool's own verdicts"
        )
