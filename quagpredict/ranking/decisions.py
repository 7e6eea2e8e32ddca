"""From predictive distributions to chances: who is best, and what a choice costs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 4000
# Numbers drawn at once: bounds the memory for very many candidates.
_AT_ONCE = 2_000_000


class Chances(NamedTuple):
    """What a choice of each candidate promises, both of shape (n,).

    Attributes
    ----------
    p_best : array
        Probability that the candidate has the best score after RL; sums to 1.
    expected_regret : array
        Expected best score minus its score, in the unit of the scores; never below 0.
    """

    p_best: Floats
    expected_regret: Floats


def chances(mean: Floats, std: Floats, *, draws: int = DRAWS, seed: int = 0) -> Chances:
    """Estimate the chances of each candidate by seeded draws from independent normal distributions.

    Parameters
    ----------
    mean, std : array (n,)
        Predictive mean and standard deviation. NaN where nothing is predicted: such a candidate gets NaN and does
        not count for the others. No candidates give empty arrays.
    draws : int
        The standard error of ``p_best`` is at most ``0.5 / sqrt(draws)``, .008 for 4,000.
    seed : int
        The same seed gives the same chances.

    Examples
    --------
    >>> import numpy as np
    >>> both = chances(np.array([0.5, 0.5, np.nan]), np.array([0.1, 0.1, np.nan]))
    >>> both.p_best.round(1)
    array([0.5, 0.5, nan])
    """
    known = np.isfinite(mean) & np.isfinite(std)
    p_best, regret = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    n = int(known.sum())
    if n == 0:
        return Chances(p_best, regret)
    # Single precision draws twice as fast, and its rounding is far below the noise of the draws.
    center, spread = mean[known].astype(np.float32), std[known].astype(np.float32)
    random = np.random.default_rng(seed)
    wins, total, best = np.zeros(n), np.zeros(n), 0.0
    block = max(_AT_ONCE // n, 1)
    for start in range(0, draws, block):
        scores = center + spread * random.standard_normal((min(block, draws - start), n), dtype=np.float32)
        winner = scores.argmax(axis=1)
        wins += np.bincount(winner, minlength=n)
        best += float(scores[np.arange(len(scores)), winner].sum(dtype=np.float64))
        total += scores.sum(axis=0, dtype=np.float64)
    p_best[known] = wins / draws
    regret[known] = np.maximum(best - total, 0.0) / draws
    return Chances(p_best, regret)
