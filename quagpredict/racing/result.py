"""What a race says now; plain values, all scores as fractions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

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
