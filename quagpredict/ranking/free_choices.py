"""Which candidates the rules that cost nothing would take: they stand beside every answer."""

import polars as pl

from quagpredict.ranking.result import FreeChoice
from quagpredict.validation.free_orders import free_orders


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
