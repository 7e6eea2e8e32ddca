"""How often the intervals hold what they promise, on corpora of a world whose truth is known: run this file.

First the 90 % intervals of the scores that `validate` reports: the truth is the mean score over all corpora of that
size. Then the 90 % intervals of predictions, on candidates of the same world that no fit has seen: those of the model
and those that `learn_calibration` makes of them. Last the noise ceiling beside the true one. A few minutes on one core.
"""

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.surrogates.fitted import Z90
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation import scores
from quagpredict.validation.conformal import learn_calibration, noise_floor
from quagpredict.validation.judging import arrange, judge
from quagpredict.validation.lines import judged_lines
from quagpredict.validation.noise_ceiling import noise_ceiling
from quagpredict.validation.predicting import predictions
from quagpredict.validation.splits import random_halves, repeated_k_fold
from quagpredict.validation.task import task_of

CORPORA = 150
TARGET = "post_pass_at_1"
MODELS = ("linear:both", "linear:pass_at_1")


def corpora(size: int, count: int, *, bases: int = 2) -> list[pl.DataFrame]:
    """Return corpora of the same world: the same problems, other candidates."""
    frame = synthetic_corpus(size * count, bases=bases, seed=7, nested=False).frame
    # Neighbours alternate between the bases, so every corpus has as many of each.
    return [frame[start : start + size] for start in range(0, frame.height, size)]


def of_scores(size: int) -> None:
    """Print the coverage of the intervals of mean scores, and the naive ones' beside it."""
    found: dict[tuple[str, str, str], list[tuple[float, float, float, float]]] = {}
    for frame in corpora(size, CORPORA):
        task = task_of(frame, list(MODELS), TARGET)
        rows = task.rows
        bases = np.unique(np.array(rows.bases), return_inverse=True)[1]
        plans = {
            "random halves": (random_halves(np.arange(size), 100), 0),
            "5 folds": (repeated_k_fold(np.arange(size), repeats=20), 200),
        }
        for protocol, (splits, bootstrap) in plans.items():
            arrangement = arrange(splits, bootstrap=bootstrap, seed=0)
            judged = {
                model.name: judge(arrangement, rows.y, predictions(model, rows, splits), bases)
                for model in task.models
                if model.name in MODELS
            }
            for line in judged_lines(judged, dict.fromkeys(judged, ""), arrangement, MODELS[1], 3):
                if line["model"] != MODELS[0] or line["metric"] not in ("r2", "spearman", "pairwise_accuracy"):
                    continue
                naive = Z90 * float(line["sd"]) / np.sqrt(float(line["repeats"]))
                ends = (float(line["low"]), float(line["high"]))
                found.setdefault((protocol, str(line["metric"]), "score"), []).append(
                    (float(line["mean"]), *ends, naive)
                )
                gain = (float(line["gain_low"]), float(line["gain_high"]))
                found.setdefault((protocol, str(line["metric"]), "gain"), []).append(
                    (float(line["gain"]), *gain, np.nan)
                )
    for (protocol, metric, what), lines in found.items():
        table = np.array(lines)
        truth = table[:, 0].mean()
        covered = ((table[:, 1] <= truth) & (truth <= table[:, 2])).mean()
        naive = (np.abs(table[:, 0] - truth) <= table[:, 3]).mean()
        beside = "" if np.isnan(table[0, 3]) else f"   sd / sqrt(repeats): {naive:.2f}"
        print(f"{size:>4} runs  {protocol:<14} {metric:<18} {what:<6} covered {covered:.2f}{beside}")


def of_predictions(size: int) -> None:
    """Print the coverage of intervals of predictions."""
    tests = corpora(400, 1)[0]
    kinds = (("linear", "identity"), ("average", "log-logit"), ("ridge", "log-logit"), ("effective_k", "identity"))
    for kind, transforms in kinds:
        settings = {"features": "pass_at_1+pass_at_64+loss" if kind == "average" else "both", "transforms": transforms}
        plain, calibrated, widths = [], [], []
        for frame in corpora(size, 41)[1:]:  # the first would share candidates with the tests
            y = frame[TARGET].to_numpy()
            fitted = fit_frame(kind, frame, y, **settings)  # type: ignore[arg-type]
            X, bases = fitted.design(tests), tests["base_model"].to_list()
            own = fitted.interval(X)
            learnt = learn_calibration(kind, frame, y, floor=noise_floor(frame, TARGET), **settings)  # type: ignore[arg-type]
            wide = replace(fitted, calibration=learnt).interval(X, groups=bases)
            true = tests[TARGET].to_numpy()
            plain.append(scores.interval_coverage(true, *own))
            calibrated.append(scores.interval_coverage(true, *wide))
            widths.append(scores.interval_width(*wide) / scores.interval_width(*own))
        print(
            f"{size:>4} runs  {kind:<12} model {_mean(plain)}   calibrated {_mean(calibrated)}   "
            f"width x {np.median(widths):.2f}"
        )


def of_ceiling() -> None:
    """Print estimate and truth of the noise ceiling, means over corpora."""
    for samples, seeds, noise in ((8, 1, 0.0), (64, 1, 0.0), (16, 2, 0.4), (64, 3, 0.2)):
        rows = []
        for seed in range(20):
            corpus = synthetic_corpus(60, problems=30, samples_after=samples, rl_seeds=seeds, rl_noise=noise, seed=seed)
            found = noise_ceiling(corpus.frame, resamples=2)
            table = corpus.frame.with_columns(truth=corpus.true_mean).group_by("candidate")
            means = table.agg(pl.col("truth").mean(), pl.col(TARGET).mean())
            y, truth = means[TARGET].to_numpy(), means["truth"].to_numpy()
            rows.append((found.r2, float(scores.r2(y, truth)), found.spearman, float(scores.spearman(y, truth))))
        r2, true_r2, rho, true_rho = np.mean(rows, axis=0)
        print(
            f"{samples:>4} samples, {seeds} RL seeds   R² {r2:.3f} (true {true_r2:.3f})   "
            f"Spearman {rho:.3f} (true {true_rho:.3f})"
        )


def _mean(values: list[NDArray[np.float64]]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


if __name__ == "__main__":
    print("90 % intervals of scores")
    for runs in (24, 50):
        of_scores(runs)
    print("\n90 % intervals of predictions")
    for runs in (8, 12, 25, 50, 100):
        of_predictions(runs)
    print("\nnoise ceiling")
    of_ceiling()
