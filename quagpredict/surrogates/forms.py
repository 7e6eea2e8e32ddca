"""What a fit leaves behind: frozen values that predict on transformed values with numpy alone.

Here is what all forms have in common; each lies beside its fit.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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


def with_jacobian(
    mean: Floats, jacobian: Floats, covariance: Floats, residual_variance: float, t_factor: float
) -> tuple[TransformedPrediction, JointPrediction]:
    """Return the prediction, and how it errs together, of a predictor with few parameters, linearised in them.

    Parameters
    ----------
    mean : array (n,)
    jacobian : array (n, q)
        Derivatives of the mean by the parameters.
    covariance : array (q, q)
        Of the parameters.
    residual_variance, t_factor : float

    Examples
    --------
    >>> single, joint = with_jacobian(np.zeros(2), np.ones((2, 1)), np.array([[3.0]]), 1.0, 1.0)
    >>> single.std, joint.factor.round(3).ravel(), joint.noise
    (array([2., 2.]), array([1.732, 1.732]), array([1., 1.]))
    """
    spread = np.maximum(((jacobian @ covariance) * jacobian).sum(axis=1), 0.0)
    noise = np.full(len(mean), t_factor * np.sqrt(residual_variance))
    single = TransformedPrediction(mean, t_factor * np.sqrt(residual_variance + spread))
    return single, JointPrediction(mean, t_factor * (jacobian @ symmetric_root(covariance)), noise)
