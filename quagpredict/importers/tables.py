"""Records of a table to columns of text: CSV, TSV, JSON, JSON lines, Parquet, and the tables of Weights & Biases.

A table that was logged with ``wandb.Table`` (wandb/sdk/data_types/table.py) is a JSON object with the lists ``columns``
and ``data``, a row a list; the file is called ``NAME.table.json``.
"""

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import is_plain, suffix_of, text_of
from quagpredict.importers.records import as_text, first_record, json_columns, json_value
from quagpredict.parquet import parquet_columns, read_parquet

_EXACT = 2.0**53  # a float holds every whole number below it
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def header(path: Path) -> list[str]:
    """Return the names of the columns; of JSON lines the keys of the first record.

    Raises
    ------
    InvalidDataError
        If the file cannot be read.
    """
    suffix = suffix_of(path)
    if suffix == ".parquet":
        return list(_guarded(path, "Parquet", lambda: parquet_columns(path)))
    if suffix == ".json":
        return _json_table(path)[0]
    if suffix not in SEPARATORS:
        return list(first_record(path))
    with text_of(path) as handle:
        try:
            return next(csv.reader(handle, delimiter=SEPARATORS[suffix]), [])
        except csv.Error as error:
            raise InvalidDataError(f"{path}: this is not a valid CSV file ({error})") from None


def text_columns(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> pl.DataFrame:
    """Return columns of a table as text; null where a value is missing. Of the optional ones those that are there.

    Raises
    ------
    InvalidDataError
        If the file cannot be read, or a column is not there or appears twice; the message lists what is there.
    """
    there = header(path)
    suffix = suffix_of(path)
    lines = suffix not in (*SEPARATORS, ".parquet", ".json")
    if lines:
        table = json_columns(path, [*names, *optional])
        # A key may be absent from the first record, and there in the next.
        there += [name for name in table.columns if name not in there and table[name].null_count() < table.height]
    wanted = chosen_columns(path, there, names, optional)
    if lines:
        return table.select(wanted)
    if suffix == ".parquet":
        frame: pl.DataFrame = _guarded(path, "Parquet", lambda: read_parquet(path, wanted))
        return frame.select(text_of_values(frame[name]) for name in wanted)
    if suffix == ".json":
        columns = [there.index(name) for name in wanted]
        rows = [[as_text(row[column]) for column in columns] for row in _json_table(path)[1]]
        return pl.DataFrame(rows, schema=dict.fromkeys(wanted, pl.String()), orient="row")
    source: Path | bytes = path
    if not is_plain(path):
        with text_of(path) as handle:
            source = handle.read().encode()
    read = partial(pl.read_csv, source, columns=wanted, separator=SEPARATORS[suffix], infer_schema=False, glob=False)
    table = _guarded(path, "CSV", read)
    return pl.DataFrame(table.select(wanted))


def chosen_columns(path: Path, there: Sequence[str], names: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Return the columns to read: all of `names`, and of `optional` those that are there.

    Raises
    ------
    InvalidDataError
        If one of `names` is not there, or one to read appears twice.
    """
    wanted = [*names, *(name for name in optional if name in there)]
    for name in wanted:
        if there.count(name) != 1:
            what = "is missing" if name not in there else "appears twice"
            raise InvalidDataError(f"{path}: the column '{name}' {what}; there are {', '.join(there[:20]) or 'none'}")
    return wanted


def _json_table(path: Path) -> tuple[list[str], list[list[Any]]]:
    """Return columns and rows of a table of Weights & Biases, or of a list of records."""
    table = json_value(path)
    if isinstance(table, list) and all(isinstance(record, dict) for record in table):
        names = list(dict.fromkeys(name for record in table for name in record))
        return names, [[record.get(name) for name in names] for record in table]
    columns, data = (table.get("columns"), table.get("data")) if isinstance(table, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(data, list):
        raise InvalidDataError(
            f"{path}: expected a list of records, or a table of Weights & Biases with the lists 'columns' and 'data'"
        )
    if (odd := next((row for row in data if not isinstance(row, list) or len(row) != len(columns)), None)) is not None:
        raise InvalidDataError(f"{path}: a row must have {len(columns)} values, as there are columns; got {odd!r:.60}")
    return list(map(str, columns)), data


def text_of_values(values: pl.Series) -> pl.Series:
    """Return a column as text: 7.0 as 7, other numbers as they are written, nested values as JSON; NaN is null.

    A value's text does not depend on the others, so that a table may be read in parts.

    Examples
    --------
    >>> text_of_values(pl.Series([7.0, 7.5, float("nan"), None])).to_list()
    ['7', '7.5', None, None]
    """
    dtype = values.dtype
    if dtype == pl.String:
        return values
    if dtype.is_float():
        # pandas makes floats of whole numbers that stand beside a missing one
        values = values.fill_nan(None)
        whole = (values == values.round()) & (values.abs() < _EXACT)
        return values.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, values.cast(pl.String))
    if dtype.is_nested():
        return pl.Series(values.name, [as_text(value) for value in values.to_list()], pl.String)
    return values.cast(pl.String)


def _guarded(path: Path, kind: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidDataError(f"{path}: this is not a valid {kind} file ({why:.200})") from None
