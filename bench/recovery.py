"""What each surrogate finds in a world that follows its law, and whether its intervals cover.

`python bench/recovery.py` prints the table of docs/guide/surrogates.md; `--corpora N` sets how many corpora are drawn.
Not a matter of speed, so `bench/run.py` does not run it.
"""

import argparse
import re
from typing import Any

import numpy as np

from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.kinds import prepare
from quagpredict.testing.worlds import World, draw

TRAINING, TEST = 60, 150

# law of the world, kinds that are judged in it; `hierarchical` predicts shares, linear worlds leave 0 to 1
PLAN = {
    "linear": ("linear", "ridge", "bayesian_ridge", "gaussian_process", "lightgbm", "average", "auto"),
    "mixed": ("linear", "mixed", "auto"),
    "effective_k": ("linear", "effective_k", "sharpening", "gaussian_process", "hierarchical", "auto"),
    "sharpening": ("linear", "effective_k", "sharpening", "gaussian_process", "hierarchical", "auto"),
    "saturating": ("linear", "saturating", "hierarchical", "auto"),
}


def found(kind: str, fitted: Any, world: World) -> float:
    """Return what the surrogate ought to find, as it found it; NaN for kinds without such a number."""
    numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", " ".join(fitted.notes))]
    if kind == "effective_k" and world.law == "effective_k":
        return float(np.exp(fitted.form.place))
    if kind == "sharpening" and world.law == "sharpening":
        return float(fitted.form.gain)
    if kind == "mixed" and world.law == "mixed":
        return numbers[1]
    if kind == "linear" and world.law == "linear":
        return float(fitted.form.coefficients[1])
    if kind == "saturating" and world.law == "saturating":
        return numbers[2]
    return float("nan")


def truth(kind: str, world: World) -> float:
    """Return the true value of what `found` looks for."""
    return {
        ("effective_k", "effective_k"): world.k_star,
        ("sharpening", "sharpening"): world.gain,
        ("mixed", "mixed"): world.base_deviation,
        ("linear", "linear"): world.slopes[1],
        ("saturating", "saturating"): world.half_steps,
    }.get((kind, world.law), float("nan"))


def study(
    law: str, kinds: tuple[str, ...], corpora: int, seed: int, permuted: bool = False, judged: bool = True
) -> list[dict[str, Any]]:
    """Return one line for each kind: R² on unseen candidates, coverage and width of intervals, and what was found."""
    results: dict[str, list[tuple[float, float, float, float]]] = {kind: [] for kind in kinds}
    for corpus in range(corpora):
        bases = 10 if law == "mixed" else 3
        rl_noise = 0.03 if law in ("linear", "mixed") else 0.1
        difficulty = ("normal", "uniform", "bimodal")[corpus % 3]
        world = World(law, seed=1000 * seed + corpus, bases=bases, rl_noise=rl_noise, difficulty=difficulty)
        training, test = draw(world, TRAINING, seed=1), draw(world, TEST, seed=2)
        y, outcome = (part.frame["post_pass_at_1"].to_numpy() for part in (training, test))
        if permuted:
            rng = np.random.default_rng(corpus)
            y, outcome = rng.permutation(y), rng.permutation(outcome) if judged else outcome
        ready, unseen = prepare(training.frame), prepare(test.frame)
        if permuted and "post_curve" in ready.columns:
            ready = ready.drop("post_curve")
        for kind in kinds:
            if permuted and kind == "saturating":
                continue
            fitted = fit_frame(kind, ready, y, features="both", seed=corpus)
            X = fitted.design(unseen)
            mean, (low, high) = fitted.predict(X).mean, fitted.interval(X)
            r2 = 1.0 - ((outcome - mean) ** 2).sum() / ((outcome - outcome.mean()) ** 2).sum()
            covered = ((outcome >= low) & (outcome <= high)).mean()
            results[kind].append((r2, covered, (high - low).mean(), found(kind, fitted, world)))
    lines = []
    for kind, rows in results.items():
        if not rows:
            continue
        table = np.array(rows)
        lines.append(
            {
                "law": law,
                "kind": kind,
                "r2": table[:, 0].mean(),
                "r2_error": table[:, 0].std(ddof=1) / np.sqrt(len(rows)),
                "coverage": table[:, 1].mean(),
                "coverage_error": table[:, 1].std(ddof=1) / np.sqrt(len(rows)),
                "width": 100 * table[:, 2].mean(),
                "found": np.median(table[:, 3]),
                "truth": truth(kind, World(law)),
            }
        )
    return lines


def main() -> int:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=int, default=30, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--law", choices=tuple(PLAN), action="append", help="default: all")
    parser.add_argument("--kind", action="append", help="default: those that the plan judges in that world")
    parser.add_argument("--permuted", action="store_true", help="shuffle all targets: R² must not be above 0")
    parser.add_argument("--permuted-fit", action="store_true", help="shuffle the targets of the fitted rows alone")
    args = parser.parse_args()
    print(
        f"{args.corpora} corpora, fitted on {TRAINING} candidates, judged on {TEST} others; ± is one standard error\n"
    )
    print("| law | surrogate | R² | 90 % interval covers | width, points | found | truth |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for law in args.law or PLAN:
        permuted = args.permuted or args.permuted_fit
        kinds = tuple(args.kind or PLAN[law])
        for line in study(law, kinds, args.corpora, args.seed, permuted, args.permuted):
            known = np.isfinite(line["truth"]) and not permuted
            score = f"{line['r2']:.2f} ± {line['r2_error']:.2f}"
            coverage = f"{100 * line['coverage']:.1f} ± {100 * line['coverage_error']:.1f} %"
            numbers = f"{line['found']:.3g} | {line['truth']:g} |" if known else " | |"
            print(f"| {law} | {line['kind']} | {score} | {coverage} | {line['width']:.1f} | {numbers}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
