"""Beliefs about scores after RL, made by hand: to test decisions without a surrogate."""

import numpy as np

from quagpredict.arrays import Floats
from quagpredict.ranking.belief import Belief, Bounds


def independent(mean: Floats, std: Floats, *, bounds: Bounds | None = None, minimize: bool = False) -> Belief:
    """Return the belief that takes normal errors of the given deviations as independent.

    Examples
    --------
    >>> import numpy as np
    >>> belief = independent(np.array([0.5, 0.6]), np.array([0.1, 0.1]))
    >>> belief.draw(np.random.default_rng(0), 3).shape, belief.merits()
    ((3, 2), array([0.5, 0.6]))
    """
    n = len(mean)
    return Belief(
        mean=np.asarray(mean, dtype=np.float64),
        shared=np.zeros((n, 0)),
        own=np.asarray(std, dtype=np.float64),
        degrees_of_freedom=np.inf,
        t_factor=1.0,
        target_transform="identity",
        result=np.full(n, np.nan),
        bounds=bounds,
        minimize=minimize,
    )
