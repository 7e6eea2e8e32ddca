"""What a fit leaves behind: frozen values that predict on transformed values with numpy alone.

Here is what all forms have in common, each lies beside its fit; and how far a candidate lies from the training set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from quagpredict.arrays import Floats


class TransformedPrediction(NamedTuple):
    """Mean and standard deviation in the unit of the transformed target, each of shape (n,)."""

    mean: Floats
    std: Floats


class JointPrediction(NamedTuple):
    """How n predictions err together, in the unit of the transformed target.

    The outcome is ``mean + factor @ u + noise * e`` with u of shape (q,) and e of shape (n,), all standard normal and
    independent: candidates share the error of what was fitted, and each has noise of its own.

    Attributes
    ----------
    mean : array (n,)
    factor : array (n, q)
    noise : array (n,)
    """

    mean: Floats
    factor: Floats
    noise: Floats


class Form(Protocol):
    """A regressor after its fit, on transformed values; numpy alone."""

    @property
    def degrees_of_freedom(self) -> float:
        """Degrees of freedom of the residual variance."""

    @property
    def t_factor(self) -> float:
        """Student's 95 % point over the normal one; it is contained in every deviation that a form gives."""

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the transformed features Z, (n, p)."""

    def joint(self, Z: Floats) -> JointPrediction:
        """Return how the predictions at Z err together."""

    def seen(self, Z: Floats) -> Floats:
        """Return what the distance from the training set is measured on, (n, q)."""


@runtime_checkable
class FormWithParts(Form, Protocol):
    """A form whose prediction is made of parts, such as one for each benchmark."""

    def parts(self, Z: Floats) -> Mapping[str, TransformedPrediction]:
        """Return the prediction of each part at the transformed features Z, (n, p), on the scale of the target."""


def symmetric_root(covariance: Floats) -> Floats:
    """Return R with R R' = covariance, (q, q); what is negative by rounding counts as 0.

    Examples
    --------
    >>> symmetric_root(np.diag([4.0, 9.0]))
    array([[2., 0.],
           [0., 3.]])
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


class Linearised:
    """What forms of few parameters share: predictions that are linear in the error of the parameters.

    Examples
    --------
    >>> class Flat(Linearised):
    ...     residual_variance = t_factor = 1.0
    ...     def linear(self, Z):
    ...         return np.zeros(len(Z)), np.ones((len(Z), 1)), np.array([[3.0]])
    >>> joint = Flat().joint(np.zeros((2, 1)))
    >>> Flat().predict(np.zeros((2, 1))).std, joint.factor.round(3).ravel(), joint.noise
    (array([2., 2.]), array([1.732, 1.732]), array([1., 1.]))
    """

    residual_variance: float
    t_factor: float

    def linear(self, Z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the mean, (n,), its derivatives by the parameters, (n, q), and the covariance of those, (q, q)."""
        raise NotImplementedError

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the transformed features Z, (n, p)."""
        mean, jacobian, covariance = self.linear(Z)
        spread = np.maximum(((jacobian @ covariance) * jacobian).sum(axis=1), 0.0)
        return TransformedPrediction(mean, self.t_factor * np.sqrt(self.residual_variance + spread))

    def joint(self, Z: Floats) -> JointPrediction:
        """Return how the predictions at Z err together: all share the error of the parameters."""
        mean, jacobian, covariance = self.linear(Z)
        noise = np.full(len(mean), self.t_factor * np.sqrt(self.residual_variance))
        return JointPrediction(mean, self.t_factor * (jacobian @ symmetric_root(covariance)), noise)

    def seen(self, Z: Floats) -> Floats:
        """Return the features themselves."""
        return Z


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
