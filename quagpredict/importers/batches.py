"""Large tables of samples, read a part at a time and counted as they come: the memory is that of one part."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import is_plain, suffix_of
from quagpredict.importers.reading import PART
from quagpredict.importers.records import json_parts
from quagpredict.importers.tables import SEPARATORS, header, text_of_values
from quagpredict.parquet import parquet_height, parquet_parts

#: A table that has more is read in parts: rows of Parquet, which packs texts to almost nothing, bytes of the others.
LARGE = {".parquet": 2_000_000, **dict.fromkeys((".csv", ".tsv", ".jsonl", ".ndjson"), 256 * 2**20)}
ROWS = 1_000_000  # of a part
_BYTES = 128 * 2**20  # of a part, where rows are not counted beforehand
_JSON_LINES = (".jsonl", ".ndjson")
_LONGEST_TEXT = 64  # characters: of a longer response its digest is kept, which tells as well whether two are the same


def is_large(path: Path) -> bool:
    """Say whether a table is read in parts: not packed, and larger than `LARGE` says of its format."""
    most = LARGE.get(suffix_of(path))
    if most is None or not is_plain(path):
        return False
    return (parquet_height(path) if suffix_of(path) == ".parquet" else path.stat().st_size) > most


def columns_of_large(path: Path, names: Sequence[str]) -> list[str]:
    """Return the columns of a table that is read in parts; of JSON lines also those of `names` that come later."""
    there = header(path)
    if suffix_of(path) in _JSON_LINES:  # a key may be absent from the first records, and there in the last
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            keys = {name: re.escape(json.dumps(name, ensure_ascii=False).encode()) for name in names}
            there += [name for name in names if name not in there and re.search(keys[name] + rb"\s*:", content)]
    return there


def batches(path: Path, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield a table's columns as text, a part at a time, in their order.

    Parameters
    ----------
    path : Path
    names : sequence of str
        Columns that are there.

    Raises
    ------
    InvalidDataError
        If the file cannot be read.
    """
    if suffix_of(path) == ".parquet":
        for part in parquet_parts(path, names, ROWS):
            yield part.select(text_of_values(part[name]) for name in names)
        return
    if suffix_of(path) in _JSON_LINES:
        yield from json_parts(path, names, _BYTES)
        return
    table = pl.scan_csv(path, separator=SEPARATORS[suffix_of(path)], infer_schema=False, glob=False)
    try:
        yield from table.select(names).collect_batches(chunk_size=ROWS)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidDataError(f"{path}: this is not a valid CSV file ({why:.200})") from None


def as_digests(texts: pl.Series) -> pl.Series:
    """Return texts, where a long one is replaced by its digest.

    Examples
    --------
    >>> as_digests(pl.Series(["yes", None, "word " * 20])).to_list()
    ['yes', None, 'text-f4acd9dd627aa7c336984843']
    """
    long = texts.filter(texts.str.len_chars() > _LONGEST_TEXT).unique()
    made = [f"text-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:24]}" for text in long]
    return texts.replace(pl.Series(long), pl.Series(made, dtype=pl.String)) if made else texts


def added(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the problems of several parts of one table as one: their counts are added.

    Parameters
    ----------
    parts : sequence of polars.DataFrame
        Tables of `PART`.

    Examples
    --------
    >>> from quagpredict.importers.reading import ProblemRow, part_of
    >>> first = part_of([ProblemRow("b", "p", 4, 1), ProblemRow("b", "q", 2, 2)])
    >>> added([first, part_of([ProblemRow("b", "p", 3, 3)])]).select("problem_id", "n", "c").rows()
    [('p', 7, 4), ('q', 2, 2)]
    """
    return (
        pl.concat(parts)
        .group_by("benchmark", "problem_id", maintain_order=True)
        .agg(
            pl.col("n").sum(),
            pl.when(pl.col("c").is_null().any()).then(None).otherwise(pl.col("c").sum()).alias("c"),
            pl.col("responses").explode(empty_as_null=False, keep_nulls=False),
            pl.col("gold").drop_nulls().first(),
            pl.col("truncated").explode(empty_as_null=False, keep_nulls=False),
            pl.col("by_line").first(),
            pl.col("file").first(),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in PART.items())
    )
