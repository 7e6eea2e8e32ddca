"""Reasons to distrust the ranking of a candidate, found from its measurements."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.columns import PROBLEM_SET, column_of, derived_of, origin, pass_at, pass_at_columns
from quagpredict.ranking.result import Flag

#: Kind of flag -> what it means.
KINDS = {
    "outside-domain": "outside the surrogate's training domain (1 is its edge): its interval holds less often",
    "outside-range": "a measurement outside what the finished candidates had: the prediction extrapolates along it",
    "missing-feature": "a measurement is missing, so it has no rank",
    "not-screened": "a measurement is missing, so it could not be screened out",
    "falling-curve": "Pass@k falls as k grows: are columns swapped, or measured apart?",
    "few-samples": "fewer samples a problem than k: Pass@k cannot be estimated without bias",
    "saturated": "Pass@k is so close to 1 that it hardly separates candidates",
    "conflict": "held-out loss and Pass@k disagree about it",
    "over-trained": "held-out loss above what fewer epochs on no more examples reached: over-trained",
    "no-signal": "nearly all groups of GRPO have equal rewards: RL has little to learn from",
    "truncated": "many responses were cut by the token budget: its scores are too low",
    "off-scale": "the prediction leaves 0 to 1",
    "screened-out": "low Pass@1 and high held-out loss for its base model",
    "other-protocol": "measured under another eval protocol than the surrogate",
    "other-rl-recipe": "another RL recipe than the surrogate's",
    "unseen-base": "a base model on which the surrogate was never validated",
    "other-problems": "measured on other problems than most candidates: its scores do not compare with theirs",
}

TRUNCATED_SHARE = 0.05
SATURATED = 0.98
# Share of groups with equal rewards from which on hardly any gradient is left.
NO_SIGNAL = 0.9
# Ranks by loss and by Pass@k that differ by half of the candidates of a base model.
CONFLICT = 0.5
CONFLICT_CANDIDATES = 4
# Finished candidates from which on their range is told, and how far beyond it counts, in ranges.
RANGE_RUNS = 3
RANGE_ROOM = 0.1
# Scores that were written with three digits may fall by one of the last.
_ROUNDING = 2e-3
# Standard errors of their difference that two losses must be apart, and the least relative difference.
APART = 2.0
APART_SHARE = 0.02

LOSS = "pre_held_out_loss_nats"
GROUPS = {"pre_zero_variance_share_g8": 8, "pre_zero_variance_share_g16": 16}


def measurement_flags(
    frame: pl.DataFrame,
    features: Sequence[str],
    design: NDArray[np.float64] | None = None,
    *,
    needed: int | None = None,
) -> Iterator[Flag]:
    """Yield what the measurements of the candidates themselves give reason to doubt.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate.
    features : sequence of str
        The columns that the ranking rests on; some may be derived.
    design : array (n, features), optional
        Their values; by default they are columns of the frame.
    needed : int, optional
        How many of the features, from the first, a rank needs; all by default.
    """
    names = frame["candidate"].to_list()
    ks = {name: pass_at(name) for name in features if pass_at(name)}
    for name, k in ks.items():
        if "pre_samples_per_problem" in frame.columns:
            for candidate, n in _where(frame, pl.col("pre_samples_per_problem") < k, "pre_samples_per_problem"):
                yield Flag(candidate, "few-samples", f"{column_of(name).heading} from {n} samples a problem")
    for column, missing in _missing(frame, features[:needed], design).items():
        for row in np.flatnonzero(missing):
            yield Flag(names[int(row)], "missing-feature", column)
    for column, missing in _missing(frame, features[needed:] if needed is not None else (), None).items():
        for row in np.flatnonzero(missing):
            yield Flag(names[int(row)], "not-screened", column)
    yield from _falling(frame)
    for name in (name for name, k in ks.items() if k > 1 and name in frame.columns):
        for candidate, value in _where(frame, pl.col(name) >= SATURATED, name):
            yield Flag(candidate, "saturated", f"{column_of(name).heading} is {_shown(name, value)}")
    if "pre_truncated_share" in frame.columns:
        over = pl.col("pre_truncated_share") > TRUNCATED_SHARE
        for candidate, share in _where(frame, over, "pre_truncated_share"):
            yield Flag(candidate, "truncated", f"{share:.0%} of its responses")
    for name, group in GROUPS.items():
        if name in frame.columns and frame[name].null_count() < frame.height:
            for candidate, share in _where(frame, pl.col(name) >= NO_SIGNAL, name):
                yield Flag(candidate, "no-signal", f"{share:.0%} of groups of {group}")
            break
    yield from _other_problems(frame)
    yield from _conflicts(frame, max(ks, key=lambda name: ks[name]) if ks else "pre_pass_at_64")
    yield from over_trained(frame)


def _missing(
    frame: pl.DataFrame, features: Sequence[str], design: NDArray[np.float64] | None
) -> dict[str, NDArray[np.bool_]]:
    """Return which rows lack each measurement; what is derived from one column counts as that column."""
    missing: dict[str, NDArray[np.bool_]] = {}
    for column_at, name in enumerate(features):
        values = frame[name].cast(pl.Float64).to_numpy() if design is None else design[:, column_at]
        column = origin(name)
        missing[column] = np.isnan(values) | missing.get(column, np.zeros(len(values), dtype=np.bool_))
    return missing


def _falling(frame: pl.DataFrame) -> Iterator[Flag]:
    """More tries solve no fewer problems, so on one set of samples Pass@k never falls with k."""
    curve = pass_at_columns(frame)
    if len(curve) < 2:
        return
    values = frame.select(pl.col(curve).cast(pl.Float64)).to_numpy()
    highest = np.fmax.accumulate(np.where(np.isnan(values), -np.inf, values), axis=1)
    fall = values[:, 1:] < highest[:, :-1] - _ROUNDING
    for row in np.flatnonzero(fall.any(axis=1)):
        later = int(np.argmax(fall[row])) + 1
        yield Flag(
            frame["candidate"][int(row)],
            "falling-curve",
            f"{column_of(curve[later]).heading} is {_shown(curve[later], values[row, later])}",
        )


def _other_problems(frame: pl.DataFrame) -> Iterator[Flag]:
    """Those measured on another set of problems than most; of equal groups the one with most problems counts."""
    if PROBLEM_SET not in frame.columns:
        return
    count = pl.col("pre_problems_count") if "pre_problems_count" in frame.columns else pl.lit(None, pl.Int64)
    measured = frame.select("candidate", PROBLEM_SET, count.alias("problems")).filter(pl.col(PROBLEM_SET).is_not_null())
    groups = (
        measured.group_by(PROBLEM_SET)
        .agg(pl.len(), pl.col("problems").max())
        .sort(["len", "problems", PROBLEM_SET], descending=True)
    )
    if groups.height < 2:
        return
    most, _, usual = groups.row(0)
    for candidate, _, problems in measured.filter(pl.col(PROBLEM_SET) != most).rows():
        others = "others" if problems == usual or usual is None else f"{usual}"
        shown = f"{problems or 'some'} problems, most candidates were measured on {others}"
        yield Flag(candidate, "other-problems", shown)


def _where(frame: pl.DataFrame, rule: pl.Expr, column: str) -> list[tuple[str, float]]:
    """Return name and value of the candidates for which the rule holds; a null holds nothing."""
    return frame.filter(rule).select("candidate", column).rows()


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
            detail = (
                f"{by_loss[row]:g} of {group.height} by loss, {by_coverage[row]:g} by {column_of(coverage).heading}"
            )
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


def range_flags(
    names: Sequence[str], features: Sequence[str], X: NDArray[np.float64], done: NDArray[np.bool_]
) -> Iterator[Flag]:
    """Yield candidates with a measurement outside what the finished runs had, each feature on its own.

    Parameters
    ----------
    names : sequence of str
        Candidates, n of them.
    features : sequence of str
        Columns of X, (n, p); indicators of a base and counts of samples are passed over.
    done : array (n,)
        Which are finished; with fewer than `RANGE_RUNS` nothing is said.
    """
    if done.sum() < RANGE_RUNS or done.all():
        return
    low, high = np.nanmin(X[done], axis=0), np.nanmax(X[done], axis=0)
    room = RANGE_ROOM * (high - low)
    apart = np.maximum(low - X, X - high) / np.maximum(room, 1e-12)
    measured = [(derived := derived_of(name)) is None or derived.kind in ("pass_at", "finished") for name in features]
    apart = np.where(np.array(measured) & (high > low), np.nan_to_num(apart), 0.0)
    for row in np.flatnonzero(~done & (apart > 1.0).any(axis=1)):
        at = int(np.argmax(apart[row]))
        value, least, most = (_shown(features[at], number) for number in (X[row, at], low[at], high[at]))
        detail = f"{column_of(features[at]).heading} is {value}, finished runs had {least} to {most}"
        yield Flag(names[int(row)], "outside-range", detail)


def _shown(name: str, value: float) -> str:
    """Return a measurement as a reader of the table sees it: a share in per cent."""
    return f"{100 * value:.1f} %" if column_of(name).scale == "logit" else f"{value:.3g}"


def over_trained(frame: pl.DataFrame) -> Iterator[Flag]:
    """Yield candidates whose held-out loss another of the same base, data and learning rate beats with fewer epochs.

    The other saw no more examples (repeats counted, where the table says how many), so it is repetition that cost the
    loss, not lack of training. The difference must be over two standard errors of it, where these are known, and over
    2 per cent. Epochs count as different from two leading digits on.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate. Without ``base_model``, ``recipe_epochs`` and the held-out loss nothing is flagged.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "base_model": ["x", "x"], "recipe_epochs": [1.0, 8.0],
    ...                       "recipe_examples_seen": [512, 512], "pre_held_out_loss_nats": [0.2, 0.3]})
    >>> [flag.detail for flag in over_trained(table)]
    ['0.300 nats after 8 epochs, 0.200 after 1']
    """
    needed = {LOSS, "recipe_epochs", "base_model"}
    if not needed <= set(frame.columns):
        return
    trained = frame.filter(
        pl.all_horizontal(pl.col(name).is_not_null() for name in needed), pl.col("recipe_epochs") > 0
    )
    # With another learning rate a higher loss may be one of too little training.
    keys = [name for name in ("base_model", "recipe_data_kind", "recipe_learning_rate") if name in frame.columns]
    for _, group in trained.group_by(keys, maintain_order=True):
        if group["recipe_epochs"].n_unique() < 2:
            continue
        loss, error = group[LOSS].to_numpy(), _filled(group, "pre_held_out_loss_se")
        epochs, best = group["recipe_epochs"].to_numpy(), _best_before(group)
        for row in np.flatnonzero(best >= 0):
            other = int(best[row])
            apart = max(APART * float(np.hypot(error[row], error[other])), APART_SHARE * float(loss[other]))
            if loss[row] - loss[other] > apart:
                detail = f"{loss[row]:.3f} nats after {epochs[row]:g} epochs, {loss[other]:.3f} after {epochs[other]:g}"
                yield Flag(group["candidate"][int(row)], "over-trained", detail)


def _best_before(group: pl.DataFrame) -> NDArray[np.int64]:
    """Return the row of lowest loss among those with fewer epochs and no more examples, for each row; -1 for none."""
    loss, seen = group[LOSS].to_numpy(), _filled(group, "recipe_examples_seen")
    levels = group["recipe_epochs"].round_sig_figs(2).to_numpy()
    order = np.argsort(seen, kind="stable")
    # By examples seen: the last with no more than each row.
    last = np.searchsorted(seen[order], seen, side="right") - 1
    best = np.full(len(loss), -1)
    for level in np.unique(levels)[1:]:
        # By examples seen: the lowest loss so far among those with fewer epochs.
        lowest = np.where(levels[order] < level, loss[order], np.inf)
        so_far = np.minimum.accumulate(lowest)
        holder = np.maximum.accumulate(np.where(lowest <= so_far, np.arange(len(order)), 0))
        rows = np.flatnonzero(levels == level)
        rows = rows[np.isfinite(so_far[last[rows]])]
        best[rows] = order[holder[last[rows]]]
    return best


def _filled(group: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column with 0 where it is not known."""
    if name not in group.columns:
        return np.zeros(group.height)
    return group[name].cast(pl.Float64).fill_null(0.0).to_numpy()
