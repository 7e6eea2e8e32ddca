"""``quagpredict replicate``: what corpora say about the paper's claims."""

import argparse
from pathlib import Path
from typing import Any

from quagpredict.cli.inputs import arguments_of, at_least, emit, say

DESCRIPTION = """\
Hold the paper's table and claims against corpora of finished runs: a page with effects, intervals, plain verdicts and
figures. Needs the extra 'plot'.
"""
EPILOG = """\
examples:
  quagpredict replicate datasets/lab datasets/lab-2 --page docs/replication.md
  quagpredict replicate mine.parquet --page mine.md --repeats 20 --format json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("corpora", nargs="+", metavar="CORPUS", help="tables of finished runs, each judged alone: files or folders")
    add(
        "--page",
        required=True,
        type=Path,
        metavar="FILE",
        help="Markdown page; tables and figures go beside it",
    )
    add("--repeats", type=at_least(2), default=100, metavar="N", help="random halves (default: 100)")
    add("--jobs", type=at_least(1), default=1, metavar="N", help="processes for the models that take long (default: 1)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the halves (default: 0)")
    add("--format", choices=("table", "csv", "json"), default="table", help="how the claims are printed")


def run(args: argparse.Namespace) -> int:
    """Judge, write, print the claims."""
    from quagpredict.replication import replicate

    replicated = replicate(**arguments_of(args, replicate, say=say))
    claims = replicated.claims
    emit(args.format, lambda console: _print(claims, console), lambda: claims, lambda: claims)
    say(f"wrote {replicated.written[0]}")
    return 0


def _print(table: Any, console: Any) -> None:
    from rich.table import Table

    shown = Table("claim", "effect", "90 %", "verdict", box=None, title=None, padding=(0, 1))
    for row in table.iter_rows(named=True):
        effect = "" if row["effect"] is None else f"{row['effect']:.2f}"
        ends = "" if row["low"] is None or row["high"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
        name = row["claim"] if table["corpus"].n_unique() == 1 else f"{row['corpus']}: {row['claim']}"
        shown.add_row(name, effect, ends, row["verdict"])
    console.print(shown)
