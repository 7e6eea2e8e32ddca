"""From candidates and what was measured along their RL runs to what to do now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus import read_corpus
from quagpredict.errors import CorpusError, UsageError, argument
from quagpredict.racing.before_rl import forecast_before_rl
from quagpredict.racing.continuing import Ahead, Plan, Terms, plan_moves
from quagpredict.racing.curve_model import CurveModel, Forecast, learn_curves
from quagpredict.racing.curves import COLUMNS, USUAL_K, Curves, read_curves
from quagpredict.racing.result import Race
from quagpredict.racing.rewards import RewardModel, learn_rewards
from quagpredict.racing.standing import Grid, Standing, grid_of, standing, with_prior
from quagpredict.racing.telling import told
from quagpredict.ranking.decisions import Bar, chances
from quagpredict.ranking.gate import judged, parse_bar
from quagpredict.ranking.headers import HeadersError, with_headers

Floats = NDArray[np.float64]

#: Finished runs with curves that ship with the library.
CORPORA = ("datasets/lab/corpus.parquet", "datasets/lab-2/corpus.parquet")
#: Shares of a run after which it is measured, unless said otherwise.
RUNGS = (0.125, 0.25, 0.5)


def race(
    candidates: Any,
    curves: Any = None,
    *,
    rl_steps: int,
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
        Predictions before RL, such as a ranking; see `forecast_before_rl`.
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

    Returns
    -------
    Race

    Raises
    ------
    NothingToRankError
        If there is no candidate.
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
    terms = _terms(rl_steps, budget, step_cost, measure_cost, parallel, tolerance)
    asked = _rungs(rungs, rl_steps)
    if not 0.0 < gate_probability <= 1.0:
        raise UsageError(f"{argument('gate_probability', gate_probability)}: expected a number above 0 and at most 1")
    frame, read = _read(candidates, columns, percent)
    _one_row_each(frame)
    corpora, sources = _corpora(learn_from, frame)
    model = learn_curves(corpora)
    before, about = forecast_before_rl(prior, frame, corpora, model)
    measured = _with_results(read_curves(curves, frame, percent=percent), frame, rl_steps)
    names = frame["candidate"].to_list()
    base = _bases(frame)
    grid, seen = _grid(measured, names, model, before, terms.steps, learn_rewards(corpora))
    now = standing(grid, seen, base, terms.steps)
    ahead = _ahead(grid, seen, model, before, measured.k, asked, terms.steps)
    barred = np.isin(np.array(names), list(stopped))
    strangers = set(stopped) - set(names)
    if strangers:
        raise UsageError(f"{argument('stopped', min(strangers))}: no candidate has that name")
    belief = now.belief()
    bar = None if gate is None else parse_bar(gate, margin, frame, target="post_pass_at_1")
    chance = chances(belief, bar=bar)
    plan = plan_moves(now, ahead, terms, barred)
    none_clears = bar is not None and chance.p_any_clears < gate_probability
    if none_clears and bar is not None:
        plan = _only_the_bar(plan, now, ahead, terms, bar, barred)
    notes = [
        *read,
        f"forecasts rest on {model.runs} finished runs on {model.bases} base models ({sources}): of other models and "
        "problems the order is better known than the level"
        + ("" if learn_from is not None else "; pass `learn_from` for runs of your own"),
        about,
        *_about(measured, frame, plan, terms, none_clears),
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
    )


def _read(candidates: Any, columns: Mapping[str, str] | None, percent: bool) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the candidates under the schema's names, and what was taken for what."""

    def measured(source: Any) -> pl.DataFrame:
        frame = read_corpus(source)
        if "pre_pass_at_1" not in frame.columns:
            raise CorpusError("candidates: column 'pre_pass_at_1' is missing")
        return frame

    try:
        frame, read = with_headers(measured, candidates, columns=columns, percent=percent)
    except CorpusError as error:
        if columns or percent or isinstance(error, HeadersError):
            raise
        return read_corpus(candidates), ()  # known by their curves alone
    return frame, read.notes


def _terms(
    rl_steps: int, budget: float | None, step_cost: float, measure_cost: float, parallel: int, tolerance: float
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


def _corpora(learn_from: Any, frame: pl.DataFrame) -> tuple[list[pl.DataFrame], str]:
    """Return the runs to learn from, without the candidates', and what to call them."""
    key = [name for name in ("candidate", "base_model") if name in frame.columns]
    own = frame.select(key)
    sources = CORPORA if learn_from is None else learn_from if isinstance(learn_from, list | tuple) else [learn_from]
    corpora = []
    for source in sources:
        corpus = read_corpus(source)
        if "post_curve" not in corpus.columns or "base_model" not in corpus.columns:
            raise CorpusError(
                "curves to learn from need the columns 'base_model' and 'post_curve': finished runs that were measured "
                "along RL"
            )
        corpora.append(corpus.join(own, on=key, how="anti") if set(key) <= set(corpus.columns) else corpus)
    return corpora, ", ".join(str(one) if isinstance(one, str | Path) else "a table" for one in sources)


def _with_results(curves: Curves, frame: pl.DataFrame, rl_steps: int) -> Curves:
    """Add the scores after RL that the candidates have already, at the step where their RL ended."""
    long = curves.frame
    if "post_pass_at_1" in frame.columns:
        at_k = f"post_pass_at_{curves.k}"
        results = frame.select(
            pl.col("candidate").cast(pl.String),
            step=(pl.col("rl_steps").fill_null(rl_steps) if "rl_steps" in frame.columns else pl.lit(rl_steps)).cast(
                pl.Int64
            ),
            pass_at_1=pl.col("post_pass_at_1").cast(pl.Float64),
            pass_at_k=(pl.col(at_k) if at_k in frame.columns else pl.lit(None)).cast(pl.Float64),
            responses=pl.lit(None, dtype=pl.Float64),
            reward=pl.lit(None, dtype=pl.Float64),
        ).filter(pl.col("pass_at_1").is_not_null())
        new = results.join(long, on=["candidate", "step"], how="anti")
        long = pl.concat([long, new]).sort("candidate", "step")
    ended = long.filter((pl.col("step") == rl_steps) & pl.col("pass_at_1").is_null())
    if ended.height:
        raise CorpusError(
            f"'{ended['candidate'][0]}' has only a training reward at step {rl_steps}, the end of its run, and that is "
            "no score: measure it on the suite, and give its 'pass_at_1'"
        )
    beyond = long.filter(pl.col("step") > rl_steps)
    if beyond.height:
        raise CorpusError(
            f"'{beyond['candidate'][0]}' was measured at step {beyond['step'][0]}, beyond "
            f"{argument('rl_steps', rl_steps)}; say how long a whole run is"
        )
    return Curves(long, curves.k)


def _bases(frame: pl.DataFrame) -> NDArray[np.int64]:
    if "base_model" not in frame.columns:
        return np.zeros(frame.height, dtype=np.int64)
    return np.unique(frame["base_model"].cast(pl.String).fill_null("").to_numpy(), return_inverse=True)[1].astype(
        np.int64
    )


def _grid(
    curves: Curves,
    names: list[str],
    model: CurveModel,
    before: Forecast,
    steps: float,
    rewards: RewardModel | None,
) -> tuple[Grid, NDArray[np.int64]]:
    """Return the forecasts at every measurement; a run of which nothing was measured has one of step 0."""
    parts = curves.frame.partition_by("candidate", as_dict=True)
    empty = curves.frame.clear()
    each = [parts.get((name,), empty) for name in names]
    # What is predicted before RL is the start, also where the score before RL was not measured.
    unmeasured = [part.is_empty() or part["step"][0] > 0 for part in each]
    seen = np.array([part.height + new for part, new in zip(each, unmeasured, strict=True)], dtype=np.int64)
    table = np.full((5, len(names), int(seen.max(initial=1))), np.nan)
    for row, (part, new) in enumerate(zip(each, unmeasured, strict=True)):
        table[0, row, 0] = 0.0
        for place, name in enumerate(COLUMNS[1:]):
            table[place, row, int(new) : seen[row]] = part[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    step, score, at_k, responses, reward = table
    by_reward = rewards.forecast(step / steps, reward) if rewards is not None else None
    return grid_of(model, step, score, at_k, curves.k, responses, steps, before, by_reward), seen


def _ahead(
    grid: Grid, seen: NDArray[np.int64], model: CurveModel, before: Forecast, k: int, rungs: Floats, steps: float
) -> Ahead:
    """Return where each run may be measured next, with the Pass@k that it was measured with so far."""
    rows = np.arange(len(seen))
    step = np.tile(rungs, (len(seen), 1))
    score = np.repeat(np.nan_to_num(grid.score[rows, seen - 1], nan=0.5)[:, None], len(rungs), axis=1)
    at_k = score if k > 1 else np.full(step.shape, np.nan)
    found = model.forecast(step / steps, score, at_k, k, np.full(step.shape, np.nan))
    found = with_prior(found, step, before)
    return Ahead(np.where(step > grid.step[rows, seen - 1][:, None], step, np.nan), found.own, found.loading)


def _only_the_bar(plan: Plan, now: Standing, ahead: Ahead, terms: Terms, bar: Bar, barred: NDArray[np.bool_]) -> Plan:
    """Return the plan when no candidate is worth RL: the run that is the bar, if there is one, and nothing else."""
    bars = np.unique(bar.reference[bar.reference >= 0])
    if not len(bars):
        return Plan([], -1, plan.gains, plan.affordable)
    others = np.ones(len(barred), dtype=np.bool_)
    others[bars] = False
    hidden = now.known.copy()
    hidden[others] = np.nan
    alone = plan_moves(
        replace(now, mean=np.where(others, np.nan, now.mean), known=hidden),
        ahead,
        terms,
        barred | others,
    )
    return Plan(alone.moves, alone.leader, plan.gains, plan.affordable)


def _about(curves: Curves, frame: pl.DataFrame, plan: Plan, terms: Terms, none_clears: bool) -> list[str]:
    """Return what a reader must know about this race."""
    notes = []
    if not curves.k:
        notes.append(
            f"no Pass@{USUAL_K} along the curves: with it forecasts are much better, measured from the same samples"
        )
    elif curves.k != USUAL_K:
        notes.append(f"Pass@{curves.k} stands in for Pass@{USUAL_K}, its logit stretched by the logs of k")
    nothing = frame.height - curves.frame["candidate"].n_unique()
    if nothing:
        notes.append(f"of {nothing} candidates nothing was measured: their curves start from what any run reaches")
    rewarded = curves.frame["pass_at_1"].null_count()
    if rewarded:
        notes.append(
            f"of {rewarded} runs under way only the training reward is known: a measurement on the suite says more"
        )
    if none_clears:
        notes.append("none is worth RL: no candidate is likely enough to clear the gate")
    elif not plan.affordable.any():
        notes.append(f"the budget of {terms.budget:g} finishes no run: the choice is by forecast")
    elif not plan.moves:
        notes.append("the race is over: the choice is finished, and nothing more is worth its cost, or can be paid for")
    return notes
