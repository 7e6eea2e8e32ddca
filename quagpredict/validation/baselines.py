"""What is judged: surrogates by name, and the baselines that each has to beat."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import polars as pl

from quagpredict.corpus.columns import column_of, pass_at, pass_at_columns
from quagpredict.errors import CorpusError, UsageError
from quagpredict.schema import FEATURES
from quagpredict.surrogates.feature_sets import largest_pass_at, resolve_features
from quagpredict.surrogates.kinds import SURROGATES, kind_columns, parse_spec, with_own_columns
from quagpredict.validation.free_orders import LARGE_K, rule_columns
from quagpredict.validation.free_orders import PREFIX as RULE
from quagpredict.validation.probes import PREFIX, probe_columns

#: Every score is also reported as a difference from this model's on the same splits.
BASELINE = "linear:pass_at_1"
#: What takes its place where only the order counts: the score as it is.
BASELINE_ORDER = "proxy:pass_at_1"
#: Kind of a model that knows the mean of each base, and how the score rises within one.
OF_BASES = "of bases"


@dataclass(frozen=True)
class Model:
    """One model to judge.

    Attributes
    ----------
    name : str
        As given, e.g. ``linear:both``.
    kind : str
        A surrogate's kind; ``proxy``: the feature itself orders the candidates, nothing is fitted; or `OF_BASES`.
    features : tuple of str
    transforms : "identity" or "log-logit"
    sign : int
        Of a proxy: 1 if higher is better, -1 if lower is.
    """

    name: str
    kind: str
    features: tuple[str, ...]
    transforms: Literal["identity", "log-logit"] = "identity"
    sign: int = 1

    @property
    def is_surrogate(self) -> bool:
        """Whether it is of a surrogate's kind, and not one that only validation knows."""
        return self.kind in SURROGATES


def model_of(
    name: str, frame: pl.DataFrame, features: str | Sequence[str] = "both", exclude: Sequence[str] = ()
) -> Model:
    """Return the model of a name ``KIND:FEATURES`` or ``KIND:FEATURES:log-logit``.

    Parameters
    ----------
    name : str
        KIND is a surrogate's kind or ``proxy``; FEATURES are as `resolve_features` reads them. A kind that reads
        columns of its own is named alone; ``mean`` is the training mean.
    frame : polars.DataFrame
        The table, for the columns that FEATURES name.
    features : str or sequence of str
        FEATURES of a name without.
    exclude : sequence of str
        Columns that patterns pass over: the target, the groups.

    Raises
    ------
    UsageError
        If the kind is unknown, or a proxy is not one feature whose direction is known.

    Examples
    --------
    >>> table = pl.DataFrame({"pre_held_out_loss_nats": [0.3], "pre_pass_at_64": [0.5]})
    >>> model_of("linear:both:log-logit", table).features
    ('pre_held_out_loss_nats', 'pre_pass_at_64')
    >>> model_of("proxy:loss", table).sign
    -1
    """
    kind, _, rest = name.partition(":")
    if kind == "proxy" and RULE + rest in frame.columns:
        return Model(name, kind, (RULE + rest,))
    if kind == "proxy":
        columns = resolve_features(rest or features, frame, exclude=exclude)
        sign = _sign(columns[0])
        if len(columns) != 1 or not sign:
            raise UsageError(f"model '{name}': a proxy is one feature of which higher or lower is known to be better")
        return Model(name, kind, columns, sign=sign)
    if kind not in SURROGATES:
        kinds = ", ".join((*SURROGATES, "proxy"))
        raise UsageError(f"model '{name}' must be KIND:FEATURES or KIND:FEATURES:log-logit with KIND one of {kinds}")
    spec = parse_spec(name)
    transforms = spec.transforms or "identity"
    name = name.replace(":in-fold", ":log-logit")  # as earlier versions called them
    if kind == "mean":
        return Model(name, kind, ())
    if kind in with_own_columns():
        return Model(name, kind, kind_columns(kind, frame), transforms)
    return Model(name, kind, resolve_features(spec.features or features, frame, exclude=exclude), transforms)


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


def every_surrogate(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the paper's surrogates, and one model of every other kind that the table allows, transforms log-logit.

    `average` takes Pass@1, the largest Pass@k and the loss; kinds that read columns of their own are named alone.

    Examples
    --------
    >>> table = pl.DataFrame({"pre_pass_at_1": [0.1], "pre_pass_at_64": [0.5], "pre_held_out_loss_nats": [1.0]})
    >>> names = every_surrogate(table)
    >>> names[:3], "average:pass_at_1+pass_at_64+loss:log-logit" in names, "ridge:both:log-logit" in names
    (('linear:loss', 'linear:pass_at_64', 'linear:both'), True, True)
    """
    names = list(default_surrogates(frame))
    features = "both" if "linear:both" in names else names[0].partition(":")[2] if names else ""
    if features == "both":
        names.append("linear:both:log-logit")
    for kind in SURROGATES:
        if kind in ("mean", "linear"):
            continue
        if kind in with_own_columns():
            with suppress(CorpusError):
                kind_columns(kind, frame)
                names.append(kind)
        elif kind == "average" and features == "both" and _holds("pre_pass_at_1", frame):
            names.append(f"average:pass_at_1+{largest_pass_at(frame).removeprefix('pre_')}+loss:log-logit")
        elif features:
            with suppress(CorpusError):  # such as a kind that reads weights of a mixture
                kind_columns(kind, frame, features)
                names.append(f"{kind}:{features}:log-logit")
    return tuple(names)


def baseline_names(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the baselines that the table allows.

    The training mean; Pass@1 before RL, fitted as a line; each measurement before RL whose direction is known, taken as
    it is to order the candidates, and fitted as a line; what a short RL run showed (`with_probes`), likewise; the rules
    that are no measurement (`with_rules`), as they are.

    Examples
    --------
    >>> baseline_names(pl.DataFrame({"pre_pass_at_1": [0.1], "pre_held_out_loss_nats": [0.5]}))[:4]
    ('mean', 'linear:pass_at_1', 'proxy:pass_at_1', 'proxy:held_out_loss_nats')
    """
    pointed = sorted((column for column in FEATURES if column.sign and not column.k), key=lambda column: column.sign)
    columns = [*pass_at_columns(frame), *(column.name for column in pointed)]
    singles = [name.removeprefix("pre_") for name in columns if _holds(name, frame)]
    fitted = (BASELINE,) if "pass_at_1" in singles else ()
    singles += probe_columns(frame)
    others = [f"linear:{single}" for single in singles if single != "pass_at_1"]
    rules = [f"proxy:{name.removeprefix(RULE)}" for name in rule_columns(frame)]
    return ("mean", *fitted, *(f"proxy:{single}" for single in singles), *rules, *others)


def models_of_bases(frame: pl.DataFrame, base: str = "base") -> list[Model]:
    """Return what a surrogate that knows the level of each base has to beat: free rules that know it too.

    The mean of each base's finished runs alone, and with a slope within bases on Pass@1, or on Pass@k of the largest k
    up to 64. None where the table has a single base.

    Parameters
    ----------
    frame : polars.DataFrame
    base : str
        What a base is called: the column of the groups where that is another.

    Examples
    --------
    >>> table = pl.DataFrame({"base_model": ["a", "b"], "pre_pass_at_1": [0.1, 0.2], "pre_pass_at_16": [0.3, 0.4]})
    >>> [model.name for model in models_of_bases(table)]
    ['base mean', 'base and Pass@1', 'base and Pass@16']
    """
    if "base_model" not in frame.columns or frame["base_model"].n_unique() < 2:
        return []
    curve = pass_at_columns(frame)
    columns = dict.fromkeys([*curve[:1], *([largest_pass_at(frame)] if curve else [])])
    with_slope = [Model(f"{base} and {column_of(name).heading}", OF_BASES, (name,)) for name in columns]
    return [Model(f"{base} mean", OF_BASES, ()), *with_slope]


def coverage_rule(models: Iterable[str]) -> str | None:
    """Return the rule that costs nothing and is to be beaten: Pass@k as it is, of the largest k up to 64; None without.

    Examples
    --------
    >>> coverage_rule(["proxy:pass_at_1", "proxy:pass_at_256", "proxy:pass_at_64", "proxy:pass_at_8"])
    'proxy:pass_at_64'
    """
    proxies = {pass_at(f"pre_{name.removeprefix('proxy:')}"): name for name in models if name.startswith("proxy:")}
    return max(((k, name) for k, name in proxies.items() if 1 < k <= LARGE_K), default=(0, None))[1]


def is_single(model: str, surrogates: Sequence[str] = ()) -> bool:
    """Return whether a model is one measurement alone, judged for comparison and not asked for among `surrogates`.

    Examples
    --------
    >>> is_single("proxy:pass_at_8"), is_single("linear:loss", ["linear:loss"]), is_single("linear:both")
    (True, False, False)
    >>> is_single("linear"), is_single("linear:loss")
    (False, True)
    """
    kind, _, rest = model.partition(":")
    if model in surrogates or model == BASELINE or PREFIX in model:
        return False
    return kind == "proxy" or (
        kind == "linear" and rest != "" and ":" not in rest and "+" not in rest and rest != "both"
    )


def models_of(
    names: Iterable[str | Model],
    frame: pl.DataFrame,
    features: str | Sequence[str] = "both",
    exclude: Sequence[str] = (),
) -> list[Model]:
    """Return the model of each name, each once; two names of one model count as one."""
    models: dict[tuple[object, ...], Model] = {}
    for name in names:
        model = name if isinstance(name, Model) else model_of(name, frame, features, exclude)
        models.setdefault((model.kind, model.features, model.transforms), model)
    return list(models.values())


def _sign(column: str) -> int:
    return 1 if column.startswith(PREFIX) else column_of(column).sign


def _holds(column: str, frame: pl.DataFrame) -> bool:
    return column in frame.columns and frame[column].null_count() < frame.height
