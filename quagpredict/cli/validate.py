"""``quagpredict validate``: how far a surrogate can be trusted."""

import argparse
from typing import TYPE_CHECKING, Any

from quagpredict.cli.inputs import (
    add_corpus,
    add_output,
    add_weights,
    at_least,
    emit,
    kept_of,
    say,
    say_notes,
    several_of,
    weights_of,
    with_corpus,
)
from quagpredict.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

DESCRIPTION = """\
Predict finished runs from other finished runs, and compare surrogates with the baselines: the training mean, post-SFT
Pass@1, each single measurement, a short RL run where recorded. --curve tells how many finished runs a surrogate needs,
--sensitivity what k and the number of samples are worth.
"""
EPILOG = """\
examples:
  quagpredict validate datasets/lab-pilot/corpus.parquet
  quagpredict validate corpus.parquet --surrogate all --protocol random-halves --scenario all --jobs 2
  quagpredict validate corpus.parquet --surrogate linear:both linear:pass_at_8 --repeats 200 --format csv
  quagpredict validate corpus.parquet --curve --design random max-min --figure curve.png
  quagpredict validate corpus.parquet --sensitivity --figure k.svg
  quagpredict validate mixtures.csv --features web code math --target loss --minimize --surrogate ridge lightgbm
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    several = several_of(parser)
    add_corpus(parser)
    several(
        "--surrogate",
        metavar="SPEC",
        help="what to judge, e.g. linear:both, average:pass_at_1+loss:log-logit, effective_k; all for one of every "
        "kind (default: the paper's that the table allows)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--curve", action="store_true", help="judge against the number of finished runs instead")
    what.add_argument("--sensitivity", action="store_true", help="judge against k, samples and problems instead")
    several("--protocol", metavar="NAME", help="random-halves, k-fold, leave-one-base-out, leave-one-kind-out")
    several("--scenario", metavar="NAME", help="all, base:NAME, dataset-level, ... (default: those there are)")
    add("--repeats", type=at_least(1), metavar="N", help="random halves (default: 100), or repeats of a curve (50)")
    several("--design", metavar="NAME", help="with --curve: random, max-min, d-optimal (default: first two)")
    add("--target", default="post_pass_at_1", metavar="COLUMN", help="column to predict (default: post_pass_at_1)")
    add_weights(parser)
    several("--features", metavar="COLUMN", help="columns of any table; surrogates are then named by their kind")
    add("--groups", metavar="COLUMN", help="column that takes the place of base_model")
    add("--baseline", metavar="MODEL", help="model that gains are measured from (default: linear:pass_at_1)")
    add("--top-m", type=at_least(1), default=3, metavar="M", help="candidates that would get RL (default: 3)")
    add("--minimize", action="store_true", help="a lower target is better (default: for losses of the table)")
    add("--split", choices=("fit", "held_out", "all"), default="fit", help="rows to use (default: fit)")
    add("--seed", type=at_least(0), default=0, metavar="N", help="of the splits (default: 0)")
    add("--jobs", type=at_least(1), default=1, metavar="N", help="processes for slow kinds (default: 1)")
    add_output(parser, "result", ".csv, .json or .txt")
    add("--figure", metavar="FILE", help="with --curve or --sensitivity: draw it, .png, .svg or .pdf (extra plot)")


def run(args: argparse.Namespace) -> int:
    """Validate and print."""
    if args.figure:
        from quagpredict.report.figures import check_figure_path

        if not (args.curve or args.sensitivity):
            raise UsageError("--figure draws a curve: add --curve or --sensitivity")
        check_figure_path(args.figure)
    if args.design and not args.curve:
        raise UsageError("--design chooses the runs of a curve: add --curve")
    if args.weights and args.sensitivity:
        raise UsageError("--weights: --sensitivity judges Pass@k over all problems; leave one of them out")
    shared: dict[str, Any] = {
        "target": args.target,
        "top_m": args.top_m,
        "minimize": args.minimize or None,
        "seed": args.seed,
        "split": None if args.split == "all" else args.split,
        "source": " ".join(args.corpus),
    }
    if args.sensitivity:
        return _sensitivity(args, shared)
    shared |= {"features": args.features, "groups": args.groups, "weights": weights_of(args.weights)}
    shared |= {"repeats": args.repeats} if args.repeats else {}
    shared |= {"baseline": args.baseline} if args.baseline else {}
    return _curve(args, shared) if args.curve else _protocols(args, shared)


def _protocols(args: argparse.Namespace, shared: dict[str, Any]) -> int:
    from quagpredict.report.progress import progress_of
    from quagpredict.report.validation_tables import print_validation, validation_values
    from quagpredict.validation import validate

    chosen: dict[str, Any] = {"protocol": args.protocol} if args.protocol else {}
    with progress_of("models") as progress:
        chosen |= {"scenarios": args.scenario, "jobs": args.jobs, "progress": progress, **shared}
        report = with_corpus(lambda runs: validate(runs, args.surrogate, **chosen), args, "validate", kept_of(args))
    _show(args, report, print_validation, lambda: validation_values(report))
    return 0


def _curve(args: argparse.Namespace, shared: dict[str, Any]) -> int:
    from quagpredict.report.curve_tables import print_curve
    from quagpredict.report.progress import progress_of
    from quagpredict.validation.learning_curve import learning_curve

    chosen = {"designs": args.design, **shared} if args.design else shared
    with progress_of("numbers of runs") as progress:
        curve = with_corpus(
            lambda runs: learning_curve(runs, args.surrogate, progress=progress, **chosen),
            args,
            "validate",
            kept_of(args),
        )
    _show(args, curve, print_curve, lambda: vars(curve))
    if args.figure:
        from quagpredict.report.figures import curve_figure

        say(f"wrote {curve_figure(curve, args.figure)}")
    return 0


def _sensitivity(args: argparse.Namespace, shared: dict[str, Any]) -> int:
    from quagpredict.report.curve_tables import print_sensitivity
    from quagpredict.validation.sensitivity import sensitivity

    judged = with_corpus(lambda runs: sensitivity(runs, **shared), args, "validate")
    _show(args, judged, print_sensitivity, lambda: vars(judged))
    if args.figure:
        from quagpredict.report.figures import sensitivity_figure

        say(f"wrote {sensitivity_figure(judged, args.figure)}")
    return 0


def _show(
    args: argparse.Namespace, judged: Any, printed: "Callable[[Any, Console], None]", values: "Callable[[], Any]"
) -> None:
    emit(args.format, lambda console: printed(judged, console), lambda: judged.frame, values, args.out)
    say_notes(judged.notes, "validate")
