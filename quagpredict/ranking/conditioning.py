"""Learn from candidates whose RL is finished: condition the belief on what RL gave them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quagpredict.ranking.belief import Belief
from quagpredict.surrogates.transforms import parse_transform

Floats = NDArray[np.float64]

#: Prior deviation of an offset that a group of candidates shares, in units of the largest deviation of a candidate:
#: wide, so that the results decide.
OFFSET = 3.0


def condition(belief: Belief, score: Floats, *, offset_of: NDArray[np.int64] | None = None) -> Belief:
    """Return the belief after seeing the score of some candidates.

    The finished candidates' scores are known from then on. What they say about the shared errors moves and narrows
    the predictions of the others, and their misses set the scale of the remaining errors. For a linear surrogate
    without target transform this gives what a fit on the training rows and the finished candidates together would:
    it is the conjugate update of a linear regression.

    Parameters
    ----------
    belief : Belief
    score : array (n,)
        Score after RL in the unit of the target; NaN where it is not known. Scores of candidates about which nothing is
        predicted, or whose transformed score is not finite, become known and teach nothing.
    offset_of : array (n,), optional
        Number of a group of candidates that lie beside the surrogate's training runs (another base model, another RL
        recipe); -1 for candidates that do not. Each group gets an offset of its own, learnt from its results.

    Examples
    --------
    >>> from quagpredict.testing.beliefs import independent
    >>> belief = independent(np.array([0.5, 0.6]), np.array([0.1, 0.1]))
    >>> shared = replace(belief, shared=np.array([[0.1], [0.1]]), own=np.array([0.01, 0.01]))
    >>> condition(shared, np.array([0.4, np.nan])).merits().round(2)
    array([0.4, 0.5])
    """
    if offset_of is not None:
        belief = _with_offsets(belief, offset_of)
    t = parse_transform(belief.target_transform).forward(score)
    seen = np.flatnonzero(np.isfinite(t) & np.isfinite(belief.mean) & np.isfinite(belief.own) & (belief.own > 0))
    results = np.where(np.isfinite(score), score, belief.known)
    if not len(seen):
        return replace(belief, known=results)
    loadings = belief.shared[seen] / belief.own[seen, None]
    miss = (t[seen] - belief.mean[seen]) / belief.own[seen]
    precision = np.eye(loadings.shape[1]) + loadings.T @ loadings
    root = np.linalg.cholesky(precision)
    moved = np.linalg.solve(precision, loadings.T @ miss)
    # shared @ inverse(root).T has the posterior covariance shared @ inverse(precision) @ shared.T.
    shared = np.linalg.solve(root, belief.shared.T).T
    squared_miss = float(miss @ miss - miss @ loadings @ moved)
    df, scale, factor = belief.degrees_of_freedom, 1.0, belief.t_factor
    if np.isfinite(df):
        from scipy.special import stdtrit

        scale = float(np.sqrt((df + squared_miss) / (df + len(seen))))
        factor *= float(stdtrit(df + len(seen), 0.95) / stdtrit(df, 0.95))
        df += len(seen)
    return replace(
        belief,
        mean=belief.mean + belief.shared @ moved,
        shared=scale * shared,
        own=scale * belief.own,
        degrees_of_freedom=df,
        t_factor=factor,
        known=results,
    )


def _with_offsets(belief: Belief, offset_of: NDArray[np.int64]) -> Belief:
    groups = np.unique(offset_of[offset_of >= 0])
    if not len(groups):
        return belief
    deviations = np.sqrt((belief.shared**2).sum(axis=1) + belief.own**2)
    size = OFFSET * float(np.nanmax(np.where(np.isfinite(deviations), deviations, np.nan)))
    return replace(belief, shared=np.hstack([belief.shared, size * (offset_of[:, None] == groups)]))
