"""Hold an import against what it should be: samples drawn alike, none twice, and the tool's own numbers made again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
import polars as pl

from quagpredict.importers.reading import ProblemRow, Reading, Reported
from quagpredict.metrics import pass_at_k

_TELLING_LENGTH = 20  # characters: shorter responses are often the same by chance
_SAME_SHARE = 0.5
_TOLERANCE = 0.0006  # tools round to a tenth of a per cent


class Difference(NamedTuple):
    """A number of the tool beside ours; `ours` is None where n < k, and `agrees` says whether they are the same."""

    benchmark: str
    name: str
    k: int
    theirs: float
    ours: float | None
    agrees: bool
    why: str


class Audit(NamedTuple):
    """What was found.

    Attributes
    ----------
    refusals : tuple of (str, str)
        Why the samples cannot be trusted, each with the option that overrules it.
    differences : tuple of Difference
        One for each number that the tool reports.
    notes : tuple of str
    """

    refusals: tuple[tuple[str, str], ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def refusals(problems: Sequence[ProblemRow], settings: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the reasons against the samples, each with the option that overrules it: ragged, greedy or doubled.

    Examples
    --------
    >>> rows = [ProblemRow("b", "p", 4, 1), ProblemRow("b", "q", 3, 1)]
    >>> refusals(rows, {"temperature": 0.0})[0][1], refusals(rows, {"temperature": 0.0})[1][1]
    ('allow_ragged', 'allow_duplicates')
    """
    found = []
    sizes = Counter(row.n for row in problems)
    if len(sizes) > 1:
        usual = max(sizes, key=lambda size: (sizes[size], size))
        odd = next(row for row in problems if row.n != usual)
        found.append(
            (
                f"the problems have {min(sizes)} to {max(sizes)} samples (problem '{odd.problem_id:.60}' of "
                f"'{odd.benchmark}' has {odd.n}, most have {usual}): some are missing, or runs were mixed",
                "allow_ragged",
            )
        )
    many = any(row.n > 1 for row in problems)
    greedy = _is_zero(settings.get("temperature")) or settings.get("do_sample") is False
    if many and greedy:
        found.append(
            (
                "the file records greedy decoding (temperature 0): samples of one problem are copies, and Pass@k of "
                "copies is Pass@1",
                "allow_duplicates",
            )
        )
    elif (why := _doubled([row.responses for row in problems if len(row.responses) > 1])) is not None:
        found.append((why, "allow_duplicates"))
    return found


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _doubled(texts: Sequence[tuple[str, ...]]) -> str | None:
    """Say why responses look like copies: too many pairs are the same, or every one stands twice or more."""
    texts = [found for found in texts if median(map(len, found)) >= _TELLING_LENGTH]
    if not texts:
        return None
    counts = [Counter(found) for found in texts]
    shares = [
        sum(m * (m - 1) for m in count.values()) / (len(found) * (len(found) - 1))
        for count, found in zip(counts, texts, strict=True)
    ]
    share = float(np.mean(shares))
    if share >= _SAME_SHARE:
        return (
            f"{share:.0%} of the pairs of responses to one problem are the same text: greedy decoding, or one seed for "
            "all samples"
        )
    if len(texts) > 1 and all(min(count.values()) > 1 for count in counts):
        return "every response stands at least twice: the samples of one seed were added more than once"
    return None


def differences(reported: Iterable[Reported], problems: pl.DataFrame, regraded: bool) -> list[Difference]:
    """Compare the tool's numbers with unbiased Pass@k from the counts, benchmark by benchmark.

    Parameters
    ----------
    reported : iterable of Reported
    problems : polars.DataFrame
        Columns benchmark, n, c.
    regraded : bool
        Whether c is of our grader, which is then one more reason for a difference.
    """
    found = []
    for one in reported:
        counts = problems.filter(pl.col("benchmark") == one.benchmark)
        if counts.is_empty():
            continue
        n, c = counts["n"].to_numpy(), counts["c"].to_numpy()
        ours = float(pass_at_k(n, c, one.k).mean()) if n.min() >= one.k else None
        agrees = ours is not None and abs(ours - one.value) <= _TOLERANCE
        why = "" if agrees else f"the tool's is {one.how}"
        if ours is None:
            why += f"; there is no unbiased Pass@{one.k} from {int(n.min())} samples"
        elif not agrees and regraded:
            why += "; and our grader decided what is correct"
        found.append(Difference(one.benchmark, one.name, one.k, one.value, ours, agrees, why))
    return found


def audit(reading: Reading, problems: pl.DataFrame, regraded: bool) -> Audit:
    """Return refusals, differences and notes of a reading whose final counts are `problems`."""
    notes = list(reading.notes)
    if "temperature" not in reading.settings:
        notes.append(
            "the files do not record the temperature: name the protocol (--protocol) so that runs under other sampling "
            "settings are not mixed"
        )
    return Audit(
        tuple(refusals(reading.problems, reading.settings)),
        tuple(differences(reading.reported, problems, regraded)),
        tuple(notes),
    )
