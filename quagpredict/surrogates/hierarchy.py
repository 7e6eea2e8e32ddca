"""The hierarchical model: what RL makes of the scores by benchmark, a prior learnt elsewhere and the user's results.

A cell is a candidate and a benchmark. With z the logit of its Pass@1 after RL and x that of its Pass@k before (k = 4
where so many samples were drawn, else 1),

    z = a + f(x) + s (x - x0) + terms + base + benchmark + candidate + noise,

where f is monotone, straight between and beyond its knots. The intercept, the pieces of f and the terms have a mean
over all bases and a deviation of each base; a benchmark has a level and a slope of its own, and a level on each base.
The noise of a cell grows towards low Pass@k, where RL may or may not find the first successes. All are normal, so that
results update them in closed form.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.transforms import parse_transform

Floats = NDArray[np.float64]

#: Scale of Pass@k before RL: shares below a thousandth hardly differ.
BEFORE = parse_transform("logit(499)")
#: Scale of a score after RL: shares below some 2 % hardly differ, as those above 98 %.
AFTER = parse_transform("logit(24)")
#: Where the slope of a benchmark turns, on the scale of `BEFORE`: 12 %.
CENTRE = -2.0
#: Noise is least from this logit on, and largest this far below it.
_QUIET, _REACH = 0.0, 4.0

#: Nodes and weights of the mean over a standard normal.
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()


class Spreads(NamedTuple):
    """Standard deviations of the model's effects, on the logit scale.

    Attributes
    ----------
    quiet, loud : float
        Of the noise of a cell with high Pass@k before RL, and with none.
    candidate : float
        Of what all cells of a candidate share.
    level, map_slope, term : float
        Of a base: its intercept, the slopes of the map, the coefficients of the terms.
    benchmark, benchmark_slope : float
        Of a benchmark, on all bases.
    own_benchmark : float
        Of a benchmark on a base.
    """

    quiet: float
    loud: float
    candidate: float
    level: float
    map_slope: float
    term: float
    benchmark: float
    benchmark_slope: float
    own_benchmark: float

    def louder(self, factor: float) -> "Spreads":
        """Return the same with the noise of cells and candidates times `factor`."""
        return self._replace(quiet=self.quiet * factor, loud=self.loud * factor, candidate=self.candidate * factor)


@dataclass(frozen=True, eq=False)
class Prior:
    """What is believed of a new base before any of its results.

    Attributes
    ----------
    knots : array (k,)
        Where the map turns, on the scale of `BEFORE`; empty for a model without a map.
    terms : int
        How many terms a cell has.
    mean, covariance : array (p,), (p, p)
        Of the mean over bases of intercept, the k + 1 slopes of the map (none without knots), and the terms.
    spreads : Spreads
    """

    knots: Floats
    terms: int
    mean: Floats
    covariance: Floats
    spreads: Spreads

    @property
    def pieces(self) -> int:
        """How many slopes the map has."""
        return len(self.knots) + 1 if len(self.knots) else 0


class Cells(NamedTuple):
    """Candidates before RL: n candidates on B benchmarks, with T terms, of G bases.

    Attributes
    ----------
    share : array (n, B)
        Pass@k before RL, of the k that the map reads; NaN where not measured.
    variance : array (n, B)
        Sampling variance of the share.
    terms : array (n, B, T)
        On a scale on which each is good when it is high; those of a candidate are the same on every benchmark.
    member : array (n, G)
        1 for the base of the candidate, of which there is one.
    """

    share: Floats
    variance: Floats
    terms: Floats
    member: Floats

    def take(self, rows: NDArray[np.int64]) -> "Cells":
        """Return some of the candidates."""
        return Cells(*(table[rows] for table in self))


def pieces(x: Floats, knots: Floats) -> Floats:
    """Return how far x has gone in each piece between the knots, (..., k + 1); their slopes make the map.

    Examples
    --------
    >>> pieces(np.array([-5.0, 0.0]), np.array([-4.0, -1.0])).tolist()
    [[-1.0, 0.0, 0.0], [0.0, 3.0, 1.0]]
    """
    edges = np.concatenate([[-np.inf], knots, [np.inf]])
    start = np.concatenate([knots[:1], knots])
    return np.asarray(np.clip(x[..., None], edges[:-1], edges[1:]) - start)


class Design(NamedTuple):
    """Loadings of the weights on each cell, (n, B, q), and how loud its noise is from 0 to 1, with sampling, (n, B)."""

    loadings: Floats
    loud: Floats
    sampling: Floats


def design(cells: Cells, knots: Floats) -> Design:
    """Return how each cell depends on the weights: ``[means, benchmarks, their slopes, each base's deviations]``.

    The deviations of a base are those of the means and then of each benchmark's level. Cells that were not measured get
    loadings of 0.
    """
    n, B = cells.share.shape
    x = np.nan_to_num(BEFORE.forward(cells.share))
    common = [np.ones((n, B, 1))]
    if len(knots):
        common.append(pieces(x, knots))
    common.append(cells.terms)
    mean = np.concatenate(common, axis=2)
    level = np.broadcast_to(np.eye(B), (n, B, B))
    slope = level * (x - CENTRE)[:, :, None] if len(knots) else level[:, :, :0]
    own = np.concatenate([mean, level], axis=2)
    by_base = (cells.member[:, None, :, None] * own[:, :, None, :]).reshape(n, B, cells.member.shape[1] * own.shape[2])
    loadings = np.concatenate([mean, level, slope, by_base], axis=2)
    loud = np.clip((_QUIET - x) / _REACH, 0.0, 1.0) if len(knots) else np.zeros((n, B))
    steep = BEFORE.slope(x)  # d share / d x
    sampling = np.nan_to_num(cells.variance) / steep**2
    return Design(loadings * np.isfinite(cells.share)[:, :, None], loud, sampling)


def weights_prior(prior: Prior, benchmarks: int, bases: int) -> tuple[Floats, Floats]:
    """Return mean (q,) and covariance (q, q) of the weights of `design`."""
    s, p = prior.spreads, len(prior.mean)
    own = np.concatenate([[s.level], np.full(prior.pieces, s.map_slope), np.full(prior.terms, s.term)])
    own = np.concatenate([own, np.full(benchmarks, s.own_benchmark)])
    slopes = np.full(benchmarks if prior.pieces else 0, s.benchmark_slope)
    deviations = np.concatenate([np.zeros(p), np.full(benchmarks, s.benchmark), slopes, np.tile(own, bases)])
    mean, covariance = np.zeros(len(deviations)), np.diag(deviations**2)
    mean[:p], covariance[:p, :p] = prior.mean, prior.covariance
    return mean, covariance


class Evidence(NamedTuple):
    """Gram matrix of loadings and target, (q + 1, q + 1), in units of the noise, with the log of its determinant."""

    gram: Floats
    log_determinant: float


def cell_evidence(at: Design, z: Floats, spreads: Spreads, slope: float) -> Evidence:
    """Return what the cells' results z (n, B) say; NaN where there is none."""
    finite = np.isfinite(z)
    variance = cell_noise(at, spreads, slope)
    precision = np.where(finite, 1.0 / variance, 0.0)
    table = np.concatenate([at.loadings, np.nan_to_num(z)[:, :, None]], axis=2) * finite[:, :, None]
    shared = spreads.candidate**2
    scaled = table * precision[:, :, None]
    together = scaled.sum(axis=1)
    gain = shared / (1.0 + shared * precision.sum(axis=1))
    q1 = table.shape[2]
    gram = table.reshape(-1, q1).T @ scaled.reshape(-1, q1) - (together * gain[:, None]).T @ together
    determinant = np.log(variance[finite]).sum() + np.log1p(shared * precision.sum(axis=1)).sum()
    return Evidence(gram, float(determinant))


def cell_noise(at: Design, spreads: Spreads, slope: float) -> Floats:
    """Return the variance of each cell that no other shares, (n, B); `slope` is that of the map, for sampling noise."""
    deviation = spreads.quiet + (spreads.loud - spreads.quiet) * at.loud
    return np.asarray(deviation**2 + slope**2 * at.sampling)


def updated(mean: Floats, covariance: Floats, evidence: Evidence) -> tuple[Floats, Floats, float]:
    """Return mean and covariance of the weights after the evidence, and the log of how likely it was (less a constant).

    The covariance may be singular: effects without spread stay as they are.
    """
    q = len(mean)
    G, g, gg = evidence.gram[:q, :q], evidence.gram[:q, q], float(evidence.gram[q, q])
    miss, left = g - G @ mean, gg - 2.0 * mean @ g + mean @ G @ mean
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    inner = np.eye(q) + root.T @ G @ root
    factor = np.linalg.cholesky(inner)
    half: Floats = np.linalg.solve(factor, root.T)  # its square is the new covariance
    moved = half @ miss
    fit = left - float(moved @ moved)
    likelihood = -0.5 * (fit + evidence.log_determinant + 2.0 * float(np.log(np.diag(factor)).sum()))
    return mean + half.T @ moved, np.asarray(half.T @ half), float(likelihood)


class Scores(NamedTuple):
    """Predicted overall scores of n candidates and by benchmark.

    Attributes
    ----------
    mean : array (n,)
        Weighted mean over benchmarks of the expected score.
    shared : array (n, q)
        Loadings of the errors that candidates share.
    own : array (n,)
        Deviation of the error of each alone.
    cell_mean, cell_low, cell_high : array (n, B)
        Expected score on each benchmark, with its 90 % interval.
    """

    mean: Floats
    shared: Floats
    own: Floats
    cell_mean: Floats
    cell_low: Floats
    cell_high: Floats


def predicted(cells: Cells, knots: Floats, mean: Floats, root: Floats, spreads: Spreads, weights: Floats) -> Scores:
    """Return the scores that effects of this mean (q,) and covariance root @ root.T give, weighted by `weights` (B,).

    The expected score of a cell is taken over the errors of a usual cell of its base and benchmark, so that it rises
    with Pass@k and the terms wherever their slopes do, and not with the samples behind them. Errors are linear in the
    effects: a score's slope is the mean of its derivative, which for normal errors gives the covariance of score and
    effects exactly (Stein's lemma).
    """
    at = design(cells, knots)
    slope = middle_slope(mean, knots)
    carried = at.loadings @ root  # (n, B, r)
    noise = cell_noise(at, spreads, slope) + spreads.candidate**2
    variance = (carried**2).sum(axis=2) + noise
    usual = design(_usual(cells), knots)
    spread = ((usual.loadings @ root) ** 2).sum(axis=2) + cell_noise(usual, spreads, slope) + spreads.candidate**2
    z = at.loadings @ mean
    cell_mean = from_logit(z[:, :, None] + np.sqrt(spread)[:, :, None] * NODES) @ NODE_WEIGHTS
    points = z[:, :, None] + np.sqrt(variance)[:, :, None] * NODES
    score = from_logit(points)
    cell_variance = (score**2) @ NODE_WEIGHTS - (score @ NODE_WEIGHTS) ** 2
    loads = (AFTER.slope(points) @ NODE_WEIGHTS) * weights
    shared = np.einsum("nb,nbr->nr", loads, carried)
    # Cells of a candidate share its own effect, and all share the effects; each has its whole variance once.
    together = spreads.candidate**2 * (loads.sum(axis=1) ** 2 - (loads**2).sum(axis=1))
    covered = (shared**2).sum(axis=1) + together - (loads**2 * (carried**2).sum(axis=2)).sum(axis=1)
    total = np.maximum(covered, 0.0) + (weights**2 * cell_variance).sum(axis=1)
    own = np.sqrt(np.maximum(total - (shared**2).sum(axis=1), 1e-8))
    reach = 1.6448536269514722 * np.sqrt(variance)
    return Scores(cell_mean @ weights, shared, own, cell_mean, from_logit(z - reach), from_logit(z + reach))


def middle_slope(mean: Floats, knots: Floats) -> float:
    """Return the middle slope of the map, by which sampling noise before RL is carried on; 0 without a map."""
    return float(np.median(mean[1 : len(knots) + 2])) if len(knots) else 0.0


def _usual(cells: Cells) -> Cells:
    """Return usual cells of the same bases: Pass@k where a benchmark's slope turns, usual terms, no sampling noise."""
    share = np.full(cells.share.shape, float(BEFORE.inverse(CENTRE)))
    return Cells(share, np.zeros(share.shape), np.zeros(cells.terms.shape), cells.member)


def from_logit(z: Floats) -> Floats:
    """Return the score of a logit of `AFTER`, from 0 to 1."""
    return np.clip(AFTER.inverse(z), 0.0, 1.0)
