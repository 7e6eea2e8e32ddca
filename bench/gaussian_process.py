"""Whether scikit-learn could fit the Gaussian process: `python bench/gaussian_process.py [REPEATS]`.

The same kernel and the same prior, which an optimiser of one's own can add to scikit-learn's likelihood; the amplitude
gets half of its logarithm as a prior, so that its maximum is where the integral over it is. Prints the time of one fit
of each, and how far predictions of fresh rows lie apart, in units of their deviation.
"""

import sys
import timeit

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

from quagpredict.surrogates.gaussian_process import _LENGTH, _NOISE, _TREND, fit_gaussian_process

Floats = NDArray[np.float64]


def by_scikit_learn(at: Floats, error: Floats) -> GaussianProcessRegressor:
    """Return scikit-learn's process of scaled features (n, p) and a centred target (n,), of the largest posterior."""
    p = at.shape[1]
    # Amplitude, trend, length scales, noise: the order of scikit-learn's parameters.
    middle = np.array([0.0, _TREND[0] - np.log(p), *[_LENGTH[0] + 0.5 * np.log(p)] * p, _NOISE[0]])
    precision = np.array([0.0, 1 / _TREND[1] ** 2, *[1 / _LENGTH[1] ** 2] * p, 1 / _NOISE[1] ** 2])
    start = middle + np.array([np.log(error.var()), *[0.0] * (p + 2)])

    def optimizer(objective, _initial, bounds):  # type: ignore[no-untyped-def]
        def believed(theta: Floats) -> tuple[float, Floats]:
            value, slope = objective(theta, eval_gradient=True)
            away = theta - middle
            slope = slope + precision * away
            slope[0] -= 0.5
            return value + 0.5 * float(precision @ away**2) - 0.5 * theta[0], slope

        found = minimize(believed, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
        return found.x, found.fun

    wide = (1e-6, 1e9)
    trend = ConstantKernel(1.0, wide) * DotProduct(0.0, "fixed")
    kernel = ConstantKernel(1.0, wide) * (trend + Matern(np.ones(p), (1e-2, 1e6), nu=2.5) + WhiteKernel(0.1, wide))
    return GaussianProcessRegressor(kernel, alpha=0.0, optimizer=optimizer).fit(at, error)


def compared(n: int, p: int, repeats: int) -> str:
    """Return times and distance of both fits to n rows of p features."""
    random = np.random.default_rng(0)
    X, fresh = random.normal(size=(n, p)), random.normal(size=(200, p))
    y = np.sin(X[:, 0]) + 0.3 * X[:, 1] + 0.1 * random.normal(size=n)
    center, scale, level = X.mean(axis=0), X.std(axis=0), float(y.mean())
    fits = (lambda: fit_gaussian_process(X, y), lambda: by_scikit_learn((X - center) / scale, y - level))
    own, its = (1e3 * min(timeit.repeat(fit, number=1, repeat=repeats)) for fit in fits)
    found, mean = fits[0]().predict(fresh), fits[1]().predict((fresh - center) / scale) + level
    apart = float(np.abs((found.mean - mean) / found.std).max())
    return f"{n} rows, {p} features: {own:.0f} ms, scikit-learn {its:.0f} ms, at most {apart:.3f} apart"


def main() -> None:
    """Run the program."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for n, p in ((16, 17), (42, 8), (104, 8), (256, 17)):
        print(compared(n, p, repeats))


if __name__ == "__main__":
    main()
