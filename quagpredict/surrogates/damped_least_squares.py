"""Non-linear least squares with weak beliefs about the parameters, by damped Gauss-Newton steps."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from quagpredict.arrays import Floats

_STEPS = 80
# Relative gain of a step below which nothing more is to be won, and the damping at which no step helps.
_ENOUGH, _STUCK = 1e-13, 1e8


class Solution(NamedTuple):
    """Where the sum is least.

    Attributes
    ----------
    parameters : array (q,)
    jacobian : array (n, q)
        Derivatives of the model there.
    residual : array (n,)
        Observed less modelled.
    """

    parameters: Floats
    jacobian: Floats
    residual: Floats


def damped_least_squares(
    model: Callable[[Floats], tuple[Floats, Floats]],
    observed: Floats,
    start: Floats,
    *,
    belief: Floats,
    penalty: Floats,
    weight: Floats | None = None,
    bound: float = np.inf,
) -> Solution:
    """Minimise ``sum(weight (observed - model)²) + sum(penalty (parameters - belief)²)``.

    Parameters
    ----------
    model : callable
        From parameters, (q,), to the modelled values, (n,), and their derivatives, (n, q). A parameter whose
        derivatives are zero ends at its belief.
    observed : array (n,)
    start, belief, penalty : array (q,)
        Where to begin; what is believed, and its weight, above zero.
    weight : array (n,), optional
        Of each observation; 1 by default.
    bound : float
        Largest absolute value of a parameter.

    References
    ----------
    D. W. Marquardt, An algorithm for least-squares estimation of nonlinear parameters, J. SIAM 11 (1963).

    Examples
    --------
    >>> x = np.linspace(0.0, 2.0, 20)
    >>> def model(at):
    ...     decay = np.exp(-at[1] * x)
    ...     return at[0] * decay, np.column_stack([decay, -at[0] * x * decay])
    >>> weak = {"belief": np.zeros(2), "penalty": np.full(2, 1e-9)}
    >>> damped_least_squares(model, 3.0 * np.exp(-1.5 * x), np.ones(2), **weak).parameters.round(3)
    array([3. , 1.5])
    """
    weights = np.ones(len(observed)) if weight is None else weight

    def cost(at: Floats) -> tuple[float, Floats, Floats]:
        mean, jacobian = model(at)
        residual = observed - mean
        return float(weights @ residual**2 + penalty @ (at - belief) ** 2), residual, jacobian

    parameters = start
    now, residual, jacobian = cost(parameters)
    damping = 1e-2
    for _ in range(_STEPS):
        hessian = (jacobian * weights[:, None]).T @ jacobian + np.diag(penalty)
        gradient = jacobian.T @ (weights * residual) - penalty * (parameters - belief)
        step = np.linalg.solve(hessian + damping * np.diag(hessian.diagonal()), gradient)
        tried = np.clip(parameters + step, -bound, bound)
        then, new_residual, new_jacobian = cost(tried)
        if then < now:
            close = now - then <= _ENOUGH * now
            parameters, now, residual, jacobian = tried, then, new_residual, new_jacobian
            damping = max(damping / 5.0, 1e-9)
            if close:
                break
        else:
            damping *= 5.0
            if damping > _STUCK:
                break
    return Solution(parameters, jacobian, residual)
