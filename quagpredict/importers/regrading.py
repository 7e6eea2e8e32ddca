"""Grade the responses of an import again, with quagpredict's own grader."""

import re

import polars as pl

from quagpredict.answers import GradingPolicy, grade_many
from quagpredict.answers.extract import last_box
from quagpredict.answers.statements import last_statement
from quagpredict.errors import InvalidDataError

_LETTER = re.compile(r"\(?[A-Ja-j]\)?\.?")
_CODE = re.compile(r"^\s*(?:def |class |import |from \w+ import |assert |METADATA\b|check\()|^\s*```", re.MULTILINE)
_WHOLE = re.compile(r"####|\\boxed|\\fbox")
_MOST_WITHOUT_LETTER = 0.5


def answer_of_gold(gold: str) -> str:
    r"""Return the answer of a gold that is a whole solution, ending in ``\boxed{}`` or ``#### N``; others as they are.

    Examples
    --------
    >>> answer_of_gold("1+1 = <<1+1=2>>2\n#### 2"), answer_of_gold("so $x=\\boxed{\\frac12}$."), answer_of_gold("3/4")
    ('2', '\\frac12', '3/4')
    """
    if not _WHOLE.search(gold):
        return gold
    lines = gold.rstrip().splitlines()
    if lines and lines[-1].lstrip().startswith("####"):
        return last_statement(lines[-1].strip()) or gold
    return last_box(gold) or gold


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
    _check(problems)
    golds = [answer_of_gold(gold) for gold in problems["gold"]]
    sizes = problems["n"].to_list()
    texts = problems["responses"].explode(empty_as_null=False, keep_nulls=False).fill_null("").to_list()
    cut = [
        flag
        for flags, n in zip(problems["truncated"].to_list(), sizes, strict=True)
        for flag in (flags if flags and len(flags) == n else [False] * n)
    ]
    grades = grade_many(
        texts,
        [gold for gold, n in zip(golds, sizes, strict=True) for _ in range(n)],
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
    _check_letters(table, golds)
    verdict = pl.col("verdict")
    counted = table.group_by("problem", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n"),
        (verdict == "correct").sum().cast(pl.Int64).alias("c"),
        (verdict == "truncated").sum().cast(pl.Int64).alias("truncated"),
        (verdict == "no_answer").sum().cast(pl.Int64).alias("no_answer"),
        pl.col("answer").drop_nulls().n_unique().cast(pl.Int64).alias("distinct_answers"),
    )
    return problems.select("benchmark", "problem_id").hstack(counted.drop("problem"))


def _check(problems: pl.DataFrame) -> None:
    lacking = problems.filter((pl.col("responses").list.len().fill_null(0) != pl.col("n")) | pl.col("gold").is_null())
    if lacking.height:
        row = lacking.row(0, named=True)
        what = "gold answer" if len(row["responses"] or []) == row["n"] else "responses"
        raise InvalidDataError(
            f"problem '{row['problem_id']:.60}' of '{row['benchmark']}' cannot be graded again: the file has no {what}"
        )
    for benchmark, name, gold in problems.select("benchmark", "problem_id", "gold").rows():
        if _CODE.search(gold):
            raise InvalidDataError(
                f"problem '{name:.60}' of '{benchmark}' cannot be graded again: its gold answer is code ({gold!r:.60}) "
                "that has to be run; take the tool's own verdicts"
            )
        if len(answer_of_gold(gold).strip().splitlines()) > 1 and "\\begin{" not in gold:
            raise InvalidDataError(
                f"problem '{name:.60}' of '{benchmark}' cannot be graded again: its gold answer is a whole text "
                f"({gold!r:.60}) that does not end in \\boxed{{}} or '#### ANSWER'"
            )


def _check_letters(grades: pl.DataFrame, golds: list[str]) -> None:
    """Refuse golds that are the letters of options where the responses answer in other words."""
    letters = [number for number, gold in enumerate(golds) if _LETTER.fullmatch(gold.strip())]
    answers = grades.filter(pl.col("problem").is_in(letters))["answer"].drop_nulls()
    if len(letters) < max(1, len(golds) / 2) or answers.is_empty():
        return
    without = 1 - answers.str.contains(r"^\(?[A-Ja-j]\)?\.?$").mean()  # type: ignore[operator]
    if without > _MOST_WITHOUT_LETTER:
        raise InvalidDataError(
            f"the gold answers are letters of options (such as '{golds[letters[0]]}'), and {without:.0%} of the "
            "answers name no letter: they cannot be graded again; take the tool's own verdicts"
        )
