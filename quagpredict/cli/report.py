"""``quagpredict report``: a ranking for others to read."""

import argparse

from quagpredict.cli.inputs import above_zero, called, say, say_notes
from quagpredict.cli.rank import PARAMETERS as PARAMETERS
from quagpredict.cli.rank import add_ranking_options, ranked, read_files

DESCRIPTION = """\
Rank measured candidates as `quagpredict rank` does, and write what it says for a team to read: one HTML page that
needs no network (decision, candidates with intervals, what the free rules would take, Pass@k, where the numbers come
from), a Markdown table, or a picture; the name's ending says which.
"""
EPILOG = """\
examples:
  quagpredict report runs/*.parquet --out ranking.html
  quagpredict report runs/ --gate no-sft --margin 0.02 --gpu-hours-per-run 96 --out ranking.html
  quagpredict report runs/ --truth finished.parquet --out ranking.md
  quagpredict report runs/ --curves curves.csv --rl-steps 400 --out ranking.html
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("--out", metavar="FILE", default="ranking.html", help=".html, .md or .png (default: ranking.html)")
    add("--title", default="", metavar="TEXT", help="what it is about, in a few words")
    add("--gpu-hours-per-run", type=above_zero, metavar="H", help="what one RL run costs, to tell costs in GPU-hours")
    add_ranking_options(parser)


def run(args: argparse.Namespace) -> int:
    """Rank and write."""
    from quagpredict.report.reporting import check_report_path, write_report

    check_report_path(args.out)
    ranking = ranked(args)
    written = write_report(
        ranking,
        args.out,
        files=read_files(args),
        title=args.title,
        gpu_hours_per_run=args.gpu_hours_per_run,
        command=called(),
    )
    say_notes(ranking.notes, "rank")
    say(f"wrote {written}")
    return 0
