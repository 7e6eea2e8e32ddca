"""Hold an import against what it should be: samples drawn alike, none twice, and the tool's own numbers made again."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from quagpredict.files import file_digest
from quagpredict.importers.reading import Expected, Reading, Reported
from quagpredict.metrics import pass_at_k

_TELLING_LENGTH = 20  # characters: shorter responses are often the same by chance
_LONG = 200  # characters: never
_SAME_SHARE = 0.5
_TOLERANCE = 0.0006  # tools round to a tenth of a per cent
_GREEDY_BELOW = 1e-5  # vLLM's own bound


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
    """

    refusals: tuple[tuple[str, str], ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def refusals(
    problems: pl.DataFrame,
    reading: Reading,
    files: Sequence[Path],
) -> list[tuple[str, str]]:
    """Return the reasons against the samples, each with the option that overrules it: incomplete, greedy or doubled.

    Parameters
    ----------
    problems : polars.DataFrame
        One row a problem: benchmark, problem_id, n, responses.
    reading : Reading
        What the problems were joined from.

    Examples
    --------
    >>> from quagpredict.importers.reading import ProblemRow, part_of
    >>> parts = part_of([ProblemRow("b", "p", 4, 1), ProblemRow("b", "q", 3, 1)])
    >>> [option for _, option in refusals(parts, Reading(parts, [{"temperature": 0.0}]), [Path("a")])]
    ['allow_ragged', 'allow_duplicates']
    """
    reasons = [(why, "allow_ragged") for why in (*reading.left_out, *_incomplete(problems, reading.expected))]
    sampled = problems.filter(pl.col("n") > 1)
    if sampled.height and any(map(_is_greedy, reading.settings)):
        reasons.append(
            (
                "the file records greedy decoding (temperature 0): samples of one problem are copies, and Pass@k of "
                "copies is Pass@1",
                "allow_duplicates",
            )
        )
    elif (why := _copied_file(reading.problems, files) or _doubled(sampled)) is not None:
        reasons.append((why, "allow_duplicates"))
    return reasons


def _incomplete(problems: pl.DataFrame, expected: Iterable[Expected]) -> list[str]:
    reasons = []
    sizes = problems.group_by("n").len().sort(["len", "n"], descending=True)
    if sizes.height > 1:
        usual = sizes["n"][0]
        odd = problems.filter(pl.col("n") != usual).row(0, named=True)
        reasons.append(
            f"the problems have {min(sizes['n'])} to {max(sizes['n'])} samples (problem '{odd['problem_id']:.60}' of "
            f"'{odd['benchmark']}' has {odd['n']}, most have {usual}): some are missing, or runs were mixed"
        )
    there = {name: (count, n) for name, count, n in problems.group_by("benchmark").agg(pl.len(), pl.max("n")).rows()}
    for benchmark, count, where, samples in dict.fromkeys(expected):
        held, n = there.get(benchmark, (0, 0))
        if 0 < held < count:
            reasons.append(
                f"the run is partial: the files hold {held} of the {count} problems of '{benchmark}' that "
                f"{where} counts"
            )
        if held and samples is not None and n < samples:
            reasons.append(
                f"the run is partial: the files hold {n} samples of each problem of '{benchmark}', "
                f"{where} says {samples}"
            )
    return reasons


def _is_greedy(settings: Mapping[str, Any]) -> bool:
    temperature = settings.get("temperature")
    if isinstance(temperature, int | float) and not isinstance(temperature, bool):
        return temperature < _GREEDY_BELOW
    return settings.get("do_sample") is False


def _telling(problems: pl.DataFrame) -> pl.DataFrame:
    """Return a row a response with its hash, of the problems whose responses are too long to be the same by chance."""
    lengths = pl.col("responses").list.eval(pl.element().str.len_chars()).list.median()
    return (
        problems.filter(lengths >= _TELLING_LENGTH)
        .with_columns(pl.col("responses").list.eval(pl.element().hash()).alias("text"))
        .drop("responses")
        .explode("text")
    )


def _copied_file(parts: pl.DataFrame, files: Sequence[Path]) -> str | None:
    """Say which seed is a copy of another: the same bytes, or the same responses to most problems."""
    shared = parts.filter(pl.struct("benchmark", "problem_id").is_duplicated())
    if shared.is_empty():
        return None
    first_file: dict[str, Path] = {}
    for number in shared["file"].unique().sort():
        digest = file_digest(files[number])
        if digest in first_file:
            return f"{files[number]} is a copy of {first_file[digest]}: the same samples would count twice"
        first_file[digest] = files[number]
    texts = _telling(shared.select("benchmark", "problem_id", "file", "responses")).unique()
    pairs = (
        texts.join(texts, on=["benchmark", "problem_id", "text"], suffix="_of")
        .filter(pl.col("file") < pl.col("file_of"))
        .group_by("file", "file_of")
        .len()
    )
    sizes = dict(texts.group_by("file").len().rows())
    for first, second, same in pairs.sort("file", "file_of").rows():
        share = same / min(sizes[first], sizes[second])
        if share >= _SAME_SHARE:
            return (
                f"{share:.0%} of the responses in {files[second]} are those of {files[first]}: one seed is a copy of "
                "the other, or both were drawn greedily"
            )
    return None


def _doubled(problems: pl.DataFrame) -> str | None:
    """Say why responses look like copies: too many pairs are the same, or every one appears twice or more."""
    texts = _telling(problems.filter(pl.col("responses").list.len() > 1))
    if texts.is_empty():
        return None
    times = texts.group_by("benchmark", "problem_id", "text").len(name="m").with_columns(pl.col("m").cast(pl.Float64))
    by = times.group_by("benchmark", "problem_id").agg(
        (pl.col("m") * (pl.col("m") - 1)).sum().alias("same"),
        pl.col("m").sum().alias("n"),
        pl.col("m").min(),
        pl.col("m").max().alias("most"),
    )
    share = float((by["same"] / (by["n"] * (by["n"] - 1))).mean())  # type: ignore[arg-type]
    if share >= _SAME_SHARE:
        return (
            f"{share:.0%} of the pairs of responses to one problem are the same text: greedy decoding, or one seed for "
            "all samples"
        )
    if by.height > 1 and (by["m"] > 1).all():
        return "every response stands at least twice: the samples of one seed were added more than once"
    # Long responses are not the same by chance, least of all in every problem.
    lengths = problems.select(pl.col("responses").list.eval(pl.element().str.len_chars()).list.median().min()).item()
    if by.height > 1 and lengths >= _LONG and (by["most"] > 1).all():
        return "every problem has a response twice: the samples of one seed were added more than once"
    return None


def differences(
    reported: Iterable[Reported], problems: pl.DataFrame, regraded: bool, expected: Iterable[Expected] = ()
) -> list[Difference]:
    """Compare the tool's numbers with unbiased Pass@k from the counts, benchmark by benchmark.

    Parameters
    ----------
    problems : polars.DataFrame
        Columns benchmark, n, c.
    regraded : bool
        Whether c is of our grader, which is then one more reason for a difference.
    expected : iterable of Expected
        Where the tool counts more problems than are here, that is the reason.
    """
    rows = []
    all_of_it = {number.benchmark: number.problems for number in expected}
    for number in reported:
        counts = problems.filter(pl.col("benchmark") == number.benchmark)
        if counts.is_empty():
            continue
        n, c = counts["n"].to_numpy(), counts["c"].to_numpy()
        ours = float(pass_at_k(n, c, number.k).mean()) if n.min() >= number.k else None
        agrees = ours is not None and abs(ours - number.value) <= _TOLERANCE
        why = "" if agrees else f"the tool's is {number.how}"
        if not agrees and counts.height < all_of_it.get(number.benchmark, 0):
            why = f"the tool's is over {all_of_it[number.benchmark]} problems, and {counts.height} of them are here"
        if ours is None:
            why += f"; there is no unbiased Pass@{number.k} from {int(n.min())} samples"
        elif not agrees and regraded:
            why += "; and our grader decided what is correct"
        rows.append(Difference(number.benchmark, number.name, number.k, number.value, ours, agrees, why))
    return rows


def notes_of(reading: Reading) -> list[str]:
    """Return what a user should know of a reading, whatever its counts are."""
    notes = list(dict.fromkeys(reading.notes))
    if not any("temperature" in settings for settings in reading.settings):
        notes.append(
            "the files do not record the temperature: name the protocol (`protocol`) so that runs under other "
            "sampling settings are not mixed"
        )
    return notes
