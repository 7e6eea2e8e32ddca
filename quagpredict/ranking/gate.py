"""A bar that candidates must clear to deserve RL: a score, a candidate, or RL from the base model."""

import numpy as np
import polars as pl

from quagpredict.corpus.columns import pass_at
from quagpredict.errors import UsageError, argument
from quagpredict.ranking.decisions import Bar, Chances
from quagpredict.ranking.result import Gate

#: The bar "RL from the candidate's own base model, without SFT".
FROM_BASE = "no-sft"
# Candidates named in a note before the rest is only counted.
_NAMED = 4


def parse_bar(
    text: str | float, margin: float, frame: pl.DataFrame, *, minimize: bool = False, target: str = ""
) -> Bar:
    """Return the bar that a gate names.

    Parameters
    ----------
    text : str or float
        A score; the name of a candidate in the table; or ``no-sft``, the candidate of the same base model whose
        ``recipe_scenario`` is that.
    margin : float
        By how much the candidate must be beaten; added to a score too.
    frame : polars.DataFrame
        The candidates.
    minimize : bool
        Whether a lower score is better, so that the bar is a score to stay below.
    target : str
        What is predicted. A Pass@k is a fraction, and so is a bar for it.

    Raises
    ------
    UsageError
        If it is neither a number nor a candidate, a number outside what the target can be, or no base model has a
        candidate without SFT.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"]})
    >>> parse_bar("b", 0.02, table).reference.tolist(), parse_bar("0.5", 0.0, table).threshold
    ([1, 1], 0.5)
    """
    if not np.isfinite(margin):
        raise UsageError(f"{argument('margin', margin)}: expected a number")
    if pass_at(target) and abs(margin) >= 1.0:
        hint = f"; for {margin:g} points say margin={margin / 100:g}" if abs(margin) <= 100.0 else ""
        raise UsageError(f"margin={margin:g}: '{target}' is a fraction, so a margin lies between -1 and 1{hint}")
    names = frame["candidate"].to_list()
    nobody = np.full(len(names), -1)
    if str(text) in names:
        return Bar(float("nan"), np.full(len(names), names.index(str(text))), margin)
    if text == FROM_BASE:
        columns = ("recipe_scenario", "base_model")
        if not set(columns) <= set(frame.columns) or not (frame["recipe_scenario"] == FROM_BASE).any():
            base_models = sorted(set(frame["base_model"].drop_nulls())) if "base_model" in frame.columns else []
            whose = f"of the base model {' or '.join(base_models)} " if 0 < len(base_models) <= 4 else ""
            raise UsageError(
                f"{argument('gate', text)}: no candidate {whose}has the recipe_scenario 'no-sft'; measure the base "
                "model as one without SFT (`quagpredict.score_checkpoint`), add its row, or name a candidate or a score"
            )
        bases = frame["base_model"].to_list()
        first: dict[str, int] = {}
        for row in (frame["recipe_scenario"] == FROM_BASE).fill_null(False).arg_true():
            first.setdefault(bases[row], row)
        return Bar(float("nan"), np.array([first.get(base, -1) for base in bases]), margin)
    try:
        threshold = float(text)
    except ValueError:
        threshold = float("nan")
    if not np.isfinite(threshold):
        raise UsageError(f"{argument('gate', text)}: expected a score such as 0.7, a candidate of the table, or no-sft")
    if pass_at(target) and not 0.0 <= threshold <= 1.0:
        hint = f"; for {threshold:g} % say gate={threshold / 100:g}" if 1.0 < threshold <= 100.0 else ""
        raise UsageError(f"{argument('gate', text)}: '{target}' is a fraction between 0 and 1{hint}")
    merit = -(threshold - margin) if minimize else threshold + margin
    return Bar(merit, nobody, margin)


def of_bases_asked(frame: pl.DataFrame, gate: str | float | None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Leave out candidates without SFT of base models that no other candidate has: a shared file of these is usual.

    RL from a base model is a bar for candidates of that base, and a candidate beside them. Among those of another base
    it is an answer to a question that nobody asked. All stay where there are no others, and the one that the gate names
    stays.

    Returns
    -------
    tuple of DataFrame and tuple of str
        The candidates that stay, and a note on those that do not.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "x", "y"], "base_model": ["8b", "8b", "12b"]})
    >>> kept, notes = of_bases_asked(table.with_columns(recipe_scenario=pl.Series([None, "no-sft", "no-sft"])), None)
    >>> kept["candidate"].to_list(), notes[0][:46]
    (['a', 'x'], 'left out, since no other candidate is of their')
    """
    if not {"recipe_scenario", "base_model"} <= set(frame.columns):
        return frame, ()
    without = frame["recipe_scenario"].eq_missing(FROM_BASE)
    asked = frame["base_model"].filter(~without).unique()
    alone = without & ~frame["base_model"].is_in(asked.implode(), nulls_equal=True)
    alone &= frame["candidate"] != str(gate)
    if without.all() or not alone.any():
        return frame, ()
    names = frame["candidate"].filter(alone).unique().sort().to_list()
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    return frame.filter(~alone), (f"left out, since no other candidate is of their base model: {shown} (without SFT)",)


def bases_not_measured(bar: Bar, frame: pl.DataFrame) -> tuple[str, ...]:
    """Return a note on candidates that cannot be held against RL from their base model; none where all can."""
    if np.isfinite(bar.threshold) or not (bar.reference < 0).any():
        return ()
    lacking = frame.filter(pl.Series(bar.reference < 0))
    bases = lacking["base_model"].unique().sort()
    named = ", ".join(name if name is not None else "(unknown)" for name in bases)
    return (
        f"the gate says nothing of {lacking.height:,} candidates: RL from their base model needs its row, measured "
        f"without SFT, and there is none of {named}",
    )


def judged(text: str | float, bar: Bar, clearing: Chances, frame: pl.DataFrame, probability: float) -> Gate:
    """Return who clears the bar with at least `probability`."""
    order = np.argsort(-np.nan_to_num(clearing.p_clear, nan=-1.0), kind="stable")
    names = frame["candidate"]
    cleared = tuple(names[int(row)] for row in order if clearing.p_clear[row] >= probability)
    judges = bool(np.isfinite(clearing.p_clear).any())
    closest = int(order[0]) if judges else -1
    return Gate(
        bar=str(text),
        margin=bar.margin,
        probability=probability,
        cleared=cleared,
        closest=names[closest] if judges else "",
        p_closest=float(clearing.p_clear[closest]) if judges else float("nan"),
        p_any=clearing.p_any_clears,
    )
