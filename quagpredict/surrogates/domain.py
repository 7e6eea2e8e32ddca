"""How far a candidate lies from the training set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainingDomain:
    """Centre, whitening and edge of the training features (after their transforms).

    Attributes
    ----------
    mean : array (p,)
    whitening : array (p, p)
        ``(z - mean) @ whitening`` has the training set's covariance, shrunk to its diagonal, as its unit of length.
    edge : float
        The largest distance of a training row from the other rows.
    """

    mean: Floats
    whitening: Floats
    edge: float

    def distance(self, Z: Floats) -> Floats:
        """Return the distance of each row, (n,): 0 in the centre, 1 at the edge, above 1 outside; NaN for a NaN."""
        return np.asarray(np.sqrt((((Z - self.mean) @ self.whitening) ** 2).sum(axis=1)) / self.edge)


def training_domain(Z: Floats) -> TrainingDomain:
    """Return the domain of the transformed training features.

    The distance is Mahalanobis's with the covariance shrunk towards its diagonal by ``p / (n + p)``, so that it stays
    defined for collinear features and for few rows. The edge is the largest distance of a training row from the rest
    (mean and covariance without it): distances of rows to a set that holds them are too small to compare with.

    Parameters
    ----------
    Z : array (n, p)
        Finite, n >= 1.

    Examples
    --------
    >>> domain = training_domain(np.arange(11.0)[:, None])
    >>> domain.distance(np.array([[5.0], [10.0], [15.0]])).round(2)
    array([0. , 0.8, 1.6])
    """
    n, p = Z.shape
    mean = Z.mean(axis=0)
    error = Z - mean
    covariance = error.T @ error / max(n - 1, 1)
    # A feature that never varied has no scale of its own: any departure from it is far outside.
    floor = (1e-6 * np.maximum(1e-6, np.abs(mean))) ** 2
    variances = np.maximum(covariance.diagonal(), floor)
    shrinkage = p / (n + p)
    scale = 1.0 / np.sqrt(variances)
    correlation = (1.0 - shrinkage) * covariance * np.outer(scale, scale)
    correlation[np.diag_indices(p)] = 1.0
    values, vectors = np.linalg.eigh(correlation)
    whitening = scale[:, None] * vectors / np.sqrt(np.maximum(values, 1e-12))
    squares = ((error @ whitening) ** 2).sum(axis=1)
    if n < 3:
        return TrainingDomain(mean, whitening, 1.0)
    # Leaving row i out takes (1 - shrinkage) n / (n - 1)^2 of its outer product from the covariance (Sherman-Morrison).
    removed = np.minimum((1.0 - shrinkage) * n / (n - 1) ** 2 * squares, 1.0 - 1e-6)
    left_out = (n / (n - 1)) ** 2 * squares / (1.0 - removed)
    edge = float(np.sqrt(left_out.max(initial=0.0)))
    return TrainingDomain(mean, whitening, edge if edge > 0 else 1.0)
