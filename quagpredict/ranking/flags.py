"""Reasons to distrust the ranking of a candidate, found from its measurements."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.ranking.result import Flag

#: Kind of flag -> what it means.
KINDS = {
    "outside-domain": "outside the surrogate's training domain (1 is its edge): an extrapolation",
    "missing-feature": "a measurement is missing, so it has no rank",
    "few-samples": "fewer samples a problem than k: Pass@k cannot be estimated without bias",
    "saturated": "Pass@k is so close to 1 that it hardly separates candidates",
    "conflict": "held-out loss and Pass@k disagree about it",
    "truncated": "many responses were cut by the token budget: its scores are too low",
    "off-scale": "the prediction leaves 0 to 1",
    "screened-out": "low Pass@1 and high held-out loss for its base model",
    "other-protocol": "measured under another eval protocol than the surrogate",
    "other-rl-recipe": "another RL recipe than the surrogate's",
    "unseen-base": "a base model on which the surrogate was never validated",
}

TRUNCATED_SHARE = 0.05
SATURATED = 0.98
# Ranks by loss and by Pass@k that differ by half of the candidates of a base model.
CONFLICT = 0.5
CONFLICT_CANDIDATES = 4

LOSS = "pre_held_out_loss_nats"


def measurement_flags(frame: pl.DataFrame, features: Sequence[str]) -> Iterator[Flag]:
    """Yield what the measurements of the candidates themselves give reason to doubt.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate.
    features : sequence of str
        The columns that the ranking rests on.
    """
    names = frame["candidate"].to_list()
    ks = {
        name: int(name.rpartition("_")[2])
        for name in features
        if name.startswith("pre_pass_at_") and name[-1].isdigit()
    }
    samples = frame["pre_samples_per_problem"].to_list() if "pre_samples_per_problem" in frame.columns else []
    for name in features:
        values = frame[name].to_list()
        for row, value in enumerate(values):
            n = samples[row] if samples else None
            if n is not None and name in ks and n < ks[name]:
                yield Flag(names[row], "few-samples", f"{name} from {n} samples a problem")
            if value is None or value != value:
                yield Flag(names[row], "missing-feature", name)
            elif ks.get(name, 0) > 1 and value >= SATURATED:
                yield Flag(names[row], "saturated", f"{name} is {value:.3f}")
    if "pre_truncated_share" in frame.columns:
        for row, share in enumerate(frame["pre_truncated_share"].to_list()):
            if share is not None and share > TRUNCATED_SHARE:
                yield Flag(names[row], "truncated", f"{share:.0%} of its responses")
    yield from _conflicts(frame, max(ks, key=lambda name: ks[name]) if ks else "pre_pass_at_64")


def _conflicts(frame: pl.DataFrame, coverage: str) -> Iterator[Flag]:
    if LOSS not in frame.columns or coverage not in frame.columns:
        return
    both = frame.filter(pl.col(LOSS).is_not_null() & pl.col(coverage).is_not_null())
    # Loss is comparable only within a base model: its tokenizer and its start differ.
    groups = (
        [group for _, group in both.group_by("base_model", maintain_order=True)]
        if "base_model" in frame.columns
        else [both]
    )
    for group in groups:
        if group.height < CONFLICT_CANDIDATES:
            continue
        by_loss = group[LOSS].rank("average").to_numpy()
        by_coverage = group[coverage].rank("average", descending=True).to_numpy()
        apart = np.abs(by_loss - by_coverage) / (group.height - 1)
        for row in np.flatnonzero(apart >= CONFLICT):
            detail = f"{by_loss[row]:g} of {group.height} by loss, {by_coverage[row]:g} by {coverage}"
            yield Flag(group["candidate"][int(row)], "conflict", detail)


def prediction_flags(
    names: Sequence[str], mean: NDArray[np.float64], distance: NDArray[np.float64], is_score: bool
) -> Iterator[Flag]:
    """Yield what the predictions give reason to doubt; all of shape (n,)."""
    for row in np.flatnonzero(distance > 1.0):
        yield Flag(names[int(row)], "outside-domain", f"distance {distance[row]:.1f}")
    if is_score:
        for row in np.flatnonzero((mean < 0.0) | (mean > 1.0)):
            yield Flag(names[int(row)], "off-scale", f"{100 * mean[row]:.1f} %")
