"""``quagpredict validate``: how far a surrogate can be trusted."""

import argparse
from functools import partial
from typing import Any

from quagpredict.cli import COMMANDS
from quagpredict.cli.inputs import FORMATS, at_least, emit, say, tables

DESCRIPTION = """\
Predict finished runs from other finished runs, and compare surrogates with the baselines: the training mean, post-SFT
Pass@1, and each single measurement.
"""
EPILOG = """\
examples:
  quagpredict validate runs/lab-pilot
  quagpredict validate corpus.parquet --surrogate linear:both linear:pass_at_8 --repeats 200 --format csv
"""


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "validate",
        help=COMMANDS["validate"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("corpus", nargs="+", metavar="CORPUS", help="table of finished runs: files, globs or folders")
    add(
        "--surrogate",
        nargs="+",
        metavar="KIND:FEATURES",
        help="what to judge, e.g. linear:both or average:pass_at_1+loss:in-fold; kinds are average, bayesian_ridge, "
        "linear, ridge (default: the paper's that the table allows)",
    )
    add("--protocol", nargs="+", metavar="NAME", help="random-halves, k-fold, leave-one-base-out, leave-one-kind-out")
    add("--repeats", type=at_least(1), default=100, metavar="N", help="random halves (default: 100)")
    add("--target", default="post_pass_at_1", metavar="COLUMN", help="column to predict (default: post_pass_at_1)")
    add("--split", choices=("fit", "held_out", "all"), default="fit", help="rows to use (default: fit)")
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")
    add("--out", metavar="FILE", help="also write the result there: .csv, .json or .txt")


def run(args: argparse.Namespace) -> int:
    """Validate and print."""
    from quagpredict.corpus import read_corpus
    from quagpredict.report.validation_tables import print_validation, validation_csv, validation_json
    from quagpredict.validation import validate

    chosen = {"protocol": args.protocol} if args.protocol else {}
    report = validate(
        read_corpus(tables(args.corpus)),
        args.surrogate,
        target=args.target,
        repeats=args.repeats,
        split=None if args.split == "all" else args.split,
        source=" ".join(args.corpus),
        **chosen,
    )
    makers = {"csv": partial(validation_csv, report), "json": partial(validation_json, report)}
    emit(args.format, makers, lambda console: print_validation(report, console), args.out)
    for text in report.notes:
        say(f"note: {text}")
    return 0
