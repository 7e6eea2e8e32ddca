"""Which candidates get RL first, to calibrate a surrogate: chosen at random, or by design from their features."""

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import UsageError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

DESIGNS = ("random", "max-min", "d-optimal")


def choose(design: str, Z: Floats, rng: np.random.Generator) -> Indices:
    """Return all rows in the order in which they would get RL.

    Parameters
    ----------
    design : str
        ``random``. ``max-min``: the row nearest to the centre first, then always the one that is farthest from those
        chosen, so that the runs fill the space of features. ``d-optimal``: the row farthest from the centre
        first, then always the one about which a linear fit on those chosen knows least (greatest leverage), so that its
        coefficients are learnt fast. Neither looks at a result.
    Z : array (n, p)
        Features before RL; each is standardised here.
    rng : numpy Generator
        Orders the rows of ``random``, and ties.

    Raises
    ------
    UsageError
        If the design is unknown.

    References
    ----------
    R. W. Kennard and L. A. Stone, Computer aided design of experiments, Technometrics 11 (1969), for max-min;
    H. P. Wynn, The sequential generation of D-optimum experimental designs, Annals of Mathematical Statistics 41
    (1970).

    Examples
    --------
    >>> choose("max-min", np.array([[0.0], [1.0], [5.0], [11.0]]), np.random.default_rng(0)).tolist()
    [2, 3, 0, 1]
    """
    if design not in DESIGNS:
        raise UsageError(f"unknown design '{design}': expected one of {', '.join(DESIGNS)}")
    shuffled = rng.permutation(len(Z))
    if design == "random":
        return shuffled
    scale = Z.std(axis=0)
    table = ((Z - Z.mean(axis=0)) / np.where(scale > 0, scale, 1.0))[shuffled]
    order = _max_min(table) if design == "max-min" else _d_optimal(table)
    return shuffled[order]


def _max_min(table: Floats) -> Indices:
    nearest = np.full(len(table), np.inf)
    order = [int(np.argmin((table**2).sum(axis=1)))]
    for _ in range(len(table) - 1):
        nearest = np.minimum(nearest, ((table - table[order[-1]]) ** 2).sum(axis=1))
        nearest[order[-1]] = -1.0
        order.append(int(np.argmax(nearest)))
    return np.array(order, dtype=np.intp)


def _d_optimal(table: Floats) -> Indices:
    design = np.concatenate([np.ones((len(table), 1)), table], axis=1)
    # A little prior knowledge keeps the first choices defined; leverage then means something from the first run on.
    inverse = np.eye(design.shape[1]) * 1e3
    left = np.ones(len(table), dtype=bool)
    order = []
    for _ in range(len(table)):
        leverage = np.where(left, ((design @ inverse) * design).sum(axis=1), -1.0)
        order.append(chosen := int(np.argmax(leverage)))
        left[chosen] = False
        image = inverse @ design[chosen]
        inverse = inverse - np.outer(image, image) / (1.0 + design[chosen] @ image)
    return np.array(order, dtype=np.intp)
