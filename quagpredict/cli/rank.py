"""``quagpredict rank``: which candidates deserve RL compute."""

import argparse
from functools import partial
from typing import Any

from quagpredict.cli import COMMANDS
from quagpredict.cli.inputs import FORMATS, at_least, emit, say, surrogate_folder, tables

DEFAULT_SURROGATE = "models/lab-pilot"

DESCRIPTION = """\
Order measured candidates by their predicted score after RL. Without a surrogate that applies, they are ordered by the
paper's screening (held-out loss and Pass@k at large k) and no score is predicted.
"""
EPILOG = """\
examples:
  quagpredict rank --candidates runs/*.parquet
  quagpredict rank --candidates runs/ --surrogate models/lab-pilot --format csv > ranking.csv
  quagpredict rank --candidates new.parquet --truth finished.parquet --out ranking.json
"""


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "rank",
        help=COMMANDS["rank"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--candidates", nargs="+", required=True, metavar="TABLE", help="files, globs (quoted or not) or folders")
    add(
        "--surrogate",
        metavar="FOLDER",
        help=f"fitted surrogate, or 'none' (default: {DEFAULT_SURROGATE} if it applies)",
    )
    add("--truth", metavar="TABLE", help="table with the scores after RL, shown beside the prediction")
    add("--split", choices=("fit", "held_out"), help="rank only the rows of this split")
    add("--target", help="column to predict (default: the surrogate's, or post_pass_at_1)")
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")
    add("--out", metavar="FILE", help="also write the ranking there: .csv, .json or .txt")
    add("--top", type=at_least(1), default=50, metavar="N", help="candidates in the printed table (default: 50)")
    add("--allow-mixed-protocols", action="store_true", help="rank although eval protocols or RL recipes differ")
    add(
        "--allow-unvalidated-base",
        action="store_true",
        help="rank base models on which the surrogate was not validated",
    )


def run(args: argparse.Namespace) -> int:
    """Rank and print."""
    import polars as pl

    from quagpredict.corpus import read_corpus
    from quagpredict.errors import NothingToRankError
    from quagpredict.ranking import rank
    from quagpredict.report.tables import print_ranking, ranking_csv, ranking_json

    frame = read_corpus(tables(args.candidates), nested=False, allow_mixed_protocols=args.allow_mixed_protocols)
    if args.split:
        frame = frame.filter(pl.col("split") == args.split) if "split" in frame.columns else frame.clear()
        if frame.is_empty():
            raise NothingToRankError(f"no candidate has the split '{args.split}'")
    if args.surrogate is None:
        surrogate, note = _default(frame)
    else:
        surrogate, note = (None if args.surrogate == "none" else surrogate_folder(args.surrogate)), ""
    ranking = rank(
        frame,
        surrogate,
        target=args.target,
        truth=tables([args.truth]) if args.truth else None,
        allow_mixed_protocols=args.allow_mixed_protocols,
        allow_unvalidated_base=args.allow_unvalidated_base,
    )
    makers = {"csv": partial(ranking_csv, ranking), "json": partial(ranking_json, ranking)}
    emit(args.format, makers, lambda console: print_ranking(ranking, console, max(args.top, 1)), args.out)
    for text in (note, *ranking.notes):
        if text:
            say(f"note: {text}")
    return 0


def _default(frame: Any) -> tuple[Any, str]:
    """Return the shipped surrogate if it applies, otherwise None; and what to say about it."""
    from quagpredict.errors import UsageError
    from quagpredict.ranking import why_not_applicable
    from quagpredict.shipped import shipped_path
    from quagpredict.surrogates.store import load_surrogate

    try:
        folder = shipped_path(DEFAULT_SURROGATE)
    except UsageError:
        return None, ""
    surrogate = load_surrogate(folder)
    why = why_not_applicable(frame, surrogate)
    return (None, f"the shipped surrogate {DEFAULT_SURROGATE} does not apply: {why}") if why else (surrogate, "")
