"""From judged models to the lines of a report: each metric, and what it gains over the rules that cost nothing."""

from collections.abc import Iterator

import numpy as np

from quagpredict.validation.baselines import BASELINE, BASELINE_ORDER, coverage_rule
from quagpredict.validation.judging import OF_VALUES, Arrangement, Judged, metric_names, summarize
from quagpredict.validation.report import OVER_COVERAGE


def judged_lines(
    judged: dict[str, Judged], features: dict[str, str], arrangement: Arrangement, baseline: str, top_m: int
) -> Iterator[dict[str, object]]:
    """Yield one line for each model and metric that it has, with the gain over the baseline.

    An order is compared with post-SFT Pass@1 as it is, not with the line fitted to it: where a high score misleads, the
    fitted line may fall, and would be credited with an order that nobody who chooses by SFT Pass@1 has.
    """
    for name, own in judged.items():
        for metric in (metric for metric in metric_names(top_m) if metric in own.repeats):
            line = summarize(own.repeats[metric], own.draws.get(metric), arrangement.share)
            if line is None:
                continue
            repeats_judged = int(np.isfinite(own.repeats[metric]).sum())
            result = {"model": name, "features": features[name], "metric": metric, "repeats": repeats_judged}
            result |= {key: _or_null(value) for key, value in line._asdict().items()}
            from_order = baseline == BASELINE and metric not in OF_VALUES and BASELINE_ORDER in judged
            over = BASELINE_ORDER if from_order else baseline
            base = judged.get(over)
            if base is not None and name != over and metric in base.repeats:
                draws = own.draws[metric] - base.draws[metric] if metric in own.draws else None
                gain = summarize(own.repeats[metric] - base.repeats[metric], draws, arrangement.share)
                if gain is not None:
                    result |= {"gain": gain.mean, "gain_low": _or_null(gain.low), "gain_high": _or_null(gain.high)}
            yield result
    yield from _over_coverage(judged, features, arrangement)


def _over_coverage(
    judged: dict[str, Judged], features: dict[str, str], arrangement: Arrangement
) -> Iterator[dict[str, object]]:
    """Yield by how much more pairs of a base each model puts in order than Pass@k as it is, on the same splits."""
    rule, metric = coverage_rule(judged), "pairwise_accuracy"
    if rule is None:
        return
    free = judged[rule]
    for name, own in judged.items():
        draws = own.draws[metric] - free.draws[metric] if metric in own.draws else None
        gain = own.repeats[metric] - free.repeats[metric]
        line = None if name == rule else summarize(gain, draws, arrangement.share)
        if line is not None:
            ends = {key: _or_null(value) for key, value in line._asdict().items()}
            repeats_judged = int(np.isfinite(gain).sum())
            yield {"model": name, "features": features[name], "metric": OVER_COVERAGE, "repeats": repeats_judged} | ends


def _or_null(value: float) -> float | None:
    return value if np.isfinite(value) else None
