"""Files of one run to one row a problem: seeds and chunks are joined, what must agree is held to agree."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import Reading

_KEY = ["benchmark", "problem_id"]
# Seeds of one run differ, and say nothing of how its samples were drawn.
_MAY_DIFFER = ("seed",)
# What must agree and still says which checkpoint was measured, not how.
_NOT_PROTOCOL = ("step", "model")


def joined(parts: pl.DataFrame, files: Sequence[Path]) -> pl.DataFrame:
    """Return one row a problem, the samples of all files together.

    Parameters
    ----------
    parts : polars.DataFrame
        One row a problem of a file.
    files : sequence of Path
        Named in errors.

    Raises
    ------
    InvalidDataError
        If a problem appears twice in a file, files differ in its gold answer, or records without an id would be joined
        by their line alone and nothing shows that they are of the same problem.
    """
    key = pl.struct(*_KEY, "file").hash() if parts.height else pl.lit(0)
    twice = parts.filter(key.is_duplicated())
    twice = twice.filter(pl.struct(*_KEY, "file").is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        raise InvalidDataError(
            f"{files[first['file']]}: problem '{first['problem_id']:.60}' of '{first['benchmark']}' appears twice; "
            "give the files of one run"
        )
    if parts["file"].n_unique() < 2 or not parts.select(pl.struct(_KEY).is_duplicated().any()).item():
        return parts.drop("file", "by_line")
    _check_golds(parts, files)
    flat = {"empty_as_null": False, "keep_nulls": False}
    merged = parts.group_by(_KEY, maintain_order=True).agg(
        pl.col("n").sum(),
        pl.when(pl.col("c").is_null().any()).then(None).otherwise(pl.col("c").sum()).alias("c"),
        pl.col("responses").explode(**flat),
        pl.col("gold").drop_nulls().first(),
        pl.col("truncated").explode(**flat),
    )
    return merged.select(*_KEY, "n", "c", "responses", "gold", "truncated")


def _check_golds(parts: pl.DataFrame, files: Sequence[Path]) -> None:
    shared = parts.filter(pl.struct(_KEY).is_duplicated())
    golds = shared.group_by(_KEY, maintain_order=True).agg(
        pl.col("gold").drop_nulls().n_unique().alias("golds"), pl.col("gold").drop_nulls().unique(maintain_order=True)
    )
    torn = golds.filter(pl.col("golds") > 1)
    if torn.height:
        first = torn.row(0, named=True)
        rows = shared.filter(
            (pl.col("benchmark") == first["benchmark"]) & (pl.col("problem_id") == first["problem_id"])
        )
        by = rows.filter(pl.col("gold").is_not_null()).unique("gold", maintain_order=True).head(2)
        stated = [f"'{gold:.40}' in {files[file]}" for gold, file in by.select("gold", "file").rows()]
        cure = "give the records an id" if rows["by_line"].any() else "are these files of one benchmark?"
        what = "in line" if rows["by_line"].any() else "of problem"
        raise InvalidDataError(
            f"the gold answer {what} '{first['problem_id']:.60}' of '{first['benchmark']}' is {' and '.join(stated)}: "
            f"they are different problems, and their samples are not joined; {cure}"
        )
    blind = shared.filter(pl.col("by_line") & pl.col("gold").is_null())
    if blind.height:
        first = blind.row(0, named=True)
        raise InvalidDataError(
            f"{files[first['file']]}: the records have neither an id nor a gold answer, so nothing shows that line "
            f"'{first['problem_id']}' is the same problem in every file; give the records an id"
        )


def agreed_settings(reading: Reading, files: Sequence[Path], *, mixed: bool) -> dict[str, Any]:
    """Return the settings that the files record, seeds left out; where they differ and that is allowed, all values.

    Raises
    ------
    InvalidDataError
        If two files record different values and `mixed` is false.

    Examples
    --------
    >>> from quagpredict.importers.reading import ProblemRow, part_of
    >>> reading = Reading(part_of([ProblemRow("b", "p", 1, 1)]), [{"temperature": 1.0}, {"temperature": 1}])
    >>> agreed_settings(reading, [Path("a"), Path("b")], mixed=False)
    {'temperature': 1.0}
    """
    values_of: dict[str, list[tuple[Any, Path]]] = {}
    for settings, file in zip(reading.settings, files, strict=False):
        for key, value in settings.items():
            if key in _MAY_DIFFER:
                continue
            values = values_of.setdefault(key, [])
            if not any(_same(value, earlier) for earlier, _ in values):
                values.append((value, file))
    for key, values in values_of.items():
        if len(values) > 1 and not mixed:
            shown = " and ".join(f"{value!r:.40} in {file}" for value, file in values[:2])
            raise InvalidDataError(
                f"the files were not drawn alike: {key} is {shown}; import the files of one run only "
                "(`allow_mixed_settings` takes them as they are)"
            )
    # In an order that does not depend on that of the files.
    return {
        key: values[0][0] if len(values) == 1 else sorted((str(value) for value, _ in values))
        for key, values in sorted(values_of.items())
    }


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def as_protocol(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they go into the protocol's digest: 1 and 1.0 are one value.

    Examples
    --------
    >>> as_protocol({"temperature": 1, "top_p": 0.95, "do_sample": True})
    {'temperature': '1.0', 'top_p': '0.95', 'do_sample': 'True'}
    """
    kept = {key: value for key, value in settings.items() if key not in _NOT_PROTOCOL}
    return {
        key: str(float(value)) if isinstance(value, int) and not isinstance(value, bool) else str(value)
        for key, value in kept.items()
    }


def check_one_verdict(reading: Reading, files: Sequence[Path]) -> None:
    """Refuse files of one benchmark of which the tool's verdicts are not of the same kind.

    Raises
    ------
    InvalidDataError
        If they are of different metrics, filters or scorers.
    """
    if len(set(reading.graded_by)) < 2:
        return
    first_files: dict[str, int] = {}
    for benchmark, file in reading.problems.select("benchmark", "file").unique(maintain_order=True).rows():
        first = first_files.setdefault(benchmark, file)
        if reading.graded_by[first] != reading.graded_by[file]:
            raise InvalidDataError(
                f"the verdicts on '{benchmark}' are by '{reading.graded_by[first]}' in {files[first]} and by "
                f"'{reading.graded_by[file]}' in {files[file]}: name one (`metric`)"
            )
