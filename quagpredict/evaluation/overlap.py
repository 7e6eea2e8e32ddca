"""Whether texts that are measured on also stand in texts that are trained on: n-grams of words, and answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.answers.extract import last_box
from quagpredict.answers.golds import one_spelling
from quagpredict.answers.grading import DEFAULT
from quagpredict.answers.statements import last_statement
from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.evaluation.sources import SOURCES, answer_text, rows_of
from quagpredict.evaluation.suite import Suite
from quagpredict.lab import Mixture
from quagpredict.plans.keys import known_keys_only, settings_of

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ANSWERS = ("answer", "Answer", "final_answer", "expected_answer", "gold", "ground_truth")
_NO_DOCUMENT = -1


class Documents(NamedTuple):
    """Texts of one kind: what they are called, the texts, and the final answer of each (None: none is known)."""

    name: str
    texts: Sequence[str]
    answers: Sequence[str | None]


class Overlap(NamedTuple):
    """How far one kind of text stands in another.

    Attributes
    ----------
    of, against : str
        Names of the two.
    documents : int
        Texts that were looked at.
    touched : int
        Texts that share at least one n-gram with the other kind: GPT-3's criterion. Common phrases are among them.
    copied : int
        Texts of whose n-grams at least half stand in the other kind, or that are equal to one as a whole. The refusal
        looks at these.
    with_answer : int
        Copied texts whose final answer is also that of the text they were found in.
    examples : tuple of str
        The beginnings of up to three copied texts.
    """

    of: str
    against: str
    documents: int
    touched: int
    copied: int
    with_answer: int
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of copied texts."""
        return self.copied / self.documents if self.documents else 0.0


@dataclass(frozen=True)
class OverlapCheck:
    """What to look for overlap with, and how much is too much.

    Parameters
    ----------
    against : sequence of mapping or path
        Texts that were or will be trained on: ``path``, ``hub`` or ``lab`` as in a suite; optionally ``name``, ``text``
        (columns; all that hold text if not given) and ``answer`` (a column). A path alone is its own name.
    ngram : int
        Words of an n-gram; 13 is GPT-3's.
    max_share : float
        Largest share of copied texts that is let pass.

    Raises
    ------
    RecipeError
        For an n-gram below 1, a share outside 0 to 1, or no entry.
    """

    against: Sequence[Mapping[str, Any] | str | Path]
    ngram: int = 13
    max_share: float = 0.01

    def __post_init__(self) -> None:
        if not isinstance(self.ngram, int) or self.ngram < 1:
            raise RecipeError(f"overlap: ngram must be a whole number of at least 1, got {self.ngram!r}")
        if not isinstance(self.max_share, int | float) or not 0 <= self.max_share <= 1:
            raise RecipeError(f"overlap: max_share must lie between 0 and 1, got {self.max_share!r}")
        listed = isinstance(self.against, Sequence) and not isinstance(self.against, str)
        if not listed or not self.against or not all(isinstance(x, Mapping | str | Path) for x in self.against):
            raise RecipeError(f"overlap: against must be a list of sources (path, hub or lab), got {self.against!r}")

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The entries of `against`, each as a source."""
        return [dict(x) if isinstance(x, Mapping) else {"path": str(x), "name": str(x)} for x in self.against]


def overlap_check(given: Any, where: str) -> OverlapCheck:
    """Return the check that a config's ``overlap`` describes.

    Raises
    ------
    RecipeError
        For an unknown key or a value that cannot be.

    Examples
    --------
    >>> overlap_check({"against": [{"path": "train.jsonl"}]}, "config.yaml").ngram
    13
    """
    check: OverlapCheck = settings_of(OverlapCheck, given, f"{where}: overlap")
    return check


def check_overlap(suite: Suite, check: OverlapCheck, base: Path) -> tuple[Overlap, ...]:
    """Compare a suite's problems and held-out solutions with what is trained on, and with each other.

    Parameters
    ----------
    base : Path
        Folder that paths are relative to.

    Returns
    -------
    tuple of Overlap
        Benchmarks and held-out solutions against each source, then held-out solutions against benchmarks.

    Raises
    ------
    InvalidDataError
        If a share of copied texts is above the check's `max_share`; the message names the worst.
    RecipeError
        If a source cannot be read.
    """
    asked = [
        Documents(
            name,
            [problem.question for problem in suite.problems if problem.benchmark == name],
            [problem.answer for problem in suite.problems if problem.benchmark == name],
        )
        for name in dict.fromkeys(problem.benchmark for problem in suite.problems)
    ]
    held_out = []
    if suite.held_out:
        texts = [example.prompt for example in suite.held_out]
        held_out = [Documents("held-out", texts, [_stated(example.completion) for example in suite.held_out])]
    copied: list[Overlap] = []
    for at, entry in enumerate(check.sources):
        trained = _read(entry, base, f"overlap: against[{at}]")
        copied += overlaps([*asked, *held_out], trained, check.ngram)
    for benchmark in asked:
        copied += overlaps(held_out, benchmark, check.ngram)
    worst = max(copied, key=lambda benchmark: benchmark.share, default=None)
    if worst is not None and worst.share > check.max_share:
        raise InvalidDataError(
            f"{worst.copied} of {worst.documents} texts of '{worst.of}' ({worst.share:.1%}) also stand in "
            f"'{worst.against}', more than max_share {check.max_share:.1%} allows; take them out of one of the two, or "
            f"raise max_share. The first: {worst.examples[0]!r}"
        )
    return tuple(copied)


def overlaps(measured: Sequence[Documents], trained: Documents, ngram: int = 13) -> list[Overlap]:
    """Return how far each kind of measured text stands in the texts that are trained on.

    Words are letters and digits in lower case. A text of fewer words than an n-gram has is compared as a whole, and
    only with texts that are as short. N-grams are compared by 64-bit hashes: looked up among a billion, one is found
    by chance once in twenty billion times.

    Examples
    --------
    >>> asked = Documents("test", ["How many apples are left in the basket?", "Find x."], ["3", "4"])
    >>> seen = Documents("train", ["FIND X", "so how many apples are left, in the basket? #### 3"], [None, "3"])
    >>> overlaps([asked], seen, ngram=5)[0][:6]
    ('test', 'train', 2, 2, 2, 1)
    """
    theirs = _grams(trained.texts, ngram)
    order = np.argsort(theirs.hashes, kind="stable")
    hashes, owners = theirs.hashes[order], theirs.documents[order]
    result = []
    for documents in measured:
        ours = _grams(documents.texts, ngram)
        position = np.minimum(np.searchsorted(hashes, ours.hashes), max(hashes.size - 1, 0))
        hit = hashes[position] == ours.hashes if hashes.size else np.zeros(ours.hashes.size, dtype=bool)
        count = len(documents.texts)
        hits = np.bincount(ours.documents[hit], minlength=count)
        grams = np.bincount(ours.documents, minlength=count)
        copied = (hits > 0) & (2 * hits >= grams)
        owner = np.full(count, _NO_DOCUMENT)
        owner[ours.documents[hit]] = owners[position[hit]]
        answers = [_spelt(answer) for answer in documents.answers]
        same = sum(
            answers[at] is not None and answers[at] == _spelt(trained.answers[owner[at]])
            for at in np.flatnonzero(copied)
        )
        examples = tuple(documents.texts[at][:80] for at in np.flatnonzero(copied)[:3])
        result.append(
            Overlap(documents.name, trained.name, count, int((hits > 0).sum()), int(copied.sum()), int(same), examples)
        )
    return result


class _Grams(NamedTuple):
    hashes: NDArray[np.uint64]
    documents: NDArray[np.int64]


def _grams(texts: Sequence[str], ngram: int) -> _Grams:
    """Return the hashes of all n-grams and the document of each; a shorter text gives one hash of the whole."""
    words = (
        pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
        .with_row_index("document")
        .select("document", pl.col("text").str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+").alias("word"))
        .explode("word")
        .drop_nulls()
    )
    document = words["document"].to_numpy().astype(np.int64)
    word = words["word"].hash(seed=0).to_numpy()
    count = np.bincount(document, minlength=len(texts))
    begin = np.cumsum(count) - count
    with np.errstate(over="ignore"):
        rolled = np.zeros(max(word.size - ngram + 1, 0), dtype=np.uint64)
        for offset in range(ngram):
            rolled = rolled * _MULTIPLIER + word[offset : offset + rolled.size]
        at = np.arange(rolled.size)
        inside = at + ngram <= (begin + count)[document[at]] if rolled.size else np.zeros(0, dtype=bool)
        short = np.flatnonzero((count > 0) & (count < ngram))
        # A whole short text: its words rolled in the same way, and its length, so that no n-gram is equal to it.
        whole = np.zeros(short.size, dtype=np.uint64)
        for offset in range(ngram - 1):
            there = offset < count[short]
            index = np.minimum(begin[short] + offset, max(word.size - 1, 0))
            whole = np.where(there, whole * _MULTIPLIER + word[index], whole) if word.size else whole
        whole = (whole + count[short].astype(np.uint64)) * _MULTIPLIER
    return _Grams(
        np.concatenate([rolled[inside], whole]), np.concatenate([document[at[inside]], short]).astype(np.int64)
    )


def _spelt(answer: str | None) -> str | None:
    return None if answer is None else one_spelling(answer, DEFAULT)


def _stated(text: str) -> str | None:
    """Return the answer at the end of a solution: its last box or statement."""
    return last_box(text) or last_statement(text[-2000:])


def _read(entry: Mapping[str, Any], base: Path, where: str) -> Documents:
    known_keys_only(entry, {*SOURCES, "name", "text", "answer"}, where)
    if sum(name in entry for name in SOURCES) != 1:
        raise RecipeError(f"{where}: needs one of 'path', 'hub' or 'lab'")
    name = str(entry.get("name") or entry.get("path") or "")
    if "lab" in entry:
        lab = dict(entry["lab"])
        known_keys_only(lab, {"problems", "seed", "data", "split"}, f"{where}: lab")
        mixture = Mixture.from_mapping(lab["data"])
        items = mixture.problems(lab["problems"], split=lab.get("split", "rl"), seed=lab.get("seed", 0))
        return Documents(name or "lab", [item.prompt for item in items], [item.answer for item in items])
    if not name:
        name = entry["hub"] if isinstance(entry["hub"], str) else str(entry["hub"].get("id"))
    rows = rows_of({key: entry[key] for key in SOURCES if key in entry}, base, where)
    columns = [entry["text"]] if isinstance(entry.get("text"), str) else entry.get("text")
    texts = ["\n".join(_texts(row, columns, where)) for row in rows]
    column = entry.get("answer") or next((name for name in _ANSWERS if rows and name in rows[0]), None)
    answers = []
    for row, text in zip(rows, texts, strict=True):
        given = None if column is None or row.get(column) is None else answer_text(row[column])
        # A worked solution in the answer's column (GSM8K) ends in its answer.
        answers.append(_stated(text) if given is None else _stated(given) or given)
    return Documents(name, texts, answers)


def _texts(row: Mapping[str, Any], columns: Sequence[str] | None, where: str) -> list[str]:
    if columns is None:
        return [text for value in row.values() for text in _strings(value)]
    for column in columns:
        if column not in row:
            raise RecipeError(f"{where}: no column '{column}'; there are {', '.join(map(str, row))}")
    return [text for column in columns for text in _strings(row[column])]


def _strings(value: Any) -> list[str]:
    """Return the texts of a value: of a conversation, its contents."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return _strings(value.get("content", ""))
    if isinstance(value, Sequence):
        return [text for part in value for text in _strings(part)]
    return []
