"""Files of another evaluation tool to a one-row table that `rank` reads, with an audit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from quagpredict.answers import GradingPolicy
from quagpredict.corpus import assemble_row
from quagpredict.errors import InvalidDataError, QuagpredictError, UsageError
from quagpredict.files import digest
from quagpredict.importers import counts, human_eval, inspect_log, lighteval, lm_eval, nemo_skills, qwen_math, samples
from quagpredict.importers.audit import Audit, differences, notes_of, refusals
from quagpredict.importers.files import given_files
from quagpredict.importers.joining import agreed_settings, as_protocol, check_one_verdict, joined
from quagpredict.importers.reading import Reading
from quagpredict.importers.regrading import regraded
from quagpredict.metrics.measurement import count_values

_MODULES: dict[str, Any] = {
    "lm-eval": lm_eval,
    "lighteval": lighteval,
    "inspect": inspect_log,
    "nemo-skills": nemo_skills,
    "qwen-math": qwen_math,
    "human-eval": human_eval,
    "counts": counts,
    "samples": samples,
}
FORMATS = tuple(_MODULES)
# Option of a reader -> formats that have it.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "filter": ("lm-eval",),
    "metric": ("lm-eval", "lighteval", "inspect"),
    **dict.fromkeys(("id", "correct", "response", "gold", "benchmark", "truncated", "threshold"), ("samples",)),
}


class Imported(NamedTuple):
    """What an import gives.

    Attributes
    ----------
    row : polars.DataFrame
        One row, every column of the table; ``pre_problems`` holds the counts.
    problems : polars.DataFrame
        benchmark, problem_id, n, c, and after grading again truncated, no_answer, distinct_answers.
    audit : Audit
    format, eval_protocol_id : str
    files : tuple of Path
        What was read.
    """

    row: pl.DataFrame
    problems: pl.DataFrame
    audit: Audit
    format: str
    eval_protocol_id: str
    files: tuple[Path, ...]


def detect(paths: Sequence[str | Path]) -> str:
    """Return the format of the files: that of the first file which was named, or of those in the folders.

    Raises
    ------
    InvalidDataError
        If none of the known formats, several in the folders, or the file cannot be read.
    """
    return _format_and_files("auto", paths)[0]


def import_run(
    format: str,
    paths: Sequence[str | Path],
    *,
    candidate: str,
    base_model: str | None = None,
    suite: str | None = None,
    protocol: str | None = None,
    filter: str | None = None,
    metric: str | None = None,
    id: str | None = None,
    correct: str | None = None,
    response: str | None = None,
    gold: str | None = None,
    benchmark: str | None = None,
    truncated: str | None = None,
    threshold: float | None = None,
    regrade: GradingPolicy | None = None,
    allow_ragged: bool = False,
    allow_duplicates: bool = False,
    allow_mixed_settings: bool = False,
) -> Imported:
    r"""Read the samples or counts that another tool left, check them, and measure them.

    Parameters
    ----------
    format : str
        One of `FORMATS`, or "auto".
    paths : sequence of path
        Files of one run of one model, globs, or folders: of a folder what has the format. Several seeds of one
        benchmark are joined.
    candidate, base_model : str
        What the row is called, and what the model was fine-tuned from.
    suite : str, optional
        Name of the benchmark, where the files give none or another one; for files of one benchmark.
    protocol : str, optional
        What the files do not say of how samples were drawn; goes into the protocol's digest.
    filter, metric : str, optional
        Which verdict counts, where a file has several (lm-eval, lighteval, inspect).
    id, correct, response, gold, benchmark, truncated : str, optional
        Columns of a table with a row a sample (samples); where none is named that of the parameter's own name is taken.
        The format "auto" is "samples" if one is named.
    threshold : float, optional
        From which value on a sample is correct, where verdicts are rewards; without it only 0 and 1 are verdicts.
    regrade : GradingPolicy, optional
        Grade the responses again; they and the gold answers must be in the files.
    allow_ragged : bool
        Take the run although samples or problems are missing: the tool could not finish them, problems have different
        numbers of samples, or the tool counts more problems than the files hold.
    allow_duplicates, allow_mixed_settings : bool
        Take the samples although they look like copies, or although files record different sampling settings.

    Returns
    -------
    Imported
        Pass@k is null for k above the smallest n.

    Raises
    ------
    UsageError
        For an unknown format or an option that the format has not.
    InvalidDataError
        If a file breaks its format, verdicts of single samples are missing, a problem appears twice in a file, or the
        audit refuses the samples.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "math.csv"
    ...     _ = file.write_text("id,n,c\na,4,2\nb,4,0\n")
    ...     found = import_run("auto", [file], candidate="mix-a")
    >>> found.format, found.row["pre_pass_at_1"].item(), found.row["pre_pass_at_4"].item()
    ('counts', 0.25, 0.5)
    """
    columns = {"id": id, "correct": correct, "response": response, "gold": gold, "benchmark": benchmark}
    given = columns | {"truncated": truncated, "threshold": threshold, "filter": filter, "metric": metric}
    options = {key: value for key, value in given.items() if value is not None}
    name, files = _format_and_files(
        "samples" if format == "auto" and columns.keys() & options.keys() else format, paths
    )
    for option in options:
        if name not in _OPTIONS[option]:
            raise UsageError(f"the option {option} goes with {', '.join(_OPTIONS[option])} only; the format is {name}")
    read: Callable[..., Reading] = _MODULES[name].read
    reading = read(files, **options)
    reading, stated = _named(reading, suite, candidate, name)
    settings = agreed_settings(reading, files, mixed=allow_mixed_settings)
    check_one_verdict(reading, files)
    merged = joined(reading.problems, files)
    found = refusals(merged, reading, files)
    allowed = {"allow_ragged": allow_ragged, "allow_duplicates": allow_duplicates}
    for why, option in found:
        if not allowed[option]:
            raise InvalidDataError(f"{files[0]}: {why} (the option {option} takes them as they are)")
    problems = regraded(merged, regrade) if regrade else _counted(merged)
    notes = (*notes_of(reading), *(f"overruled by the option {option}: {why}" for why, option in found))
    checked = Audit(tuple(found), tuple(differences(reading.reported, problems, regrade is not None)), notes)
    content = {
        "imported": name,
        "benchmarks": stated,
        "graded_by": sorted(set(reading.graded_by)),
        "settings": as_protocol(settings),
        "protocol": protocol,
        "grading": regrade.as_dict() if regrade else None,
    }
    eval_protocol_id = f"imported-{digest(content)}"
    identity = {"candidate": candidate, "base_model": base_model, "eval_protocol_id": eval_protocol_id}
    row = assemble_row(identity, count_values(problems), problems)
    return Imported(row, problems, checked, name, eval_protocol_id, tuple(files))


def _format_and_files(format: str, paths: Sequence[str | Path]) -> tuple[str, list[Path]]:
    """Return the format and the files to read: all that were named, and those of folders that have the format."""
    if format != "auto" and format not in _MODULES:
        raise UsageError(f"unknown format '{format}'; known are auto, {', '.join(FORMATS)}")
    named, found = given_files(paths)
    if format == "auto" and named:
        format = _format_of(named[0]) or ""
        if not format:
            raise InvalidDataError(
                f"{named[0]}: none of the formats {', '.join(FORMATS)}; name the format if it is one of them. Answers "
                "to each problem are needed, which an evaluation tool logs on demand: summed results will not do"
            )
    # Whose columns the caller names cannot be recognised: all that is in the folder is meant.
    formats = {path: format if format == "samples" else _format_of(path, format) for path in found}
    if format == "auto":
        names = sorted({name for name in formats.values() if name})
        if len(names) != 1:
            what = f"files of several formats ({', '.join(names)})" if names else "no file of a known format"
            raise InvalidDataError(f"{found[0].parent}: the folder holds {what}: name the format, or the files")
        format = names[0]
    files = [*named, *(path for path, name in formats.items() if name == format)]
    if not files:
        raise InvalidDataError(f"{found[0].parent}: the folder holds no file of the format {format}")
    return format, files


def _format_of(path: Path, wanted: str = "auto") -> str | None:
    for name, module in _MODULES.items():
        if wanted not in ("auto", name):
            continue
        try:
            if module.recognises(path):
                return name
        except (QuagpredictError, pl.exceptions.PolarsError, OSError, ValueError):
            continue
    return None


def _named(reading: Reading, suite: str | None, candidate: str, format: str) -> tuple[Reading, list[str]]:
    """Return the reading with its benchmarks named, and the names that the protocol may hold: never that of a file."""
    if reading.problems.is_empty():
        raise InvalidDataError("the files hold no problem")
    names = sorted(reading.problems["benchmark"].unique())
    stated = names if reading.stated else []
    new: Mapping[str, str] = {}
    if suite is not None:
        if reading.stated and len(names) > 1:
            raise UsageError(f"the option suite names one benchmark, the files hold {', '.join(names)}")
        new, stated = dict.fromkeys(names, suite), [suite]
    elif not reading.stated and names == [candidate]:
        new = {candidate: format}  # a file or folder that is called after the candidate names no benchmark
    if not new:
        return reading, stated
    problems = reading.problems.with_columns(pl.col("benchmark").replace(new))
    reported = [one._replace(benchmark=new.get(one.benchmark, one.benchmark)) for one in reading.reported]
    expected = [one._replace(benchmark=new.get(one.benchmark, one.benchmark)) for one in reading.expected]
    return replace(reading, problems=problems, reported=reported, expected=expected), stated


def _counted(problems: pl.DataFrame) -> pl.DataFrame:
    unknown = problems.filter(pl.col("c").is_null())
    if unknown.height:
        row = unknown.row(0, named=True)
        gradable = len(row["responses"] or []) == row["n"] and row["gold"] is not None
        cure = "the option regrade counts them" if gradable else "import counts instead"
        raise InvalidDataError(
            f"problem '{row['problem_id']:.60}' of '{row['benchmark']}' has {row['n']} samples, and the files do not "
            f"say how many are correct: {cure}"
        )
    return problems.select("benchmark", "problem_id", "n", "c")
