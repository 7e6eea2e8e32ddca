"""From candidates and what was measured along their RL runs to what to do now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arguments import check_arguments
from quagpredict.arrays import Floats
from quagpredict.corpus import read_corpus
from quagpredict.corpus.reading import in_order, read_foreign
from quagpredict.curves.model import CurveModel, Forecast
from quagpredict.curves.reading import Curves, read_curves
from quagpredict.curves.standing import Grid, Standing, with_prior
from quagpredict.curves.under_way import about_curves, check_ends, learnt_from, stand, with_results
from quagpredict.errors import CorpusError, NothingToRankError, UsageError, argument
from quagpredict.racing.before_rl import forecast_before_rl
from quagpredict.racing.continuing import Ahead, Plan, Terms, plan_moves
from quagpredict.racing.result import Race, told
from quagpredict.ranking.decisions import Bar, chances
from quagpredict.ranking.gate import bases_not_measured, judged, of_bases_asked, parse_bar
from quagpredict.ranking.headers import HeadersError, with_headers
from quagpredict.ranking.partial_runs import belief_of
from quagpredict.ranking.result import Ranking

#: Shares of a run after which it is measured, unless said otherwise.
RUNGS = (0.125, 0.25, 0.5)


def race(
    candidates: Any,
    curves: Any = None,
    *,
    rl_steps: float,
    budget: float | None = None,
    step_cost: float = 1.0,
    measure_cost: float = 0.0,
    parallel: int = 1,
    rungs: Sequence[int] | None = None,
    prior: Any = "default",
    learn_from: Any = None,
    stopped: Sequence[str] = (),
    gate: str | float | None = None,
    margin: float = 0.0,
    gate_probability: float = 0.5,
    tolerance: float = 0.001,
    columns: Mapping[str, str] | None = None,
    percent: bool = False,
    join_seeds: str | None = None,
) -> Race:
    """Say which RL runs to start, go on with and stop now.

    A pure function of its tables: measure what it asks for, put the new rows into `curves`, call it again.

    Parameters
    ----------
    candidates : source
        Anything that `read_corpus` reads, a row each.
    curves : path or frame, optional
        Pass@1 along RL, see `read_curves`: a long table (``candidate``, ``step``, ``pass_at_1``, and where known
        ``pass_at_16`` and ``n``), or the nested column ``post_curve``; by default that of the candidates. A training
        reward is another measurement than the suite's Pass@1: it may stand in a column ``reward``, and is used for runs
        that were not measured since their RL began.
    rl_steps : int
        RL steps of a whole run. A run that was measured there is finished.
    budget : float, optional
        What is left to spend, in the unit of `step_cost`; no limit by default.
    step_cost, measure_cost : float
        Of one RL step and of one measurement, in one unit: 1 and 0 for RL steps, or GPU-hours.
    parallel : int
        Runs that fit at once.
    rungs : sequence of int, optional
        Steps at which runs can be measured; by default an eighth, a quarter and a half of `rl_steps`.
    prior : Ranking, table, path or None
        Predictions before RL, such as a ranking; by default what `rank` predicts; see `forecast_before_rl`.
    learn_from : source or list of sources, optional
        Corpora of finished runs with ``post_curve``, on two base models or more together; by default the shipped ones.
        Rows of the candidates themselves, and of runs that were stopped, are left out.
    stopped : sequence of str
        Candidates whose runs cannot go on.
    gate : float or str, optional
        A score, a candidate, or "no-sft": what a candidate must reach, as in `rank`. If none does, none is worth RL.
    margin, gate_probability : float
        As in `rank`; none is worth RL if the probability that any clears the gate is below `gate_probability`.
    tolerance : float
        A continuation that is expected to make the choice better by less is not worth it, in the unit of the score.
    columns : mapping, optional
        Column of the schema -> what the table of candidates calls it; known headers are recognised, as in `rank`.
    percent : bool
        Whether the scores of candidates and curves are in per cent.
    join_seeds : str, optional
        Column of eval seeds: rows of one candidate that differ in it are joined, as in `rank`.

    Returns
    -------
    Race
        As in `rank`, a candidate of which neither Pass@1 nor a prediction is known has no forecast and no place.

    Raises
    ------
    NothingToRankError
        If there is no candidate, or nothing is known of any.
    CorpusError, UsageError
        If a table or the call is wrong.

    Examples
    --------
    >>> who = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.2, 0.2], "pre_pass_at_16": [0.4, 0.5]})
    >>> along = pl.DataFrame({"candidate": ["a", "b"], "step": [100, 100], "pass_at_1": [0.21, 0.5]})
    >>> now = race(who, along, rl_steps=400, budget=800)
    >>> now.frame.select("candidate", "action", "until").rows()
    [('b', 'go on', 400), ('a', 'stop', None)]
    """
    check_arguments(race, locals())
    terms = _terms(rl_steps, budget, step_cost, measure_cost, parallel, tolerance)
    rl_steps = int(rl_steps)
    asked = _rungs(rungs, rl_steps)
    if not 0.0 < gate_probability <= 1.0:
        raise UsageError(f"{argument('gate_probability', gate_probability)}: expected a number above 0 and at most 1")
    if gate is None and margin:
        raise UsageError(f"{argument('margin', margin)}: a margin needs a gate")
    frame, read = _read(candidates, columns, percent, join_seeds)
    frame = in_order(frame)
    every = set(frame["candidate"])
    frame, left_out = of_bases_asked(frame, gate)
    unasked = every - set(frame["candidate"])
    _one_row_each(frame)
    learnt = learnt_from(learn_from, frame)
    before, about = forecast_before_rl(prior, frame, None if learn_from is None else learnt.corpora, learnt.model)
    measured = with_results(read_curves(curves, frame, percent=percent, left_out=unasked), frame, rl_steps)
    check_ends(measured, rl_steps)
    names = frame["candidate"].to_list()
    now, grid, seen = stand(measured, frame, learnt, before, rl_steps)
    # What any run reaches is no forecast of this one.
    unknown = ~(np.isfinite(before.mean) | frame["candidate"].is_in(measured.frame["candidate"].implode()).to_numpy())
    if unknown.all():
        raise NothingToRankError(
            f"neither Pass@1 nor a prediction of any of {frame.height} candidates is known, and none was measured "
            "along RL: measure pre_pass_at_1, or pass predictions as `prior`"
        )
    now = replace(now, mean=np.where(unknown, np.nan, now.mean))
    ahead = _ahead(grid, seen, learnt.model, before, measured.k, asked, terms.steps)
    barred = np.isin(np.array(names), list(stopped))
    strangers = set(stopped) - every
    if strangers:
        raise UsageError(f"{argument('stopped', min(strangers))}: no candidate has that name")
    belief = belief_of(now)
    bar = None if gate is None else parse_bar(gate, margin, frame, target="post_pass_at_1")
    chance = chances(belief, bar=bar)
    plan = plan_moves(now, ahead, terms, barred | unknown)
    none_clears = bar is not None and chance.p_any_clears < gate_probability
    if none_clears and bar is not None:
        plan = _only_the_bar(plan, now, ahead, terms, bar, barred | unknown)
    notes = [
        *read,
        *left_out,
        learnt.about() + ("" if learn_from is not None else "; pass `learn_from` for runs of your own"),
        *([about] if about else ()),
        *(() if bar is None else bases_not_measured(bar, frame)),
        *_about(measured, int(unknown.sum()), plan, terms, none_clears),
    ]
    return Race(
        frame=told(frame, now, plan, terms, belief, chance, barred, none_clears=none_clears, with_gate=bar is not None),
        choice=names[plan.leader] if plan.leader >= 0 else None,
        expected_regret=float(chance.expected_regret[plan.leader]) if plan.leader >= 0 else float("nan"),
        finish_cost=float(terms.cost(now.step[[plan.leader]], np.array([terms.steps]))[0]) if plan.leader >= 0 else 0.0,
        over=not plan.moves,
        gate=None if bar is None else judged(gate or 0.0, bar, chance, frame, gate_probability),
        rl_steps=rl_steps,
        curves=measured.frame,
        notes=tuple(notes),
        cost_unit="RL steps" if terms.step_cost == 1.0 and terms.measure_cost == 0.0 else "",
    )


def race_of(ranking: Ranking, **settings: Any) -> Race:
    """Return the race of the runs that a ranking was made with: the same forecasts, and what to do with each run.

    Parameters
    ----------
    ranking : Ranking
        From `quagpredict.rank` with curves of runs that have begun.
    **settings
        As for `race`: the budget, costs, the gate; not the curves, the length of a run or the prediction before RL.

    Raises
    ------
    UsageError
        If no run had begun.

    Examples
    --------
    >>> from quagpredict.ranking import rank
    >>> who = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.2, 0.2], "pre_pass_at_16": [0.4, 0.5]})
    >>> along = pl.DataFrame({"candidate": ["a", "b"], "step": [100, 100], "pass_at_1": [0.21, 0.5]})
    >>> ranking = rank(who, curves=along, rl_steps=400)
    >>> race_of(ranking, budget=800).frame.select("candidate", "action").rows()
    [('b', 'go on'), ('a', 'stop')]
    """
    runs = ranking.under_way
    if runs is None:
        raise UsageError("no RL run of this ranking has begun: pass `curves` to `quagpredict.rank`, or call `race`")
    prior = runs.before if runs.before["prediction"].is_not_null().any() else None
    return race(ranking.candidates, runs.curves, rl_steps=runs.rl_steps, prior=prior, **settings)


def _read(
    candidates: Any, columns: Mapping[str, str] | None, percent: bool, join_seeds: str | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the candidates under the schema's names, and what was taken for what."""
    as_told = bool(columns) or percent or join_seeds is not None

    def measured(source: Any) -> pl.DataFrame:
        frame = read_corpus(source)
        if not as_told and "pre_pass_at_1" not in frame.columns:
            raise CorpusError("candidates: column 'pre_pass_at_1' is missing")
        return frame

    try:
        frame, read = with_headers(measured, candidates, columns=columns, percent=percent, join_seeds=join_seeds)
    except CorpusError as error:
        if as_told or isinstance(error, HeadersError):
            raise
        adopted = read_foreign(candidates)  # what is known of them is Pass@k, or their curves alone
        return adopted.frame, adopted.notes
    return frame, read.notes


def _terms(
    rl_steps: float, budget: float | None, step_cost: float, measure_cost: float, parallel: int, tolerance: float
) -> Terms:
    for name, value, least in (("rl_steps", rl_steps, 1), ("parallel", parallel, 1)):
        if int(value) != value or value < least:
            raise UsageError(f"{argument(name, value)}: expected a whole number of at least {least}")
    for name, number in (("budget", budget), ("measure_cost", measure_cost), ("tolerance", tolerance)):
        if number is not None and not 0.0 <= number < np.inf:
            raise UsageError(f"{argument(name, number)}: expected a number of at least 0")
    if not 0.0 < step_cost < np.inf:
        raise UsageError(f"{argument('step_cost', step_cost)}: expected a number above 0")
    return Terms(
        float(rl_steps), step_cost, measure_cost, np.inf if budget is None else budget, int(parallel), tolerance
    )


def _rungs(rungs: Sequence[int] | None, rl_steps: int) -> Floats:
    if rungs is None:
        return np.array(sorted({max(round(share * rl_steps), 1) for share in RUNGS} | {rl_steps}), dtype=np.float64)
    for rung in rungs:
        if not 0 < rung <= rl_steps:
            raise UsageError(f"{argument('rungs', rung)}: expected steps from 1 to {rl_steps}, the end of the run")
    return np.array(sorted({*map(int, rungs), rl_steps}), dtype=np.float64)


def _one_row_each(frame: pl.DataFrame) -> None:
    twice = frame["candidate"].is_duplicated()
    if twice.any():
        raise CorpusError(
            f"candidates: '{frame['candidate'].filter(twice)[0]}' appears twice; a race is between runs, so give each "
            "run, also one of another RL seed, its own name"
        )


def _ahead(
    grid: Grid, seen: NDArray[np.int64], model: CurveModel, before: Forecast, k: int, rungs: Floats, steps: float
) -> Ahead:
    """Return where each run may be measured next, with the Pass@k that it was measured with so far."""
    rows = np.arange(len(seen))
    step = np.tile(rungs, (len(seen), 1))
    score = np.repeat(np.nan_to_num(grid.score[rows, seen - 1], nan=0.5)[:, None], len(rungs), axis=1)
    at_k = score if k > 1 else np.full(step.shape, np.nan)
    forecast = model.forecast(step / steps, score, at_k, k, np.full(step.shape, np.nan))
    forecast = with_prior(forecast, step, before)
    return Ahead(np.where(step > grid.step[rows, seen - 1][:, None], step, np.nan), forecast.own, forecast.loading)


def _only_the_bar(plan: Plan, now: Standing, ahead: Ahead, terms: Terms, bar: Bar, barred: NDArray[np.bool_]) -> Plan:
    """Return the plan when no candidate is worth RL: the run that is the bar, if there is one, and nothing else."""
    bars = np.unique(bar.reference[bar.reference >= 0])
    if not len(bars):
        return Plan([], -1, plan.gains, plan.affordable)
    others = np.ones(len(barred), dtype=np.bool_)
    others[bars] = False
    hidden = now.result.copy()
    hidden[others] = np.nan
    alone = plan_moves(
        replace(now, mean=np.where(others, np.nan, now.mean), result=hidden),
        ahead,
        terms,
        barred | others,
    )
    return Plan(alone.moves, alone.leader, plan.gains, plan.affordable)


def _about(curves: Curves, unknown: int, plan: Plan, terms: Terms, none_clears: bool) -> list[str]:
    """Return what a reader must know about this race."""
    notes = list(about_curves(curves))
    if unknown:
        who = "1 candidate has" if unknown == 1 else f"{unknown} candidates have"
        notes.append(f"{who} neither Pass@1 nor a prediction, and so no place: measure pre_pass_at_1")
    if none_clears:
        notes.append("none is worth RL: no candidate is likely enough to clear the gate")
    elif not plan.affordable.any():
        notes.append(f"the budget of {terms.budget:g} finishes no run: the choice is by forecast")
    elif not plan.moves:
        notes.append("the race is over: the choice is finished, and nothing more is worth its cost, or can be paid for")
    return notes
