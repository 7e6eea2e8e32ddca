"""The surrogate that ranks where none was named: a shipped one, one fitted on the spot, the prior alone, or none."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from quagpredict.errors import UsageError
from quagpredict.ranking.applicability import why_not_applicable
from quagpredict.ranking.finished import TARGET, finished, why_not_fitted
from quagpredict.ranking.outcome import one_row_each
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.hierarchical import knows_benchmarks, prior_surrogate
from quagpredict.surrogates.store import load_surrogate

#: Shipped surrogates, the first that applies is taken.
SHIPPED = ("models/lab", "models/lab-2", "models/lab-pilot")


class Default(NamedTuple):
    """What ranks where no surrogate was named."""

    #: A shipped one that applies, or the prior alone where scores by benchmark are known and no result; None
    #: otherwise.
    surrogate: FittedSurrogate | None
    fit: bool  #: Whether one is to be fitted on the finished candidates instead. Neither: screening.
    why_none: str  #: What a predicted score takes, where there is none; empty where there is one.


def shipped_surrogates() -> dict[str, FittedSurrogate]:
    """Return the shipped surrogates by name, in the order in which they are tried; none where they were not installed.

    Examples
    --------
    >>> list(shipped_surrogates()) == list(SHIPPED)
    True
    """
    surrogates = {}
    for name in SHIPPED:
        try:
            surrogates[name] = load_surrogate(shipped_path(name))
        except UsageError:
            continue
    return surrogates


def default_surrogate(
    frame: pl.DataFrame, shipped: Mapping[str, FittedSurrogate], target: str | None = None
) -> Default:
    """Choose what ranks these candidates.

    Parameters
    ----------
    frame : polars.DataFrame
        The candidates.
    shipped : mapping
        Name -> surrogate, in the order in which they are tried.
    target : str, optional
        Column to predict; any that a surrogate predicts, by default.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.1, 0.2], "eval_protocol_id": "mine"})
    >>> chosen = default_surrogate(table, {})
    >>> chosen.surrogate is None, chosen.fit
    (True, False)
    """
    for surrogate in shipped.values():
        if target in (None, surrogate.target) and not why_not_applicable(frame, surrogate):
            return Default(surrogate, False, "")
    rows = one_row_each(frame, target or TARGET)
    lacking = why_not_fitted(rows, target)
    if not lacking:
        return Default(None, True, "")
    if target in (None, TARGET) and knows_benchmarks(rows) and not finished(rows, TARGET).any():
        return Default(prior_surrogate(rows), False, "")
    return Default(None, False, lacking)
