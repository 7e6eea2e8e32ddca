"""Many candidates in one call: their held-out losses, what they share with the base, one table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.arguments import check_arguments
from quagpredict.corpus import read_corpus, write_corpus
from quagpredict.corpus.reading import what_differs
from quagpredict.errors import IncomparableError, InvalidDataError, UsageError, argument
from quagpredict.importers.files import matching
from quagpredict.importers.importing import Imported, import_run
from quagpredict.importers.statistics import coverage_ratio

_LOSSES = ("pre_held_out_loss_nats", "held_out_loss_nats", "held_out_loss", "eval_loss", "loss")


def import_runs(
    format: str,
    runs: Mapping[str, str | Path | Sequence[str | Path]],
    *,
    losses: Mapping[str, float] | str | Path | None = None,
    base: str | Path | None = None,
    **options: Any,
) -> list[Imported]:
    r"""Import many candidates, measured alike.

    Parameters
    ----------
    format : str
        As for `import_run`.
    runs : mapping of str to sequence of path
        Files of each candidate.
    losses : mapping of str to float, or path, optional
        Held-out losses in nats per token by candidate, or a table with the columns ``candidate`` and
        ``held_out_loss_nats`` (or ``loss``). On one held-out set and one tokenizer, or they do not compare.
    base : str or path, optional
        The base model's own measurement: one of `runs` by name, or a table of one row with ``pre_problems``. Then every
        candidate has its coverage ratio against it.
    **options
        As for `import_run`.

    Returns
    -------
    list of Imported
        In the order of `runs`. Where they were not drawn alike, a note says what differs.

    Raises
    ------
    UsageError
        If there is no candidate.
    IncomparableError
        If the base was measured under another protocol.
    InvalidDataError
        As `import_run`, the candidate named; or if a candidate has no loss where losses were given.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name, c in (("base", 1), ("mix-a", 3)):
    ...         _ = Path(folder, f"{name}.csv").write_text(f"id,n,c\np,4,{c}\nq,4,{c}\n")
    ...     runs = {name: [Path(folder, f"{name}.csv")] for name in ("base", "mix-a")}
    ...     found = import_runs("counts", runs, losses={"base": 0.9, "mix-a": 0.7}, base="base")
    >>> found[1].row["pre_held_out_loss_nats"].item(), found[1].statistics[-1].name
    (0.7, 'coverage_ratio')
    """
    check_arguments(import_runs, locals())
    if not runs:
        raise UsageError("no candidate was given to import")
    losses_by_name = _losses(losses, list(runs)) if losses is not None else {}
    imported = []
    for name, paths in runs.items():
        try:
            imported.append(
                import_run(format, paths, candidate=name, held_out_loss=losses_by_name.get(name), **options)
            )
        except InvalidDataError as error:
            if len(runs) == 1:
                raise
            raise type(error)(f"candidate '{name}': {error}") from None
    if base is not None:
        imported = _against(imported, base)
    for note in filter(None, (_differing(imported), _other_golds(imported))):
        imported = [run.noted(note) for run in imported]
    return imported


def runs_by_name(paths: Sequence[str | Path]) -> dict[str, list[str | Path]]:
    """Return runs for `import_runs` where each file or folder is a candidate, called by its name; globs are expanded.

    Raises
    ------
    UsageError
        If a name does not exist, or two paths would be called the same.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("mix-a.csv", "mix-b.jsonl.gz"):
    ...         _ = Path(folder, name).write_text("")
    ...     list(runs_by_name([f"{folder}/*"]))
    ['mix-a', 'mix-b']
    """
    runs: dict[str, list[str | Path]] = {}
    for path in (each for given in paths for each in matching(given)):
        name = path.resolve().name if path.is_dir() else path.name.split(".")[0]
        if name in runs:
            raise UsageError(f"both {runs[name][0]} and {path} would be called '{name}': name the candidates")
        runs[name] = [path]
    return runs


def write_imported(imported: Sequence[Imported], path: str | Path) -> None:
    r"""Write the rows of imports as one table, with what the audit found in its metadata.

    Raises
    ------
    CorpusError
        If a candidate appears twice.
    UsageError
        If there is no import, or the name does not end in ``.parquet``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "mix-a.csv").write_text("id,n,c\np,4,1\n")
    ...     found = import_runs("counts", {"mix-a": [Path(folder, "mix-a.csv")]})
    ...     write_imported(found, Path(folder, "runs.parquet"))
    ...     read_corpus(Path(folder, "runs.parquet"))["pre_pass_at_1"].item()
    0.25
    """
    check_arguments(write_imported, locals())
    if not imported:
        raise UsageError("there is no import to write")
    first = imported[0]
    provenance = {
        "imported_from": first.format,
        "files": [str(file) for run in imported for file in run.files],
        "audit": [difference._asdict() for run in imported for difference in run.audit.differences],
        "notes": list(dict.fromkeys(note for run in imported for note in run.audit.notes)),
        "protocols": {run.eval_protocol_id: dict(run.protocol) for run in imported},
        "statistics": {
            run.row["candidate"].item(): [statistic._asdict() for statistic in run.statistics] for run in imported
        },
    }
    write_corpus(pl.concat([run.row for run in imported]), path, provenance)


def _losses(losses: Mapping[str, float] | str | Path, names: Sequence[str]) -> dict[str, float]:
    if isinstance(losses, Mapping):
        table, where = dict(losses), "the losses"
    else:
        try:
            frame, where = read_corpus(losses, allow_mixed_protocols=True), str(losses)
        except UsageError:
            raise UsageError(
                f"{argument('losses', str(losses))}: there is no such file; expected a loss, or a table of losses"
            ) from None
        column = next((name for name in _LOSSES if name in frame.columns), None)
        if column is None:
            raise InvalidDataError(
                f"{where}: no column of losses ({', '.join(_LOSSES)}); there are {', '.join(frame.columns)}"
            )
        if (dtype := frame[column].dtype) != pl.Null and not dtype.is_numeric():
            raise InvalidDataError(f"{where}: column '{column}' must be numbers, found {dtype}")
        table = dict(frame.filter(pl.col(column).is_not_null()).select("candidate", column).rows())
    lacking = [name for name in names if name not in table]
    if lacking:
        raise InvalidDataError(
            f"{where}: there is no loss of candidate '{lacking[0]}'; there are those of {', '.join(table) or 'none'}"
        )
    return table


def _against(imported: Sequence[Imported], base: str | Path) -> list[Imported]:
    """Return the imports with their coverage ratio; the base itself has none."""
    own_run = next((run for run in imported if run.row["candidate"].item() == str(base)), None)
    try:
        row = own_run.row if own_run is not None else read_corpus(base)
    except UsageError:
        names = ", ".join(run.row["candidate"].item() for run in imported[:8])
        why = f"there is no such file; expected one of the candidates ({names}), or a table"
        raise UsageError(f"{argument('base', str(base))}: {why}") from None
    if row.height != 1 or "pre_problems" not in row.columns or row["pre_problems"].null_count():
        raise InvalidDataError(f"{base}: the base's table must have one row with the counts of its problems")
    problems = row["pre_problems"].explode().struct.unnest()
    protocol = row["eval_protocol_id"].item() if "eval_protocol_id" in row.columns else None
    result = []
    for run in imported:
        if run is not own_run and protocol != run.eval_protocol_id:
            raise IncomparableError(
                f"the base was measured under the protocol {protocol or 'unknown'}, the candidate "
                f"'{run.row['candidate'].item()}' under {run.eval_protocol_id}: measure and import both alike"
            )
        ratio = None if run is own_run else coverage_ratio(run.problems, problems)
        result.append(run if ratio is None else run._replace(statistics=(*run.statistics, ratio)))
    return result


def _other_golds(imported: Sequence[Imported]) -> str | None:
    """Say whose reference answers differ from the first's under the same ids; None if nobody's do."""
    first = imported[0]
    for other in imported[1:]:
        apart = [key for key, gold in other.golds.items() if first.golds.get(key, gold) != gold]
        if apart:
            benchmark, problem = apart[0]
            return (
                f"'{first.row['candidate'].item()}' and '{other.row['candidate'].item()}' have different gold answers "
                f"to {len(apart)} problems of one id, e.g. '{problem:.60}' of '{benchmark}': unless these are "
                "the same, their scores do not compare"
            )
    return None


def _differing(imported: Sequence[Imported]) -> str | None:
    """Say in what the protocols of the candidates differ; None if they do not."""
    first = imported[0]
    for other in imported[1:]:
        if other.eval_protocol_id == first.eval_protocol_id:
            continue
        described = {"protocols": json.dumps({run.eval_protocol_id: run.protocol for run in (first, other)})}
        names = f"'{first.row['candidate'].item()}' and '{other.row['candidate'].item()}'"
        return f"{names} were not measured alike, and rank will not mix them: {what_differs([described])}"
    return None
