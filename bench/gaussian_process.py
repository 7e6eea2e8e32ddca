"""What the Gaussian process saves by a kernel in one piece: `python bench/gaussian_process.py`.

The processor time of one value and gradient, of scikit-learn's own kernels composed to the same, and of ours.
"""

import time
import timeit

import numpy as np
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

from quagpredict.surrogates.gaussian_process_kernel import TrendAndMatern


def milliseconds(kernel: Kernel, X: np.ndarray) -> float:
    """Return the least processor time of one value and gradient at the rows of X."""
    spent = timeit.repeat(lambda: kernel(X, eval_gradient=True), timer=time.process_time, number=20, repeat=5)
    return 1e3 * min(spent) / 20


def main() -> None:
    """Run the program."""
    line = ConstantKernel() * DotProduct(0.0, "fixed")
    composed = ConstantKernel() * (line + Matern(np.ones(8), nu=2.5) + WhiteKernel())
    kernels: tuple[Kernel, ...] = (composed, TrendAndMatern(np.zeros(11)))
    for rows in (42, 104, 256):
        X = np.random.default_rng(0).normal(size=(rows, 8))
        theirs, ours = (milliseconds(kernel, X) for kernel in kernels)
        print(f"{rows} rows, 8 features: {theirs:.2f} ms composed, {ours:.2f} ms in one piece")


if __name__ == "__main__":
    main()
