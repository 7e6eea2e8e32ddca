"""Measuring a checkpoint: suites of problems, samples to counts, held-out loss."""

from quagpredict.evaluation.score import Score, score_checkpoint
from quagpredict.evaluation.sources import HeldOut, Problem
from quagpredict.evaluation.suite import Suite, read_suite
from quagpredict.evaluation.summary import summarise

__all__ = ["HeldOut", "Problem", "Score", "Suite", "read_suite", "score_checkpoint", "summarise"]
