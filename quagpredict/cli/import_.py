"""``quagpredict import``: bring samples of another evaluation tool into the table."""

import argparse
import json
import re
import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from quagpredict.cli.inputs import at_least, called, say, say_notes
from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.importers.table import READERS
from quagpredict.optional import EXTRA_OF, install_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from quagpredict.importers import Difference, Imported, Statistic

KNOWN = ("auto", *READERS)
# The arguments by which the library says that something has to be decided.
_DECIDES = re.compile(r'filter="([^"]+)"|`regrade`')
PARAMETERS = {"losses": "loss"}
MLFLOW = "mlflow"  # a table of runs, with what was logged of them; of the others samples are read
_COLUMNS = {
    "id": "the problem",
    "correct": "the verdict or reward",
    "response": "the text of the sample",
    "gold": "the reference answer",
    "benchmark": "the name of the benchmark",
    "truncated": "whether the budget cut the sample",
}
# Options that are handed on as they are.
_OPTIONS = (
    *("base_model", "group_size", "suite", "protocol", "filter", "metric", "threshold"),
    *("allow_ragged", "allow_duplicates", "allow_mixed_settings"),
)
DESCRIPTION = """\
Read what another evaluation tool measured of checkpoints, check it, and write the table that `quagpredict rank` reads.
Pass@k is computed again from the counts, and every number of the tool's own that differs is shown with the reason.
Samples that cannot be trusted are refused.
"""
EPILOG = """\
examples:
  quagpredict import lm-eval out/samples_gsm8k_2026-01-31.jsonl --candidate mix-a --loss 0.71 --out runs/mix-a.parquet
  quagpredict import nemo-skills aime25/output-rs*.jsonl --candidate mix-a --out runs/mix-a.parquet
  quagpredict import samples a.parquet --id task --correct reward --threshold 1 --candidate a --out runs/a.parquet
  quagpredict import counts mix-a.csv --candidate mix-a --protocol "vllm t=1.0 32k tokens" --out runs/mix-a.parquet
  quagpredict import auto base=out/base mix-a=out/mix-a mix-b=out/mix-b --base base --loss losses.csv --out runs.parquet
  quagpredict import auto out/* --each --out runs.parquet
  quagpredict import mlflow sqlite:///mlflow.db --experiment sft --out runs.parquet
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("source", metavar="FORMAT", choices=(*KNOWN, MLFLOW), help=f"one of {', '.join(KNOWN)}, or {MLFLOW}")
    add(
        "paths",
        metavar="[NAME=]PATH",
        nargs="+",
        help="files, globs or folders; of one checkpoint (--candidate), or of many, each with its candidate's name; of "
        "mlflow the store, whose runs are the candidates",
    )
    add("--out", required=True, metavar="FILE", help="table to write (.parquet)")
    add("--candidate", metavar="NAME", help="name of the candidate, where the paths are of one checkpoint")
    add("--each", action="store_true", help="each path is a candidate, called by the name of the file or folder")
    add("--experiment", metavar="NAME", help="which experiment's runs (mlflow; default: all of them)")
    add("--base-model", metavar="NAME", help="what the checkpoints were fine-tuned from, if that is known")
    add("--loss", metavar="LOSS", help="held-out loss in nats per token; of many a table with candidate and loss")
    add("--base", metavar="NAME", help="the base's measurement, for coverage ratios: one of the candidates, or a table")
    add("--group-size", type=at_least(1), default=8, metavar="G", help="samples of a prompt in GRPO (default: 8)")
    add("--suite", metavar="NAME", help="name of the benchmark, in place of the files' own")
    add("--protocol", metavar="TEXT", help="what the files do not record of how samples were drawn")
    add("--filter", metavar="NAME", help="which filter's verdict counts (lm-eval)")
    add("--metric", metavar="NAME", help="which metric, scorer or reward is the verdict, where there are several")
    for name, what in _COLUMNS.items():
        add(f"--{name}", metavar="COLUMN", help=f"column with {what} (samples; default: {name})")
    add("--threshold", type=float, metavar="X", help="a sample is correct from this value on (default: only 1 is)")
    add("--regrade", action="store_true", help="grade the responses with quagpredict's grader")
    add("--no-symbolic", action="store_true", help="with --regrade: by text and numbers only, without Math-Verify")
    add("--allow-ragged", action="store_true", help="take a run of which samples or problems are missing")
    add("--allow-duplicates", action="store_true", help="take samples that look like copies of each other")
    add("--allow-mixed-settings", action="store_true", help="take files that were drawn with different settings")
    add("--format", choices=("table", "json"), default="table", help="what to print (default: table)")


def run(args: argparse.Namespace) -> int:
    """Import, write, print the audit."""
    if not args.out.endswith(".parquet"):
        raise UsageError(f"--out {args.out}: the name must end in .parquet")
    if args.source == MLFLOW:
        return _mlflow(args)
    try:
        return _run(args)
    except InvalidDataError as error:
        raise type(error)(f"{error}{_whole_command(str(error))}") from None


def _whole_command(text: str) -> str:
    """Return the command that does what an error says decides it; empty where the error is of something else."""
    match = _DECIDES.search(text)
    if match is None:
        return ""
    flags = f"--filter {shlex.quote(match[1])}" if match[1] else "--regrade"
    needed = flags == "--regrade" and find_spec("math_verify") is None
    after = f", after {install_line(EXTRA_OF['math_verify'])}" if needed else ""
    return f"; the whole command: {called()} {flags}{after}"


def _run(args: argparse.Namespace) -> int:
    from quagpredict.answers import GradingPolicy
    from quagpredict.importers import import_runs, write_imported

    runs = _runs(args)
    imported = import_runs(
        args.source,
        runs,
        losses=_losses(args.loss, list(runs)),
        base=args.base,
        regrade=GradingPolicy(symbolic=not args.no_symbolic) if args.regrade else None,
        **{name: getattr(args, name) for name in (*_COLUMNS, *_OPTIONS)},
    )
    write_imported(imported, args.out)
    if args.format == "json":
        content = [_content(run) for run in imported]
        print(json.dumps(content[0] if len(content) == 1 else content, indent=1, ensure_ascii=False))
    else:
        print("\n".join(_table(run) for run in imported))
    say_notes(dict.fromkeys(note for run in imported for note in run.audit.notes), "import")
    say(f"wrote {args.out}")
    return 0


def _mlflow(args: argparse.Namespace) -> int:
    """Write the runs of an MLflow store as they were logged."""
    from quagpredict.corpus import write_corpus
    from quagpredict.importers import read_mlflow

    given = {"--candidate": args.candidate, "--each": args.each, "--loss": args.loss, "--base": args.base}
    if len(args.paths) > 1 or any(given.values()):
        option = next((name for name, value in given.items() if value), "a second store")
        raise UsageError(
            f"mlflow takes one store and --experiment, each run is a candidate; {option} does not go with it"
        )
    table = read_mlflow(args.paths[0], args.experiment)
    write_corpus(table, args.out)
    say(f"wrote {args.out}: {table.height} runs; {', '.join(table.columns[:8])}{', ...' if table.width > 8 else ''}")
    return 0


def _runs(args: argparse.Namespace) -> "dict[str, list[str | Path]]":
    """Return the paths of each candidate."""
    from quagpredict.importers import runs_by_name

    if args.candidate is not None and args.each:
        raise UsageError("--candidate names one candidate, --each takes every path as one: give one of them")
    if args.candidate is not None:
        return {args.candidate: args.paths}
    if args.each:
        return runs_by_name(args.paths)
    runs: dict[str, list[str | Path]] = {}
    for word in args.paths:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise UsageError(
                f"which candidate is '{word}' of? Name it with --candidate, write NAME={word}, or give --each"
            )
        runs.setdefault(name, []).append(path)
    return runs


def _losses(given: str | None, names: "Sequence[str]") -> "dict[str, float] | str | None":
    """Return the loss of one candidate by its name, or the table that has the losses of many."""
    if given is None:
        return None
    try:
        loss = float(given)
    except ValueError:
        return given
    if len(names) > 1:
        raise UsageError(f"--loss {given} is one loss, and there are {len(names)} candidates: give a table of losses")
    return {names[0]: loss}


def _values(imported: "Imported") -> dict[str, Any]:
    names = [name for name in imported.row.columns if name.startswith("pre_") and name != "pre_problems"]
    row = imported.row.select(names).row(0, named=True)
    return {name.removeprefix("pre_"): value for name, value in row.items() if value is not None}


def _content(imported: "Imported") -> dict[str, Any]:
    return {
        "candidate": imported.row["candidate"].item(),
        "format": imported.format,
        "eval_protocol_id": imported.eval_protocol_id,
        "values": _values(imported),
        "statistics": [statistic._asdict() for statistic in imported.statistics],
        "differences": [difference._asdict() for difference in imported.audit.differences],
        "notes": list(imported.audit.notes),
    }


def _table(imported: "Imported") -> str:
    from quagpredict.report.formats import plain

    values = _values(imported)
    fewest, most = values["samples_per_problem"], imported.problems["n"].max()
    lines = [
        f"{imported.row['candidate'].item()}: {values['problems_count']} problems, {fewest} samples each"
        f"{'' if fewest == most else ' at least'}, read as {imported.format}; protocol {imported.eval_protocol_id}"
    ]
    lines += [f"  Pass@{name.removeprefix('pass_at_'):<4} {value:.4f}" for name, value in values.items() if _is_k(name)]
    if (loss := values.get("held_out_loss_nats")) is not None:
        lines.append(f"  held-out loss {loss:.4f} nats/token")
    lines += [_statistic(statistic) for statistic in imported.statistics]
    lines += [_difference(difference) for difference in imported.audit.differences]
    return "\n".join(map(plain, lines))


def _statistic(statistic: "Statistic") -> str:
    what = (
        f"chance that a GRPO group of {statistic.k} holds a correct sample"
        if statistic.name == "pass_at_group"
        else f"Pass@{statistic.k} over that of the base, {statistic.problems} problems"
    )
    return f"  {what}: {statistic.value:.4f}, 90 % {statistic.low:.4f} to {statistic.high:.4f}"


def _difference(difference: "Difference") -> str:
    ours = "none" if difference.ours is None else f"{difference.ours:.4f}"
    verdict = "agrees" if difference.agrees else f"differs: {difference.why}"
    theirs = f"{difference.benchmark}, {difference.name}: {difference.theirs:.4f}"
    return f"  {theirs}, from counts {ours} (Pass@{difference.k}); {verdict}"


def _is_k(name: str) -> bool:
    return name.removeprefix("pass_at_").isdigit()
