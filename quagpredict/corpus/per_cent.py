"""Scores in per cent to fractions, where a column that is one already is told from one of very low scores."""

from collections.abc import Sequence

import polars as pl

from quagpredict.corpus.columns import pass_at
from quagpredict.errors import CorpusError

_SLACK = 1.5  # Pass@1 may be of other samples than Pass@k, greedy ones say


def as_fractions(frame: pl.DataFrame, shares: Sequence[str], source: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return a table with its columns of shares divided by 100, and what a reader should look at.

    A column without a value above 1 beside others with some is in per cent if its scores are very low, and else a
    fraction by mistake. Of two columns of Pass@k, Pass@K is at least Pass@k and at most K/k times as much (as a
    function of k it is concave, and 0 at k = 0), which tells for all but far k. Where nothing tells, a note says it.

    Parameters
    ----------
    shares : sequence of str
        Columns of numbers that are said to be in per cent.

    Raises
    ------
    CorpusError
        If a value is above 100, or a column can but be a fraction.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.6], "pre_pass_at_64": [20.0]})
    >>> as_fractions(table, table.columns[1:], "table")[1]
    ()
    >>> as_fractions(table.with_columns(pre_pass_at_1=pl.lit(0.1)), table.columns[1:], "table")
    Traceback (most recent call last):
    ...
    quagpredict.errors.CorpusError: table: column 'pre_pass_at_1' (0.1 at most) cannot be in per cent beside \
'pre_pass_at_64' (20 at most), and can be a fraction: multiply it by 100
    """
    numbers = frame.select(pl.col(shares).cast(pl.Float64).fill_nan(None))
    most = {name: value for name, value in numbers.max().row(0, named=True).items() if value is not None}
    for name, value in most.items():
        if value > 100.0 + 1e-9:
            raise CorpusError(f"{source}: column '{name}': {value:g} is above 100, so it is not in per cent")
    doubtful = []
    above = [name for name, value in most.items() if value > 1.0]
    for name in (name for name, value in most.items() if 0.0 < value <= 1.0 and not name.endswith("_se")):
        tellings = {other: _telling(numbers, name, other) for other in above}
        wrong = next((other for other, telling in tellings.items() if telling == "fraction"), None)
        if wrong is not None:
            raise CorpusError(
                f"{source}: column '{name}' ({most[name]:g} at most) cannot be in per cent beside '{wrong}' "
                f"({most[wrong]:g} at most), and can be a fraction: multiply it by 100"
            )
        if "per cent" not in tellings.values():
            doubtful.append(f"{name} ({most[name]:g} at most)")
    note = (
        f"{source}: read as per cent, although no value is above 1: {', '.join(doubtful)}; multiply by 100 what is a "
        "fraction"
    )
    divided = frame.with_columns(pl.col(name).cast(pl.Float64) / 100.0 for name in shares)
    return divided, (note,) if doubtful else ()


def _telling(numbers: pl.DataFrame, name: str, other: str) -> str:
    """Return the unit that a column can but have if another is in per cent; empty where both fit, or neither."""
    if not (pass_at(name) and pass_at(other)) or name.partition("_")[0] != other.partition("_")[0]:
        return ""
    value, larger = sorted((name, other), key=pass_at)
    both = numbers.select(value, larger).drop_nulls().sum().row(0)
    if not all(both):
        return ""
    ratio, most = both[1] / both[0], pass_at(larger) / pass_at(value)
    factors = {"per cent": 1.0, "fraction": 0.01 if value == name else 100.0}
    fits = [unit for unit, factor in factors.items() if 1 / _SLACK <= ratio * factor <= most * _SLACK]
    return fits[0] if len(fits) == 1 else ""
