"""Whose place in a choice sampling leaves open: which candidates of a base are worth more samples."""

from collections.abc import Sequence
from itertools import product
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from quagpredict.evaluation.adaptive import mixture_of, standard_error
from quagpredict.evaluation.ordering import Other
from quagpredict.metrics.stopped_sampling import StoppingRule, stopped_pass_at_k


def place_of(name: str, n: ArrayLike, c: ArrayLike, k: int) -> Other:
    """Return the Pass@k of a candidate's problems with the error that sampling leaves in their mean.

    Parameters
    ----------
    name : str
    n, c : array_like of int, shape (problems,)
        Samples and correct ones of each problem; all have as many samples, at least k.
    k : int

    Raises
    ------
    InvalidDataError
        If more samples are correct than there are.

    Examples
    --------
    >>> found = place_of("a", [4, 4, 4], [0, 1, 4], 1)
    >>> found.values.tolist(), 0 < found.error < 0.3
    ([0.0, 0.25, 1.0], True)
    """
    samples, correct = np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64)
    rule = StoppingRule((int(samples[0]),))
    values = stopped_pass_at_k(rule, samples, correct, k)
    return Other(name, values, standard_error(mixture_of(samples, correct), rule, k, samples.size))


def open_places(measured: Sequence[Other], top: int, *, confidence: float = 0.9, tolerance: float = 0.01) -> list[str]:
    """Return the candidates of which more samples may change who is among the best.

    A pair of one that is among the best `top` and one that is not is settled when the interval of its difference leaves
    out 0, or is no wider than the tolerance to either side. Both of any other pair are open.

    Parameters
    ----------
    measured : sequence of Other
        From `place_of`, on the same problems in the same order.
    top : int
        How many are to be chosen; where there are no more, nothing is open.
    confidence : float
        Nominal coverage of each interval by itself: what sampling leaves open on these problems.
    tolerance : float
        Half-width of a difference of Pass@k below which it is not worth samples, a fraction.

    Returns
    -------
    list of str
        In the order of `measured`. Of equal candidates the first by name counts as better.

    Examples
    --------
    >>> sure, rare = [8] * 50, [0] * 50
    >>> three = [place_of("a", [8] * 50, sure, 1), place_of("b", [8] * 50, rare, 1), place_of("c", [8] * 50, rare, 1)]
    >>> open_places(three, 1, tolerance=0.05), open_places(three, 2, tolerance=0.001)
    ([], ['b', 'c'])
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    ranked = sorted(measured, key=lambda one: (-float(one.values.mean()), one.name))
    found = set()
    for inside, outside in product(ranked[:top], ranked[top:]):
        half_width = z * (inside.error**2 + outside.error**2) ** 0.5
        if half_width > tolerance and abs(float((inside.values - outside.values).mean())) <= half_width:
            found |= {inside.name, outside.name}
    return [one.name for one in measured if one.name in found]
