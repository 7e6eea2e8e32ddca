"""Files of another evaluation tool to a one-row table that `rank` reads, with an audit; graded again where asked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from quagpredict.answers import GradingPolicy, grade_many, readable_gold
from quagpredict.arguments import check_arguments
from quagpredict.corpus import assemble_row
from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.files import digest
from quagpredict.importers.audit import Audit, differences, notes_of, refusals
from quagpredict.importers.formats import read_files
from quagpredict.importers.joining import agreed_settings, as_protocol, check_one_verdict, joined
from quagpredict.importers.reading import Reading
from quagpredict.importers.statistics import GROUP_SIZE, Statistic, pass_at_group
from quagpredict.metrics.measuring import count_values

_MOST_WITHOUT_LETTER = 0.5


class Imported(NamedTuple):
    """What an import gives.

    Attributes
    ----------
    row : polars.DataFrame
        One row, every column of the table; ``pre_problems`` holds the counts.
    problems : polars.DataFrame
        benchmark, problem_id, n, c, and after grading again truncated, no_answer, distinct_answers.
    files : tuple of Path
        What was read.
    protocol : mapping
        What `eval_protocol_id` is the digest of.
    statistics : tuple of Statistic
        Pass@G at the group size where there are samples enough; after `import_runs` with a base the coverage ratio.
    golds : mapping
        Reference answer by benchmark and problem, of those that the files tell.
    """

    row: pl.DataFrame
    problems: pl.DataFrame
    audit: Audit
    format: str
    eval_protocol_id: str
    files: tuple[Path, ...]
    protocol: Mapping[str, Any]
    statistics: tuple[Statistic, ...]
    golds: Mapping[tuple[str, str], str]

    def noted(self, note: str) -> "Imported":
        """Return the same with one more note."""
        return self._replace(audit=self.audit._replace(notes=(*self.audit.notes, note)))


def import_run(
    format: str,
    paths: str | Path | Sequence[str | Path],
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
    held_out_loss: float | None = None,
    group_size: int = GROUP_SIZE,
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
    paths : path or sequence of path
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
    held_out_loss : float, optional
        Loss on held-out completions in nats per token, measured elsewhere: with it candidates can be screened.
    group_size : int
        Samples of a prompt in a step of GRPO; Pass@G is among the statistics.
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
    check_arguments(import_run, locals())
    columns = {"id": id, "correct": correct, "response": response, "gold": gold, "benchmark": benchmark}
    options = columns | {"truncated": truncated, "threshold": threshold, "filter": filter, "metric": metric}
    name, files, reading = read_files(format, [paths] if isinstance(paths, str | Path) else paths, options)
    if reading.problems.is_empty():
        raise InvalidDataError(f"{files[0]}: no problem is in it" + (" or in the others" if len(files) > 1 else ""))
    reading, stated = _named(reading, suite, candidate, name)
    settings = agreed_settings(reading, files, mixed=allow_mixed_settings)
    if regrade is not None:  # who the tool's own verdict is by says nothing of counts that it is not in
        reading = replace(reading, graded_by=())
    check_one_verdict(reading, files)
    merged = joined(reading.problems, files)
    reasons = refusals(merged, reading, files)
    allowed = {"allow_ragged": allow_ragged, "allow_duplicates": allow_duplicates}
    for why, option in reasons:
        if not allowed[option]:
            named = why if why.startswith(tuple(map(str, files))) else f"{files[0]}: {why}"
            raise InvalidDataError(f"{named} (`{option}` takes them as they are)")
    problems = regraded(merged, regrade) if regrade else _counted(merged, reading.undecided)
    notes = (*notes_of(reading), *(f"overruled by `{option}`: {why}" for why, option in reasons))
    compared = differences(reading.reported, problems, regrade is not None, reading.expected)
    checked = Audit(tuple(reasons), tuple(compared), notes)
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
    row = assemble_row(identity, count_values(problems) | {"held_out_loss_nats": held_out_loss}, problems)
    group = pass_at_group(problems, group_size)
    statistics = () if group is None else (group,)
    told = merged.filter(pl.col("gold").is_not_null())
    golds = dict(zip(told.select("benchmark", "problem_id").rows(), told["gold"], strict=True))
    return Imported(row, problems, checked, name, eval_protocol_id, tuple(files), content, statistics, golds)


def _named(reading: Reading, suite: str | None, candidate: str, format: str) -> tuple[Reading, list[str]]:
    """Return the reading with its benchmarks named, and the names that the protocol may hold: never that of a file."""
    names = sorted(reading.problems["benchmark"].unique())
    stated = names if reading.stated else []
    new: Mapping[str, str] = {}
    if suite is not None:
        if reading.stated and len(names) > 1:
            raise UsageError(f"`suite` names one benchmark, the files hold {', '.join(names)}")
        new, stated = dict.fromkeys(names, suite), [suite]
    elif not reading.stated and names == [candidate]:
        new = {candidate: format}  # a file or folder that is called after the candidate names no benchmark
    if not new:
        return reading, stated
    problems = reading.problems.with_columns(pl.col("benchmark").replace(new))
    reported = [score._replace(benchmark=new.get(score.benchmark, score.benchmark)) for score in reading.reported]
    expected = [count._replace(benchmark=new.get(count.benchmark, count.benchmark)) for count in reading.expected]
    return replace(reading, problems=problems, reported=reported, expected=expected), stated


def _counted(problems: pl.DataFrame, undecided: str) -> pl.DataFrame:
    if undecided:
        raise InvalidDataError(undecided)
    unknown = problems.filter(pl.col("c").is_null())
    if unknown.height:
        row = unknown.row(0, named=True)
        gradable = len(row["responses"] or []) == row["n"] and row["gold"] is not None
        cure = "`regrade` counts them" if gradable else "import counts instead"
        raise InvalidDataError(
            f"problem '{row['problem_id']:.60}' of '{row['benchmark']}' has {row['n']} samples, and the files do not "
            f"say how many are correct: {cure}"
        )
    return problems.select("benchmark", "problem_id", "n", "c")


def regraded(problems: pl.DataFrame, policy: GradingPolicy) -> pl.DataFrame:
    """Return the counts of problems by our grader.

    Parameters
    ----------
    problems : polars.DataFrame
        One row a problem: benchmark, problem_id, n, responses, gold, truncated.

    Returns
    -------
    polars.DataFrame
        benchmark, problem_id, n, c, truncated, no_answer, distinct_answers.

    Raises
    ------
    InvalidDataError
        If a problem has no responses or no gold answer, or its gold is one that this grader cannot grade by: code, a
        solution without a final answer, the letter of an option where the responses name none.
    """
    _check(problems, policy)
    sizes = problems["n"].to_list()
    texts = problems["responses"].explode(empty_as_null=False, keep_nulls=False).fill_null("").to_list()
    cut = [
        flag
        for flags, n in zip(problems["truncated"].to_list(), sizes, strict=True)
        for flag in (flags if flags and len(flags) == n else [False] * n)
    ]
    grades = grade_many(
        texts,
        [gold for gold, n in zip(problems["gold"], sizes, strict=True) for _ in range(n)],
        finish_reasons=["length" if flag else "stop" for flag in cut],
        policy=policy,
    )
    table = pl.DataFrame(
        {
            "problem": [number for number, n in enumerate(sizes) for _ in range(n)],
            "verdict": [grade.verdict for grade in grades],
            "answer": pl.Series([grade.answer for grade in grades], dtype=pl.String),
        }
    )
    _check_letters(table)
    verdict = pl.col("verdict")
    counted = table.group_by("problem", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n"),
        (verdict == "correct").sum().cast(pl.Int64).alias("c"),
        (verdict == "truncated").sum().cast(pl.Int64).alias("truncated"),
        (verdict == "no_answer").sum().cast(pl.Int64).alias("no_answer"),
        pl.col("answer").drop_nulls().n_unique().cast(pl.Int64).alias("distinct_answers"),
    )
    return problems.select("benchmark", "problem_id").hstack(counted.drop("problem"))


def _check(problems: pl.DataFrame, policy: GradingPolicy) -> None:
    lacking = problems.filter((pl.col("responses").list.len().fill_null(0) != pl.col("n")) | pl.col("gold").is_null())
    if lacking.height:
        row = lacking.row(0, named=True)
        what = "gold answer" if len(row["responses"] or []) == row["n"] else "responses"
        raise InvalidDataError(
            f"problem '{row['problem_id']:.60}' of '{row['benchmark']}' cannot be graded again: the file has no {what}"
        )
    for benchmark, name, gold in problems.select("benchmark", "problem_id", "gold").rows():
        readable_gold(gold, policy, f"'{name:.60}' of '{benchmark}'")


def _check_letters(grades: pl.DataFrame) -> None:
    """Refuse golds that are the letters of options where most answers name none: the grader calls that an error."""
    answered = grades.filter(pl.col("answer").is_not_null())
    without = 0.0 if answered.is_empty() else (answered["verdict"] == "error").sum() / answered.height
    if without > _MOST_WITHOUT_LETTER:
        raise InvalidDataError(
            f"the gold answers are letters of options, and {without:.0%} of the answers name no letter: they cannot be "
            "graded again; take the tool's own verdicts"
        )
