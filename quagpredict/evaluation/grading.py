"""Verdicts for stored samples: graded again whenever asked, because grading is cheap and drawing is not."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import polars as pl

from quagpredict.answers import grade_many
from quagpredict.evaluation.drawing import problem_key
from quagpredict.evaluation.samples import SampleStore
from quagpredict.evaluation.sources import Problem
from quagpredict.evaluation.suite import Suite
from quagpredict.optional import require

# Samples whose texts are held in memory at once.
_SAMPLES = 200_000
SAMPLE_COLUMNS = (
    *("benchmark", "problem_id", "level", "sample", "seed", "verdict", "answer", "length", "finish_reason"),
    *("log_prob_sum", "entropy_sum", "tokens"),
)


def check_grading(suite: Suite) -> None:
    """Refuse a suite whose answers nothing installed here can grade, before any is drawn.

    Raises
    ------
    MissingExtraError
        If a policy is symbolic and Math-Verify is not installed.
    """
    policies = {suite.grading_of(problem.benchmark) for problem in suite.problems}
    symbolic = any(policy.symbolic and policy.extraction != "last_digits" for policy in policies)
    if symbolic and find_spec("math_verify") is None:
        require("math_verify")


def graded_samples(store: SampleStore, suite: Suite, counts: Mapping[Problem, int]) -> pl.DataFrame:
    """Return the graded samples of a suite's problems, without their texts.

    All samples of a problem are graded in one call, so that each distinct answer is compared with the gold once.

    Parameters
    ----------
    counts : mapping
        Problem -> how many samples, from index 0; more that are in the store are left alone.

    Returns
    -------
    polars.DataFrame
        One row a sample: benchmark, problem_id, level, sample, seed, verdict, answer,
        length, finish_reason, log_prob_sum, entropy_sum, tokens (how many; null where the sums are not known).
    """
    # Longest prompts first, then as in the suite: one order, and so one rounding of sums, whatever was drawn when. It
    # is also the order in which samples are drawn, so that each part of the store is read for one group, or two.
    lengths = store.prompt_tokens()
    groups: list[list[Problem]] = [[]]
    held = 0
    for problem in sorted(counts, key=lambda problem: -lengths.get(problem_key(problem), 0)):
        if groups[-1] and held + counts[problem] > _SAMPLES:
            groups.append([])
            held = 0
        groups[-1].append(problem)
        held += counts[problem]
    return pl.concat([_graded(store, suite, group, counts) for group in groups])


def _graded(
    store: SampleStore, suite: Suite, problems: Sequence[Problem], counts: Mapping[Problem, int]
) -> pl.DataFrame:
    asked = pl.DataFrame(
        {
            "key": [problem_key(problem) for problem in problems],
            "gold": [problem.answer for problem in problems],
            "level": [problem.level for problem in problems],
            "wanted": [counts[problem] for problem in problems],
            "position": range(len(problems)),
        },
        schema_overrides={"level": pl.Int64},
    )
    rows = (
        store.scan(asked["key"].to_list())
        .select(pl.exclude("tokens"))
        .join(asked.lazy(), on="key")
        .filter(pl.col("sample") < pl.col("wanted"))
        .collect()
    )
    graded = [_with_grades(part, suite) for part in rows.partition_by("benchmark")]
    return pl.concat(graded).sort("position", "sample").select(SAMPLE_COLUMNS)


def _with_grades(rows: pl.DataFrame, suite: Suite) -> pl.DataFrame:
    """Return samples of one benchmark with verdict and answer, without their texts."""
    grades = grade_many(
        rows["response"].to_list(),
        rows["gold"].to_list(),
        finish_reasons=rows["finish_reason"].to_list(),
        policy=suite.grading_of(rows["benchmark"][0]),
    )
    has_log_prob = pl.col("log_prob_sum").is_not_null()
    return rows.drop("response", "gold").with_columns(
        pl.Series("verdict", [str(grade.verdict) for grade in grades], pl.String),
        pl.Series("answer", [grade.answer for grade in grades], pl.String),
        pl.when(has_log_prob).then("length").alias("tokens"),
    )
