"""Simple regret of each search method on a response surface with a known optimum: `python bench/search_regret.py`.

No training: `quagpredict.testing.search_worlds` says what a mixture of 12 sources measures and what RL would make of
it. The surrogate is fitted on finished runs drawn at random from the same world; the regret is the true score of the
best recipe that there is, minus the true score of the one that the method would choose, in points.
"""

import argparse
import sys
from collections.abc import Iterator

import numpy as np
from optuna.samplers import TPESampler

from quagpredict.mixture_search.samplers import SeededByTrial
from quagpredict.mixture_search.study import MixtureSearch
from quagpredict.surrogates import fit
from quagpredict.testing.search_worlds import synthetic_world

METHODS = (
    ("surrogate", "surrogate"),
    ("surrogate, Optuna's TPE", "surrogate"),
    ("random", "random"),
    ("regmix", "regmix"),
    ("equal", "equal"),
    ("sft-pass-at-1", "sft-pass-at-1"),
)
BUDGETS = (10, 20, 40, 80)


def regrets(worlds: int, runs: int, max_distance: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each method with its regrets, (worlds, budgets), in points."""
    for name, method in METHODS:
        found = np.empty((worlds, len(BUDGETS)))
        for seed in range(worlds):
            world = synthetic_world(12, seed)
            features = "pass_at_1+pass_at_64+held_out_loss_nats"
            surrogate = fit(world.corpus(runs, seed), "ridge", features, transforms="log-logit", split=None)
            sampler = SeededByTrial(lambda one: TPESampler(seed=one), seed) if "TPE" in name else None
            search = MixtureSearch(
                world.space, surrogate, method=method, seed=seed, sampler=sampler, max_distance=max_distance
            )
            for position, trials in enumerate(BUDGETS):
                search.run(lambda recipe, _, world=world: world.measure(recipe), trials)
                best = search.best()
                found[seed, position] = 100 * (world.best - world.truth(best[0].recipe)) if best else 100 * world.best
        yield name, found


def main() -> int:
    """Print the table that docs/guide/search.md holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=12, help="worlds, each with a surrogate of its own (default: 12)")
    parser.add_argument("--runs", type=int, default=40, help="finished runs behind each surrogate (default: 40)")
    parser.add_argument("--max-distance", type=float, default=1.5, help="feasible distance (default: 1.5)")
    args = parser.parse_args()
    print(f"Simple regret in points, mean ± standard error over {args.worlds} worlds\n")
    print("| method | " + " | ".join(f"{trials} trials" for trials in BUDGETS) + " |")
    print("| --- |" + " ---: |" * len(BUDGETS))
    for name, found in regrets(args.worlds, args.runs, args.max_distance):
        errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        cells = (f"{mean:.1f} ± {error:.1f}" for mean, error in zip(found.mean(axis=0), errors, strict=True))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
