"""Text to final answer to verdict: one grader for the evaluation and for the GRPO reward."""

from quagpredict.answers.extract import extract
from quagpredict.answers.golds import readable_gold
from quagpredict.answers.grading import DEFAULT, Grade, grade, grade_many
from quagpredict.answers.policy import GradingPolicy
from quagpredict.answers.verdict import VERDICTS, Verdict

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
