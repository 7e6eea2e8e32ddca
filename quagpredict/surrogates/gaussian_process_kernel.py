"""The kernel of the Gaussian process as scikit-learn takes it: a linear trend, a Matérn 5/2, and noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process.kernels import Kernel

Floats = NDArray[np.float64]


class TrendAndMatern(Kernel):  # type: ignore[misc]
    """Signal x (linear trend + Matérn 5/2 with a length scale for each feature + noise), and the gradient of all.

    What scikit-learn's own kernels make when they are added and multiplied; in one piece, because each of theirs makes
    the distances again in every step of an optimiser, and their sums and products copy every gradient. That takes ten
    times as long.

    Parameters
    ----------
    theta : array (p + 3,)
        Logarithms of the length scales; of the variances of trend and noise, both in units of the smooth part's; and of
        the smooth part's.

    References
    ----------
    C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), equation 4.17.

    Examples
    --------
    >>> kernel = TrendAndMatern(np.log([1.0, 1.0, 0.5, 2.0]))
    >>> kernel(np.array([[0.0], [1.0]])).round(2)
    array([[3.  , 1.05],
           [1.05, 5.  ]])
    """

    theta: Any = None  # a plain attribute, where scikit-learn's kernels gather theirs from named parts at every step

    def __init__(self, theta: Floats):
        self.theta = theta

    @property
    def bounds(self) -> Floats:
        """The optimiser has bounds of its own; these are so wide that scikit-learn has nothing to warn of."""
        return np.tile([-690.0, 690.0], (len(self.theta), 1))

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Any:
        """Return the kernel between rows of X, (n, p), and of Y or, with noise, X; its gradient is (n, n, p + 3)."""
        n, p = X.shape
        squares, products = self._parts(X) if Y is None else _parts(X, Y)
        inverse = np.exp(-2.0 * self.theta[:p])
        trend, noise, signal = np.exp(self.theta[p:])
        r = np.sqrt(5.0 * (inverse @ squares))
        decay = np.exp(-r)
        line = (signal * trend) * products
        value = line + signal * (1.0 + r + r**2 / 3.0) * decay
        if Y is None:
            value[:: n + 1] += signal * noise
        if not eval_gradient:
            return value.reshape(n, -1)
        gradient = np.zeros((p + 3, n * n))
        # d Matérn / d log length_j = 5/3 (1 + r) exp(-r) (difference in scaled feature j)²
        np.multiply(squares, (1.0 + r) * decay, out=gradient[:p])
        gradient[:p] *= (5.0 / 3.0 * signal * inverse)[:, None]
        gradient[p], gradient[p + 2] = line, value
        gradient[p + 1, :: n + 1] = signal * noise
        return value.reshape(n, n), gradient.reshape(p + 3, n, n).transpose(1, 2, 0)

    def diag(self, X: Floats) -> Floats:
        """Return the diagonal of the kernel of X, noise included."""
        trend, noise, signal = np.exp(self.theta[X.shape[1] :])
        return np.asarray(signal * (trend * (X**2).mean(axis=1) + 1.0 + noise))

    def is_stationary(self) -> bool:
        """Return that it is not: a trend depends on where a row is."""
        return False

    def _parts(self, X: Floats) -> tuple[Floats, Floats]:
        """Return what does not depend on the parameters; made once for all steps of an optimiser."""
        if getattr(self, "_rows", None) is not X:
            self._rows, self._made = X, _parts(X, X)
        return self._made


def _parts(X: Floats, Y: Floats) -> tuple[Floats, Floats]:
    """Return the squared differences by feature, (p, n m), and the mean products, (n m,), of n rows of X and m of Y."""
    squares = (X.T[:, :, None] - Y.T[:, None, :]) ** 2
    return squares.reshape(X.shape[1], -1), (X @ Y.T / X.shape[1]).ravel()
