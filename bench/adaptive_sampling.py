"""Coverage and bias of adaptive sampling on synthetic candidates: `python bench/adaptive_sampling.py [CANDIDATES]`.

Not a speed figure, and no part of `make bench`. Each candidate is a set of problems with known success probabilities,
drawn from a mixture of its own: a share that it never solves, a share that it always solves, a beta distribution for
the rest. Columns: k, wanted half-width, problems; coverage of the 90 % interval; bias (mean error) with its standard
error; mean half-width; the share of candidates that reached the precision; mean samples a problem; and the share of
samples saved against the smallest fixed number that is as precise. The last lines stop naively: when the usual
estimate's interval looks narrow, problems being left at their first success.
"""

import argparse
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from quagpredict.evaluation.adaptive import ROUNDS, sample_adaptively
from quagpredict.metrics import pass_at_k

SETTINGS = (
    *(
        (64, 0.01, 200),
        (64, 0.02, 200),
        (64, 0.01, 500),
        (64, 0.02, 50),
        (64, 0.03, 30),
        (16, 0.01, 200),
        (256, 0.02, 200),
    ),
    *((1, 0.01, 200), (1, 0.005, 500)),
)


def candidate(random: np.random.Generator, problems: int) -> NDArray[np.float64]:
    """Return success probabilities of a candidate's problems."""
    never, always = random.uniform(0, 0.5), random.uniform(0, 0.3)
    kind = random.choice(3, size=problems, p=[never, always, 1 - never - always])
    rest = random.beta(random.uniform(0.2, 1.5), random.uniform(0.5, 4.0), size=problems)
    return np.choose(kind, [np.zeros(problems), np.ones(problems), rest])


def sequences(random: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return correct samples after each possible round, shape (problems, rounds)."""
    steps = np.diff((0, *ROUNDS))
    return np.cumsum(random.binomial(steps[None, :], chance[:, None]), axis=1)


def simulate(k: int, precision: float, problems: int, candidates: int) -> dict[str, float]:
    """Return one line of the table."""
    random = np.random.default_rng([k, problems, int(precision * 1e6)])
    position = {end: at for at, end in enumerate(ROUNDS)}
    errors, widths, reached, samples, saved = [], [], [], [], []
    for _ in range(candidates):
        chance = candidate(random, problems)
        results = sequences(random, chance)
        at = np.arange(problems)

        def correct_among(n, results=results, at=at):
            return results[at, [position[int(one)] for one in n]]

        found = sample_adaptively(problems, correct_among, k=k, precision=precision)
        errors.append(found.value - (1 - (1 - chance) ** k).mean())
        widths.append(found.half_width)
        reached.append(found.reached)
        samples.append(found.n.mean())
        if found.saved is not None:
            saved.append(found.saved)
    error, width = np.array(errors), np.array(widths)
    return {
        "coverage": float((np.abs(error) <= width).mean()),
        "bias": float(error.mean()),
        "bias_se": float(error.std(ddof=1) / np.sqrt(candidates)),
        "half_width": float(width.mean()),
        "reached": float(np.mean(reached)),
        "samples": float(np.mean(samples)),
        "saved": float(np.mean(saved)) if saved else float("nan"),
    }


def naive(k: int, precision: float, problems: int, candidates: int) -> tuple[float, float]:
    """Return coverage and bias of the usual estimate where solved problems are left and the interval ends it."""
    random = np.random.default_rng([k, problems])
    z = NormalDist().inv_cdf(0.95)
    errors, inside = [], []
    for _ in range(candidates):
        chance = candidate(random, problems)
        results = sequences(random, chance)
        n, c = np.full(problems, ROUNDS[0]), results[:, 0]
        for at, end in enumerate(ROUNDS[1:], start=1):
            going = c == 0
            n, c = np.where(going, end, n), np.where(going, results[:, at], c)
            values = np.where(n >= k, np.nan_to_num(pass_at_k(n, c, k), nan=1.0), 1.0)
            values = np.where((n < k) & (c == 0), 0.0, values)
            smooth = (c + 1) / (n + 2)
            spread = k**2 * (1 - smooth) ** (2 * k - 1) * smooth / n
            width = z * np.sqrt(spread.sum()) / problems
            if end >= k and width <= precision:
                break
        errors.append(values.mean() - (1 - (1 - chance) ** k).mean())
        inside.append(abs(errors[-1]) <= width)
    return float(np.mean(inside)), float(np.mean(errors))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidates", nargs="?", type=int, default=2000, help="candidates a line (default: 2000)")
    candidates = parser.parse_args().candidates
    print(f"{candidates:,} candidates a line\n")
    print("  k  ±want problems  coverage      bias ± se        ±mean  reached  samples   saved")
    for k, precision, problems in SETTINGS:
        line = simulate(k, precision, problems, candidates)
        print(
            f"{k:>3} {precision:>6} {problems:>8} {line['coverage']:>9.1%}"
            f" {line['bias']:>+9.5f} ± {line['bias_se']:.5f}"
            f" {line['half_width']:>8.4f} {line['reached']:>8.0%} {line['samples']:>8.1f} {line['saved']:>7.0%}",
            flush=True,
        )
    print("\nnaive: coverage, bias")
    for k, precision, problems in SETTINGS[:3]:
        coverage, bias = naive(k, precision, problems, min(candidates, 500))
        print(f"{k:>3} {precision:>6} {problems:>8} {coverage:>9.1%} {bias:>+9.5f}", flush=True)


if __name__ == "__main__":
    main()
