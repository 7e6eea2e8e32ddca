"""``quagpredict search``: find the SFT mixture that ends best after RL."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from quagpredict.cli.inputs import FORMATS, arguments_of, at_least, emit, say, say_notes, several_of

if TYPE_CHECKING:
    from quagpredict.mixture_search.space_file import SearchPlan

METHODS = ("surrogate", "sft-pass-at-1", "pass-at-64", "random", "regmix", "equal")

DESCRIPTION = """\
Train SFT candidates with different mixtures and settings at one budget, measure each, and score it by the lower bound
of what a surrogate predicts after RL. --verify takes the best through RL; with --rounds the surrogate learns from them.
The same command resumes where it was stopped or killed, and may run several times at once on one storage.
"""
EPILOG = """\
examples:
  quagpredict search collectors/searches/lab-mixture.yaml --trials 40 --out runs/search
  quagpredict search SPACE.yaml --trials 60 --verify 3 --rounds 3 --workers 2 --figures
  quagpredict search SPACE.yaml --trials 40 --method sft-pass-at-1
  quagpredict search SPACE.yaml --trials 40 --storage postgresql://user@host/studies
  quagpredict search SPACE.yaml --trials 400 --workers 16 --launcher ray --address auto
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    several = several_of(parser)
    add("space", metavar="SPACE", help="search space (YAML)")
    add("--trials", type=at_least(1), default=40, metavar="N", help="SFT trainings, in all rounds (default: 40)")
    add("--out", type=Path, metavar="DIR", help="folder to work in (default: runs/<name of the space>)")
    add("--storage", metavar="URL", help="sqlite:///F, journal:///F or a database (default: DIR/study.db)")
    add("--method", choices=METHODS, default="surrogate", help="how trials are chosen (default: surrogate)")
    add(
        "--surrogate",
        metavar="SPEC",
        help="folder or KIND:FEATURES:TRANSFORMS (default: the space's, or rank's prior)",
    )
    add("--seed", type=at_least(0), default=0, metavar="N", help="seed of the search (default: 0)")
    add("--verify", type=at_least(0), default=0, metavar="M", help="take the best M of each round through RL")
    add("--rounds", type=at_least(1), default=1, metavar="R", help="refit the surrogate R - 1 times (default: 1)")
    add("--workers", type=at_least(1), default=1, metavar="N", help="trials that are trained side by side (default: 1)")
    add("--launcher", metavar="NAME", help="where stages run, instead of the space's launch.mode: spawn, ray, ...")
    add("--address", metavar="ADDRESS", help="the launcher's cluster, e.g. of Ray: auto, or HOST:PORT")
    several("--warm-start", default=[], metavar="TABLE", help="measured candidates to begin with")
    several("--warm-start-study", default=[], metavar="NAME", help="earlier studies of the same storage")
    add("--allow-unvalidated-base", action="store_true", help="search on a base the surrogate was not validated on")
    add("--allow-mixed-protocols", action="store_true", help="search although the surrogate's protocol or RL differs")
    add("--check", action="store_true", help="check the space and print it; train nothing")
    add("--figures", action="store_true", help="also write figures to DIR/figures (needs the extra 'plot')")
    add("--top", type=at_least(1), default=10, metavar="N", help="trials in the printed table (default: 10)")
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")


def run(args: argparse.Namespace) -> int:
    """Search and print."""
    from quagpredict.mixture_search.searching import check_search, search
    from quagpredict.mixture_search.space_file import SearchPlan
    from quagpredict.mixture_search.study import OBJECTIVE_OF
    from quagpredict.report.search_tables import print_search, search_frame, search_values

    plan = SearchPlan.from_yaml(args.space)
    if args.check:
        surrogate = check_search(**arguments_of(args, check_search, space=plan))
        print(_described(plan))
        unnamed = "the prior of rank" if OBJECTIVE_OF[args.method] == "lower_bound" else "the method's own measurement"
        by = f"the surrogate '{surrogate.name}'" if surrogate is not None else unnamed
        verified = f"; the best {args.verify} verified by RL in {args.rounds} rounds" if args.verify else ""
        say(f"{args.trials} trials by the method {args.method}, scored by {by}{verified}")
        return 0
    try:
        outcome = search(**arguments_of(args, search, space=plan, say=say))
    except KeyboardInterrupt:
        say("stopped; the same command resumes from here")
        raise
    emit(
        args.format,
        lambda console: print_search(outcome, console, args.top),
        lambda: search_frame(outcome),
        lambda: search_values(outcome),
    )
    say_notes(outcome.notes, "search")
    say(f"wrote {', '.join(map(str, outcome.written))}")
    if outcome.chosen is None:
        say("note: no trial is finished and feasible, so there is no recipe to recommend")
        return 4
    return 0


def _described(plan: "SearchPlan") -> str:
    space = plan.space
    lines = [f"{space.name}: {space.budget.amount:g} {space.budget.unit} a trial, {len(space.sources)} sources"]
    for source, low, high in zip(space.sources, space.simplex.lower, space.simplex.upper, strict=True):
        size = "" if source.size is None else f", {source.size} examples"
        lines.append(f"  {source.name}: share {low:.3g} to {high:.3g}{size}")
    for setting in space.settings:
        ends = setting.choices if setting.choices else f"{setting.low:g} to {setting.high:g}"
        lines.append(f"  {setting.name}: {ends}")
    return "\n".join(lines)
