"""A whole replication: every corpus judged alone, each carried to the others, and a page of it."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.arguments import check_arguments
from quagpredict.corpus import read_corpus
from quagpredict.files import written_aside
from quagpredict.optional import require
from quagpredict.replication.claims import MODELS
from quagpredict.replication.replicating import OURS, Replication, replication_of
from quagpredict.replication.transfer import Corpus, transfers
from quagpredict.report.replication_figures import draw
from quagpredict.report.replication_page import claims_table, notes_of, replication_page, replication_tables

_REPEATS, _SEED = 100, 0


@dataclass(frozen=True, eq=False)
class Replicated:
    """What corpora say about the paper's claims.

    Attributes
    ----------
    replications : tuple of Replication
        One a corpus.
    carried : polars.DataFrame
        What a surrogate of one corpus is worth on another, see `transfer`; empty for a single corpus.
    claims : polars.DataFrame
        One row a claim: corpus, claim, effect, low, high, verdict.
    written : tuple of path
        The page first, then its tables and figures; empty without a page.
    """

    replications: tuple[Replication, ...]
    carried: pl.DataFrame
    claims: pl.DataFrame
    written: tuple[Path, ...] = ()


def replicate(
    corpora: Any,
    page: str | Path | None = None,
    *,
    surrogates: Sequence[str] = OURS,
    repeats: int = _REPEATS,
    seed: int = _SEED,
    jobs: int = 1,
    say: Callable[[str], None] | None = None,
) -> Replicated:
    """Hold the paper's table and claims against corpora of finished runs.

    Parameters
    ----------
    corpora : mapping of str to source, source, or sequence of sources
        Each is judged alone, and is what `read_corpus` reads. A path gives its own name, a frame is named by its place.
    page : path, optional
        Markdown page to write; tables and figures go beside it. Needs the extra ``plot``.
    surrogates : sequence of str
        Models beside the paper's predictors, as `quagpredict.validate` reads them.
    repeats, seed : int
        Of the random halves.
    jobs : int
        Processes for the models that take long to fit, as for `quagpredict.validate`.
    say : callable, optional
        Told what is being computed.

    Returns
    -------
    Replicated

    Raises
    ------
    MissingExtraError
        If a page is asked for and matplotlib is not installed.
    CorpusError, IncomparableError
        As `quagpredict.validate`; a corpus without post-SFT Pass@1 has nothing to hold claims against.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> found = replicate({"mine": synthetic_corpus(30, seed=1).frame}, surrogates=(), repeats=5)
    >>> found.claims.filter(pl.col("claim").str.starts_with("A higher SFT score"))["verdict"].to_list()
    ['agrees']
    """
    check_arguments(replicate, locals())
    if page is not None:
        require("matplotlib")
    tell = say or (lambda _: None)
    named = _named(corpora)
    replications = tuple(
        replication_of(
            read_corpus(source), name, surrogates=surrogates, repeats=repeats, seed=seed, jobs=jobs, say=tell
        )
        for name, source in named.items()
    )
    if len(replications) > 1:
        tell("from one corpus to another")
    pairs = [Corpus(each.name, each.frame) for each in replications]
    carried = transfers(pairs, (*MODELS, *surrogates), seed=seed, say=tell)
    written: tuple[Path, ...] = ()
    if page is not None:
        written = _written(replications, carried, Path(page), _command(list(named.values()), page, repeats, seed))
    return Replicated(replications, carried, claims_table(replications), written)


def _named(corpora: Any) -> dict[str, Any]:
    if isinstance(corpora, Mapping):
        return dict(corpora)
    sources = list(corpora) if isinstance(corpora, (list, tuple)) else [corpora]
    named: dict[str, Any] = {}
    for position, source in enumerate(sources, start=1):
        name = f"corpus-{position}"
        if isinstance(source, (str, Path)):
            name = Path(source).stem if Path(source).suffix else Path(source).name
        named[name if name not in named else f"{name}-{position}"] = source
    return named


def _command(sources: list[Any], page: str | Path, repeats: int, seed: int) -> str:
    """Return what makes the page again: a command line where every corpus is a file, else the call."""
    if not all(isinstance(source, (str, Path)) for source in sources):
        return f"python -c 'quagpredict.replicate(..., page={str(page)!r}, repeats={repeats}, seed={seed})'"
    words = ["quagpredict", "replicate", *map(str, sources), "--page", str(page)]
    words += ["--repeats", str(repeats)] if repeats != _REPEATS else []
    words += ["--seed", str(seed)] if seed != _SEED else []
    return shlex.join(words)


def _written(
    replications: tuple[Replication, ...], carried: pl.DataFrame, page: Path, command: str
) -> tuple[Path, ...]:
    figures = {each.name: draw(each, page.parent / "figures" / page.stem) for each in replications}
    notes = {each.name: notes_of(each) for each in replications}
    tables = replication_tables(replications, carried)
    with written_aside(page) as aside:
        aside.write_text(replication_page(tables, notes, figures, page, command), encoding="utf-8")
    paths = {page.with_suffix("") / name: table for name, table in tables.items()}
    for path, table in paths.items():
        with written_aside(path) as aside:
            table.write_csv(aside, float_precision=4)
    return (page, *paths, *(path for drawn in figures.values() for path in drawn.values()))
