"""Whether it pays to use the known errors of features and targets: `python bench/measurement_errors.py`.

Half of the candidates are measured with few samples a problem, the other half with 128, before and after RL. A line
through logit Pass@1 is fitted as it is; with each target weighted by the inverse of its variance (the noise of runs, as
the line's residuals show it, and of its counts); and with each Pass@1 drawn to the mean by its reliability (regression
calibration: Carroll et al., Measurement Error in Nonlinear Models, 2006, chapter 4), in training and for candidates.
Judged on the true scores of other candidates, half of them measured with few samples too.

Then `sharpening` on the distribution of success that the counts suggest once their noise is taken out, against the same
on the shares of correct samples as they are; all candidates measured with few samples, half of the new ones with 128.
"""

import argparse

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.columns import LOGITS, share_columns
from quagpredict.corpus.derived import with_derived
from quagpredict.surrogates.sharpening import fit_sharpening
from quagpredict.testing.worlds import World, draw

Floats = NDArray[np.float64]


def logit(share: Floats, trials: Floats) -> Floats:
    """Return the logit with half a success and half a failure added."""
    safe = (share * trials + 0.5) / (trials + 1.0)
    return np.asarray(np.log(safe / (1 - safe)))


def table(seed: int, part: int, few: int, count: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return measured features and their variances, targets and theirs, and the true scores, half with few samples."""
    rows = []
    for half, samples in enumerate((few, 128)):
        world = World("sharpening", seed=seed, samples_before=samples, samples_after=samples, rl_noise=0.2)
        drawn = draw(world, count, seed=10 * part + half)
        trials = np.full(count, float(samples * world.problems))
        x, y = (drawn.frame[name].to_numpy() for name in ("pre_pass_at_1", "post_pass_at_1"))
        # Of the score on these problems: p (1 - p) over all samples is at most what the counts' noise is.
        variance = [1 / (trials * np.clip(share * (1 - share), 0.02, None)) for share in (x, y)]
        rows.append((logit(x, trials), variance[0], logit(y, trials), variance[1], drawn.true_mean))
    return tuple(np.concatenate(parts) for parts in zip(*rows, strict=True))  # type: ignore[return-value]


def line(x: Floats, y: Floats, weight: Floats, new: Floats) -> Floats:
    """Return the weighted least squares line at `new`."""
    root = np.sqrt(weight)
    design = np.column_stack([np.ones_like(x), x])
    beta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    return np.asarray(beta[0] + beta[1] * new)


def main() -> int:
    """Print root mean squared errors, in points, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=int, default=60, metavar="N")
    args = parser.parse_args()
    print("| samples of the noisy half | least squares | targets weighted | features calibrated |")
    print("| ---: | ---: | ---: | ---: |")
    for few in (1, 4, 16, 64):
        errors = []
        for seed in range(args.corpora):
            x, vx, y, vy, _ = table(seed, 1, few, 20)
            new, v_new, _, _, truth = table(seed, 2, few, 60)
            plain = line(x, y, np.ones_like(y), new)
            residual = y - line(x, y, np.ones_like(y), x)
            between = max(float(residual.var() - vy.mean()), 0.05 * float(residual.var()))
            weighted = line(x, y, 1 / (between + vy), new)
            spread = max(float(x.var(ddof=1) - vx.mean()), 0.1 * float(x.var()))
            drawn_in, drawn_new = (
                x.mean() + (at - x.mean()) * spread / (spread + v) for at, v in ((x, vx), (new, v_new))
            )
            calibrated = line(drawn_in, y, np.ones_like(y), drawn_new)
            errors.append([(1 / (1 + np.exp(-found)) - truth) for found in (plain, weighted, calibrated)])
        rms = 100 * np.sqrt((np.array(errors) ** 2).mean(axis=2))
        plain, *others = rms.mean(axis=0)
        gains = (rms[:, 1:] - rms[:, :1]).std(axis=0, ddof=1) / np.sqrt(args.corpora)
        shown = [f"{value:.2f} ({value - plain:+.2f} ± {gain:.2f})" for value, gain in zip(others, gains, strict=True)]
        print(f"| {few} | {plain:.2f} | {' | '.join(shown)} |")
    print("\n| samples | shares as they are | noise taken out |")
    print("| ---: | ---: | ---: |")
    for few in (4, 8, 16, 64):
        rms = 100 * np.sqrt([[(e**2).mean() for e in of_sharpening(seed, few)] for seed in range(args.corpora)])
        plain, clean = rms.mean(axis=0)
        gain = (rms[:, 1] - rms[:, 0]).std(ddof=1) / np.sqrt(args.corpora)
        print(f"| {few} | {plain:.2f} | {clean:.2f} ({clean - plain:+.2f} ± {gain:.2f}) |")
    return 0


def of_sharpening(seed: int, few: int) -> list[Floats]:
    """Return the errors of `sharpening` on plain shares and on shares with the noise taken out."""
    parts = []
    for part, samples in ((1, few), (2, few), (3, 128)):
        world = World("sharpening", seed=seed, samples_before=samples)
        parts.append(draw(world, 30, seed=part))
    y = parts[0].frame["post_pass_at_1"].to_numpy()
    truth = np.concatenate([part.true_mean for part in parts[1:]])
    errors = []
    for shares in (plain_shares, clean_shares):
        first, *rest = (shares(part.frame) for part in parts)
        errors.append(fit_sharpening(first, y, logits=list(LOGITS)).predict(np.concatenate(rest)).mean - truth)
    return errors


def clean_shares(frame: pl.DataFrame) -> Floats:
    """Return the shares of problems in each bin of success with the noise of the counts taken out."""
    return with_derived(frame, share_columns()).select(share_columns()).to_numpy()


def plain_shares(frame: pl.DataFrame) -> Floats:
    """Return the shares of problems whose share of correct samples lies in each bin."""
    edges = (LOGITS[1:] + LOGITS[:-1]) / 2
    rows = []
    for problems in frame["pre_problems"].to_list():
        n, c = (np.array([problem[key] for problem in problems], dtype=float) for key in ("n", "c"))
        with np.errstate(divide="ignore"):
            place = np.searchsorted(edges, np.log(c) - np.log(n - c))
        rows.append(np.bincount(place, minlength=len(LOGITS)) / len(n))
    return np.array(rows)


if __name__ == "__main__":
    raise SystemExit(main())
