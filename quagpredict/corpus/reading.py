"""Read candidates and runs from files, globs, folders or frames, and check them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from quagpredict.arguments import check_arguments
from quagpredict.corpus.check import check_corpus, check_rows, check_types, check_values
from quagpredict.corpus.columns import is_derived, origin
from quagpredict.corpus.derived import with_derived
from quagpredict.corpus.files import NESTED_NAMES, Part, Source, parts_of, read_provenance
from quagpredict.corpus.foreign import Adopted, adopt, joined_by_name
from quagpredict.errors import CorpusError, IncomparableError, NothingToRankError
from quagpredict.schema import BY_NAME, KEY

__all__ = [
    "Source",
    "checked_table",
    "in_order",
    "named_rows",
    "read_corpus",
    "read_foreign",
    "read_provenance",
    "read_raw",
]

# Tables of so many bytes are checked together, and lose their nested counts then.
_BYTES_AT_ONCE = 2**26


def read_corpus(
    source: "Source | Sequence[Source]",
    *,
    nested: bool | tuple[str, ...] = True,
    derived: Sequence[str] = (),
    allow_mixed_protocols: bool = False,
    columns: Mapping[str, str] | None = None,
    percent: bool = False,
) -> pl.DataFrame:
    """Read one table of candidates or runs from one or many sources.

    Parameters
    ----------
    source : str, Path, polars.DataFrame, pandas.DataFrame, or a sequence of these
        A file (Parquet, CSV, TSV, JSON lines), a glob such as ``"runs/*.parquet"``, a folder (its ``corpus.parquet``
        or ``candidate.parquet``, otherwise every table in it), or a frame. A file that is named twice is read once.
        What is not there as named is looked for among the shipped files, such as ``"datasets/lab/corpus.parquet"``.
    nested : bool or tuple of str
        If false, the nested columns are checked and then left out, which saves memory; or those that are kept.
    derived : sequence of str
        Columns derived from nested counts (see `quagpredict.corpus.columns`) that are computed before these are left
        out. Other names are ignored.
    allow_mixed_protocols : bool
        If true, rows may come from several eval protocols.
    columns : mapping, optional
        Of a table with headers of its own: column of the schema -> header, such as ``{"candidate": "run"}``; ``{}``
        takes what can be recognised (see `quagpredict.corpus.foreign.adopt`). None: headers are taken as they are.
    percent : bool
        Whether its scores are in per cent, but in files that quagpredict wrote. Headers are read as with `columns`.

    Returns
    -------
    polars.DataFrame
        One row a candidate, in the order of the sources, a glob's files by name. Columns that one source lacks are
        null there; columns that the schema does not know are kept. Rows of a table with numbers and without any column
        of the schema are named by their number. ``.to_pandas()`` makes it a pandas frame.

    Raises
    ------
    NothingToRankError
        If no file matches or a table has no row.
    CorpusError
        If a file cannot be read or breaks the schema; the message names the file and the column.
    IncomparableError
        If rows come from several eval protocols and that was not allowed.
    UsageError
        If the source is none of the kinds above.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = read_corpus(pd.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.25, None]}))
    >>> frame["pre_pass_at_1"].to_list()
    [0.25, None]
    """
    check_arguments(read_corpus, locals())
    wanted = tuple(name for name in derived if is_derived(name) and origin(name) in NESTED_NAMES)
    if columns is not None or percent:
        return read_foreign(source, columns, percent=percent, allow_mixed_protocols=allow_mixed_protocols).frame
    parts: list[Part] = []
    waiting: list[Part] = []
    size = 0.0
    for part in map(_typed, parts_of(source, nested, wanted)):
        waiting.append(part)
        size += part.frame.estimated_size()
        if size > _BYTES_AT_ONCE:
            parts += _checked(waiting, nested, wanted)
            waiting, size = [], 0.0
    parts += _checked(waiting, nested, wanted)
    return _one_table(parts, allow_mixed_protocols)


def read_foreign(
    source: "Source | Sequence[Source]",
    columns: Mapping[str, str] | None = None,
    *,
    percent: bool = False,
    keep: Collection[str] = (),
    join: "Source | None" = None,
    join_seeds: str | None = None,
    allow_mixed_protocols: bool = False,
) -> Adopted:
    """Read tables with headers of their own, and say what was taken for what.

    Parameters
    ----------
    source, columns, percent, allow_mixed_protocols
        As for `read_corpus`; with `columns` None what can be recognised is taken.
    keep : collection of str
        Headers that keep their names.
    join : path or frame, optional
        A table whose columns are laid beside, by ``candidate``: the losses, say, of another tool.
    join_seeds : str, optional
        Column of eval seeds by which rows of one candidate are joined, see `joined_seeds`.

    Raises
    ------
    QuagpredictError
        As `read_corpus`; a `join` that contradicts a value is a CorpusError.

    Examples
    --------
    >>> found = read_foreign(pl.DataFrame({"name": ["a", "b"], "pass@64": [0.5, 0.6]}))
    >>> found.frame.columns, found.notes[0][:39]
    (['candidate', 'pre_pass_at_64'], "table: read 'pass@64' as pre_pass_at_64")
    """
    notes: list[str] = []
    parts = []
    for part in parts_of(source):
        in_percent = percent and part.schema_version is None  # ours are fractions
        adopted = adopt(part.frame, columns, percent=in_percent, keep=keep, seeds=join_seeds, source=part.source)
        notes += adopted.notes
        parts += _checked([_typed(part._replace(frame=adopted.frame))], True, ())
    if join_seeds is not None and parts:
        from quagpredict.corpus.eval_seeds import joined_seeds  # brings what measures

        label = _label(parts)
        seeds = joined_seeds(parts[0].frame if len(parts) == 1 else _joined(parts), join_seeds, label)
        notes += seeds.notes
        parts = [Part(label, seeds.frame, parts[0].schema_version)]
    frame = _one_table(parts, allow_mixed_protocols)
    if join is not None:
        for part in parts_of(join):
            other = adopt(part.frame, percent=percent and part.schema_version is None, keep=keep, source=part.source)
            joined = joined_by_name(frame, other.frame, parts[0].source, part.source)
            frame = check_corpus(joined.frame, part.source, allow_mixed_protocols=True)
            notes += [*other.notes, *joined.notes]
    return Adopted(frame, tuple(notes))


def read_raw(source: "Source | Sequence[Source]") -> list[pl.DataFrame]:
    """Read tables as they are, unchecked: to see what their headers are.

    Examples
    --------
    >>> [frame.columns for frame in read_raw(pl.DataFrame({"name": ["a"], "pass@64": [0.5]}))]
    [['name', 'pass@64']]
    """
    return [part.frame for part in parts_of(source)]


def _label(parts: list[Part]) -> str:
    return parts[0].source if len(parts) == 1 else f"{parts[0].source} and {len(parts) - 1} more"


def _one_table(parts: list[Part], allow_mixed_protocols: bool) -> pl.DataFrame:
    if not parts:
        raise NothingToRankError("no table was given; name a file, a glob or a folder")
    versions = {part.schema_version: part.source for part in parts if part.schema_version is not None}
    if len(versions) > 1:
        shown = ", ".join(f"{version} in {name}" for version, name in sorted(versions.items()))
        raise CorpusError(f"the tables have different schema versions ({shown}); write them again with one release")
    label = _label(parts)
    frame = parts[0].frame if len(parts) == 1 else _joined(parts)
    try:
        check_rows(frame, label, allow_mixed_protocols=allow_mixed_protocols)
    except IncomparableError as error:
        why = what_differs(read_provenance(part.source) for part in parts if part.schema_version is not None)
        raise IncomparableError(f"{error} ({why})" if why else str(error)) from None
    return frame


def checked_table(source: Any, label: str) -> pl.DataFrame:
    """Return the table of a caller, checked, whatever it came as; a frame is called `label` in errors.

    Rows of several eval protocols are let through: whoever learns from them takes those that are finished, and refuses
    a mixture of these.

    Raises
    ------
    QuagpredictError
        As `read_corpus`.

    Examples
    --------
    >>> checked_table(pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.5]}), "corpus").height
    1
    """
    if isinstance(source, pl.DataFrame):
        return check_corpus(named_rows(source), label, allow_mixed_protocols=True)
    return read_corpus(source, allow_mixed_protocols=True)


def _typed(part: Part) -> Part:
    return part._replace(frame=check_types(named_rows(part.frame), part.source))


def _checked(parts: Sequence[Part], nested: bool | tuple[str, ...], derived: tuple[str, ...]) -> list[Part]:
    """Return tables whose types are right with what is derived, checked; those with the same columns in one go.

    Each call takes milliseconds, however few the rows, and there may be hundreds of files of one candidate.
    """
    alike: dict[Any, list[int]] = {}
    for index, part in enumerate(parts):
        apart = index if any(dtype in (pl.Categorical, pl.Enum) for dtype in part.frame.dtypes) else -1
        alike.setdefault((apart, *part.frame.schema.items()), []).append(index)
    frames: dict[int, pl.DataFrame] = {}
    for indices in alike.values():
        group = [parts[index] for index in indices]
        whole = pl.concat([part.frame for part in group], rechunk=True)
        try:
            whole = _with_derived(whole, _label(group), nested, derived)
        except CorpusError:
            for part in group:  # its error names the file
                _with_derived(part.frame, part.source, nested, derived)
            raise
        start = 0
        for index, part in zip(indices, group, strict=True):
            frames[index] = whole.slice(start, part.frame.height)
            start += part.frame.height
    return [part._replace(frame=frames[index]) for index, part in enumerate(parts)]


def _with_derived(
    frame: pl.DataFrame, source: str, nested: bool | tuple[str, ...], derived: tuple[str, ...]
) -> pl.DataFrame:
    check_values(frame, source)
    if derived:
        frame = with_derived(frame, derived, source=source)
    if nested is not True:
        frame = frame.drop(name for name in frame.columns if name in NESTED_NAMES and name not in (nested or ()))
    return frame


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table in the order of its names and seeds: what is said of its rows must not depend on where they stood.

    Which of several RL seeds comes first, who is first of equals, and what random draws give.

    Examples
    --------
    >>> in_order(pl.DataFrame({"candidate": ["b", "a", "a"], "rl_seed": [0, 1, 0]})).rows()
    [('a', 0), ('a', 1), ('b', 0)]
    """
    return frame.sort([name for name in KEY if name in frame.columns], maintain_order=True)


def named_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Name the rows of a table that is no corpus by their numbers, so that anyone's table of numbers will do.

    A table with any column of the schema is a corpus, and a missing ``candidate`` there a mistake; so is a table
    without a number, in which there is nothing to learn from.

    Examples
    --------
    >>> named_rows(pl.DataFrame({"web": [0.5, 0.2], "loss": [2.1, 2.3]}))["candidate"].to_list()
    ['row-1', 'row-2']
    """
    if any(name in BY_NAME for name in frame.columns) or not any(dtype.is_numeric() for dtype in frame.dtypes):
        return frame
    return frame.select(pl.format("row-{}", pl.int_range(1, pl.len() + 1)).alias("candidate"), pl.all())


def _joined(parts: Sequence[Part]) -> pl.DataFrame:
    try:
        return pl.concat([part.frame for part in parts], how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        pass
    # Only columns that the schema does not know can disagree here: find the two files to name.
    seen: dict[str, tuple[pl.DataType, str]] = {}
    for part in parts:
        for name, dtype in part.frame.schema.items():
            first_dtype, where = seen.setdefault(name, (dtype, part.source))
            if first_dtype != dtype and not (first_dtype.is_numeric() and dtype.is_numeric()):
                raise CorpusError(
                    f"{part.source}: column '{name}' is {str(dtype).lower()}, but {str(first_dtype).lower()} in "
                    f"{where}; give it one data type"
                )
    raise CorpusError(f"{parts[0].source} and {len(parts) - 1} more cannot be joined into one table")


def what_differs(provenances: Iterable[Mapping[str, str]]) -> str:
    """Return in what the first two protocols differ that files describe; empty where they describe fewer than two.

    Parameters
    ----------
    provenances : iterable of mappings
        Metadata of the files. ``protocols`` is JSON: an object from ``eval_protocol_id`` to what it is the digest of.

    Examples
    --------
    >>> files = [{"protocols": '{"a": {"settings": {"temperature": 1.0}, "grading": null}}'},
    ...          {"protocols": '{"b": {"settings": {"temperature": 0.6}, "grading": null}}'}]
    >>> what_differs(files)
    'they differ in temperature (1.0 and 0.6)'
    >>> what_differs([{"plan": "lab"}])
    ''
    """
    contents: dict[str, Mapping[str, Any]] = {}
    for provenance in provenances:
        try:
            described = json.loads(provenance.get("protocols", "{}"))
        except (ValueError, RecursionError):
            continue
        if isinstance(described, dict):
            contents |= {name: content for name, content in described.items() if isinstance(content, dict)}
    if len(contents) < 2:
        return ""
    first, second = map(_flat, list(contents.values())[:2])
    keys = dict.fromkeys((*first, *second))
    apart = [f"{key} ({first.get(key)} and {second.get(key)})" for key in keys if first.get(key) != second.get(key)]
    return f"they differ in {', '.join(apart)}" if apart else ""


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a protocol, those of its sections by their own names."""
    parts: dict[str, Any] = {}
    for key, value in content.items():
        parts |= value if isinstance(value, dict) else {key: value}
    return parts
