"""From a belief to chances: who is best, who is among the best, what a choice costs, who clears a gate."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.ranking.belief import Belief, Draws

DRAWS = 4000
# Numbers drawn at once: bounds the memory for very many candidates.
_AT_ONCE = 2_000_000


class Bar(NamedTuple):
    """What a candidate has to reach: a merit, or the merit of another candidate and a margin."""

    threshold: float  #: Merit to reach; NaN if another candidate is the bar.
    #: (n,): Row of the candidate to beat; -1 where there is none. Not used with a threshold.
    reference: NDArray[np.int64]
    margin: float  #: By how much it must be beaten.


class Chances(NamedTuple):
    """What a choice of each candidate promises, each of shape (n,); NaN where nothing is predicted."""

    p_best: Floats  #: Probability that the candidate has the best score after RL; sums to 1.
    p_top: Floats  #: Probability that it is among the best m.
    expected_regret: Floats  #: Expected best score minus its score, in the unit of the scores; never below 0.
    #: Probability that it clears the bar; NaN without one, and for a candidate that is itself the reference.
    p_clear: Floats
    p_any_clears: float  #: Probability that at least one candidate clears it; NaN without one.


def chances(belief: Belief, *, top_m: int = 3, bar: Bar | None = None, draws: int = DRAWS, seed: int = 0) -> Chances:
    """Estimate the chances of each candidate by seeded draws from the joint distribution.

    Parameters
    ----------
    belief : Belief
        A candidate about which nothing is believed (NaN) gets NaN and does not count for the others. No candidates
        give empty arrays.
    top_m : int
        Size of the group of best candidates; all are in it if there are no more.
    bar : Bar, optional
        What a candidate has to reach.
    draws : int
        The standard error of a probability is at most ``0.5 / sqrt(draws)``, .008 for 4,000.
    seed : int
        The same seed gives the same chances.

    Examples
    --------
    >>> import numpy as np
    >>> from quagpredict.testing.beliefs import independent
    >>> both = chances(independent(np.array([0.5, 0.5, np.nan]), np.array([0.1, 0.1, np.nan])), top_m=1)
    >>> both.p_best.round(1), bool((both.p_best == both.p_top)[:2].all())
    (array([0.5, 0.5, nan]), True)
    """
    usable = np.flatnonzero(belief.usable)
    n, size = len(usable), len(belief.mean)
    if n == 0:
        nothing = np.full(size, np.nan)
        return Chances(nothing, nothing, nothing, nothing, float("nan"))
    top_m = min(top_m, n)
    part = belief if n == size else belief.take(usable)
    references = _references(bar, usable, size)
    random = np.random.default_rng(seed)
    wins, tops, total, clears = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    best, any_clears = 0.0, 0.0
    block = max(_AT_ONCE // n, 1)
    for start in range(0, draws, block):
        merits = part.draw(random, min(block, draws - start))
        winner = merits.argmax(axis=1)
        wins += np.bincount(winner, minlength=n)
        tops += _among_best(merits, top_m)
        if bar is not None:
            over = _over(merits, bar, references)
            clears += over.sum(axis=0)
            any_clears += float(over.any(axis=1).sum())
        inside = part.bounded(merits)
        best += float(inside[np.arange(len(inside)), winner].sum(dtype=np.float64))
        total += inside.sum(axis=0, dtype=np.float64)
    # Draws differ; known results may be equal, and the first of these took what is won by all.
    results = part.result if not part.minimize else -part.result
    if np.isfinite(results).any():
        first = results == np.nanmax(results)
        wins[first] = wins[first].sum() / first.sum()
    if bar is not None:
        clears[~_judged(bar, references)] = np.nan
    else:
        clears[:] = np.nan

    def spread(values: Floats) -> Floats:
        whole = np.full(size, np.nan)
        whole[usable] = values / draws
        return whole

    return Chances(
        p_best=spread(wins),
        p_top=spread(tops),
        expected_regret=spread(np.maximum(best - total, 0.0)),
        p_clear=spread(clears),
        p_any_clears=any_clears / draws if bar is not None else float("nan"),
    )


def _among_best(merits: Draws, m: int) -> Floats:
    """Return how often each candidate is among the best m of a draw."""
    n = merits.shape[1]
    if m >= n:
        return np.full(n, float(len(merits)))
    border = np.partition(merits, n - m, axis=1)[:, [n - m]]
    above, tied = merits > border, merits == border
    # Equal scores share the places that are left: known results may be equal.
    share = (m - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    return np.asarray((above + tied * share).sum(axis=0), dtype=np.float64)


def _references(bar: Bar | None, usable: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the reference rows in terms of the usable rows, (n,); -1 where there is none."""
    if bar is None:
        return np.zeros(0, dtype=np.int64)
    reference = np.full(size + 1, -1)
    reference[usable] = np.arange(len(usable))
    return np.asarray(reference[bar.reference[usable]], dtype=np.int64)  # -1 is the last place, which stays -1


def _judged(bar: Bar, references: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows the bar is for: with a reference, those that have one and are not their own."""
    rows = np.arange(len(references))
    return np.full(len(rows), True) if np.isfinite(bar.threshold) else (references >= 0) & (references != rows)


def _over(merits: Draws, bar: Bar, references: NDArray[np.int64]) -> NDArray[np.bool_]:
    if np.isfinite(bar.threshold):
        return np.asarray(merits >= np.float32(bar.threshold))
    over: NDArray[np.bool_] = merits >= merits[:, references] + np.float32(bar.margin)
    over[:, ~_judged(bar, references)] = False
    return over
