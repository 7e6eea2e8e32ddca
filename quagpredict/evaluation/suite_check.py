"""Prove a suite: every gold is read, and a response that states the gold in a box is graded correct."""

import polars as pl

from quagpredict.answers import grade_many
from quagpredict.evaluation.suite import Suite


def check_suite(suite: Suite) -> pl.DataFrame:
    r"""Return one row a benchmark: how many problems it has, and what became of their golds.

    Each gold is stated the way a response would: in ``\boxed{}`` where the policy reads boxes, as "the answer is" where
    it reads statements alone, at the very end under last_digits. It is graded under the benchmark's own policy.

    Parameters
    ----------
    suite : Suite

    Returns
    -------
    polars.DataFrame
        Columns benchmark, problems, correct, not_correct (list of "id: verdict, gold").

    Examples
    --------
    >>> from quagpredict.evaluation import read_suite
    >>> from quagpredict.shipped import shipped_path
    >>> found = check_suite(read_suite(shipped_path("collectors/suites/lab-pilot.yaml")))
    >>> found.select("benchmark", "problems", "correct").rows()
    [('plain', 64, 64), ('times', 48, 48), ('shift', 48, 48)]
    """
    rows = []
    for benchmark in dict.fromkeys(problem.benchmark for problem in suite.problems):
        problems = [problem for problem in suite.problems if problem.benchmark == benchmark]
        policy = suite.grading_of(benchmark)
        stated = {"last_digits": "{}", "stated": "The answer is {}"}.get(policy.extraction, "So it is $\\boxed{{{}}}$.")
        responses = [stated.format(problem.answer) for problem in problems]
        grades = grade_many(responses, [problem.answer for problem in problems], policy=policy)
        failed = [
            f"{problem.problem_id}: {grade.verdict}, gold {problem.answer!r}"
            for problem, grade in zip(problems, grades, strict=True)
            if grade.verdict != "correct"
        ]
        rows.append((benchmark, len(problems), len(problems) - len(failed), failed))
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "benchmark": pl.String,
        "problems": pl.Int64,
        "correct": pl.Int64,
        "not_correct": pl.List(pl.String),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
