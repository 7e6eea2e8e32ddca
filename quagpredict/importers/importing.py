"""Files of another evaluation tool to a one-row table that `rank` reads, with an audit."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from quagpredict.answers import GradingPolicy, grade_many
from quagpredict.corpus import assemble_row
from quagpredict.errors import InvalidDataError, QuagpredictError, UsageError
from quagpredict.files import digest
from quagpredict.importers import counts, human_eval, inspect_log, lighteval, lm_eval, nemo_skills, qwen_math
from quagpredict.importers.audit import Audit, audit
from quagpredict.importers.reading import ProblemRow, Reading
from quagpredict.metrics.measurement import count_values

_MODULES: dict[str, Any] = {
    "lm-eval": lm_eval,
    "lighteval": lighteval,
    "inspect": inspect_log,
    "nemo-skills": nemo_skills,
    "qwen-math": qwen_math,
    "human-eval": human_eval,
    "counts": counts,
}
FORMATS = tuple(_MODULES)
_WITH_METRIC = ("lm-eval", "lighteval", "inspect")


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
    """

    row: pl.DataFrame
    problems: pl.DataFrame
    audit: Audit
    format: str
    eval_protocol_id: str


def detect(paths: Sequence[str | Path]) -> str:
    """Return the format of the first file.

    Raises
    ------
    InvalidDataError
        If none of the known formats, or the file cannot be read.
    """
    path = _files(paths)[0]
    for name, module in _MODULES.items():
        try:
            if module.recognises(path):
                return name
        except (QuagpredictError, pl.exceptions.PolarsError, OSError, UnicodeDecodeError):
            continue
    raise InvalidDataError(
        f"{path}: none of the formats {', '.join(FORMATS)}; name the format if it is one of them. Answers to each "
        "problem are needed, which an evaluation tool logs on demand: summed results will not do"
    )


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
    regrade: GradingPolicy | None = None,
    allow_ragged: bool = False,
    allow_duplicates: bool = False,
) -> Imported:
    r"""Read the samples or counts that another tool left, check them, and measure them.

    Parameters
    ----------
    format : str
        One of `FORMATS`, or "auto".
    paths : sequence of path
        Files of one run of one model.
    candidate, base_model : str
        What the row is called, and what the model was fine-tuned from.
    suite : str, optional
        Name of the benchmark, where the files give none or another one; for files of one benchmark.
    protocol : str, optional
        What the files do not say of how samples were drawn; goes into the protocol's digest.
    filter, metric : str, optional
        Which verdict counts, where a file has several (lm-eval, lighteval, inspect).
    regrade : GradingPolicy, optional
        Grade the responses again; they and the gold answers must be in the files.
    allow_ragged, allow_duplicates : bool
        Take the samples although the audit speaks against them.

    Returns
    -------
    Imported
        Pass@k is null for k above the smallest n.

    Raises
    ------
    UsageError
        For an unknown format or an option that the format has not.
    InvalidDataError
        If a file breaks its format, verdicts of single samples are missing, a problem stands twice, or the audit
        refuses the samples.

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
    files = _files(paths)
    name = detect(files) if format == "auto" else format
    if name not in _MODULES:
        raise UsageError(f"unknown format '{format}'; known are auto, {', '.join(FORMATS)}")
    options: dict[str, str] = {}
    for option, value, having in (("filter", filter, ("lm-eval",)), ("metric", metric, _WITH_METRIC)):
        if value is not None and name not in having:
            raise UsageError(f"--{option} goes with {', '.join(having)} only, the format is {name}")
        if value is not None:
            options[option] = value
    read: Callable[..., Reading] = _MODULES[name].read
    reading = read(files, **options)
    rows = _named(reading.problems, suite)
    problems = pl.DataFrame(_regraded(rows, regrade) if regrade else _counted(rows))
    found = audit(reading, problems, regrade is not None)
    allowed = {"allow_ragged": allow_ragged, "allow_duplicates": allow_duplicates}
    for why, option in found.refusals:
        if not allowed[option]:
            raise InvalidDataError(f"{files[0]}: {why}; --{option.replace('_', '-')} takes them as they are")
    notes = [f"overruled by --{option.replace('_', '-')}: {why}" for why, option in found.refusals]
    found = found._replace(notes=(*found.notes, *notes))
    content = {
        "imported": name,
        "benchmarks": sorted({row.benchmark for row in rows}),
        "settings": {key: str(value) for key, value in reading.settings.items()},
        "protocol": protocol,
        "grading": regrade.as_dict() if regrade else None,
    }
    eval_protocol_id = f"imported-{digest(content)}"
    identity = {"candidate": candidate, "base_model": base_model, "eval_protocol_id": eval_protocol_id}
    row = assemble_row(identity, count_values(problems), problems)
    return Imported(row, problems, found, name, eval_protocol_id)


def _files(paths: Sequence[str | Path]) -> list[Path]:
    files = list(dict.fromkeys(Path(path) for path in paths))
    if not files:
        raise UsageError("no file was given to import")
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file")
    return files


def _named(rows: Sequence[ProblemRow], suite: str | None) -> list[ProblemRow]:
    if not rows:
        raise InvalidDataError("the files hold no problem")
    if suite is not None:
        benchmarks = sorted({row.benchmark for row in rows})
        if len(benchmarks) > 1:
            raise UsageError(f"--suite names one benchmark, the files hold {', '.join(benchmarks)}")
        rows = [row._replace(benchmark=suite) for row in rows]
    twice = [key for key, times in Counter((row.benchmark, row.problem_id) for row in rows).items() if times > 1]
    if twice:
        benchmark, problem = twice[0]
        raise InvalidDataError(f"problem '{problem:.60}' of '{benchmark}' stands twice; give the files of one run")
    return list(rows)


def _counted(rows: Iterable[ProblemRow]) -> list[dict[str, Any]]:
    table = []
    for row in rows:
        if row.c is None:
            cure = "--regrade counts them" if row.responses and row.gold is not None else "import counts instead"
            raise InvalidDataError(
                f"problem '{row.problem_id:.60}' of '{row.benchmark}' has {row.n} samples, and the files do not say "
                f"how many are correct: {cure}"
            )
        table.append({"benchmark": row.benchmark, "problem_id": row.problem_id, "n": row.n, "c": row.c})
    return table


def _regraded(rows: Sequence[ProblemRow], policy: GradingPolicy) -> list[dict[str, Any]]:
    for row in rows:
        if not row.responses or row.gold is None:
            lacking = "responses" if not row.responses else "gold answer"
            raise InvalidDataError(
                f"problem '{row.problem_id:.60}' of '{row.benchmark}' cannot be graded again: the file has no {lacking}"
            )
    flat = [(text, str(row.gold)) for row in rows for text in row.responses]
    cut = [flag for row in rows for flag in (row.truncated or (False,) * len(row.responses))]
    grades = iter(
        grade_many(
            [text for text, _ in flat],
            [gold for _, gold in flat],
            finish_reasons=["length" if flag else "stop" for flag in cut],
            policy=policy,
        )
    )
    table = []
    for row in rows:
        found = [next(grades) for _ in row.responses]
        verdicts = Counter(one.verdict for one in found)
        counted = {"n": len(found), "c": verdicts["correct"]}
        counted |= {"truncated": verdicts["truncated"], "no_answer": verdicts["no_answer"]}
        counted["distinct_answers"] = len({one.answer for one in found if one.answer is not None})
        table.append({"benchmark": row.benchmark, "problem_id": row.problem_id} | counted)
    return table
