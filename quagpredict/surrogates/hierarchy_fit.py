"""The posterior of the hierarchical model: what a user's results make of the prior."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.hierarchy import (
    AFTER,
    NODE_WEIGHTS,
    NODES,
    Design,
    Evidence,
    Prior,
    Spreads,
    cell_evidence,
    cell_noise,
    from_logit,
    middle_slope,
    updated,
    weights_prior,
)

Floats = NDArray[np.float64]

#: How much louder than on the corpora the noise may be, and how far it is believed to lie from theirs, both as logs.
_FACTORS = np.linspace(-0.9, 1.5, 9)
_FACTOR_DEVIATION = 0.5
_ROUNDS = 6


class Posterior(NamedTuple):
    """Mean (q,) and covariance (q, q) of the effects; the spreads with the noise that was found, and its factor."""

    mean: Floats
    covariance: Floats
    spreads: Spreads
    factor: float


def posterior(at: Design, prior: Prior, after: Floats, y: Floats, weights: Floats) -> Posterior:
    """Return what is believed of the effects after results.

    Parameters
    ----------
    at : Design
        Of the n finished candidates.
    prior : Prior
    after : array (n, B)
        Their scores after RL by benchmark; a row with a NaN is known by its overall score alone.
    y : array (n,)
        Their overall scores.
    weights : array (B,)

    Notes
    -----
    The factor of the noise is the mean of its posterior on a grid, and never below 1: a few results may show that a
    task is noisier than the corpora, not that it is quieter. An overall score is not linear in the effects; it is
    linearised where the effects are believed to be, some rounds over.
    """
    B, bases = len(weights), _bases(at, prior, len(weights))
    belief = weights_prior(prior, B, bases)
    whole = np.asarray(np.isfinite(after).all(axis=1))
    z = np.where(whole[:, None], AFTER.forward(np.nan_to_num(after)), np.nan)
    slope = middle_slope(prior.mean, prior.knots)
    factor = 1.0
    if whole.any():
        fits = [updated(*belief, cell_evidence(at, z, prior.spreads.louder(np.exp(log)), slope))[2] for log in _FACTORS]
        chances = np.array(fits) - 0.5 * (_FACTORS / _FACTOR_DEVIATION) ** 2
        chances = np.exp(chances - chances.max())
        factor = max(1.0, float(np.exp(chances @ _FACTORS / chances.sum())))
    spreads = prior.spreads.louder(factor)
    mean, covariance, _ = updated(*belief, cell_evidence(at, z, spreads, slope))
    rows = np.flatnonzero(~whole)
    if len(rows):
        some = Design(*(table[rows] for table in at))
        start = (mean, covariance)
        for _ in range(_ROUNDS):
            evidence = _overall(some, y[rows], weights, mean, covariance, spreads, slope)
            mean, covariance, _ = updated(*start, evidence)
    return Posterior(_rising(mean, prior, B, bases), covariance, spreads, factor)


def _overall(
    at: Design, y: Floats, weights: Floats, mean: Floats, covariance: Floats, spreads: Spreads, slope: float
) -> Evidence:
    """Return what overall scores say, linearised around the effects that are believed now."""
    z = at.loadings @ mean
    noise = cell_noise(at, spreads, slope)
    spread = np.einsum("nbq,qr,nbr->nb", at.loadings, covariance, at.loadings, optimize=True)
    points = z[:, :, None] + np.sqrt(spread + noise + spreads.candidate**2)[:, :, None] * NODES
    score = from_logit(points) @ NODE_WEIGHTS
    loads = (AFTER.slope(points) @ NODE_WEIGHTS) * weights
    variance = (loads**2 * noise).sum(axis=1) + (loads.sum(axis=1) * spreads.candidate) ** 2
    jacobian = np.einsum("nb,nbq->nq", loads, at.loadings)
    table = np.column_stack([jacobian, y - score @ weights + jacobian @ mean]) / np.sqrt(variance)[:, None]
    return Evidence(table.T @ table, float(np.log(variance).sum()))


def _bases(at: Design, prior: Prior, benchmarks: int) -> int:
    p = len(prior.mean)
    common = p + benchmarks * (2 if prior.pieces else 1)
    return int((at.loadings.shape[2] - common) // (p + benchmarks))


def _rising(mean: Floats, prior: Prior, benchmarks: int, bases: int) -> Floats:
    """Return the effects with every map kept from falling: more Pass@k never predicts less.

    A slope's deviation, of a benchmark or of a base, is cut where it would outweigh what it deviates from.
    """
    if not prior.pieces and not prior.terms:
        return mean
    p, B, result = len(prior.mean), benchmarks, mean.copy()
    result[1:p] = np.maximum(result[1:p], 0.0)
    own = result[p + B * (2 if prior.pieces else 1) :].reshape(bases, p + B)
    own[:, 1:p] = np.maximum(own[:, 1:p], -result[1:p])
    if prior.pieces:
        slopes = slice(1, 1 + prior.pieces)
        least = float((result[slopes] + own[:, slopes]).min())
        result[p + B : p + 2 * B] = np.maximum(result[p + B : p + 2 * B], -least)
    return result
