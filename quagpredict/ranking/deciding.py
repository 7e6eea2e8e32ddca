"""From candidates and a surrogate, or none, to the ranking and the decisions that were asked for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import column_of, measurement_of
from quagpredict.errors import IncomparableError, NothingToRankError, UsageError, argument
from quagpredict.ranking.applicability import Mismatch, mismatches
from quagpredict.ranking.assembling import Parts, assembled
from quagpredict.ranking.belief import Belief
from quagpredict.ranking.decisions import chances
from quagpredict.ranking.finished import TARGET, evidence, finished, training_candidates
from quagpredict.ranking.flags import measurement_flags, prediction_flags, range_flags
from quagpredict.ranking.free_choices import about_free_order
from quagpredict.ranking.gate import bases_not_measured, judged, parse_bar
from quagpredict.ranking.outcome import CURVE
from quagpredict.ranking.predicting import base_models, believe, contributions, interval, within
from quagpredict.ranking.result import Budget, Flag, NextRun, Ranking
from quagpredict.ranking.which_runs import best_set, regret_reductions
from quagpredict.schema import BY_NAME
from quagpredict.surrogates.fitted import FittedSurrogate, Interval
from quagpredict.surrogates.hierarchical_form import by_benchmark
from quagpredict.validation.screening import LOSS, screen

if TYPE_CHECKING:
    from quagpredict.ranking.partial_runs import PartialRuns


class Asked(NamedTuple):
    """What `rank` was asked for besides the order; see there."""

    top_m: int
    budget: int | None
    next_run: bool
    gate: str | float | None
    margin: float
    gate_probability: float
    rl_steps: float | None
    condition: bool

    def check(self) -> None:
        """Refuse what makes no sense."""
        for name, value in (("top_m", self.top_m), ("budget", self.budget)):
            if value is not None and value < 1:
                raise UsageError(f"{argument(name, value)}: expected a whole number of at least 1")
        if not 0.0 < self.gate_probability <= 1.0:
            raise UsageError(
                f"{argument('gate_probability', self.gate_probability)}: expected a number above 0 and at most 1"
            )
        if self.gate is None and self.margin:
            raise UsageError(f"{argument('margin', self.margin)}: a margin needs a gate")
        if self.rl_steps is not None and not self.rl_steps > 0:
            raise UsageError(f"{argument('rl_steps', self.rl_steps)}: expected a number above 0")


def predicted(
    frame: pl.DataFrame,
    own: pl.DataFrame,
    surrogate: FittedSurrogate,
    asked: Asked,
    *,
    minimize: bool,
    allow_mixed: bool,
    allow_base: bool,
    notes: Sequence[str] = (),
    runs: "PartialRuns | None" = None,
) -> Ranking:
    """Rank by the surrogate's predictions, and by what is known of runs that have begun.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate, with every result that is to be shown.
    own : polars.DataFrame
        The same rows with the results that may be learnt from.
    """
    # What it was fitted on says nothing about how well it predicts.
    fitted_on = training_candidates(own, surrogate)
    flags, mismatched = _allowed(frame, surrogate, allow_mixed, allow_base)
    finished_here = int(finished(own, surrogate.target).sum())
    sentences = [_about(surrogate, int(fitted_on.sum()), finished_here), *notes]
    if asked.rl_steps is not None and (runs is None or "rl_steps" in surrogate.features):
        sentences.append(_about_steps(surrogate, asked.rl_steps))
    X = surrogate.design(frame, rl_steps=asked.rl_steps)
    if np.isnan(X).any(axis=1).all():
        needs = ", ".join(surrogate.features[:8]) + (", ..." if len(surrogate.features) > 8 else "")
        raise NothingToRankError(f"no candidate has every measurement that the surrogate needs ({needs})")
    prediction = surrogate.predict(X)
    before = np.where(fitted_on.to_numpy(), np.nan, -prediction.mean if minimize else prediction.mean)
    seen = None
    if asked.condition:
        seen, about = evidence(own, surrogate, mismatched, asked.rl_steps, fitted_on)
        sentences += [about] if about else []
    bases = base_models(frame)
    belief = believe(surrogate, X, seen, bases=bases, minimize=minimize)
    if belief.shared.shape[1] == 0 and runs is None:
        sentences.append("this surrogate tells no errors that these candidates share: chances take them as independent")
    own_ends = surrogate.interval(X, groups=bases)
    ends = within(own_ends if seen is None else interval(belief), belief)
    done = finished(own, surrogate.target).to_numpy()
    names = frame["candidate"].to_list()
    flags += measurement_flags(frame, surrogate.features, X)
    flags += range_flags(names, surrogate.features, X, done)
    driven = contributions(surrogate, X)
    beside: dict[str, NDArray[Any]] = {"distance": prediction.distance}
    under_way = None
    if runs is not None:
        alone = runs.forecast(frame, prediction.mean, own_ends)
        before = np.where(fitted_on.to_numpy(), np.nan, alone.belief.merits())
        predicted_before = belief.merits()
        under_way = runs.table(frame, predicted_before, ends)
        forecast = runs.forecast(frame, predicted_before, ends, belief.result)
        belief, ends = forecast.belief, forecast.ends
        driven = ((*driven[0], CURVE), np.column_stack([driven[1], belief.merits() - predicted_before]))
        beside |= {"step": forecast.now.step.astype(np.int64), "score": forecast.now.score}
        sentences += runs.notes()
    if not minimize and belief.bounds is not None:
        sentences += about_free_order(frame, np.where(done, np.nan, belief.merits()), *driven)
    ranking = _decided(
        frame,
        belief,
        ends,
        asked,
        Parts(
            merit=_merit(belief),
            by_itself=pl.Series("before", before, nan_to_null=True),
            numbers=beside,
            done=pl.Series(done if runs is None else done | np.isfinite(belief.result)),
            used=surrogate.features,
            contributions=driven,
        ),
        flags,
        sentences,
        surrogate.name,
        surrogate.target,
    )
    cells = _by_benchmark(surrogate, X, frame, ranking)
    if cells is not None and runs is not None:  # a curve says nothing of single benchmarks
        own_cells = ~pl.col("candidate").is_in(list(runs.begun))
        cells = cells.with_columns(pl.when(own_cells).then(name).alias(name) for name in ("prediction", "low", "high"))
    return replace(ranking, by_benchmark=cells, under_way=under_way)


def by_curves(
    frame: pl.DataFrame, own: pl.DataFrame, runs: "PartialRuns", asked: Asked, *, notes: Sequence[str] = ()
) -> Ranking:
    """Rank by what is known of runs that have begun alone; the parameters are those of `predicted`."""
    done = finished(own, TARGET).to_numpy()
    nothing = np.full(frame.height, np.nan)
    alone = Interval(nothing, nothing)
    results = (
        np.where(done, own[TARGET].cast(pl.Float64).to_numpy(), np.nan) if asked.condition and done.any() else None
    )
    forecast = runs.forecast(frame, nothing, alone, results)
    belief = forecast.belief
    merits = belief.merits()
    moved = merits - merits[np.isfinite(merits)].mean()
    used = [name for name in ("pre_pass_at_1", f"pre_pass_at_{runs.curves.k}") if name in frame.columns]
    ranking = _decided(
        frame,
        belief,
        forecast.ends,
        asked,
        Parts(
            merit=_merit(belief),
            by_itself=pl.Series(np.where(done, np.nan, merits), nan_to_null=True),
            numbers={"distance": nothing, "step": forecast.now.step.astype(np.int64), "score": forecast.now.score},
            done=pl.Series(done | np.isfinite(belief.result)),
            used=used,
            # What sets apart who has not begun is its score before RL.
            contributions=((CURVE,), np.where(forecast.now.step > 0, moved, np.nan)[:, None]),
        ),
        list(measurement_flags(frame, used, needed=1)),
        [*notes, "no surrogate: predicted from Pass@1 and Pass@k before and along RL alone", *runs.notes()],
        "curves",
        TARGET,
    )
    return replace(ranking, under_way=runs.table(frame, nothing, alone))


def _decided(
    frame: pl.DataFrame,
    belief: Belief,
    ends: Interval,
    asked: Asked,
    parts: Parts,
    flags: list[Flag],
    notes: Sequence[str],
    name: str,
    target: str,
) -> Ranking:
    """Return the ranking by a belief with what was asked for; `parts` without the numbers that are told from it."""
    bar = None
    if asked.gate is not None:
        bar = parse_bar(asked.gate, asked.margin, frame, minimize=belief.minimize, target=target)
        notes = [*notes, *bases_not_measured(bar, frame)]
    chance = chances(belief, top_m=asked.top_m, bar=bar)
    merits = belief.merits()
    numbers = {
        "prediction": -merits if belief.minimize else merits,
        "low": ends.low,
        "high": ends.high,
        "p_best": chance.p_best,
        f"p_top_{asked.top_m}": chance.p_top,
        "expected_regret": chance.expected_regret,
    }
    if bar is not None:
        numbers["p_clear"] = chance.p_clear
    reductions = regret_reductions(belief) if asked.next_run else None
    if reductions is not None:
        numbers["regret_reduction"] = reductions
    flags += prediction_flags(
        frame["candidate"].to_list(), numbers["prediction"], parts.numbers["distance"], belief.bounds is not None
    )
    ranking = assembled(
        frame,
        parts._replace(numbers={**numbers, **parts.numbers}),
        flags,
        name,
        target,
        notes,
        minimize=belief.minimize,
    )
    gate = None if bar is None else judged(asked.gate or 0.0, bar, chance, frame, asked.gate_probability)
    # Only who is worth RL at all may be taken.
    among = None if gate is None else frame["candidate"].is_in(list(gate.cleared)).to_numpy()
    budget = None if asked.budget is None else _budget(belief, frame, asked.budget, among)
    return replace(
        ranking,
        notes=(*ranking.notes, *_too_few(budget, gated=gate is not None)),
        budget=budget,
        gate=gate,
        next_run=None if reductions is None else _next_run(reductions, chance.expected_regret, frame),
    )


def screened(
    frame: pl.DataFrame,
    own: pl.DataFrame,
    target: str,
    asked: Asked,
    *,
    minimize: bool,
    notes: Sequence[str] = (),
    why: str = "",
) -> Ranking:
    """Rank by the paper's screening, which predicts no score.

    Parameters
    ----------
    frame, own, target, asked, minimize, notes
        As for `predicted`.
    why : str
        What a predicted score takes.
    """
    why = f": {why}" if why else ""
    for name, value in (("gate", asked.gate), ("next_run", asked.next_run or None), ("rl_steps", asked.rl_steps)):
        if value is not None:
            need = why or ": name a surrogate"
            raise UsageError(f"{argument(name, value)} needs predicted scores, and screening predicts none{need}")
    screening = screen(frame)
    flags = [
        Flag(name, "screened-out", "Pass@1 below and loss above the median of its base model")
        for name in frame["candidate"].filter(screening.screened_out)
    ]
    flags += measurement_flags(frame, screening.used, needed=1)
    # The dropped come after all others, in their own order.
    key = screening.key.to_numpy().astype(np.float64)
    key = key - screening.screened_out.to_numpy() * (np.nanmax(key) - np.nanmin(key) + 1.0)
    merit = pl.Series("merit", key, nan_to_null=True)
    absent = () if target in frame.columns or target in BY_NAME else (f"no candidate has a column '{target}'",)
    how = column_of(screening.used[0]).heading
    how = f"low Pass@1 with high loss goes last, then {how}" if len(screening.used) > 1 else how
    sentences = (
        *notes,
        *absent,
        f"no surrogate: ordered by the paper's screening ({how}); no score is predicted{why}",
        *screening.notes,
    )
    shown = dict.fromkeys(
        (*screening.used, *([LOSS] if frame.get_column(LOSS, default=pl.Series([None])).count() else []))
    )
    parts = Parts(merit, merit, {}, finished(own, target), tuple(shown), None)
    ranking = assembled(frame, parts, flags, None, target, sentences, minimize=minimize)
    if asked.budget is None:
        return ranking
    without_result = set(own["candidate"].filter(~finished(own, target)))
    ordered = ranking.frame.filter(pl.col("rank").is_not_null())["candidate"]
    first = tuple(name for name in ordered if name in without_result)[: asked.budget]
    budget = Budget(asked.budget, first, None, None, False, None, None)
    return replace(ranking, budget=budget, notes=(*ranking.notes, *_too_few(budget)))


def _merit(belief: Belief) -> pl.Series:
    return pl.Series("merit", belief.merits(), nan_to_null=True)


def _by_benchmark(surrogate: FittedSurrogate, X: Floats, frame: pl.DataFrame, ranking: Ranking) -> pl.DataFrame | None:
    """Return the predictions by benchmark, in the order of the ranking."""
    of_benchmarks = by_benchmark(surrogate, X, frame)
    if of_benchmarks is None:
        return None
    return ranking.frame.select("candidate").join(
        of_benchmarks, on="candidate", how="left", maintain_order="left_right"
    )


def _allowed(
    frame: pl.DataFrame, surrogate: FittedSurrogate, allow_mixed: bool, allow_base: bool
) -> tuple[list[Flag], list[Mismatch]]:
    """Return flags for what was allowed, or refuse."""
    flags: list[Flag] = []
    mismatched = mismatches(frame, surrogate)
    for mismatch in mismatched:
        allowed, option = (
            (allow_base, "unvalidated_base") if mismatch.kind == "unseen-base" else (allow_mixed, "mixed_protocols")
        )
        if not allowed:
            raise IncomparableError(
                f"{mismatch.detail}; fit a surrogate on comparable runs, or pass allow_{option}=True"
            )
        names = frame["candidate"].filter(mismatch.rows)
        flags += [Flag(name, mismatch.kind, mismatch.detail) for name in names]
    return flags, mismatched


def _about(surrogate: FittedSurrogate, among: int, finished_here: int) -> str:
    """Return what predicts, from what and how sure; `among` is how many of these candidates it was fitted on."""
    measured = dict.fromkeys(measurement_of(name, surrogate.features) for name in surrogate.features)
    called = ["counts of each problem" if name == "pre_problems" else column_of(name).heading for name in measured]
    of = ", ".join(called[:4]) + (f" and {len(called) - 4} more" if len(called) > 4 else "")
    rows = surrogate.training_rows
    learnt = f"fitted on {rows} finished candidates" if rows else "with no result of these candidates"
    if among and among != rows:  # what it says of them is no test of it
        learnt += f", {among} of them among these"
    elif among:
        learnt = f"fitted on {'the' if among == finished_here else f'{among} of the'} {finished_here} with a result"
    return f"surrogate '{surrogate.name}' of {of}, {learnt}; its 90 % interval is " + (
        "calibrated on left-out runs" if surrogate.calibration else "the model's own, not calibrated"
    )


def _about_steps(surrogate: FittedSurrogate, steps: float) -> str:
    if "rl_steps" not in surrogate.features:
        return f"this surrogate does not depend on RL steps: for {steps:g} it predicts what it does for any"
    usual = surrogate.rl_steps
    far = f", far from the {usual:g} it was fitted on" if usual and not usual / 2 <= steps <= 2 * usual else ""
    return f"predictions are for {steps:g} RL steps{far}"


def _budget(belief: Belief, frame: pl.DataFrame, size: int, among: NDArray[np.bool_] | None) -> Budget:
    best = best_set(belief, size, among=among)
    names = frame["candidate"]
    sign = -1.0 if belief.minimize else 1.0
    return Budget(
        size=size,
        candidates=tuple(names[row] for row in best.rows),
        expected_best=sign * best.expected_best,
        expected_best_of_top=sign * best.expected_best_of_top,
        exact=best.exact,
        at_most_lost=best.at_most_lost,
        in_hand=sign * best.in_hand if np.isfinite(best.in_hand) else None,
    )


def _too_few(budget: Budget | None, *, gated: bool = False) -> list[str]:
    if budget is None or len(budget.candidates) == budget.size:
        return []
    count = len(budget.candidates)
    why = "clear the gate and have no result" if gated else "can get RL"
    return [f"{budget.size} candidates were asked for and {count} {why}{': all of these are taken' if count else ''}"]


def _next_run(reductions: Floats, regret: Floats, frame: pl.DataFrame) -> NextRun | None:
    if not np.isfinite(reductions).any():
        return None
    row = int(np.nanargmax(reductions))
    now = float(np.nanmin(regret))
    return NextRun(frame["candidate"][row], now, max(now - float(reductions[row]), 0.0))
