"""How good are forecasts from a partial run? On corpora whose runs all went to the end.

    python bench/curve_forecasts.py

What is learnt is learnt from other corpora, as in `bench/race.py`. For each rung: within base models, the pairs in
order, the squared correlation and the regret of the first, beside the free rules that see the same runs; how often 90
% intervals hold for a base that was never seen, and how often they hold the differences within a base; and how the
errors of the forecast and of the prediction before RL go together. Then the same for whole runs of other lengths.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from race import TESTED, Field, corpus, fields

from quagpredict.curves.model import LOGIT, learn_curves

Floats = NDArray[np.float64]
Z90 = 1.6448536269514722


def within(field: Field, score: Floats) -> tuple[float, float, float]:
    """Return pairs in order, squared correlation and regret in points: means over the base models."""
    found = []
    for base in np.unique(field.bases):
        own = field.bases == base
        guess, end = score[own], field.end[own]
        i, j = np.triu_indices(len(end), 1)
        differ = end[i] != end[j]
        order = 0.5 + 0.5 * np.sign(guess[i] - guess[j]) * np.sign(end[i] - end[j])
        squared = np.corrcoef(guess, end)[0, 1] ** 2
        found.append((order[differ].mean(), squared, 100.0 * (end.max() - end[int(guess.argmax())])))
    pairs, squared, regret = np.mean(found, axis=0)
    return float(pairs), float(squared), float(regret)


def centred(field: Field, values: Floats) -> Floats:
    """Return values less the mean of their base."""
    out = values.copy()
    for base in np.unique(field.bases):
        out[field.bases == base] -= values[field.bases == base].mean()
    return out


def interval(mean: Floats, own: Floats, loading: Floats, end: Floats) -> tuple[float, float, Floats]:
    """Return how often 90 % intervals hold, their mean width in points, and the errors on the logit."""
    reach = Z90 * np.sqrt(own + loading**2)
    width = LOGIT.inverse(mean + reach) - LOGIT.inverse(mean - reach)
    return float(np.mean(np.abs(end - mean) <= reach)), float(100 * width.mean()), end - mean


def lengths(tested: pl.DataFrame, learnt: list[pl.DataFrame]) -> None:
    """Print how forecasts do where a whole run is shorter or longer than those of the corpus mostly are."""
    model = learn_curves(learnt)
    points = tested.select("candidate", "post_curve").explode("post_curve").unnest("post_curve")
    print(
        "\n| whole run | measured at | runs | 90 % holds | mean error, points |\n| ---: | ---: | ---: | ---: | ---: |"
    )
    for whole in sorted(points["step"].unique())[2:]:
        ends = points.filter(step=whole).select("candidate", end="pass_at_1")
        before = points.filter(pl.col("step") <= whole / 2, pl.col("step") > 0).join(ends, on="candidate")
        for step in sorted(before["step"].unique()):
            own = before.filter(step=step)
            score, at_16, end = (own[name].to_numpy() for name in ("pass_at_1", "pass_at_16", "end"))
            unknown = np.full(own.height, np.nan)
            found = model.forecast(np.full(own.height, step / whole), score, at_16, 16, unknown)
            missed = LOGIT.forward(end) - found.mean
            holds = np.mean(np.abs(missed) <= Z90 * np.sqrt(found.own + found.loading**2))
            off = 100.0 * np.mean(end - LOGIT.inverse(found.mean))
            print(f"| {whole} | {step} | {own.height} | {holds:.2f} | {off:+.1f} |")


def main() -> None:
    """Print the tables of each corpus."""
    runs = {name: corpus(name) for name in TESTED}
    for title, tested in fields():
        grids = tested.grids
        print(f"\n{title}: within bases, pairs in order / squared correlation / regret in points")
        rules = ["Pass@1", "Pass@16", "training reward", *grids, "training reward alone"]
        print("| step | " + " | ".join([*rules[:3], *(f"forecast, {rule}" for rule in rules[3:])]) + " |")
        print("| ---: |" + " ---: |" * len(rules))
        for place, rung in enumerate(tested.rungs):
            scores = [tested.seen[rule][:, place] for rule in rules[:3]]
            scores += [grids[rule].forecast.mean[:, place] for rule in grids]
            scores += [tested.by_reward.mean[:, place] if place else scores[3]]
            cells = [
                "{:.2f} / {:.2f} / {:.1f}".format(*within(tested, one)) if np.isfinite(one).all() else "-"
                for one in scores
            ]
            print(f"| {rung} | " + " | ".join(cells) + " |")
        print(
            "\n90 % intervals: share that holds, mean width in points; differences within a base; correlation of errors"
        )
        print("| step | hold | width | hold within a base | with the prediction's errors | by reward: hold | width |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        mean, own, loading = grids["with the prediction before RL"].forecast
        alone, end = grids["curves alone"].forecast.mean, LOGIT.forward(tested.end)
        before = centred(tested, end - mean[:, 0])
        for place, rung in enumerate(tested.rungs):
            held, width, missed = interval(mean[:, place], own[:, place], loading[:, place], end)
            by_reward = interval(*(part[:, place] for part in tested.by_reward), end)
            inside = np.abs(centred(tested, missed)) <= Z90 * np.sqrt(own[:, place])
            together = np.corrcoef(before, centred(tested, end - alone[:, place]))[0, 1]
            print(
                f"| {rung} | {held:.2f} | {width:.0f} | {inside.mean():.2f} | {together:.2f} "
                f"| {by_reward[0]:.2f} | {by_reward[1]:.0f} |"
            )
        name = title.partition(",")[0]
        lengths(runs[name], [runs[other] for other in TESTED[name][1]])


if __name__ == "__main__":
    main()
