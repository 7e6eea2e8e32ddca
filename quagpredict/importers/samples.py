"""Samples of any tool: a row a sample, with columns that the caller names; CSV, JSON lines, Parquet or a W&B table.

A large table is read a part at a time and counted as it comes: the memory is that of one part.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.importers.files import is_plain, stem_of, suffix_of
from quagpredict.importers.reading import PART, Reading, graded_by, part_of_samples, together, verdicts
from quagpredict.importers.records import json_parts
from quagpredict.importers.tables import SEPARATORS, chosen_columns, header, text_columns, text_of_values
from quagpredict.parquet import parquet_height, parquet_parts

_NAME = "samples"
_LONGEST_ID = 100  # characters: a longer one is a prompt, and is stored as its digest
#: A table that has more is read in parts: rows of Parquet, which packs texts to almost nothing, bytes of the others.
LARGE = {".parquet": 2_000_000, **dict.fromkeys((".csv", ".tsv", ".jsonl", ".ndjson"), 256 * 2**20)}
ROWS = 1_000_000  # of a part
_BYTES = 128 * 2**20  # of a part, where rows are not counted beforehand
_JSON_LINES = (".jsonl", ".ndjson")
_LONGEST_TEXT = 64  # characters: of a longer response its digest is kept, which tells as well whether two are the same


def recognises(path: Path) -> bool:
    """Say whether a file has the columns id and correct, or id, response and gold."""
    columns = {*header(path)}
    return "id" in columns and ("correct" in columns or {"response", "gold"} <= columns)


def read(
    paths: Sequence[Path],
    *,
    id: str = "id",
    correct: str | None = None,
    response: str | None = None,
    gold: str | None = None,
    benchmark: str | None = None,
    truncated: str | None = None,
    threshold: float | None = None,
) -> Reading:
    """Return the problems of tables with a row a sample.

    Parameters
    ----------
    id, correct, response, gold, benchmark, truncated : str, optional
        Names of the columns. Those that are not named are called as the parameter, if they are there. The same id is
        the same problem; an id may be the prompt. Without verdicts the samples have to be graded again.
    threshold : float, optional
        From which value on a sample is correct; without it only 0 and 1 are verdicts.

    Raises
    ------
    InvalidDataError
        If a named column is not there, an id is missing, or a value is not a verdict.
    """
    given = {"correct": correct, "response": response, "gold": gold, "benchmark": benchmark, "truncated": truncated}
    alone = len(paths) == 1
    return together(_read(path, id, given, _NAME if alone else stem_of(path), threshold) for path in paths)


def _read(path: Path, id: str, given: Mapping[str, str | None], unnamed: str, threshold: float | None) -> Reading:
    named = [id, *(name for name in given.values() if name is not None)]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"column '{twice}' is named twice: what is the id, the verdict, the response and the gold differ"
        )
    usual = [key for key, name in given.items() if name is None and key not in named]
    table = None if is_large(path) else text_columns(path, named, usual)
    if table is None:
        there = chosen_columns(path, columns_of_large(path, [*named, *usual]), named, usual)
    else:
        there = table.columns
    columns = {"id": id} | {
        key: name or key for key, name in given.items() if (name or key) in there and (name or key not in named)
    }
    if "correct" not in columns and not {"response", "gold"} <= columns.keys():
        raise InvalidDataError(
            f"{path}: there is no column of verdicts (`correct`), and none of responses and gold answers to "
            f"make them from; there are {', '.join(header(path)[:20])}"
        )
    if table is None:
        return _read_large(path, unnamed, columns, threshold)
    samples = pl.DataFrame({key: table[name].alias(key) for key, name in columns.items()})
    stated = "benchmark" in columns and not samples["benchmark"].is_null().any()
    return reading_of(samples, path, unnamed, columns.get("correct", ""), threshold, stated=stated)


def _read_large(path: Path, benchmark: str, columns: Mapping[str, str], threshold: float | None) -> Reading:
    """Count the samples of a table that is read in parts; of the responses those of the first part are kept."""
    if "correct" not in columns:
        raise InvalidDataError(
            f"{path}: has no column of verdicts (`correct`), and is too large to be graded here: split it into "
            "smaller files"
        )
    kept = {key: name for key, name in columns.items() if key != "gold"}
    parts: list[pl.DataFrame] = []
    stated = "benchmark" in columns
    first, lacking, lacks, compared = 0, 0, "", 0
    for table in batches(path, list(dict.fromkeys(kept.values()))):
        samples = pl.DataFrame({key: table[name].alias(key) for key, name in kept.items()})
        if "response" in kept:
            samples = samples.with_columns(as_digests(samples["response"])) if not parts else samples.drop("response")
        stated &= "benchmark" in columns and not samples["benchmark"].is_null().any()
        rows = _rows(samples, path, benchmark, columns["correct"], threshold, first)
        unknown = rows["correct"].is_null()
        lacks = lacks or (rows["problem_id"].filter(unknown)[0] if unknown.any() else "")
        lacking += int(unknown.sum())
        first += rows.height
        compared = compared or first
        parts.append(part_of_samples(rows.filter(~unknown)))
    if lacking == first:
        raise InvalidDataError(f"{path}: none of its {first:,} samples has a verdict in '{columns['correct']}'")
    note = f"{path}: read in parts, since it is large: its samples cannot be graded again" + (
        f", and {compared:,} responses were held against each other" if "response" in kept else ""
    )
    left_out = _left_out(path, lacking, first, lacks)
    named = [graded_by(columns["correct"], threshold)]
    return Reading(added(parts), [{}], left_out=left_out, notes=[note], stated=stated, graded_by=named)


def reading_of(
    samples: pl.DataFrame, path: Path, benchmark: str, verdict: str, threshold: float | None, **rest: Any
) -> Reading:
    """Return what a table of samples says; a sample without a verdict is left out.

    Parameters
    ----------
    samples : polars.DataFrame
        Columns of text: id; optional correct, response, gold, benchmark, truncated.
    benchmark : str
        Where the table names none.
    verdict : str
        What the column of verdicts is called there, for errors.
    **rest
        Of `Reading`; settings are none by default.

    Raises
    ------
    InvalidDataError
        If an id is missing or a value is not a verdict.
    """
    table = _rows(samples, path, benchmark, verdict, threshold)
    left_out = [*rest.pop("left_out", ())]
    # A table without any verdict has to be graded again; a single one that lacks is of a sample that went wrong.
    if (unknown := table["correct"].is_null()).any() and not unknown.all():
        left_out += _left_out(path, int(unknown.sum()), table.height, table["problem_id"].filter(unknown)[0])
        table = table.filter(~unknown)
    settings = rest.pop("settings", [{}])
    named = [graded_by(verdict, threshold)]
    return Reading(part_of_samples(table), settings, left_out=left_out, graded_by=named, **rest)


def _left_out(path: Path, lacking: int, samples: int, name: str) -> list[str]:
    why = f"{path}: {lacking} of {samples} samples have no verdict (the first is of problem '{name:.60}')"
    return [why] if lacking else []


def _rows(
    samples: pl.DataFrame, path: Path, benchmark: str, verdict: str, threshold: float | None, first: int = 0
) -> pl.DataFrame:
    """Return the samples as `part_of_samples` takes them; `first` is the place of the first of them in the file."""
    if (lacking := samples["id"].is_null()).any():
        raise InvalidDataError(
            f"{path}: record {first + int(lacking.arg_true()[0]) + 1} has no id: every sample needs one"
        )
    columns = [short_ids(samples["id"]).alias("problem_id")]
    has = samples.columns
    columns.append(
        samples["benchmark"].fill_null(benchmark)
        if "benchmark" in has
        else pl.Series("benchmark", [benchmark]).new_from_index(0, samples.height)
    )
    if "correct" in has:
        columns.append(verdicts(samples["correct"].alias(verdict), path, threshold, first).alias("correct"))
    else:
        columns.append(pl.Series("correct", [None], pl.Boolean).new_from_index(0, samples.height))
    columns += [samples[name] for name in ("gold",) if name in has]
    if "response" in has:
        columns.append(assistant_texts(samples["response"]).fill_null(""))
    if "truncated" in has:
        columns.append(verdicts(samples["truncated"], path, first=first).fill_null(False).alias("truncated"))
    return pl.DataFrame(columns)


def short_ids(ids: pl.Series) -> pl.Series:
    """Return ids, where long ones, which are prompts, are replaced by their digest.

    Examples
    --------
    >>> short_ids(pl.Series("id", ["7", "What is 2 + 2? " * 9])).to_list()
    ['7', 'prompt-7b005d58e16d9f73']
    """
    long = ids.filter(ids.str.len_chars() > _LONGEST_ID).unique()
    digests = [f"prompt-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}" for text in long]
    return ids.replace(dict(zip(long.to_list(), digests, strict=True))) if digests else ids


def assistant_texts(responses: pl.Series) -> pl.Series:
    """Return the texts of responses, where some are messages in JSON: those of the assistant, in their order.

    Examples
    --------
    >>> assistant_texts(pl.Series("r", ["42", '[{"role": "assistant", "content": "It is 42."}]'])).to_list()
    ['42', 'It is 42.']
    """
    messages = responses.str.contains(r"^\s*\[\s*\{").fill_null(False)
    if not messages.any():
        return responses
    texts = [_of_assistant(text) if is_list else text for text, is_list in zip(responses, messages, strict=True)]
    return pl.Series(responses.name, texts, pl.String)


def _of_assistant(text: str) -> str:
    try:
        messages = json.loads(text)
    except ValueError:
        return text
    if not all(isinstance(message, dict) and "role" in message for message in messages):
        return text
    return "\n".join(str(message.get("content") or "") for message in messages if message["role"] == "assistant")


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
