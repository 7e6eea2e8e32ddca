"""Whose RL run would teach most: the knowledge gradient of each candidate."""

import numpy as np
from numpy.typing import NDArray

from quagpredict.ranking.belief import Belief
from quagpredict.surrogates.transforms import parse_transform

Floats = NDArray[np.float64]

#: Candidates that are compared; the others are too unlikely to be best.
SHORTLIST = 512
# Midpoints of as many equally likely parts of the normal distribution.
_NODES = 201


def regret_reductions(belief: Belief) -> Floats:
    """Return by how much seeing the candidate's RL result would lower the expected regret of the final choice, (n,).

    The choice after RL of candidate i is the one of the highest expected merit, given its result. What is known about
    the others changes with it as far as their errors are shared. The expected gain of that choice over choosing now,

        E[max_j (m_j + s_ij Z)] - max_j m_j,    s_ij = cov(score_j, score_i) / sd(score_i),  Z standard normal,

    is the knowledge gradient; as the expected best score does not depend on what is looked at, it is also the expected
    fall of the regret. Scores are taken as jointly normal in the unit of the target (for a transformed target by its
    slope at the prediction).

    Parameters
    ----------
    belief : Belief

    Returns
    -------
    array (n,)
        Never below 0, in the unit of the target. NaN for candidates whose score is known already or not predicted, and
        beyond the `SHORTLIST` candidates of the highest upper end.

    References
    ----------
    P. Frazier, W. Powell, S. Dayanik, The knowledge-gradient policy for correlated normal beliefs, INFORMS Journal on
    Computing 21 (2009), equation 13.

    Examples
    --------
    >>> from quagpredict.testing.beliefs import independent
    >>> regret_reductions(independent(np.array([0.5, 0.5, 0.1]), np.array([0.02, 0.1, 0.1]))).round(3)
    array([0.008, 0.04 , 0.   ])
    """
    result = np.full(len(belief.mean), np.nan)
    open_rows = np.flatnonzero(belief.usable & ~np.isfinite(belief.known))
    if not len(open_rows):
        return result
    merits = belief.merits()
    slope = parse_transform(belief.target_transform).slope(belief.mean)
    reach = merits + 2.0 * slope * belief.std
    rows = open_rows[np.argsort(-reach[open_rows], kind="stable")][:SHORTLIST]
    scale = belief.t_factor * slope[rows]
    covariance = (belief.shared[rows] @ belief.shared[rows].T + np.diag(belief.own[rows] ** 2)) * np.outer(scale, scale)
    deviation = np.sqrt(covariance.diagonal())
    in_hand = merits[np.isfinite(belief.known)].max(initial=-np.inf)
    now = max(float(merits[rows].max()), float(in_hand))
    nodes = normal_nodes(_NODES)
    for position, row in enumerate(rows):
        moves = covariance[position] / deviation[position] if deviation[position] > 0 else np.zeros(len(rows))
        best = np.maximum((merits[rows] + nodes[:, None] * moves).max(axis=1), in_hand)
        result[row] = max(float(best.mean()) - now, 0.0)
    return result


def normal_nodes(count: int) -> Floats:
    """Return the midpoints of equally likely parts of the standard normal distribution, with variance 1.

    Examples
    --------
    >>> normal_nodes(3).round(3) + 0.0
    array([-1.225,  0.   ,  1.225])
    """
    from statistics import NormalDist

    nodes = np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])
    return np.asarray(nodes / np.sqrt((nodes**2).mean()))
