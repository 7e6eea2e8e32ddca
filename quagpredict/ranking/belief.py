"""What is believed about the scores after RL of all candidates together: draws from it, and what results teach it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.surrogates.transforms import parse_transform

Draws = NDArray[np.float32]

# Student's t with few degrees of freedom now and then draws a scale so large that nothing can be averaged.
_WIDEST = 30.0


class Bounds(NamedTuple):
    """Smallest and largest value that the target can take."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Belief:
    """The joint predictive distribution of the scores of n candidates.

    On the transformed scale of the target the scores are ``mean + t * (shared @ z + own * e)``: z holds r standard
    normal numbers that all candidates share (the error of the coefficients, the effect of a base model), e one for
    each candidate alone, and t is the scale of Student's t with the given degrees of freedom, again common to all.
    """

    mean: Floats  #: (n,): NaN where nothing is predicted.
    shared: Floats  #: (n, r): Loadings of the shared errors; r may be 0.
    own: Floats  #: (n,): Standard deviation of the error that a candidate has alone.
    degrees_of_freedom: float  #: Infinite for normal errors.
    t_factor: float  #: Student's 95 % point over the normal one; 1 for normal errors.
    target_transform: str  #: Name of the transform of the target.
    #: (n,): Score after RL where it is known, in the target's unit; NaN elsewhere. A known score has no error.
    result: Floats
    bounds: Bounds | None = None  #: Values that the target can take; draws are kept inside where they are averaged.
    minimize: bool = False  #: Whether the best target is the smallest, as for a loss.

    @property
    def std(self) -> Floats:
        """Predictive standard deviation on the transformed scale, (n,), widened as `Prediction.std` is."""
        return np.asarray(self.t_factor * np.sqrt((self.shared**2).sum(axis=1) + self.own**2))

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Where a score is predicted with a finite error, or known, (n,)."""
        return (np.isfinite(self.mean) & np.isfinite(self.own)) | np.isfinite(self.result)

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> "Belief":
        """Return the belief about some of the candidates, in that order."""
        rows = np.asarray(rows, dtype=np.int64)
        return replace(
            self, mean=self.mean[rows], shared=self.shared[rows], own=self.own[rows], result=self.result[rows]
        )

    def merits(self) -> Floats:
        """Return the expected merit of each candidate, (n,): the score, negated if a lower one is better.

        Where the target is transformed, the score at the middle of the distribution.
        """
        score = parse_transform(self.target_transform).inverse(self.mean)
        score = np.where(np.isfinite(self.result), self.result, score)
        return -score if self.minimize else score

    def draw(self, random: np.random.Generator, count: int) -> Draws:
        """Draw merits (scores, negated if a lower one is better) of all candidates together, (count, n).

        Single precision draws twice as fast, and its rounding is far below the noise of the draws. Draws are not kept
        inside the bounds, so that candidates beyond them are not tied.
        """
        n, rank = self.shared.shape
        noise = random.standard_normal((count, n), dtype=np.float32)
        noise *= self.own.astype(np.float32)
        if rank:
            noise += random.standard_normal((count, rank), dtype=np.float32) @ self.shared.T.astype(np.float32)
        if np.isfinite(self.degrees_of_freedom):
            scale = np.sqrt(self.degrees_of_freedom / random.chisquare(self.degrees_of_freedom, count))
            noise *= np.minimum(scale, _WIDEST).astype(np.float32)[:, None]
        noise += self.mean.astype(np.float32)
        if self.target_transform != "identity":
            noise = parse_transform(self.target_transform).inverse(noise).astype(np.float32)
        finished = np.flatnonzero(np.isfinite(self.result))
        noise[:, finished] = self.result[finished]
        if self.minimize:
            np.negative(noise, out=noise)
        return noise

    def bounded(self, merits: Draws) -> Draws:
        """Return merits inside the bounds of the target, where it has some."""
        if self.bounds is None:
            return merits
        low, high = (-self.bounds.high, -self.bounds.low) if self.minimize else self.bounds
        return np.clip(merits, low, high)


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
    results = np.where(np.isfinite(score), score, belief.result)
    if not len(seen):
        return replace(belief, result=results)
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
        result=results,
    )


def _with_offsets(belief: Belief, offset_of: NDArray[np.int64]) -> Belief:
    groups = np.unique(offset_of[offset_of >= 0])
    if not len(groups):
        return belief
    deviations = np.sqrt((belief.shared**2).sum(axis=1) + belief.own**2)
    size = OFFSET * float(np.nanmax(np.where(np.isfinite(deviations), deviations, np.nan)))
    return replace(belief, shared=np.hstack([belief.shared, size * (offset_of[:, None] == groups)]))
