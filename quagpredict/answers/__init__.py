"""Text to final answer to verdict: one grader for the evaluation and for the GRPO reward."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.answers.golds import readable_gold as readable_gold
    from quagpredict.answers.grading import DEFAULT as DEFAULT
    from quagpredict.answers.grading import Grade as Grade
    from quagpredict.answers.grading import grade as grade
    from quagpredict.answers.grading import grade_many as grade_many
    from quagpredict.answers.policy import VERDICTS as VERDICTS
    from quagpredict.answers.policy import GradingPolicy as GradingPolicy
    from quagpredict.answers.policy import Verdict as Verdict

# Measurements need the verdicts alone, and nothing of the grader.
__getattr__, __dir__, __all__ = lazy_names(__name__)
