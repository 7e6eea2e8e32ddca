"""What a Gaussian process leaves behind: its training rows, its kernel and the root of the inverse, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.forms import JointPrediction, TransformedPrediction, symmetric_root
from quagpredict.surrogates.json_object import ABOVE_ZERO, JsonObject

Floats = NDArray[np.float64]

MATERN = "matern-5/2"
#: The smooth kernel of surrogates that were stored up to schema 4; it had one length scale for all features.
SQUARED_EXPONENTIAL = "squared-exponential"

#: Most training rows that a form holds.
MOST_ROWS = 1024

_JOINT_ROWS = 2000
_ROOT_5 = float(np.sqrt(5.0))


@dataclass(frozen=True, eq=False)
class GaussianProcessForm:
    """Posterior of a Gaussian process; all on features scaled to deviation 1.

    Attributes
    ----------
    center, scale : array (p,)
        Of the features.
    inputs : array (n, p)
        Scaled training features.
    weights : array (n,)
        Of the kernel's columns in the mean.
    root : array (n, n)
        ``root' root`` is the inverse of the kernel's matrix with noise, in units of the signal's variance.
    level : float
        Mean of the target.
    kernel : str
        Of the smooth part.
    length : array (p,)
        Length scales.
    trend, noise : float
        The linear trend's share of the signal's variance, and the noise in units of that variance.
    signal_variance, degrees_of_freedom, t_factor : float
    """

    center: Floats
    scale: Floats
    inputs: Floats
    weights: Floats
    root: Floats
    level: float
    kernel: str
    length: Floats
    trend: float
    noise: float
    signal_variance: float
    degrees_of_freedom: float
    t_factor: float

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the transformed features Z, (n, p)."""
        mean, std = np.empty(len(Z)), np.empty(len(Z))
        rows = max(1, 4_000_000 // max(len(self.inputs), 1))
        for start in range(0, len(Z), rows):
            part = slice(start, start + rows)
            at = (Z[part] - self.center) / self.scale
            cross = self._covariance(at, self.inputs)
            prior = 1.0 - self.trend + self.trend * (at**2).mean(axis=1)
            explained = ((cross @ self.root.T) ** 2).sum(axis=1)
            variance = np.maximum(prior - explained, 0.0) + self.noise * (1.0 + 1.0 / len(self.inputs))
            mean[part] = self.level + cross @ self.weights
            std[part] = self.t_factor * np.sqrt(self.signal_variance * variance)
        return TransformedPrediction(mean, std)

    def joint(self, Z: Floats) -> JointPrediction:
        """Return how the predictions at Z err together; beyond 2000 rows as if they did not, to keep to memory."""
        mean, std = self.predict(Z)
        if len(Z) > _JOINT_ROWS:
            return JointPrediction(mean, np.zeros((len(Z), 0)), std)
        at = (Z - self.center) / self.scale
        finite = np.isfinite(at).all(axis=1)
        cross = self._covariance(at[finite], self.inputs) @ self.root.T
        covariance = self._covariance(at[finite], at[finite]) - cross @ cross.T
        factor = np.full((len(Z), int(finite.sum())), np.nan)
        widened = self.t_factor * np.sqrt(self.signal_variance)
        factor[finite] = widened * symmetric_root(covariance)
        noise = widened * np.sqrt(self.noise * (1.0 + 1.0 / len(self.inputs)))
        return JointPrediction(mean, factor, np.full(len(Z), noise))

    def seen(self, Z: Floats) -> Floats:
        """Return the features themselves."""
        return Z

    def _covariance(self, A: Floats, B: Floats) -> Floats:
        """Return the kernel between scaled rows, (a, b), in units of the signal's variance."""
        squared = squared_distances(A / self.length, B / self.length)
        smooth = np.exp(-0.5 * squared) if self.kernel == SQUARED_EXPONENTIAL else matern(squared)
        return np.asarray(self.trend * (A @ B.T) / A.shape[1] + (1.0 - self.trend) * smooth)


def squared_distances(A: Floats, B: Floats) -> Floats:
    """Return the squared distance of each row of A, (a, p), from each of B, (b, p); never below 0."""
    products = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * A @ B.T
    return np.asarray(np.maximum(products, 0.0))


def matern(squared: Floats) -> Floats:
    """Return the Matérn 5/2 kernel at squared distances in units of the length scales.

    References
    ----------
    C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), equation 4.17.

    Examples
    --------
    >>> matern(np.array([0.0, 1.0])).round(3)
    array([1.   , 0.524])
    """
    r = _ROOT_5 * np.sqrt(squared)
    return np.asarray((1.0 + r + r**2 / 3.0) * np.exp(-r))


def read_form(form: JsonObject, p: int) -> GaussianProcessForm:
    """Return the stored form of p features; every size and bound is checked."""
    n = form.length("weights", 1, MOST_ROWS)
    kernel = form.text("kernel")
    if kernel not in (MATERN, SQUARED_EXPONENTIAL):
        raise form.error("kernel", f"{MATERN} or {SQUARED_EXPONENTIAL}", kernel)
    if kernel == SQUARED_EXPONENTIAL and not isinstance(form.value["length"], list):  # one for all features
        length = np.full(p, form.number("length", low=ABOVE_ZERO))
    else:
        length = form.array("length", (p,), low=ABOVE_ZERO)
    return GaussianProcessForm(
        center=form.array("center", (p,)),
        scale=form.array("scale", (p,), low=ABOVE_ZERO),
        inputs=form.array("inputs", (n, p)),
        weights=form.array("weights", (n,)),
        root=form.array("root", (n, n)),
        level=form.number("level"),
        kernel=kernel,
        length=length,
        trend=form.number("trend", low=0.0, high=1.0),
        noise=form.number("noise", low=0.0),
        signal_variance=form.number("signal_variance", low=0.0),
        **form.spread(),
    )
