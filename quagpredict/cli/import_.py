"""``quagpredict import``: bring samples of another evaluation tool into the table."""

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from quagpredict.cli import COMMANDS
from quagpredict.cli.inputs import say
from quagpredict.errors import QuagpredictError

if TYPE_CHECKING:
    from quagpredict.importers import Imported

KNOWN = ("auto", "lm-eval", "lighteval", "inspect", "nemo-skills", "qwen-math", "human-eval", "counts", "samples")
_COLUMNS = {
    "id": "the problem",
    "correct": "the verdict or reward",
    "response": "the text of the sample",
    "gold": "the reference answer",
    "benchmark": "the name of the benchmark",
    "truncated": "whether the budget cut the sample",
}
DESCRIPTION = """\
Read what another evaluation tool measured of one checkpoint, check it, and write the one-row table that
`quagpredict rank` reads. Pass@k is computed again from the counts, and every number of the tool's own that differs is
shown with the reason. Samples that cannot be trusted are refused.
"""
EPILOG = """\
examples:
  quagpredict import lm-eval out/samples_gsm8k_2026-01-31.jsonl --candidate mix-a --out runs/mix-a.parquet
  quagpredict import nemo-skills aime25/output-rs*.jsonl --candidate mix-a --out runs/mix-a.parquet
  quagpredict import samples a.parquet --id task --correct reward --threshold 1 --candidate a --out runs/a.parquet
  quagpredict import counts mix-a.csv --candidate mix-a --protocol "vllm t=1.0 32k tokens" --out runs/mix-a.parquet
"""


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "import",
        help=COMMANDS["import"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", metavar="FORMAT", choices=KNOWN, help=f"one of {', '.join(KNOWN)}")
    add("paths", metavar="PATH", nargs="+", help="files of one run of one checkpoint")
    add("--out", required=True, metavar="FILE", help="table to write (.parquet)")
    add("--candidate", required=True, metavar="NAME", help="name of the candidate")
    add("--base-model", metavar="NAME", help="what the checkpoint was fine-tuned from, if that is known")
    add("--suite", metavar="NAME", help="name of the benchmark, in place of the files' own")
    add("--protocol", metavar="TEXT", help="what the files do not record of how samples were drawn")
    add("--filter", metavar="NAME", help="which filter's verdict counts (lm-eval)")
    add("--metric", metavar="NAME", help="which metric or scorer is the verdict (lm-eval, lighteval, inspect)")
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
    try:
        return _run(args)
    except QuagpredictError as error:
        raise type(error)(as_flags(str(error))) from None


def as_flags(text: str) -> str:
    """Return a message of the library with its options as they are written on the command line.

    Examples
    --------
    >>> as_flags("the option allow_ragged takes them as they are")
    '--allow-ragged takes them as they are'
    """
    return re.sub(r"\b(?:the )?option ([a-z_]+)", lambda found: f"--{found[1].replace('_', '-')}", text)


def _run(args: argparse.Namespace) -> int:
    from quagpredict.answers import GradingPolicy
    from quagpredict.corpus import write_corpus
    from quagpredict.importers import import_run

    found = import_run(
        args.source,
        args.paths,
        candidate=args.candidate,
        base_model=args.base_model,
        suite=args.suite,
        protocol=args.protocol,
        filter=args.filter,
        metric=args.metric,
        **{name: getattr(args, name) for name in _COLUMNS},
        threshold=args.threshold,
        regrade=GradingPolicy(symbolic=not args.no_symbolic) if args.regrade else None,
        allow_ragged=args.allow_ragged,
        allow_duplicates=args.allow_duplicates,
        allow_mixed_settings=args.allow_mixed_settings,
    )
    audit = [one._asdict() for one in found.audit.differences]
    provenance = {"imported_from": found.format, "files": [str(path) for path in found.files]}
    write_corpus(found.row, args.out, provenance | {"audit": audit, "notes": list(found.audit.notes)})
    print(_json(found, args.candidate) if args.format == "json" else _table(found, args.candidate))
    for note in found.audit.notes:
        say(f"note: {as_flags(note)}")
    say(f"wrote {args.out}")
    return 0


def _values(found: "Imported") -> dict[str, Any]:
    names = [name for name in found.row.columns if name.startswith("pre_") and name != "pre_problems"]
    row = found.row.select(names).row(0, named=True)
    return {name.removeprefix("pre_"): value for name, value in row.items() if value is not None}


def _json(found: "Imported", candidate: str) -> str:
    content = {
        "candidate": candidate,
        "format": found.format,
        "eval_protocol_id": found.eval_protocol_id,
        "values": _values(found),
        "differences": [one._asdict() for one in found.audit.differences],
        "notes": list(found.audit.notes),
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _table(found: "Imported", candidate: str) -> str:
    values = _values(found)
    lines = [
        f"{candidate}: {values['problems_count']} problems, {values['samples_per_problem']} samples each at least, "
        f"read as {found.format}; protocol {found.eval_protocol_id}"
    ]
    lines += [f"  Pass@{name.removeprefix('pass_at_'):<4} {value:.4f}" for name, value in values.items() if _is_k(name)]
    for one in found.audit.differences:
        ours = "none" if one.ours is None else f"{one.ours:.4f}"
        verdict = "agrees" if one.agrees else f"differs: {one.why}"
        lines.append(f"  {one.benchmark}, {one.name}: {one.theirs:.4f}, from counts {ours} (Pass@{one.k}); {verdict}")
    return "\n".join(lines)


def _is_k(name: str) -> bool:
    return name.removeprefix("pass_at_").isdigit()
