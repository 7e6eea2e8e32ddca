"""What is believed about the scores after RL of all candidates together, and draws from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.transforms import parse_transform

Floats = NDArray[np.float64]
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

    Attributes
    ----------
    mean : array (n,)
        NaN where nothing is predicted.
    shared : array (n, r)
        Loadings of the shared errors; r may be 0.
    own : array (n,)
        Standard deviation of the error that a candidate has alone.
    degrees_of_freedom : float
        Infinite for normal errors.
    t_factor : float
        Student's 95 % point over the normal one; 1 for normal errors.
    target_transform : str
        Name of the transform of the target.
    known : array (n,)
        Score after RL where it is known, in the target's unit; NaN elsewhere. A known score has no error.
    bounds : Bounds or None
        Values that the target can take; draws are kept inside where they are averaged.
    minimize : bool
        Whether the best target is the smallest, as for a loss.
    """

    mean: Floats
    shared: Floats
    own: Floats
    degrees_of_freedom: float
    t_factor: float
    target_transform: str
    known: Floats
    bounds: Bounds | None = None
    minimize: bool = False

    @property
    def std(self) -> Floats:
        """Predictive standard deviation on the transformed scale, (n,), widened as `Prediction.std` is."""
        return np.asarray(self.t_factor * np.sqrt((self.shared**2).sum(axis=1) + self.own**2))

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Where a score is predicted with a finite error, or known, (n,)."""
        return (np.isfinite(self.mean) & np.isfinite(self.own)) | np.isfinite(self.known)

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> "Belief":
        """Return the belief about some of the candidates, in that order."""
        rows = np.asarray(rows, dtype=np.int64)
        return replace(self, mean=self.mean[rows], shared=self.shared[rows], own=self.own[rows], known=self.known[rows])

    def merits(self) -> Floats:
        """Return the expected merit of each candidate, (n,): the score, negated if a lower one is better.

        Where the target is transformed, the score at the middle of the distribution.
        """
        score = parse_transform(self.target_transform).inverse(self.mean)
        score = np.where(np.isfinite(self.known), self.known, score)
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
        finished = np.flatnonzero(np.isfinite(self.known))
        noise[:, finished] = self.known[finished]
        if self.minimize:
            np.negative(noise, out=noise)
        return noise

    def bounded(self, merits: Draws) -> Draws:
        """Return merits inside the bounds of the target, where it has some."""
        if self.bounds is None:
            return merits
        low, high = (-self.bounds.high, -self.bounds.low) if self.minimize else self.bounds
        return np.clip(merits, low, high)
