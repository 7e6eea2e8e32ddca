"""Mixtures drawn uniformly on the simplex within bounds: K - 1 numbers in [0, 1] to K shares, and back.

Sticks are broken one after the other. With lower bounds alone the share of a stick is a Beta quantile; with upper
bounds its distribution follows from the volume of what is left for the other sources, which is a sum of powers (the
distribution of a sum of uniform variables). Nothing is rejected, normalised or clipped, so every mixture within the
bounds is as likely as every other, and every K - 1 numbers are a mixture within the bounds.
"""

from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.arrays import Floats
from quagpredict.errors import UsageError

_MOST_TERMS = 200_000
_MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class BoundedSimplex:
    """The mixtures of K sources whose shares add up to 1 and lie within bounds.

    Parameters
    ----------
    lower, upper : array (K,)
        Bounds of each share, both included.

    Raises
    ------
    UsageError
        If no mixture lies within the bounds, or so many different upper bounds matter that the volume has more than
        200,000 terms.

    Examples
    --------
    >>> simplex = BoundedSimplex(np.array([0.1, 0.0, 0.0]), np.array([1.0, 1.0, 0.3]))
    >>> simplex.from_unit([0.0, 0.0]).round(3), simplex.from_unit([1.0, 0.5]).round(3)
    (array([0.1, 0.6, 0.3]), array([1., 0., 0.]))
    >>> simplex.to_unit(simplex.from_unit([0.2, 0.7])).round(9)
    array([0.2, 0.7])
    """

    lower: Floats
    upper: Floats

    def __post_init__(self) -> None:
        if not (np.all(self.lower >= 0) and np.all(self.lower <= self.upper) and np.all(self.upper <= 1)):
            raise UsageError("bounds of shares must satisfy 0 <= lower <= upper <= 1")
        if self.lower.sum() > 1 + 1e-12:
            raise UsageError(f"the lower bounds add up to {self.lower.sum():.6g}, more than the whole mixture")
        if self.upper.sum() < 1 - 1e-12:
            raise UsageError(f"the upper bounds add up to {self.upper.sum():.6g}, less than the whole mixture")

    @property
    def sources(self) -> int:
        """Number of sources, K."""
        return len(self.lower)

    @property
    def free(self) -> float:
        """What is left of the mixture once every source has its lower bound."""
        return max(0.0, 1.0 - float(self.lower.sum()))

    @cached_property
    def _ranges(self) -> Floats:
        return np.minimum(self.upper - self.lower, self.free)

    @cached_property
    def _sticks(self) -> "list[_Rest]":
        return [_rest(self._ranges[position + 1 :], self.free) for position in range(self.sources - 1)]

    def from_unit(self, unit: ArrayLike) -> Floats:
        """Return the mixture of K - 1 numbers in [0, 1].

        Parameters
        ----------
        unit : array (..., K - 1)
            Independent uniform numbers give a uniform mixture; the first belongs to the first source, and each later
            one to the next source, given those before.

        Returns
        -------
        array (..., K)
            Shares within the bounds; each row adds up to 1 (to rounding).

        Raises
        ------
        UsageError
            If the last axis is not K - 1 long or a number lies outside 0 to 1 (NaN included).
        """
        unit = np.asarray(unit, dtype=np.float64)
        if unit.shape[-1:] != (self.sources - 1,) or not np.all((unit >= 0) & (unit <= 1)):
            raise UsageError(f"expected {self.sources - 1} numbers from 0 to 1, got {unit!r:.80}")
        rows = unit.reshape(-1, self.sources - 1)
        parts = np.empty((len(rows), self.sources))
        left = np.full(len(rows), self.free)
        for position, rest in enumerate(self._sticks):
            parts[:, position] = rest.quantile(rows[:, position], left, float(self._ranges[position]))
            left = np.maximum(left - parts[:, position], 0.0)
        parts[:, -1] = left
        shares = np.clip(self.lower + parts, self.lower, self.upper)
        return shares.reshape(*unit.shape[:-1], self.sources)

    def to_unit(self, shares: ArrayLike) -> Floats:
        """Return the K - 1 numbers of a mixture, the inverse of `from_unit`; 0.5 where a share has no freedom.

        Parameters
        ----------
        shares : array (..., K)

        Raises
        ------
        UsageError
            If a mixture does not lie within the bounds.
        """
        shares = np.asarray(shares, dtype=np.float64)
        rows = shares.reshape(-1, self.sources)
        if not self.contains(rows).all():
            raise UsageError(f"the mixture {np.round(rows[~self.contains(rows)][0], 4).tolist()} breaks the bounds")
        parts = np.clip(rows - self.lower, 0.0, self._ranges)
        unit = np.empty((len(rows), self.sources - 1))
        left = np.full(len(rows), self.free)
        for position, rest in enumerate(self._sticks):
            unit[:, position] = rest.share_below(parts[:, position], left, float(self._ranges[position]))
            left = np.maximum(left - parts[:, position], 0.0)
        return unit.reshape(*shares.shape[:-1], self.sources - 1)

    def contains(self, shares: ArrayLike, tolerance: float = 1e-9) -> NDArray[np.bool_]:
        """Return whether each row, (..., K), adds up to 1 and lies within the bounds."""
        shares = np.asarray(shares, dtype=np.float64)
        inside = (shares >= self.lower - tolerance) & (shares <= self.upper + tolerance)
        return np.asarray(inside.all(axis=-1) & (np.abs(shares.sum(axis=-1) - 1.0) <= 1e-6))

    def nearest(self, shares: ArrayLike) -> Floats:
        """Return the mixture within the bounds that is nearest to `shares`, (K,), in Euclidean distance.

        Examples
        --------
        >>> BoundedSimplex(np.zeros(3), np.array([0.2, 1.0, 1.0])).nearest([1 / 3, 1 / 3, 1 / 3]).round(6)
        array([0.2, 0.4, 0.4])
        """
        shares = np.asarray(shares, dtype=np.float64)
        low, high = -2.0 - np.abs(shares).max(), 2.0 + np.abs(shares).max()
        for _ in range(100):
            middle = (low + high) / 2
            total = np.clip(shares + middle, self.lower, self.upper).sum()
            low, high = (middle, high) if total < 1.0 else (low, middle)
        return np.asarray(np.clip(shares + high, self.lower, self.upper), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Rest:
    """The sources after a stick: the volume of what they can make of an amount.

    ``G(s)``, the volume of {x in their box: sum x <= s}, is ``sum_A (-1)^|A| (s - sum_A)^k / k!`` over the subsets A of
    the k ranges whose sum is below s. Above half of the box it is taken from the other corner, where the terms are few.
    """

    sums: Floats
    signs: Floats
    power: int
    total: float
    volume: float
    smallest: float

    def quantile(self, unit: Floats, left: Floats, reach: float) -> Floats:
        """Return the part of the stick, (n,), below which lies the fraction `unit` of what is possible."""
        low = np.maximum(0.0, left - self.total)
        high = np.maximum(np.minimum(reach, left), low)
        if min(reach, self.smallest) >= left.max(initial=0.0):  # no upper bound matters: a Beta quantile
            return np.asarray(left * -np.expm1(np.log1p(-np.minimum(unit, 1 - 1e-16)) / self.power))
        whole = self._between(left - high, left)
        wanted = unit * whole
        first, last = low.copy(), high.copy()
        part = first + unit * (last - first)
        for _ in range(_MOST_STEPS):
            error = self._between(left - part, left) - wanted
            last, first = np.where(error > 0, part, last), np.where(error > 0, first, part)
            slope = self._density(left - part)
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = part - error / slope
            # Newton's step where it stays inside, else halves: safe at the flat ends of the distribution.
            moved = np.where((newton > first) & (newton < last), newton, (first + last) / 2)
            done = (np.abs(moved - part) <= 1e-15 + 1e-13 * high) | (last - first <= 1e-15)
            part = moved
            if done.all():
                break
        return np.where(whole > 0, np.clip(part, low, high), low)

    def share_below(self, part: Floats, left: Floats, reach: float) -> Floats:
        """Return the fraction of what is possible that lies below `part`, (n,)."""
        low = np.maximum(0.0, left - self.total)
        high = np.maximum(np.minimum(reach, left), low)
        whole = self._between(left - high, left)
        below = self._between(left - np.clip(part, low, high), left)
        with np.errstate(divide="ignore", invalid="ignore"):
            fraction = np.where((whole > 0) & (high - low > 1e-12), below / whole, 0.5)
        return np.clip(fraction, 0.0, 1.0)

    def _between(self, small: Floats, large: Floats) -> Floats:
        """Return ``G(large) - G(small)``, without loss of digits where both are near the whole volume."""
        small, large = np.clip(small, 0.0, self.total), np.clip(large, 0.0, self.total)
        half = self.total / 2
        from_below = [np.minimum(value, half) for value in (small, large)]
        from_above = [np.minimum(self.total - value, half) for value in (small, large)]
        below = [self._corner(value) for value in from_below]
        above = [self._corner(value) for value in from_above]
        across = self.volume - above[1] - below[0]
        difference = np.where(large <= half, below[1] - below[0], np.where(small >= half, above[0] - above[1], across))
        return np.maximum(difference, 0.0)

    def _corner(self, amount: Floats) -> Floats:
        terms = np.maximum(amount[:, None] - self.sums, 0.0) ** self.power
        return np.maximum(terms @ self.signs / factorial(self.power), 0.0)

    def _density(self, amount: Floats) -> Floats:
        inside = (amount >= 0) & (amount <= self.total)
        near = np.minimum(np.clip(amount, 0.0, self.total), self.total - np.clip(amount, 0.0, self.total))
        terms = np.maximum(near[:, None] - self.sums, 0.0) ** (self.power - 1) * (near[:, None] > self.sums)
        density = np.maximum(terms @ self.signs / factorial(self.power - 1), 0.0)
        return np.where(inside, density, 0.0)


def _rest(ranges: Floats, free: float) -> _Rest:
    ranges = ranges[ranges > 0]  # a source whose share is fixed takes nothing of what is left, and has no volume
    total = float(ranges.sum())
    signed = {0.0: 1.0}
    below = min(free, total / 2)
    for reach in ranges:
        for reached, sign in list(signed.items()):
            # Equal sums are joined, so that a hundred sources with one cap are a hundred terms, not 2^100.
            if (larger := round(reached + float(reach), 12)) < below:
                signed[larger] = signed.get(larger, 0.0) - sign
        if len(signed) > _MOST_TERMS:
            raise UsageError(
                f"the upper bounds of {len(ranges) + 1} sources make more than {_MOST_TERMS} different sums; give "
                "fewer sources an upper bound below 1, or several the same one"
            )
    sums = np.array(list(signed), dtype=np.float64)
    signs = np.array(list(signed.values()))
    smallest = float(ranges.min()) if len(ranges) else 0.0
    return _Rest(sums, signs, max(len(ranges), 1), total, float(np.prod(ranges)), smallest)
