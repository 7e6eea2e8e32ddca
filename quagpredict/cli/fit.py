"""``quagpredict fit``: learn a surrogate from finished runs."""

import argparse
from collections.abc import Sequence

from quagpredict.cli.inputs import (
    add_corpus,
    add_weights,
    arguments_of,
    at_least,
    kept_of,
    one_or_many,
    say,
    say_notes,
    several_of,
    weights_of,
    with_corpus,
)

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


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    several = several_of(parser)
    add_corpus(parser)
    add("--out", required=True, metavar="FOLDER", help="folder to write the surrogate into")
    add(
        "--surrogate",
        default="linear",
        metavar="SPEC",
        help="KIND, KIND:FEATURES or KIND:FEATURES:TRANSFORMS, e.g. mixed:both:log-logit; KIND is linear (the paper's, "
        "the default), average, ridge, ...; the guide lists them",
    )
    several(
        "--features",
        metavar="NAME",
        help="both (held-out loss and Pass@64), loss, pass_at_K, or columns of the table (default: both)",
    )
    add("--target", default="post_pass_at_1", metavar="COLUMN", help="column to predict (default: post_pass_at_1)")
    add_weights(parser)
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
        help="random halves of the card's validation (default: 100)",
    )


def run(args: argparse.Namespace) -> int:
    """Fit, validate and store."""
    from quagpredict.report.cards import save_validated
    from quagpredict.validation import fit_validated

    made = with_corpus(
        lambda runs: fit_validated(
            **arguments_of(
                args,
                fit_validated,
                corpus=runs,
                features=one_or_many(args.features),
                split=None if args.split == "all" else args.split,
                minimize=args.minimize or None,
                weights=weights_of(args.weights),
                source=" ".join(args.corpus),
            )
        ),
        args,
        "fit",
        kept_of(args),
    )
    say_notes(made.notes, "fit")
    fitted = made.surrogate
    path = save_validated(made, args.out)
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
