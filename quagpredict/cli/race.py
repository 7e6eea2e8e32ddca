"""``quagpredict race``: which RL runs to start, go on with and stop now."""

import argparse

from quagpredict.cli.inputs import (
    above_zero,
    add_candidates,
    add_curves,
    add_gate,
    add_join_seeds,
    add_output,
    add_reading,
    arguments_of,
    at_least,
    candidates_of,
    columns_of,
    emit,
    say,
    say_notes,
    telling_the_command,
)

PARAMETERS = {"prior=None": "no_prior"}
DESCRIPTION = """\
RL runs are under way, or about to start: forecast how each ends from what was measured along it, and say which to
start, go on with and stop now. Measure what it asks for, add the rows to the table of curves, ask again.
"""
EPILOG = """\
examples:
  quagpredict race runs/*.parquet --rl-steps 400 --budget 1600
  quagpredict race runs/*.parquet --curves curves.csv --rl-steps 400 --budget 1200 --parallel 2
  quagpredict race runs/ --curves curves.csv --rl-steps 400 --step-cost 0.05 --measure-cost 0.2 --budget 40
  quagpredict race runs/ --curves curves.csv --rl-steps 400 --gate no-sft --margin 0.02 --figure race.png

curves.csv has a row a measurement: candidate,step,pass_at_1 and, where known, pass_at_16 and n (responses drawn); or,
where nothing was measured since RL began, candidate,step,reward.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add_candidates(parser)
    add_reading(parser)
    add_join_seeds(parser)
    add_curves(parser)
    add("--rl-steps", type=at_least(1), required=True, metavar="N", help="RL steps of a whole run")
    add("--budget", type=float, metavar="X", help="what is left to spend, in RL steps or the unit of --step-cost")
    add(
        "--step-cost", type=above_zero, default=1.0, metavar="X", help="cost of an RL step, e.g. GPU-hours (default: 1)"
    )
    add("--measure-cost", type=float, default=0.0, metavar="X", help="cost of a measurement, same unit (default: 0)")
    add("--parallel", type=at_least(1), default=1, metavar="P", help="runs that fit at once (default: 1)")
    add(
        "--rungs",
        type=at_least(1),
        nargs="+",
        metavar="STEP",
        help="steps at which runs can be measured (default: an eighth, a quarter and a half of the run)",
    )
    add("--prior", metavar="TABLE", help="predictions before RL, e.g. of `quagpredict rank --out ranking.csv`")
    add("--no-prior", action="store_true", help="use no prediction before RL but the score and Pass@k")
    add("--learn-from", nargs="+", metavar="TABLE", help="finished runs with post_curve (default: the shipped ones)")
    add("--stopped", nargs="+", default=[], metavar="NAME", help="candidates whose runs cannot go on")
    add_gate(
        parser,
        "a score (a fraction), a candidate, or 'no-sft': what a run must reach",
        "none is worth RL if the chance that any clears the gate is below it (default: 0.5)",
    )
    add(
        "--tolerance",
        type=float,
        default=0.001,
        metavar="X",
        help="gain of the choice (a fraction) below which going on is not worth it (default: 0.001)",
    )
    add("--figure", metavar="FILE", help="also draw the curves and forecasts: .png, .svg or .pdf")
    add_output(parser, "result", ".csv, .json or .txt", "candidates in the printed table")


def run(args: argparse.Namespace) -> int:
    """Decide and print."""
    from quagpredict.errors import UsageError
    from quagpredict.racing import race
    from quagpredict.report.figures import check_figure_path
    from quagpredict.report.race_tables import print_race, race_content

    given = candidates_of(args, "race")
    if args.figure:
        check_figure_path(args.figure)
    if args.prior and args.no_prior:
        raise UsageError("--prior and --no-prior exclude each other")
    prior = None if args.no_prior else args.prior or "default"
    with telling_the_command():
        raced = race(**arguments_of(args, race, candidates=given, prior=prior, columns=columns_of(args.columns)))
    emit(
        args.format,
        lambda console: print_race(raced, console, args.top),
        lambda: raced.frame,
        lambda: race_content(raced),
        args.out,
    )
    if args.figure:
        from quagpredict.report.ranking_figures import race_figure

        say(f"wrote {race_figure(raced, args.figure)}")
    say_notes(raced.notes, "race")
    return 0
