"""Measuring a checkpoint: suites of problems, samples to counts, held-out loss."""

from quagpredict.evaluation.overlap import Documents, Overlap, OverlapCheck, overlap_check, overlaps
from quagpredict.evaluation.samples import read_samples
from quagpredict.evaluation.score import Score, score_checkpoint
from quagpredict.evaluation.sources import HeldOut, Problem
from quagpredict.evaluation.suite import Suite, check_suite, read_suite
from quagpredict.evaluation.summary import summarise

__all__ = [
    "Documents",
    "HeldOut",
    "Overlap",
    "OverlapCheck",
    "Problem",
    "Score",
    "Suite",
    "check_suite",
    "overlap_check",
    "overlaps",
    "read_samples",
    "read_suite",
    "score_checkpoint",
    "summarise",
]
