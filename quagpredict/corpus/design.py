"""From the table to the matrix that a surrogate is fitted on."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import is_derived
from quagpredict.corpus.foreign import meaning_of
from quagpredict.errors import CorpusError, UsageError, did_you_mean


def design_matrix(
    frame: pl.DataFrame, features: Sequence[str], *, allow_missing: bool = False, source: str = "table"
) -> Floats:
    """Return the features of every row, (n, p), in the order asked for.

    Parameters
    ----------
    frame : polars.DataFrame
        A table from `read_corpus`; any numeric or boolean column can be a feature, ours or not.
    features : sequence of str
        Columns to take; at least one, each once.
    allow_missing : bool
        If true, a missing value becomes NaN; otherwise it is an error that names the candidate.

    Raises
    ------
    CorpusError
        If a column is absent (the nearest name is suggested), is not numeric, holds an infinity or numbers that squares
        of floats cannot hold (`refuse_extremes`), or lacks a value.
    UsageError
        If no feature is named, or one twice.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.25]})
    >>> design_matrix(table, ["pre_pass_at_1"]).tolist()
    [[0.5], [0.25]]
    """
    if isinstance(features, str):
        features = (features,)
    if not features or len(set(features)) < len(features):
        raise UsageError(f"name at least one feature, and each once; got {', '.join(features) or 'none'}")
    columns = []
    for name in features:
        if name not in frame.columns:
            near = meaning_of(name) or name
            hint = did_you_mean(near, frame.columns, cutoff=0.75, rest="; measure it, or name other features")
            raise CorpusError(f"{source}: column '{name}' is missing, but it is used as a feature{hint}")
        series = frame[name]
        if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
            fault = f"column '{name}' must be numbers, found {str(series.dtype).lower()}"
            raise CorpusError(f"{source}: {fault}{_first_text(series, frame)}")
        values = series.cast(pl.Float64).to_numpy()
        _refuse(np.isinf(values), name, frame, source, "is infinite")
        refuse_extremes(series, frame, source)
        if not allow_missing:
            _refuse(np.isnan(values), name, frame, source, "is missing: measure it, or leave it out")
        columns.append(values)
    return np.column_stack(columns).astype(np.float64, copy=False)


#: Numbers beyond this, and differences below its inverse, have no squares that a float holds.
LARGEST = 1e100

# Whole numbers that differ by less than this share of their size are told apart by digits that a mean of floats loses.
_SHARE = 1e-9


def refuse_extremes(series: pl.Series, frame: pl.DataFrame, source: str) -> None:
    """Refuse a column of numbers whose squares or differences floats cannot hold; nothing would warn of it later.

    Parameters
    ----------
    series : polars.Series
        A column of `frame`, numeric; nulls and NaN are passed over.
    frame : polars.DataFrame
        For the candidate's name.

    Raises
    ------
    CorpusError
        If a value is beyond `LARGEST`, all values lie within its inverse of each other without being equal, or whole
        numbers differ by less than a billionth of their size.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "tokens": [2**62, 2**62 + 1]})
    >>> refuse_extremes(table["tokens"], table, "table")
    Traceback (most recent call last):
        ...
    quagpredict.errors.CorpusError: table: column 'tokens' holds whole numbers up to 4611686018427387905 that differ \
by at most 1, less than a billionth of that: subtract what all rows share
    """
    values = series.cast(pl.Float64).to_numpy()
    with np.errstate(invalid="ignore"):
        _refuse(np.abs(values) > LARGEST, series.name, frame, source, f"is beyond {LARGEST:g}: give it in another unit")
    finite = values[np.isfinite(values)]
    spread = float(np.ptp(finite)) if len(finite) else 0.0
    # Shares that are derived from counts may be next to nothing everywhere; that is no matter of units.
    if 0.0 < spread < 1.0 / LARGEST and not is_derived(series.name):
        raise CorpusError(
            f"{source}: column '{series.name}' varies by {spread:g}, less than {1.0 / LARGEST:g}: give it in another "
            "unit"
        )
    if series.dtype.is_integer() and len(finite):
        low, high = (int(end) for end in (series.min(), series.max()))  # type: ignore[arg-type]
        size = max(abs(low), abs(high))
        if 0 < high - low < _SHARE * size:
            raise CorpusError(
                f"{source}: column '{series.name}' holds whole numbers up to {size} that differ by at most {high - low}"
                ", less than a billionth of that: subtract what all rows share"
            )


def _first_text(series: pl.Series, frame: pl.DataFrame) -> str:
    """Return the first text of a column and whose it is, for an error; empty for columns of anything else."""
    if series.dtype != pl.String:
        return ""
    texts = series.is_not_null() & series.cast(pl.Float64, strict=False).is_null()
    row = int(texts.arg_max() or 0)
    return f": {str(series[row])[:40]!r} of {_whose(row, frame)}" if texts.any() else " (numbers in quotes)"


def _whose(row: int, frame: pl.DataFrame) -> str:
    return f"candidate '{frame['candidate'][row]}'" if "candidate" in frame.columns else f"row {row + 1}"


def _refuse(where: NDArray[np.bool_], name: str, frame: pl.DataFrame, source: str, what: str) -> None:
    if where.any():
        raise CorpusError(f"{source}: column '{name}' of {_whose(int(np.argmax(where)), frame)} {what}")
