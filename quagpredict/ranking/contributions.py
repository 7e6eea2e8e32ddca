"""What drives a prediction: the share of each feature in its difference from the average candidate."""

from collections.abc import Callable
from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

#: Features up to which every set of them is tried.
EXACT = 6


def shapley(value: Callable[[Masks], Floats], features: int) -> Floats:
    """Return the Shapley value of each feature for each candidate, (n, features).

    Parameters
    ----------
    value : callable
        From a mask (features,) to the predictions (n,) with the features in the mask as each candidate has them and the
        others as the average candidate has them.
    features : int
        Up to `EXACT` every set is tried, and the values sum to the prediction less that of the average candidate.
        Beyond that the value is an ablation: what the prediction loses if the feature alone is set to its average;
        these do not sum up where features interact.

    References
    ----------
    L. S. Shapley, A value for n-person games, 1953; S. Lundberg, S.-I. Lee, A unified approach to interpreting model
    predictions, NeurIPS 2017, equation 4, with one reference point.

    Examples
    --------
    >>> x = np.array([[2.0, 3.0]])
    >>> shapley(lambda mask: np.where(mask, x, 1.0).prod(axis=1), 2)
    array([[2., 3.]])
    """
    whole = np.ones(features, dtype=np.bool_)
    if features > EXACT:
        top = value(whole)
        return np.column_stack([top - value(whole & (np.arange(features) != j)) for j in range(features)])
    sets = [np.array([members >> j & 1 for j in range(features)], dtype=np.bool_) for members in range(2**features)]
    values = [value(mask) for mask in sets]
    shares = np.zeros((len(values[0]), features))
    for members, mask in enumerate(sets):
        size = int(mask.sum())
        for j in np.flatnonzero(~mask):
            weight = factorial(size) * factorial(features - size - 1) / factorial(features)
            shares[:, j] += weight * (values[members | 1 << int(j)] - values[members])
    return shares


def of_linear(coefficients: Floats, Z: Floats, level: float, inverse: Callable[[Floats], Floats]) -> Floats:
    """Return the contributions of a predictor that is linear on the scale of a transformed target, (n, p).

    Without a transform of the target these are the Shapley values, exactly: coefficient times the difference from the
    average. With one, the Shapley values of the turned-back prediction for up to `EXACT` features; beyond that the
    difference on the target's scale is shared out in proportion to the linear terms.

    Parameters
    ----------
    coefficients : array (p,)
    Z : array (n, p)
        Transformed features less those of the average candidate; rows with NaN get NaN.
    level : float
        Prediction for the average candidate on the transformed scale.
    inverse : callable
        From the transformed scale to the target's; the identity if it is not transformed.

    Examples
    --------
    >>> of_linear(np.array([2.0, -1.0]), np.array([[0.5, 0.25]]), 0.0, lambda t: t)
    array([[ 1.  , -0.25]])
    """
    terms = Z * coefficients
    if terms.shape[1] <= EXACT and inverse(np.array([level + 1.0]))[0] != level + 1.0:
        return shapley(lambda mask: inverse(level + terms @ mask), terms.shape[1])
    moved = terms.sum(axis=1)
    gained = inverse(level + moved) - inverse(np.array([level]))
    # Where the terms cancel, the slope at the average candidate says what a unit of them is worth.
    slope = (inverse(np.array([level + 1e-6])) - inverse(np.array([level - 1e-6]))) / 2e-6
    worth = np.divide(gained, moved, out=np.full_like(moved, float(slope[0])), where=np.abs(moved) > 1e-9)
    return np.asarray(terms * worth[:, None])
