"""Coverage and bias of adaptive sampling on synthetic candidates.

    python bench/adaptive_sampling.py [CANDIDATES]              Pass@k to a precision
    python bench/adaptive_sampling.py [CANDIDATES] --order      the order of candidates

Not a speed figure, and no part of `make bench`. Each candidate is a set of problems with known success probabilities,
drawn from a mixture of its own: a share that it never solves, a share that it always solves, a beta distribution for
the rest. Columns: k, wanted half-width, problems; coverage of the 90 % interval; bias (mean error) with its standard
error; mean half-width; the share of candidates that reached the precision; mean samples a problem; and the share of
samples saved against the smallest fixed number that is as precise. The last lines stop naively: when the usual
estimate's interval looks narrow, problems being left at their first success.

With --order, candidates come in groups of 8 on the same problems: what a problem asks of all of them, a candidate's own
level, and a taste of its own for each problem. They are measured one after another, each until it is told apart from
all before it or the precision is reached. Columns: k, precision, problems; coverage of a candidate's interval, and of
the intervals of differences; bias; *away*: mean error in the direction away from the nearest candidate, and the same
for the third of candidates where it is largest (thirds by the distance of the nearest one); the share of pairs told
apart, the share of these that are the wrong way round; the share of all pairs ordered right; samples a problem; the
smallest fixed number that orders as many pairs right, the share of samples saved against it, and against always going
to the precision.
"""

import argparse
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from quagpredict.evaluation.adaptive import ROUNDS, mixture_of, sample_adaptively, standard_error
from quagpredict.evaluation.ordering import Other, sample_for_order
from quagpredict.metrics import pass_at_k
from quagpredict.metrics.stopped_sampling import stopped_pass_at_k

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
ORDER_SETTINGS = ((64, 0.01, 200), (64, 0.02, 200), (16, 0.01, 200))
GROUP = 8


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


def counted(results: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """Return what draws from these results."""
    position = {end: at for at, end in enumerate(ROUNDS)}
    problems = np.arange(len(results))
    return lambda n: results[problems, [position[int(one)] for one in n]]


def simulate(k: int, precision: float, problems: int, candidates: int) -> dict[str, float]:
    """Return one line of the table."""
    random = np.random.default_rng([k, problems, int(precision * 1e6)])
    errors, widths, reached, samples, saved = [], [], [], [], []
    for _ in range(candidates):
        chance = candidate(random, problems)
        results = sequences(random, chance)
        found = sample_adaptively(problems, counted(results), k=k, precision=precision)
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


def group(random: np.random.Generator, problems: int) -> NDArray[np.float64]:
    """Return success probabilities of candidates on the same problems, shape (GROUP, problems)."""
    never = random.random(problems) < random.uniform(0, 0.4)
    ease = random.normal(random.uniform(-4, 0), random.uniform(1.5, 3), problems)
    level, taste = random.normal(0, 0.4, (GROUP, 1)), random.normal(0, 0.7, (GROUP, problems))
    return np.where(never, 0.0, 1 / (1 + np.exp(-(ease + level + taste))))


def simulate_order(k: int, precision: float, problems: int, groups: int) -> dict[str, float]:
    """Return one line of the table about order."""
    random = np.random.default_rng([k, problems, int(precision * 1e6), 1])
    fixed = [end for end in ROUNDS if end >= k]
    errors, widths, away, nearest, samples, to_precision, pairs = [], [], [], [], [], [], []
    by_fixed: list[list[bool]] = [[] for _ in fixed]
    for _ in range(groups):
        chance = group(random, problems)
        truth = (1 - (1 - chance) ** k).mean(1)
        others: list[Other] = []
        values = np.empty((GROUP, len(fixed)))
        for at in range(GROUP):
            results = sequences(random, chance[at])
            values[at] = [pass_at_k(n, results[:, ROUNDS.index(n)], k).mean() for n in fixed]
            whole = sample_adaptively(problems, counted(results), k=k, precision=precision)
            to_precision.append(whole.n.mean())
            found = whole
            if others:
                found, comparisons = sample_for_order(problems, counted(results), others, k=k, precision=precision)
                errors.append(found.value - truth[at])
                widths.append(found.half_width)
                gaps = truth[at] - truth[:at]
                near = gaps[np.abs(gaps).argmin()]
                away.append(errors[-1] * np.sign(near))
                nearest.append(abs(near))
                pairs += [
                    (gap, one.difference, one.half_width, one.apart) for gap, one in zip(gaps, comparisons, strict=True)
                ]
                for right, column in zip(by_fixed, values.T, strict=True):
                    right += list((column[at] - column[:at]) * gaps > 0)
            samples.append(found.n.mean())
            each = stopped_pass_at_k(found.rule, found.n, found.c, k)
            error = standard_error(mixture_of(found.n, found.c), found.rule, k, problems)
            others.append(Other(str(at), each, error))
    error, width, aside = np.array(errors), np.array(widths), np.array(away)
    gap, difference, half_width, apart = np.array(pairs).T
    right, told = gap * difference > 0, apart > 0
    enough = next((n for n, one in zip(fixed, by_fixed, strict=True) if np.mean(one) >= right.mean()), np.nan)
    thirds = np.digitize(nearest, np.quantile(nearest, [1 / 3, 2 / 3]))
    return {
        "coverage": float((np.abs(error) <= width).mean()),
        "pair_coverage": float((np.abs(difference - gap) <= half_width).mean()),
        "bias": float(error.mean()),
        "away": float(aside.mean()),
        "away_se": float(aside.std(ddof=1) / np.sqrt(aside.size)),
        "away_worst": max((float(aside[thirds == third].mean()) for third in range(3)), key=abs),
        "apart": float(told.mean()),
        "wrong": float(1 - right[told].mean()),
        "right": float(right.mean()),
        "samples": float(np.mean(samples)),
        "fixed": float(enough),
        "saved": float(1 - np.mean(samples) / enough),
        "saved_precision": float(1 - np.mean(samples) / np.mean(to_precision)),
    }


def print_order(candidates: int) -> None:
    """Print the table about order."""
    groups = -(-candidates // GROUP)
    print(f"{groups * GROUP:,} candidates a line, in groups of {GROUP}\n")
    print("  k    P  problems  coverage  of pairs     bias     away ± se       worst   apart  wrong  right", end="")
    print("  samples  fixed  saved  than P")
    for k, precision, problems in ORDER_SETTINGS:
        line = simulate_order(k, precision, problems, groups)
        print(
            f"{k:>3} {precision:>5} {problems:>8} {line['coverage']:>9.1%} {line['pair_coverage']:>9.1%}"
            f" {line['bias']:>+9.5f} {line['away']:>+8.5f} ± {line['away_se']:.5f} {line['away_worst']:>+8.5f}"
            f" {line['apart']:>6.1%} {line['wrong']:>6.2%} {line['right']:>6.1%} {line['samples']:>8.1f}"
            f" {line['fixed']:>6.0f} {line['saved']:>6.0%} {line['saved_precision']:>7.0%}",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidates", nargs="?", type=int, default=2000, help="candidates a line (default: 2000)")
    parser.add_argument("--order", action="store_true", help="the table about the order of candidates instead")
    words = parser.parse_args()
    candidates = words.candidates
    if words.order:
        print_order(candidates)
        return
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
