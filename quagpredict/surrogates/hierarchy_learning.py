"""Learn the prior of the hierarchical model from finished corpora, by marginal likelihood."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.hierarchy import (
    Cells,
    Evidence,
    Prior,
    Spreads,
    cell_evidence,
    design,
    updated,
    weights_prior,
)

Floats = NDArray[np.float64]

#: What is believed of the spreads before any corpus: their medians, each within a factor of `_WITHIN` at one deviation.
BELIEVED = Spreads(
    quiet=0.3,
    loud=0.8,
    candidate=0.3,
    level=0.7,
    map_slope=0.3,
    term=0.15,
    benchmark=0.7,
    benchmark_slope=0.2,
    own_benchmark=0.5,
)
_WITHIN = 2.0

Belief = tuple[float, float]

#: Mean and deviation of what is believed of the intercept, a slope of the map and a term's coefficient: skill and
#: coverage raise the score, loss lowers it.
_INTERCEPT: Belief = (0.0, 3.0)
_SLOPE: Belief = (0.5, 0.5)
TERM: Belief = (0.2, 0.2)


class Task(NamedTuple):
    """A corpus of finished runs.

    Attributes
    ----------
    cells : Cells
    z : array (n, B)
        Score after RL of each cell, on the scale of `AFTER`; NaN where not measured.
    weights : array (B,)
        Of the benchmarks in the overall score.
    """

    cells: Cells
    z: Floats
    weights: Floats


def learn(tasks: Sequence[Task], knots: Floats, terms_believed: Sequence[Belief] | None = None) -> Prior:
    """Return the prior whose spreads make the corpora likeliest, with the means that they then suggest.

    Parameters
    ----------
    tasks : sequence of Task
        One a corpus: bases that share benchmarks. All have the same terms.
    knots : array (k,)
        Of the map; empty for none.
    terms_believed : sequence of Belief, optional
        Mean and deviation of what is believed of each term's coefficient; by default that of a loss.

    Notes
    -----
    Spreads have a log-normal belief each (`BELIEVED`), means a normal one; the means are integrated out. Slopes of the
    map and of the terms that come out below 0 are put to 0: their signs are known.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> share = rng.uniform(0.02, 0.6, (40, 2))
    >>> cells = Cells(share, np.zeros((40, 2)), np.zeros((40, 2, 0)), np.repeat(np.eye(2), 20, axis=0))
    >>> z = 0.5 * np.log(share / (1 - share)) + 0.1 * rng.normal(size=(40, 2))
    >>> learn([Task(cells, z, np.ones(2) / 2)], np.array([-4.0, -1.0])).mean[1:].round(1).tolist()
    [0.5, 0.5, 0.5]
    """
    from scipy.optimize import minimize

    terms = tasks[0].cells.terms.shape[2]
    slopes = len(knots) + 1 if len(knots) else 0
    believed = np.array([_INTERCEPT, *[_SLOPE] * slopes, *(terms_believed or [TERM] * terms)])
    belief = (believed[:, 0], np.diag(believed[:, 1] ** 2))
    designs = [design(task.cells, knots) for task in tasks]
    medians = np.log(np.array(BELIEVED))

    def at(logs: Floats) -> tuple[float, Floats, Floats]:
        spreads = Spreads(*np.exp(logs).tolist())
        empty = Prior(knots, terms, np.zeros(len(believed)), np.zeros((len(believed),) * 2), spreads)
        total: Evidence | None = None
        for task, its_design in zip(tasks, designs, strict=True):
            evidence = cell_evidence(its_design, task.z, spreads, 0.5)
            B, G = task.cells.share.shape[1], task.cells.member.shape[1]
            deviations = np.sqrt(np.diag(weights_prior(empty, B, G)[1]))
            reduced = _reduced(evidence, deviations, len(believed))
            total = reduced if total is None else _sum(total, reduced)
        assert total is not None
        mean, covariance, likelihood = updated(*belief, total)
        believed_so = 0.5 * float((((logs - medians) / np.log(_WITHIN)) ** 2).sum())
        return believed_so - likelihood, mean, covariance

    optimum = minimize(lambda logs: at(logs)[0], medians, method="L-BFGS-B", options={"maxiter": 200})
    _, mean, covariance = at(optimum.x)
    mean[1:] = np.maximum(mean[1:], 0.0)
    return Prior(knots, terms, mean, covariance, Spreads(*np.exp(optimum.x).tolist()))


def _reduced(evidence: Evidence, deviations: Floats, p: int) -> Evidence:
    """Return what is said of the first p weights once the others are integrated out."""
    scaled = deviations[:, None] * evidence.gram[:-1]
    inner = np.eye(len(deviations)) + scaled[:, :-1] * deviations
    factor = np.linalg.cholesky(inner)
    half = np.linalg.solve(factor, scaled)
    gram = evidence.gram - half.T @ half
    kept = np.r_[np.arange(p), len(deviations)]
    determinant = evidence.log_determinant + 2.0 * float(np.log(np.diag(factor)).sum())
    return Evidence(gram[np.ix_(kept, kept)], determinant)


def _sum(first: Evidence, second: Evidence) -> Evidence:
    return Evidence(first.gram + second.gram, first.log_determinant + second.log_determinant)
