"""``quagpredict fit``: learn a surrogate from finished runs."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quagpredict.cli import COMMANDS
from quagpredict.cli.inputs import at_least, say

if TYPE_CHECKING:
    from quagpredict.surrogates.spec import Asked

DESCRIPTION = """\
Fit a surrogate to the candidates of a corpus whose RL is finished, and store it as a folder of plain data with a card.
The card holds a validation on the same rows; --repeats 0 leaves it out.
"""
EPILOG = """\
examples:
  quagpredict fit runs/lab-pilot --out models/mine
  quagpredict fit corpus.parquet --features pass_at_64 --out models/coverage
  quagpredict fit corpus.parquet --features loss pass_at_64 recipe_epochs --split all --out models/wide
  quagpredict fit mixtures.csv --surrogate ridge --features web code books --target loss --out models/mixtures
"""


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "fit",
        help=COMMANDS["fit"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("corpus", nargs="+", metavar="CORPUS", help="table of finished runs: files, globs or folders")
    add("--out", required=True, metavar="FOLDER", help="folder to write the surrogate into")
    add(
        "--surrogate",
        default="linear",
        metavar="SPEC",
        help="KIND, KIND:FEATURES or KIND:FEATURES:TRANSFORMS, e.g. mixed:both:log-logit; KIND is linear (the paper's, "
        "the default), average, ridge, ...; the guide lists them",
    )
    add(
        "--features",
        action="extend",
        nargs="+",
        metavar="NAME",
        help="both (held-out loss and Pass@64), loss, pass_at_K, or columns of the table (default: both)",
    )
    add("--target", default="post_pass_at_1", metavar="COLUMN", help="column to predict (default: post_pass_at_1)")
    add("--minimize", action="store_true", help="the lowest target is best, for the card's validation")
    add("--groups", metavar="COLUMN", help="column of groups that kinds which use them share (default: base_model)")
    add("--seed", type=at_least(0), default=0, metavar="N", help="for kinds that draw random numbers (default: 0)")
    add(
        "--transforms",
        choices=("identity", "log-logit"),
        help="identity: raw values, as in the paper (default); log-logit: the log of a loss, the logit of a Pass@k",
    )
    add("--split", choices=("fit", "held_out", "all"), default="fit", help="rows to learn from (default: fit)")
    add(
        "--intervals",
        choices=("conformal", "model"),
        default="conformal",
        help="conformal: as wide as left-out rows ask for (default); model: what the surrogate believes of itself",
    )
    add(
        "--repeats",
        type=at_least(0),
        default=100,
        metavar="N",
        help="random halves of the card's validation",
    )


def run(args: argparse.Namespace) -> int:
    """Fit, validate and store."""
    from quagpredict.corpus import read_corpus
    from quagpredict.report.card import surrogate_card
    from quagpredict.surrogates import fit
    from quagpredict.surrogates.spec import asked
    from quagpredict.surrogates.store import save_surrogate
    from quagpredict.validation.conformal import with_calibration
    from quagpredict.validation.validating import MIN_CANDIDATES

    one = args.features is not None and len(args.features) == 1
    spec = asked(args.surrogate, args.features[0] if one else args.features, args.transforms)
    frame = read_corpus(args.corpus)
    split = None if args.split == "all" else args.split
    settings: dict[str, Any] = {
        "features": spec.features or "both",
        "transforms": spec.transforms or "identity",
        "groups": args.groups,
        "seed": args.seed,
        "split": split,
    }
    fitted = fit(frame, spec.kind, target=args.target, source=" ".join(args.corpus), **settings)
    if args.intervals == "conformal":
        fitted = with_calibration(fitted, frame, **settings)
    if fitted.calibration is not None and not fitted.calibration.by_group and fitted.training_rows < 9:
        say(f"note: intervals are {fitted.calibration.method}")
    report = None
    if args.repeats > 0 and fitted.training_rows < MIN_CANDIDATES:
        say(f"note: not validated: {fitted.training_rows} finished candidates, {MIN_CANDIDATES} are needed for that")
    elif args.repeats > 0:
        from quagpredict.corpus.columns import column_of
        from quagpredict.validation import validate
        from quagpredict.validation.baselines import default_surrogates

        own = _model_name(spec)
        models = [own, *default_surrogates(frame)]
        report = validate(
            frame,
            models,
            target=args.target,
            groups=args.groups,
            repeats=args.repeats,
            seed=args.seed,
            maximize=not (args.minimize or column_of(args.target).better == "lower"),
            split=split,
        )
        fitted = replace(fitted, cross_base_validated=report.carries_across_bases(own))
    path = save_surrogate(fitted, args.out, surrogate_card(fitted, report, _model_name(spec)))
    say(
        f"fitted '{fitted.name}' of {_shown(fitted.features)} on {fitted.training_rows} candidates "
        f"({fitted.dropped_rows} without '{fitted.target}' left out); wrote {path.parent}"
    )
    return 0


def _shown(features: Sequence[str]) -> str:
    """Return what the surrogate reads: columns, or what they are derived from."""
    from quagpredict.corpus.columns import origin

    names = list(dict.fromkeys(map(origin, features)))
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _model_name(spec: "Asked") -> str:
    """Return how the validation calls what is fitted here."""
    if spec.kind == "mean":
        return "mean"
    features = spec.features or "both"
    named = features if isinstance(features, str) else "+".join(features)
    return f"{spec.kind}:{named}" + (":log-logit" if spec.transforms == "log-logit" else "")
