"""Put a ranking together: one table, best first, with flags and what RL really gave."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import is_derived, measurement_of, origin, pass_at
from quagpredict.ranking.free_choices import free_choices
from quagpredict.ranking.outcome import outcome
from quagpredict.ranking.result import Flag, Ranking

#: Features named as what drives a prediction.
DRIVERS = 3


class Parts(NamedTuple):
    """What the order of the candidates is made of."""

    merit: pl.Series  #: Larger is better, null where not measured; orders the candidates, (n,).
    by_itself: pl.Series  #: The same before anything was learnt from these candidates.
    numbers: Mapping[str, NDArray[Any]]  #: Columns for the table, (n,) each, NaN where unknown.
    done: pl.Series  #: Which candidates have their own result already, booleans, (n,).
    used: Sequence[str]  #: Columns that the merit rests on.
    #: Measurements, (q,), and how much each moves each prediction, (n, q).
    contributions: tuple[tuple[str, ...], Floats] | None


def assembled(
    frame: pl.DataFrame,
    parts: Parts,
    flags: Sequence[Flag],
    surrogate: str | None,
    target: str,
    notes: Sequence[str],
    *,
    minimize: bool = False,
) -> Ranking:
    """Return the ranking of the candidates in `frame`, best first, without decisions."""
    kinds: dict[str, dict[str, None]] = {}
    for flag in flags:
        kinds.setdefault(flag.candidate, {})[flag.kind] = None
    of_counts = [flat for name in parts.used if pass_at(flat := measurement_of(name, parts.used))]
    shown = [name for name in dict.fromkeys((*parts.used, *of_counts, "pre_pass_at_1")) if name in frame.columns]
    drivers = [] if parts.contributions is None else [_drivers(*parts.contributions)]
    table = frame.select(
        parts.merit.rank("min", descending=True).cast(pl.Int64).alias("rank"),
        "candidate",
        *(["base_model"] if "base_model" in frame.columns else []),
        *(pl.Series(name, values, nan_to_null=True) for name, values in parts.numbers.items()),
        *drivers,
        *(name for name in shown if not is_derived(name)),
        *([pl.col(target).alias("actual")] if _known(frame, target) else []),
        pl.Series("flags", [list(kinds.get(name, ())) for name in frame["candidate"]], pl.List(pl.String)),
        pl.int_range(pl.len()).alias("_row"),
    ).sort(["rank", "candidate"], nulls_last=True)
    rows = table["_row"].to_list()
    row_of = {name: number for number, name in enumerate(table["candidate"])}
    whole = None
    if parts.contributions is not None:
        names, values = parts.contributions
        columns = {name: pl.Series(values[rows, j], nan_to_null=True) for j, name in enumerate(names)}
        whole = pl.DataFrame({"candidate": table["candidate"], **columns})
    missing = parts.merit.null_count()
    ranked = parts.merit.is_not_null()
    open_rows = ranked & ~parts.done
    lacking = f"{missing} of {frame.height} candidates lack a needed measurement and have no rank"
    return Ranking(
        frame=table.drop("_row"),
        surrogate=surrogate,
        target=target,
        notes=(*notes, lacking) if missing else tuple(notes),
        flags=tuple(sorted(flags, key=lambda flag: row_of[flag.candidate])),
        outcome=outcome(
            frame,
            parts.by_itself,
            "prediction" if surrogate else "screening",
            target,
            minimize=minimize,
            knows_bases=surrogate is not None and any(origin(name) == "base_model" for name in parts.used),
        ),
        contributions=whole,
        minimize=minimize,
        free_choices=() if minimize else free_choices(frame.filter(open_rows if open_rows.any() else ranked)),
        finished=tuple(table.filter(parts.done.gather(rows))["candidate"]),
    )


def _drivers(names: Sequence[str], values: Floats) -> pl.Series:
    """Return for each candidate the measurements that move its prediction most, largest first."""
    order = np.argsort(-np.abs(np.nan_to_num(values)), axis=1, kind="stable")[:, :DRIVERS]
    rows = np.arange(len(values))[:, None]
    flat = pl.DataFrame(
        {
            "feature": pl.Series(names)[order.reshape(-1).tolist()] if len(names) else pl.Series([], dtype=pl.String),
            "contribution": pl.Series(values[rows, order].reshape(-1), nan_to_null=True),
        }
    ).to_struct()
    width = order.shape[1]
    lists = flat.reshape((len(values), width)).arr.to_list() if width else pl.Series([[]] * len(values))
    return lists.alias("drivers")


def _known(frame: pl.DataFrame, target: str) -> bool:
    return target in frame.columns and frame[target].null_count() < frame.height
