"""Counts, lengths and log-probabilities to numbers with errors."""

from quagpredict.metrics.coverage import PassAtKCurve, pass_at_k, pass_at_k_curve
from quagpredict.metrics.held_out_loss import HeldOutLoss, token_weighted_loss
from quagpredict.metrics.learning_signal import reward_variance, zero_variance_share
from quagpredict.metrics.majority_vote import maj_at_k
from quagpredict.metrics.measurement import MEASURED_KS, Measurement, count_values, level_parts, measurement
from quagpredict.metrics.responses import Majority, majority
from quagpredict.metrics.uncertainty import bootstrap_means, ratio_standard_error, standard_error_of_mean

__all__ = [
    "MEASURED_KS",
    "HeldOutLoss",
    "Majority",
    "Measurement",
    "PassAtKCurve",
    "bootstrap_means",
    "count_values",
    "level_parts",
    "maj_at_k",
    "majority",
    "measurement",
    "pass_at_k",
    "pass_at_k_curve",
    "ratio_standard_error",
    "reward_variance",
    "standard_error_of_mean",
    "token_weighted_loss",
    "zero_variance_share",
]
