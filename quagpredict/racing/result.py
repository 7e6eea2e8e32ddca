"""What a race says now: every run, what it is told and why; plain values, all scores as fractions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.curves.standing import Standing
from quagpredict.racing.continuing import Plan, Terms
from quagpredict.ranking.belief import Belief
from quagpredict.ranking.decisions import Chances
from quagpredict.ranking.predicting import interval
from quagpredict.ranking.result import Gate

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Race:
    """Which RL runs to start, go on with and stop now, and what is expected of each.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate, best forecast first:

        ``candidate``; ``base_model`` where known;
        ``state`` (``not started``, ``under way``, ``finished``); ``step`` and ``score``: RL steps done, Pass@1 there;
        ``forecast``, ``low``, ``high``: Pass@1 at the end of its run, 90 % interval; the score if it is finished;
        ``p_best``: probability to end best; ``expected_regret`` of choosing it; ``p_clear`` (with a gate);
        ``action``: ``start`` or ``go on`` until ``until``, a step; ``wait``: worth going on with, but not first;
        ``stop``, or ``leave`` what was not started; ``done``;
        ``gain``: how much better the choice is expected to be for the action or, without one, for the continuation that
        is worth most, null where none is open; ``cost`` of the action; ``why``, in words.
    choice : str or None
        The run to take if nothing more is learnt; None if none clears the gate.
    expected_regret : float
        What stopping here, finishing only `choice`, is expected to cost against the best of all; NaN without a choice.
    finish_cost : float
        What finishing it costs.
    over : bool
        Whether there is nothing to do any more.
    gate : Gate or None
    rl_steps : int
        Of a whole run.
    curves : polars.DataFrame
        What was measured: ``candidate``, ``step``, ``pass_at_1``, ``pass_at_k``, ``responses``.
    notes : tuple of str
        What a reader must know, one sentence each.
    cost_unit : str
        ``RL steps`` where no cost was given; empty where costs are in a unit of the caller's.
    """

    frame: pl.DataFrame
    choice: str | None
    expected_regret: float
    finish_cost: float
    over: bool
    gate: Gate | None
    rl_steps: int
    curves: pl.DataFrame
    notes: tuple[str, ...]
    cost_unit: str = ""

    def __repr__(self) -> str:
        """Return one line: the table is in `frame`."""
        going = self.frame.filter(pl.col("action").is_in(["start", "go on"])).height
        return f"Race({self.frame.height} candidates, {going} to go on with, choice {self.choice!r}; see .frame)"

    def _repr_html_(self) -> str:
        """Return the decision, the table in per cent and the notes, as notebooks show them."""
        from quagpredict.report.notebook import race_html

        return race_html(self)

    def __str__(self) -> str:
        """Return what the terminal shows: ``print(race)``."""
        from quagpredict.report.notebook import race_text

        return race_text(self)

    def to_pandas(self) -> "pd.DataFrame":
        """Return `frame` as a pandas frame."""
        return self.frame.to_pandas()


def told(
    frame: pl.DataFrame,
    now: Standing,
    plan: Plan,
    terms: Terms,
    belief: Belief,
    chance: Chances,
    barred: NDArray[np.bool_],
    *,
    none_clears: bool,
    with_gate: bool,
) -> pl.DataFrame:
    """Return the table of a race, see `Race.frame`."""
    ends = interval(belief)
    forecast = belief.merits()
    done = now.step >= terms.steps
    moves = {move.row: move for move in plan.moves}
    rows = range(frame.height)
    words = [_word(row, now, plan, terms, barred, none_clears) for row in rows]
    gains = np.array([moves[row].gain if row in moves else plan.gains[row] for row in rows])
    columns = {
        "candidate": frame["candidate"],
        **({"base_model": frame["base_model"]} if "base_model" in frame.columns else {}),
        "state": ["finished" if done[row] else "under way" if now.step[row] > 0 else "not started" for row in rows],
        "step": now.step.astype(np.int64),
        "score": pl.Series(now.score, nan_to_null=True),
        "forecast": pl.Series(forecast, nan_to_null=True),
        "low": pl.Series(np.minimum(ends.low, forecast), nan_to_null=True),
        "high": pl.Series(np.maximum(ends.high, forecast), nan_to_null=True),
        "p_best": pl.Series(chance.p_best, nan_to_null=True),
        "expected_regret": pl.Series(chance.expected_regret, nan_to_null=True),
        **({"p_clear": pl.Series(chance.p_clear, nan_to_null=True)} if with_gate else {}),
        "action": [action for action, _ in words],
        "until": pl.Series([int(moves[row].until) if row in moves else None for row in rows], dtype=pl.Int64),
        "gain": pl.Series(gains, nan_to_null=True),
        "cost": pl.Series([moves[row].cost if row in moves else 0.0 for row in rows], dtype=pl.Float64),
        "why": [why for _, why in words],
    }
    return pl.DataFrame(columns).sort("forecast", descending=True, nulls_last=True, maintain_order=True)


def _word(
    row: int, now: Standing, plan: Plan, terms: Terms, barred: NDArray[np.bool_], none_clears: bool
) -> tuple[str, str]:
    """Return the action of a run and the reason."""
    begun = now.step[row] > 0
    stop = "stop" if begun else "leave"
    if now.step[row] >= terms.steps:
        return "done", "finished"
    if np.isnan(now.mean[row]):
        return stop, "neither its Pass@1 nor a prediction is known"
    move = next((move for move in plan.moves if move.row == row), None)
    if move is not None:
        action = "go on" if begun else "start"
        if move.gain <= terms.tolerance:
            return action, "leads, and nothing more is worth its cost: finish it"
        return action, f"its score at step {move.until:g} is expected to make the choice {_points(move.gain)} better"
    if none_clears:
        return stop, "no candidate is likely enough to clear the gate"
    if barred[row]:
        return "stop", "its run cannot go on"
    if not plan.affordable[row]:
        return stop, "cannot be finished within the budget"
    if row == plan.leader:
        return "wait", "leads: finish it when nothing more is worth learning"
    gain = plan.gains[row]
    if not np.isfinite(gain):
        return stop, "the leading run could not be finished after it"
    if gain > terms.tolerance:
        return "wait", f"worth {_points(gain)}, but others are worth more for what they cost"
    return stop, f"going on is expected to make the choice {_points(max(gain, 0.0))} better at most"


def _points(gain: float) -> str:
    return f"{100.0 * gain:.1f} points" if gain >= 0.0005 else "less than 0.1 points"
