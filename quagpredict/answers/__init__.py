"""Text to final answer to verdict: one grader for the evaluation and for the GRPO reward."""

from quagpredict.answers.extract import extract
from quagpredict.answers.grading import DEFAULT, VERDICTS, Grade, Verdict, grade, grade_many, readable_gold
from quagpredict.answers.policy import GradingPolicy

__all__ = [
    "DEFAULT",
    "VERDICTS",
    "Grade",
    "GradingPolicy",
    "Verdict",
    "extract",
    "grade",
    "grade_many",
    "readable_gold",
]
