"""From the table to the matrix that a surrogate is fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import CorpusError, UsageError
from quagpredict.nearest import did_you_mean


@dataclass(frozen=True)
class DesignMatrix:
    """Features of candidates as numbers.

    Parameters
    ----------
    X : array of shape (n, p), float64
        One row a candidate, one column a feature. NaN where missing, if that was allowed.
    features : tuple of str
        Names of the columns of `X`.
    """

    X: NDArray[np.float64]
    features: tuple[str, ...]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where a value is missing, of shape (n, p)."""
        return np.isnan(self.X)


def design_matrix(
    frame: pl.DataFrame, features: Sequence[str], *, allow_missing: bool = False, source: str = "table"
) -> DesignMatrix:
    """Return the features of every row as a float64 matrix, in the order asked for.

    Parameters
    ----------
    frame : polars.DataFrame
        A table from `read_corpus`; any numeric or boolean column can be a feature, ours or not.
    features : sequence of str
        Columns to take; at least one, each once.
    allow_missing : bool
        If true, a missing value becomes NaN; otherwise it is an error that names the candidate.
    source : str
        What to call the table in errors.

    Raises
    ------
    CorpusError
        If a column is absent (the nearest name is suggested), is not numeric, holds an infinity, or lacks a value.
    UsageError
        If no feature is named, or one twice.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.25]})
    >>> design_matrix(table, ["pre_pass_at_1"]).X.tolist()
    [[0.5], [0.25]]
    """
    if isinstance(features, str):
        features = (features,)
    if not features or len(set(features)) < len(features):
        raise UsageError(f"name at least one feature, and each once; got {', '.join(features) or 'none'}")
    columns = []
    for name in features:
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns, cutoff=0.75)
            raise CorpusError(f"{source}: column '{name}' is missing, but it is used as a feature{hint}")
        series = frame[name]
        if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
            raise CorpusError(f"{source}: column '{name}' must be numbers, found {str(series.dtype).lower()}")
        values = series.cast(pl.Float64).to_numpy()
        _refuse(np.isinf(values), name, frame, source, "is infinite")
        if not allow_missing:
            _refuse(np.isnan(values), name, frame, source, "is missing: measure it, or leave it out")
        columns.append(values)
    return DesignMatrix(np.column_stack(columns).astype(np.float64, copy=False), tuple(features))


def _refuse(where: NDArray[np.bool_], name: str, frame: pl.DataFrame, source: str, what: str) -> None:
    if where.any():
        row = int(np.argmax(where))
        whose = f"candidate '{frame['candidate'][row]}'" if "candidate" in frame.columns else f"row {row + 1}"
        raise CorpusError(f"{source}: column '{name}' of {whose} {what}")
