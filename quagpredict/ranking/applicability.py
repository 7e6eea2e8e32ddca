"""Whether a surrogate may speak about a table: same eval protocol, same RL recipe, known base models."""

from typing import NamedTuple

import polars as pl

from quagpredict.corpus.columns import curve_k, origin, pass_at_columns
from quagpredict.surrogates.fitted import FittedSurrogate


class Mismatch(NamedTuple):
    """One way in which candidates differ from what a surrogate was fitted on."""

    kind: str  #: Kind of flag.
    detail: str  #: What the candidates have, and what the surrogate expects.
    rows: pl.Series  #: Which rows, booleans.


def mismatches(frame: pl.DataFrame, surrogate: FittedSurrogate) -> list[Mismatch]:
    """Return every way in which candidates differ from what the surrogate was fitted on; empty if none.

    A prior alone, without training rows, is of no protocol, recipe or base. An unknown eval protocol is another
    one. An unknown RL recipe is none: RL has not run yet. A base model counts as known if the surrogate saw it, or
    was validated on base models that it had not seen.
    """
    if surrogate.training_rows == 0:
        return []  # a prior alone: of no protocol, recipe or base
    mismatched = []
    protocol = surrogate.eval_protocol_id or None
    rows = _text(frame, "eval_protocol_id").ne_missing(pl.lit(protocol))
    mismatched.append(("other-protocol", "eval protocol", "eval_protocol_id", rows, _named(protocol)))
    recipe = surrogate.rl_recipe_id
    rows = _text(frame, "rl_recipe_id").is_not_null() & (_text(frame, "rl_recipe_id") != recipe)
    mismatched.append(("other-rl-recipe", "RL recipe", "rl_recipe_id", rows, _named(recipe)))
    if surrogate.base_models and not surrogate.cross_base_validated:
        rows = ~_text(frame, "base_model").is_in(surrogate.base_models).fill_null(False)
        mismatched.append(("unseen-base", "base model", "base_model", rows, ", ".join(surrogate.base_models)))
    result = []
    for kind, what, column, expression, expected in mismatched:
        mask = frame.select(expression.alias("rows")).to_series()
        if mask.any():
            values = frame.filter(mask)[column].unique().sort().to_list() if column in frame.columns else [None]
            shown = ", ".join(_named(value) for value in values[:3]) + (", ..." if len(values) > 3 else "")
            result.append(Mismatch(kind, f"{what} {shown}, but the surrogate was fitted on {expected}", mask))
    return result


def why_not_applicable(frame: pl.DataFrame, surrogate: FittedSurrogate) -> str:
    """Return why the surrogate cannot rank these candidates; empty if it can.

    Examples
    --------
    >>> from quagpredict.surrogates import fit
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> runs = synthetic_corpus(20, nested=False).frame
    >>> why_not_applicable(runs, fit(runs))
    ''
    >>> why_not_applicable(runs.drop("pre_held_out_loss_nats"), fit(runs))
    'pre_held_out_loss_nats is missing'
    """
    absent = [name for name in surrogate.features if not _measured(frame, name)]
    if absent:
        lacking = dict.fromkeys(map(origin, absent))
        return f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing"
    return "; ".join(mismatch.detail for mismatch in mismatches(frame, surrogate))


def _measured(frame: pl.DataFrame, feature: str) -> bool:
    """Return whether any candidate has the feature, or what it is derived from."""
    if feature == "rl_steps":
        return True  # chosen, not measured
    columns = [name for name in (feature, origin(feature)) if name in frame.columns]
    if not columns and origin(feature).endswith("_problems"):
        # Without counts, Pass@k is interpolated between the flat columns.
        columns = [name for name in pass_at_columns(frame) if origin(feature).startswith("pre") and curve_k(feature)]
    return any(frame[name].null_count() < frame.height for name in columns)


def _text(frame: pl.DataFrame, column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String) if column in frame.columns else pl.repeat(None, pl.len(), dtype=pl.String)


def _named(value: str | None) -> str:
    return value or "unknown"
