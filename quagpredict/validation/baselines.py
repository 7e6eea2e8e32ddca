"""What is judged: surrogates by name, and the baselines that each has to beat."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from quagpredict.corpus.schema import BY_NAME
from quagpredict.errors import UsageError
from quagpredict.surrogates.feature_sets import largest_pass_at, pass_at_columns, resolve_features
from quagpredict.surrogates.fitting import SURROGATES

#: Every score is also reported as a difference from this model's on the same splits.
BASELINE = "linear:pass_at_1"

# Which way a measurement points was decided before looking at any result: learning the sign would be a fit. Lengths,
# entropies and shares of groups without signal point either way and are judged as fitted features only.
_HIGHER = ("agreement_mean", "token_log_prob_nats")
_LOWER = ("held_out_loss_nats", "held_out_bits_per_byte", "truncated_share", "no_answer_share")


@dataclass(frozen=True)
class Model:
    """One model to judge.

    Attributes
    ----------
    name : str
        As given, e.g. ``linear:both``.
    kind : str
        A surrogate's kind, or ``proxy``: the feature itself orders the candidates, nothing is fitted.
    features : tuple of str
    transforms : "identity" or "in-fold"
    sign : int
        Of a proxy: 1 if higher is better, -1 if lower is.
    """

    name: str
    kind: str
    features: tuple[str, ...]
    transforms: Literal["identity", "in-fold"] = "identity"
    sign: int = 1


def model_of(name: str, frame: pl.DataFrame) -> Model:
    """Return the model of a name ``KIND:FEATURES`` or ``KIND:FEATURES:in-fold``.

    Parameters
    ----------
    name : str
        KIND is a surrogate's kind or ``proxy``; FEATURES are as `resolve_features` reads them, ``both`` by default.
        ``mean`` alone is the training mean.
    frame : polars.DataFrame
        The table, for the columns that FEATURES name.

    Raises
    ------
    UsageError
        If the kind is unknown, or a proxy is not one feature whose direction is known.

    Examples
    --------
    >>> table = pl.DataFrame({"pre_held_out_loss_nats": [0.3], "pre_pass_at_64": [0.5]})
    >>> model_of("linear:both:in-fold", table).features
    ('pre_held_out_loss_nats', 'pre_pass_at_64')
    >>> model_of("proxy:loss", table).sign
    -1
    """
    kind, _, rest = name.partition(":")
    named, _, transforms = rest.partition(":")
    if kind not in (*SURROGATES, "proxy") or transforms not in ("", "identity", "in-fold"):
        kinds = ", ".join((*SURROGATES, "proxy"))
        raise UsageError(f"model '{name}' must be KIND:FEATURES or KIND:FEATURES:in-fold with KIND one of {kinds}")
    if kind == "mean":
        return Model(name, kind, ())
    features = resolve_features(named or "both", frame)
    if kind == "proxy":
        sign = _direction(features[0])
        if len(features) != 1 or not sign:
            raise UsageError(f"model '{name}': a proxy is one feature of which higher or lower is known to be better")
        return Model(name, kind, features, sign=sign)
    return Model(name, kind, features, "in-fold" if transforms == "in-fold" else "identity")


def default_surrogates(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the paper's surrogates that the table allows: loss, Pass@k of the largest k up to 64, and both.

    Examples
    --------
    >>> default_surrogates(pl.DataFrame({"pre_pass_at_1": [0.1], "pre_pass_at_16": [0.5]}))
    ('linear:pass_at_16',)
    """
    names = []
    if _holds("pre_held_out_loss_nats", frame):
        names.append("linear:loss")
    if pass_at_columns(frame):
        names.append(f"linear:{largest_pass_at(frame).removeprefix('pre_')}")
    return (*names, "linear:both") if len(names) == 2 else tuple(names)


def baseline_names(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the baselines that the table allows.

    The training mean; Pass@1 before RL, fitted as a line; and each measurement before RL whose direction is known,
    taken as it is to order the candidates.

    Examples
    --------
    >>> baseline_names(pl.DataFrame({"pre_pass_at_1": [0.1], "pre_held_out_loss_nats": [0.5]}))
    ('mean', 'linear:pass_at_1', 'proxy:pass_at_1', 'proxy:held_out_loss_nats')
    """
    columns = [*pass_at_columns(frame), *(f"pre_{suffix}" for suffix in (*_LOWER, *_HIGHER))]
    singles = [name.removeprefix("pre_") for name in columns if _holds(name, frame)]
    fitted = (BASELINE,) if "pass_at_1" in singles else ()
    return ("mean", *fitted, *(f"proxy:{single}" for single in singles))


def models_of(names: Iterable[str], frame: pl.DataFrame) -> list[Model]:
    """Return the model of each name, each once."""
    return [model_of(name, frame) for name in dict.fromkeys(names)]


def _direction(column: str) -> int:
    suffix = column.removeprefix("pre_")
    if suffix.startswith("pass_at_") and column in BY_NAME and not suffix.endswith("_se"):
        return 1
    return 1 if suffix in _HIGHER else -1 if suffix in _LOWER else 0


def _holds(column: str, frame: pl.DataFrame) -> bool:
    return column in frame.columns and frame[column].null_count() < frame.height
