"""Candidates in tables whose headers are not the schema's: what is tried, and what is said where nothing helps."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import polars as pl

from quagpredict.corpus import read_corpus
from quagpredict.corpus.foreign import adopt, looks_per_cent, suggestion
from quagpredict.corpus.reading import read_foreign, read_raw
from quagpredict.errors import CorpusError, NothingToRankError, QuagpredictError

Result = TypeVar("Result")

_PER_CENT = "per cent?"


class HeadersError(CorpusError):
    """A table could not be used as its headers stand, but may be as told.

    Attributes
    ----------
    reason : str
        What is wrong.
    columns : dict
        Column of the schema -> header that probably means it.
    percent : bool
        Whether its scores look as if they were in per cent.
    """

    def __init__(self, reason: str, columns: Mapping[str, str] | None = None, *, percent: bool = False) -> None:
        self.reason, self.columns, self.percent = reason, dict(columns or {}), percent
        beside = ", percent=True" if percent else ""
        super().__init__(
            f"{reason}; did you mean {columns=}{beside}?" if columns else f"{reason}; if it is: percent=True"
        )


class Read(NamedTuple):
    """Candidates as they are given on: the source itself, or a frame with the schema's names, and what was taken."""

    source: Any
    notes: tuple[str, ...] = ()


def with_headers(
    use: Callable[[Any], Result],
    candidates: Any,
    *,
    columns: Mapping[str, str] | None = None,
    percent: bool = False,
    join: Any = None,
    join_seeds: str | None = None,
    split: str | None = None,
    keep: Collection[str] = (),
    allow_mixed_protocols: bool = False,
) -> tuple[Result, Read]:
    """Call `use` with the candidates, and again with what can be recognised of their headers if it refuses them.

    Parameters
    ----------
    use : callable
        Takes a source and raises a CorpusError where it lacks columns.
    candidates, columns, percent, join, join_seeds, allow_mixed_protocols
        As for `read_foreign`. Where one of them says how the table is to be read, nothing else is tried, and headers
        that would help are named only without `columns`.
    split : str, optional
        Only rows of this split.
    keep : collection of str
        Headers that keep their names. Where there are some, nothing is recognised.

    Raises
    ------
    HeadersError
        If headers that nobody can be sure of would help; it names them.
    NothingToRankError
        If no row has the split.

    Examples
    --------
    >>> def height(source):
    ...     frame = read_corpus(source)
    ...     if "pre_pass_at_64" not in frame.columns:
    ...         raise CorpusError("there is nothing to rank by")
    ...     return frame.height
    >>> with_headers(height, pl.DataFrame({"name": ["a", "b"], "pass@64": [0.5, 0.6]}))[1].source.columns
    ['candidate', 'pre_pass_at_64']
    >>> try:
    ...     with_headers(height, pl.DataFrame({"name": ["a", "b"], "passat64": [0.5, 0.6]}))
    ... except HeadersError as error:
    ...     error.columns
    {'pre_pass_at_64': 'passat64'}
    """

    def adopted() -> Read:
        foreign = read_foreign(
            candidates,
            columns,
            percent=percent,
            keep=keep,
            join=join,
            join_seeds=join_seeds,
            allow_mixed_protocols=allow_mixed_protocols,
        )
        return Read(foreign.frame, foreign.notes)

    def used(read: Read) -> tuple[Result, Read]:
        if split is not None:
            frame = read_corpus(read.source, allow_mixed_protocols=allow_mixed_protocols)
            read = read._replace(source=_of_split(frame, split))
        return use(read.source), read

    # A pipe can be read but once.
    piped = [entry for entry in _listed(candidates) if isinstance(entry, str) and entry == "-"]
    as_told = bool(columns) or percent or join is not None or join_seeds is not None or bool(piped)
    try:
        return used(adopted() if as_told else Read(candidates))
    except CorpusError as error:
        refusal: CorpusError = error
    if piped or columns:
        raise refusal
    try:
        tables = read_raw(candidates)
    except QuagpredictError:
        raise refusal from None
    if not as_told and not keep and any(adopt(table).notes for table in tables):
        try:
            return used(adopted())
        except CorpusError as other:
            if _PER_CENT in str(other):
                raise HeadersError(str(other), percent=True) from None
            refusal = other
    meant: dict[str, str] = {}
    looks = False
    for table in tables:
        meanings = suggestion(adopt(table).frame)
        scores = [header for name, header in meanings.items() if "_pass_at_" in name]
        looks |= looks_per_cent(adopt(table).frame, scores)
        meant = meanings | meant
    raise (HeadersError(str(refusal), meant, percent=looks and not percent) if meant else refusal) from None


def _listed(candidates: Any) -> Sequence[Any]:
    return candidates if isinstance(candidates, list | tuple) else (candidates,)


def _of_split(frame: pl.DataFrame, split: str) -> pl.DataFrame:
    rows = frame.filter(pl.col("split") == split) if "split" in frame.columns else frame.clear()
    if rows.is_empty():
        raise NothingToRankError(f"no candidate has the split '{split}'")
    return rows
