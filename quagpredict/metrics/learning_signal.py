"""How much signal a problem's rewards hold for GRPO: variance, and groups in which all rewards are equal."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError
from quagpredict.metrics.coverage import checked_counts, no_success_at_k


def zero_variance_share(n: ArrayLike, c: ArrayLike, group_size: int) -> NDArray[np.float64]:
    """Return the unbiased expected share of GRPO groups whose 0/1 rewards are all equal, for each problem.

    Such a group has no advantage and gives no gradient. Of the subsets of G of the n samples, C(c, G) are all correct
    and C(n-c, G) all wrong: the share is [C(c, G) + C(n-c, G)] / C(n, G).

    Parameters
    ----------
    n, c : array_like of int, shape (problems,)
        Samples and correct samples of each problem.
    group_size : int
        G, completions of one prompt in a GRPO group.

    Returns
    -------
    ndarray, shape of the counts
        Fractions 0-1; NaN where n < G. The share of a suite is the mean over problems.

    Raises
    ------
    InvalidDataError
        For impossible counts (the position is named) or a group size below 1.

    References
    ----------
    The estimator of Chen et al., arXiv 2107.03374 (2021), equation 1, applied to correct and to wrong samples; groups
    without variance are those that DAPO (Yu et al., arXiv 2503.14476, section 3.2) filters out.

    Examples
    --------
    >>> zero_variance_share([4, 4, 4, 1], [0, 2, 4, 1], 2).round(6)
    array([1.      , 0.333333, 1.      ,      nan])
    """
    if group_size < 1:
        raise InvalidDataError(f"group_size must be at least 1, got {group_size}")
    samples, correct = checked_counts(n, c)
    flat_n, flat_c, k = samples.reshape(-1), correct.reshape(-1), np.array([group_size])
    share = no_success_at_k(flat_n, flat_c, k) + no_success_at_k(flat_n, flat_n - flat_c, k)
    # One sample is both the first all-correct and the first all-wrong subset: G = 1 sums to 1, never above.
    return np.minimum(share, 1.0).reshape(samples.shape)


def reward_variance(n: ArrayLike, c: ArrayLike) -> NDArray[np.float64]:
    """Return the unbiased estimate c(n-c) / (n(n-1)) of the variance p(1-p) of a 0/1 reward, for each problem.

    Parameters
    ----------
    n, c : array_like of int, shape (problems,)
        Samples and correct samples of each problem.

    Returns
    -------
    ndarray, shape of the counts
        Between 0 and 0.5 (0.25 in the limit of many samples); NaN where n < 2.

    Raises
    ------
    InvalidDataError
        For impossible counts (the position is named).

    Examples
    --------
    >>> reward_variance([4, 4, 1], [2, 0, 1]).round(6)
    array([0.333333, 0.      ,      nan])
    """
    samples, correct = checked_counts(n, c)
    s, r = samples.astype(np.float64), correct.astype(np.float64)
    return np.where(samples >= 2, r * (s - r) / np.maximum(s * (s - 1), 1.0), np.nan)
