"""``quagpredict rank``: which candidates deserve RL compute."""

import argparse
from functools import partial
from typing import Any

from quagpredict.cli import COMMANDS
from quagpredict.cli.inputs import FORMATS, above_zero, at_least, emit, say_notes

PARAMETERS = {"next_run": "next", "calibrate=False": "no_calibrate"}
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
  quagpredict rank --candidates new.parquet --truth finished.parquet --out ranking.json
  quagpredict rank mine.csv --columns candidate=run pre_pass_at_64='pass@64' --percent --join losses.csv
  quagpredict rank --candidates mixtures.csv --surrogate ridge --features web code --target loss --minimize
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
    add_options(parser)
    add = parser.add_argument
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")
    add("--out", metavar="FILE", help="also write the ranking there: .csv, .json or .txt")
    add("--top", type=at_least(1), default=50, metavar="N", help="candidates in the printed table (default: 50)")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which candidates are ranked, and how."""
    add = parser.add_argument
    add("tables", nargs="*", default=[], metavar="TABLE", help="candidates: files, globs (quoted or not) or folders")
    add("--candidates", action="extend", nargs="+", default=[], metavar="TABLE", help="the same")
    add(
        "--surrogate",
        metavar="SPEC",
        help="a folder; or KIND, KIND:FEATURES or KIND:FEATURES:TRANSFORMS to fit one on the candidates that have a "
        "result, 'fit' to have its kind chosen; 'none' to screen (default: a shipped one that applies, otherwise 'fit' "
        "if enough have a result, otherwise 'none')",
    )
    add(
        "--features",
        action="extend",
        nargs="+",
        metavar="NAME",
        help="what 'fit' learns from (default: Pass@1, Pass@64, loss)",
    )
    add(
        "--columns",
        action="extend",
        nargs="+",
        metavar="NAME=HEADER",
        help="what a table of another tool calls a column: candidate=run pre_pass_at_64='pass@64'",
    )
    add("--percent", action="store_true", help="the table's scores are in per cent")
    add("--join", metavar="TABLE", help="lay the columns of another table beside, by candidate: the losses, say")
    add("--truth", metavar="TABLE", help="table with the scores after RL, shown beside the prediction")
    add("--split", choices=("fit", "held_out"), help="rank only the rows of this split")
    add("--target", help="column to predict (default: the surrogate's, or post_pass_at_1)")
    add("--minimize", action="store_true", default=None, help="the lowest target is best, as for a loss")
    add("--rl-steps", type=above_zero, metavar="N", help="predict the score after N RL steps, where the surrogate can")
    add("--top-m", type=at_least(1), default=3, metavar="M", help="show the chance to be among the best M (default: 3)")
    add("--budget", type=at_least(1), metavar="B", help="choose B candidates for RL whose best is expected to be best")
    add("--next", action="store_true", help="say whose RL run would teach most about the choice")
    add(
        "--gate",
        metavar="BAR",
        help="say who clears a score (a fraction, 0.7), a candidate by name, or 'no-sft', RL from the own base model",
    )
    add("--margin", type=float, default=0.0, metavar="X", help="by how much the gate must be cleared (a fraction)")
    add(
        "--gate-probability",
        type=float,
        default=0.5,
        metavar="P",
        help="probability with which a candidate must clear the gate (default: 0.5)",
    )
    add("--no-calibrate", action="store_true", help="do not learn from the results that candidates have already")
    add("--allow-mixed-protocols", action="store_true", help="rank although eval protocols or RL recipes differ")
    add(
        "--allow-unvalidated-base",
        action="store_true",
        help="rank base models on which the surrogate was not validated",
    )


def run(args: argparse.Namespace) -> int:
    """Rank and print."""
    from quagpredict.report.tables import print_ranking, ranking_csv, ranking_json

    ranking, _ = ranked(args)
    makers = {"csv": partial(ranking_csv, ranking), "json": partial(ranking_json, ranking)}
    emit(args.format, makers, lambda console: print_ranking(ranking, console, max(args.top, 1)), args.out)
    say_notes(ranking.notes, "rank")
    return 0


def ranked(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return the ranking that the options ask for, and the candidates as they were read or named."""
    import polars as pl

    from quagpredict.corpus import read_corpus
    from quagpredict.errors import CorpusError, NothingToRankError, UsageError

    given = [*args.tables, *args.candidates]
    if not given:
        raise UsageError(
            "name the candidates: files, globs or folders, as `quagpredict rank --candidates runs/*.parquet`"
        )
    source: Any = given
    if args.columns or args.percent or args.join or "-" in given:
        source = _foreign(args, given)
    if args.split:
        source = read_corpus(source, allow_mixed_protocols=args.allow_mixed_protocols)
        source = source.filter(pl.col("split") == args.split) if "split" in source.columns else source.clear()
        if source.is_empty():
            raise NothingToRankError(f"no candidate has the split '{args.split}'")
    try:
        return _ranking(args, source), source
    except CorpusError as error:
        if not isinstance(source, list):
            raise
        # Headers of another tool: those that can mean but one thing are taken for it, and it is said.
        recognised = _recognised(args, given, error)
        return _ranking(args, recognised), recognised


def _ranking(args: argparse.Namespace, source: Any) -> Any:
    from quagpredict.ranking import rank

    return rank(
        source,
        "default" if args.surrogate is None else args.surrogate,
        target=args.target,
        features=args.features and (args.features[0] if len(args.features) == 1 else args.features),
        truth=args.truth,
        rl_steps=args.rl_steps,
        top_m=args.top_m,
        budget=args.budget,
        next_run=args.next,
        gate=args.gate,
        margin=args.margin,
        gate_probability=args.gate_probability,
        calibrate=not args.no_calibrate,
        minimize=args.minimize,
        allow_mixed_protocols=args.allow_mixed_protocols,
        allow_unvalidated_base=args.allow_unvalidated_base,
    )


def _foreign(args: argparse.Namespace, given: list[str]) -> Any:
    """Return the table with the schema's names, as the options say, and say what was taken for what."""
    from quagpredict.corpus.reading import read_foreign
    from quagpredict.errors import UsageError

    columns: dict[str, str] = {}
    for pair in args.columns or ():
        name, equals, header = pair.partition("=")
        if not equals or not name or name in columns:
            raise UsageError(f"--columns {pair}: expected NAME=HEADER, each name once, as candidate=run")
        columns[name] = header
    keep = [*(args.features or ()), *([args.target] if args.target else ())]
    found = read_foreign(
        given,
        columns,
        percent=args.percent,
        keep=keep,
        join=args.join,
        allow_mixed_protocols=args.allow_mixed_protocols,
    )
    say_notes(found.notes, "rank")
    return found.frame


def _recognised(args: argparse.Namespace, given: list[str], error: Exception) -> Any:
    """Return the table with what can be recognised of its headers, or raise `error` with the command to try."""
    import shlex

    from quagpredict.corpus.foreign import adopt, suggestion
    from quagpredict.corpus.reading import read_raw
    from quagpredict.errors import CorpusError, QuagpredictError

    try:
        tables = read_raw(given)
    except QuagpredictError:
        raise error from None
    words = ["quagpredict", "rank", *given]
    if any(adopt(table).notes for table in tables) and not (args.features or args.target):
        try:
            return _foreign(args, given)
        except CorpusError as other:
            if "per cent?" in str(other):
                raise CorpusError(f"{other}; if it is: {shlex.join([*words, '--percent'])}") from None
            error = other
    meant: dict[str, str] = {}
    for table in tables:
        meant = suggestion(adopt(table).frame) | meant
    if meant:
        told = [f"{name}={header}" for name, header in meant.items()]
        raise CorpusError(f"{error}; did you mean: {shlex.join([*words, '--columns', *told])}") from None
    raise error
