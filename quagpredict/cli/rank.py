"""``quagpredict rank``: which candidates deserve RL compute."""

import argparse
from functools import partial
from typing import Any

from quagpredict.cli.inputs import (
    above_zero,
    add_candidates,
    add_curves,
    add_gate,
    add_join_seeds,
    add_output,
    add_reading,
    add_weights,
    arguments_of,
    at_least,
    called,
    candidates_of,
    columns_of,
    emit,
    one_or_many,
    say_notes,
    several_of,
    telling_the_command,
    weights_of,
)

PARAMETERS = {"next_run": "next", "condition=False": "no_condition"}
DESCRIPTION = """\
Order measured candidates by their predicted score after RL, and decide: who is likely to be best, which to take through
RL together (--budget), whose run would teach most (--next), who is worth RL at all (--gate). Candidates that have their
result already correct the predictions of the others. Without a surrogate that applies, candidates are ordered by the
paper's screening (held-out loss and Pass@k at large k) and no score is predicted.
"""
EPILOG = """\
examples:
  quagpredict rank --candidates runs/*.parquet
  quagpredict rank --candidates runs/ --surrogate models/lab-pilot --format csv > ranking.csv
  quagpredict rank --candidates runs/ --budget 3 --next --gate no-sft --margin 0.02
  quagpredict rank --candidates runs/ --curves curves.csv --rl-steps 400
  quagpredict rank --candidates new.parquet --truth finished.parquet --out ranking.json
  quagpredict rank mine.csv --columns candidate=run pre_pass_at_64='pass@64' --percent --join losses.csv
  quagpredict rank --candidates runs/ --weights aime=2
  quagpredict rank --candidates mixtures.csv --surrogate ridge --features web code --target loss --minimize
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_ranking_options(parser)
    add_output(parser, "ranking", ".csv, .json, .txt, .html, .md or .png", "candidates in the printed table")


def add_ranking_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which candidates are ranked, and how."""
    add = parser.add_argument
    several = several_of(parser)
    add_candidates(parser)
    add(
        "--surrogate",
        metavar="SPEC",
        help="a folder; or KIND, KIND:FEATURES or KIND:FEATURES:TRANSFORMS to fit one on the candidates that have a "
        "result, 'fit' to have its kind chosen; 'none' to screen (default: a shipped one that applies, else a prior if "
        "two benchmarks were counted, else 'fit' from 5 results on, else 'none')",
    )
    several("--features", metavar="NAME", help="what 'fit' learns from (default: Pass@1, Pass@64, loss)")
    add_reading(parser)
    add("--join", metavar="TABLE", help="lay the columns of another table beside, by candidate: the losses, say")
    add_join_seeds(parser)
    add_curves(parser)
    add("--truth", metavar="TABLE", help="table with the scores after RL, shown beside the prediction")
    add("--split", choices=("fit", "held_out"), help="rank only the rows of this split")
    add("--target", metavar="COLUMN", help="column to predict (default: the surrogate's, or post_pass_at_1)")
    add_weights(parser)
    add("--minimize", action="store_true", default=None, help="the lowest target is best, as for a loss")
    add(
        "--rl-steps",
        type=above_zero,
        metavar="N",
        help="predict the score after N RL steps, where the surrogate can; with --curves the length of a whole run",
    )
    add("--top-m", type=at_least(1), default=3, metavar="M", help="show the chance to be among the best M (default: 3)")
    add("--budget", type=at_least(1), metavar="B", help="choose B candidates for RL whose best is expected to be best")
    add("--next", action="store_true", help="say whose RL run would teach most about the choice")
    add_gate(
        parser,
        "say who clears a score (a fraction, 0.7), a candidate by name, or 'no-sft', RL from the own base model",
        "probability with which a candidate must clear the gate (default: 0.5)",
    )
    add("--no-condition", action="store_true", help="do not learn from the results that candidates have already")
    add("--allow-mixed-protocols", action="store_true", help="rank although eval protocols or RL recipes differ")
    add(
        "--allow-unvalidated-base",
        action="store_true",
        help="rank base models on which the surrogate was not validated",
    )


def run(args: argparse.Namespace) -> int:
    """Rank and print."""
    from quagpredict.report.tables import print_ranking, ranking_table, ranking_values

    ranking = ranked(args)
    emit(
        args.format,
        lambda console: print_ranking(ranking, console, args.top),
        lambda: ranking_table(ranking),
        lambda: ranking_values(ranking),
        args.out,
        dict.fromkeys((".html", ".md", ".png"), partial(_written, args, ranking)),
    )
    say_notes(ranking.notes, "rank")
    return 0


def _written(args: argparse.Namespace, ranking: Any) -> Any:
    from quagpredict.report.reporting import write_report

    return write_report(ranking, args.out, files=read_files(args), command=called())


def read_files(args: argparse.Namespace) -> list[str]:
    """Return every table that a call names, for the provenance."""
    others = (getattr(args, name, None) for name in ("join", "truth", "curves"))
    return [*args.tables, *args.candidates, *(table for table in others if table)]


def ranked(args: argparse.Namespace) -> Any:
    """Return the ranking that the options ask for."""
    from quagpredict.ranking import rank

    given = candidates_of(args, "rank")
    with telling_the_command():
        return rank(
            **arguments_of(
                args,
                rank,
                candidates=given,
                surrogate="default" if args.surrogate is None else args.surrogate,
                features=one_or_many(args.features),
                next_run=args.next,
                condition=not args.no_condition,
                weights=weights_of(args.weights),
                columns=columns_of(args.columns),
            )
        )
