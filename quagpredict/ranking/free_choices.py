"""What the rules that cost nothing would take: they stand beside every answer."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.errors import CorpusError
from quagpredict.ranking.result import FreeChoice
from quagpredict.validation.free_orders import free_orders
from quagpredict.validation.screening import screen


def free_choices(frame: pl.DataFrame) -> tuple[FreeChoice, ...]:
    """Return the first choice of every rule that costs nothing, among all candidates and within each base model.

    A rule that lacks a measurement of some candidate orders nothing there. Ties go to the first by name. A base model
    with one candidate leaves no choice, and neither do several base models with one candidate each.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate; those that may be chosen: without a result, unless all have theirs.

    Returns
    -------
    tuple of FreeChoice
        Among all first, then by base model in the order of their names.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    >>> [(choice.rule, choice.candidate) for choice in free_choices(table)]
    [('pre_pass_at_1', 'a'), ('pre_pass_at_64', 'b'), ('screening', 'b')]
    """
    parts: list[tuple[str | None, pl.DataFrame]] = [(None, frame)]
    if "base_model" in frame.columns and frame["base_model"].drop_nulls().n_unique() > 1:
        parts += [
            (base, part)
            for (base,), part in frame.drop_nulls("base_model").group_by("base_model", maintain_order=True)
            if part.height > 1
        ]
    return tuple(
        FreeChoice(rule, base, _first(part, values))
        for base, part in sorted(parts, key=lambda choice: (choice[0] is not None, choice[0] or ""))
        if part.height > 1
        for rule, values in free_orders(part).items()
    )


def _first(part: pl.DataFrame, values: pl.Series) -> str:
    name: str = part.select("candidate", value=values).sort(["value", "candidate"], descending=[True, False]).item(0, 0)
    return name


def about_free_order(frame: pl.DataFrame, merits: Floats, measurements: Sequence[str], moves: Floats) -> list[str]:
    """Return a sentence if the screening would take another candidate first; none if it would not, or cannot order.

    The best predicted is compared with the first of the screening among the candidates of its base model.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate.
    merits : array (n,)
        Predicted score of each that may be chosen; NaN elsewhere.
    moves : array (n, q)
        How much each measurement moves the prediction of each candidate, see `contributions`.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    >>> moves = np.array([[0.06, -0.01], [-0.06, 0.01]])
    >>> about_free_order(table, np.array([0.6, 0.5]), ["pre_pass_at_1", "pre_pass_at_64"], moves)[0][:58]
    "the screening would take 'b' first, here 2 of 2: predicted"
    """
    if not np.isfinite(merits).any():
        return []
    ours = int(np.nanargmax(merits))
    bases = np.array(frame["base_model"].to_list() if "base_model" in frame.columns else [None] * frame.height)
    open_ = np.isfinite(merits) & (bases == bases[ours])
    if open_.sum() < 2:
        return []
    table = frame[np.flatnonzero(open_).tolist()]
    try:
        screening = screen(table)
    except CorpusError:
        return []
    kept = table.select("candidate", key=screening.key, out=screening.screened_out).drop_nulls()
    if kept.is_empty():
        return []
    free = kept.sort(["out", "key", "candidate"], descending=[False, True, False])["candidate"][0]
    names = frame["candidate"].to_list()
    theirs = names.index(free)
    apart = float(merits[ours] - merits[theirs])
    if apart <= 0.0:
        return []
    position = 1 + int((merits[open_] > merits[theirs]).sum())
    sentence = f"the screening would take '{free}' first, here {position} of {int(open_.sum())}: "
    sentence += f"predicted {100 * apart:.1f} points below '{names[ours]}'"
    difference = moves[ours] - moves[theirs]
    if len(measurements) and np.isfinite(difference).all():
        most = int(np.argmax(difference))
        sentence += f", {100 * float(difference[most]):.1f} of them by {measurements[most]}"
    return [sentence]
