"""``quagpredict audit``: where the order after SFT reverses after RL."""

import argparse

from quagpredict.cli.inputs import add_corpus, add_output, emit, say_notes, with_corpus

DESCRIPTION = """\
List the quagmires of finished runs: pairs of candidates whose order by Pass@1 after SFT reverses after RL by more than
the noise of both, and what their recipes differ in, with matched comparisons (epochs, unique examples, repetition at
equal budget, data kind, SFT against RL from the base).
"""
EPILOG = """\
examples:
  quagpredict audit datasets/lab-pilot/corpus.parquet
  quagpredict audit runs/mine --level 0.01 --top 50 --format json > quagmires.json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add_corpus(parser)
    add(
        "--level",
        type=_share,
        default=0.05,
        metavar="Q",
        help="largest share of false reversals among those listed (default: 0.05)",
    )
    add("--split", choices=("fit", "held_out", "all"), default="all", help="rows to use (default: all)")
    add_output(parser, "result", ".csv, .json or .txt", "pairs to show", 10)


def run(args: argparse.Namespace) -> int:
    """Audit and print."""
    from quagpredict.replication.auditing import audit
    from quagpredict.report.quagmire_tables import audit_table, print_audit

    chosen = {"level": args.level, "split": None if args.split == "all" else args.split}
    audited = with_corpus(lambda runs: audit(runs, source=" ".join(args.corpus), **chosen), args, "audit")
    emit(
        args.format,
        lambda console: print_audit(audited, console, args.top),
        lambda: audit_table(audited),
        lambda: vars(audited),
        args.out,
    )
    say_notes(audited.notes, "audit")
    return 0


def _share(text: str) -> float:
    """Return a number strictly between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got '{text}'")
    return value
