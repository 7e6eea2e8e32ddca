"""Transforms of a feature or target, recorded by name: ``identity``, ``sqrt``, ``log``, ``logit``, ``logit(trials)``.

A name is all that is stored, so that a surrogate from a file applies exactly what it was fitted with.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from quagpredict.arrays import Floats
from quagpredict.errors import UsageError

_LOGIT = re.compile(r"logit\(([0-9]+(?:\.[0-9]+)?(?:e[+]?[0-9]+)?)\)")


class Transform(NamedTuple):
    """One transform; build it with `parse_transform`.

    Attributes
    ----------
    name : str
        ``identity``, ``sqrt``, ``log`` or ``logit``.
    trials : float or None
        For ``logit``: the number of trials behind the share, which keeps 0 and 1 finite. None: no correction.
    """

    name: str
    trials: float | None = None

    def forward(self, values: ArrayLike) -> Floats:
        """Return the transformed values, of the same shape; NaN where the transform is not defined.

        ``sqrt`` needs a value of at least 0, ``log`` one above 0, ``logit`` a value strictly between 0 and 1,
        ``logit(trials)`` one from 0 to 1: with half a success and half a failure added (Haldane 1956; Anscombe 1956)
        the ends stay finite.

        Examples
        --------
        >>> parse_transform("logit(100)").forward([0.0, 0.5, 1.0]).round(3)
        array([-5.303,  0.   ,  5.303])
        >>> parse_transform("log").forward([1.0, 0.0])
        array([ 0., nan])
        """
        given = np.asarray(values, dtype=np.float64)
        if self.name == "identity":
            return np.where(np.isfinite(given), given, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.name == "sqrt":
                result = np.sqrt(given)
            elif self.name == "log":
                result = np.log(given)
            else:
                share = given if self.trials is None else (given * self.trials + 0.5) / (self.trials + 1.0)
                share = np.where((given < 0) | (given > 1), np.nan, share)
                result = np.log(share) - np.log1p(-share)
        return np.where(np.isfinite(result), result, np.nan)

    def inverse(self, values: ArrayLike) -> Floats:
        """Return the values that `forward` would turn into `values`."""
        given = np.asarray(values, dtype=np.float64)
        if self.name == "identity":
            return given
        if self.name == "sqrt":
            return np.maximum(given, 0.0) ** 2
        if self.name == "log":
            with np.errstate(over="ignore"):
                return np.exp(given)
        share = expit(given)
        return share if self.trials is None else (share * (self.trials + 1.0) - 0.5) / self.trials

    def slope(self, values: ArrayLike) -> Floats:
        """Return the derivative of `inverse` at `values`: it turns a small error there into one of the raw value."""
        given = np.asarray(values, dtype=np.float64)
        if self.name == "identity":
            return np.ones_like(given)
        if self.name == "sqrt":
            return 2.0 * np.maximum(given, 0.0)
        if self.name == "log":
            return self.inverse(given)
        share = expit(given)
        return share * (1.0 - share) * (1.0 if self.trials is None else (self.trials + 1.0) / self.trials)

    def __str__(self) -> str:
        """Return the name under which the transform is recorded."""
        return self.name if self.trials is None else f"{self.name}({self.trials!r})"


def parse_transform(text: str) -> Transform:
    """Return the transform of a recorded name.

    Raises
    ------
    UsageError
        If the name is unknown or the number of trials is below 1.

    Examples
    --------
    >>> parse_transform("logit(12800)")
    Transform(name='logit', trials=12800.0)
    >>> str(parse_transform("logit(12800)"))
    'logit(12800.0)'
    """
    if text in ("identity", "sqrt", "log", "logit"):
        return Transform(text)
    match = _LOGIT.fullmatch(text)
    if match and 1.0 <= (trials := float(match[1])) <= 1e12:
        return Transform("logit", trials)
    raise UsageError(
        f"unknown transform {text!r}: expected identity, sqrt, log, logit or logit(TRIALS) with 1 to 1e12 trials"
    )


def expit(values: Floats | float) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
