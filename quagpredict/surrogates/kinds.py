"""The table of kinds of surrogates: a kind is one module with a `Kind`, and one line here.

Wherever a surrogate is asked for it is named ``KIND``, ``KIND:FEATURES`` or ``KIND:FEATURES:TRANSFORMS``.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Literal, NamedTuple

import polars as pl

from quagpredict.corpus.columns import is_indicator
from quagpredict.corpus.derived import with_derived
from quagpredict.errors import CorpusError, UsageError, did_you_mean
from quagpredict.surrogates.feature_sets import Transforms
from quagpredict.surrogates.kind import Kind

#: Kind of surrogate -> module that holds it; the simplest first: where ``auto`` finds a tie, the first wins.
KINDS = {
    "mean": "quagpredict.surrogates.mean",
    "linear": "quagpredict.surrogates.linear",
    "average": "quagpredict.surrogates.average",
    "ridge": "quagpredict.surrogates.ridge",
    "bayesian_ridge": "quagpredict.surrogates.bayesian_ridge",
    "mixed": "quagpredict.surrogates.mixed",
    "effective_k": "quagpredict.surrogates.effective_k",
    "sharpening": "quagpredict.surrogates.sharpening",
    "saturating": "quagpredict.surrogates.saturating",
    "hierarchical": "quagpredict.surrogates.hierarchical",
    "mixing_law": "quagpredict.surrogates.mixing_law",
    "gaussian_process": "quagpredict.surrogates.gaussian_process",
    "lightgbm": "quagpredict.surrogates.lightgbm",
    "auto": "quagpredict.surrogates.auto",
}

#: Names of the kinds, sorted.
SURROGATES = tuple(sorted(KINDS))

Named = Literal["identity", "log-logit"]
#: What the transforms are called; ``in-fold`` is how files of earlier versions call ``log-logit``.
TRANSFORMS: dict[str, Named] = {"identity": "identity", "log-logit": "log-logit", "in-fold": "log-logit"}


def kind_of(name: str) -> Kind:
    """Return the kind of that name; its module is imported when it is first asked for.

    Raises
    ------
    UsageError
        If there is none.

    Examples
    --------
    >>> kind_of("linear").fewest_rows(2), kind_of("ridge").fewest_rows(2), kind_of("effective_k").fewest_rows(0)
    (5, 4, 1)
    """
    if name not in KINDS:
        raise UsageError(f"unknown surrogate '{name}': expected one of {', '.join(SURROGATES)}")
    return _loaded(KINDS[name])


@cache
def _loaded(module: str) -> Kind:
    kind = import_module(module).KIND
    assert isinstance(kind, Kind)
    return kind


def kind_columns(
    kind: str, frame: pl.DataFrame, features: str | Sequence[str] = "both", groups: str | None = None
) -> tuple[str, ...]:
    """Return the columns, some of them derived, that a kind of surrogate reads from this table.

    Parameters
    ----------
    kind : str
        ``auto`` reads what its choice reads, here the named features.
    features : str or sequence of str
        See `resolve_features`; kinds that read columns of their own take those instead.
    groups : str, optional
        Column of groups for ``mixed``; ``base_model`` by default, where it is there.

    Raises
    ------
    CorpusError
        If the table cannot give them.

    Examples
    --------
    >>> table = pl.DataFrame({"pre_pass_at_1": [0.2], "pre_pass_at_2": [0.3], "base_model": ["weak"]})
    >>> kind_columns("effective_k", table)[-2:]
    ('pre_problems.pass_at_1.6818', 'pre_problems.pass_at_2')
    >>> kind_columns("mixed", table, "pass_at_1")
    ('pre_pass_at_1', 'base_model=weak', 'base_model=*')
    """
    return kind_of(kind).columns(frame, features, groups)


def with_own_columns() -> tuple[str, ...]:
    """Return the kinds that read columns of their own, whatever features are named.

    Examples
    --------
    >>> with_own_columns()
    ('effective_k', 'hierarchical', 'saturating', 'sharpening')
    """
    return tuple(name for name in SURROGATES if kind_of(name).reads == "own")


def prepare(
    frame: pl.DataFrame,
    kinds: Sequence[str] = SURROGATES,
    *,
    features: str | Sequence[str] = "both",
    groups: str | None = None,
) -> pl.DataFrame:
    """Return the table with everything derived that these kinds read, and without its nested counts.

    Fitting many times on slices of a table is fast after this. Kinds that the table does not allow are passed over.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> prepared = prepare(synthetic_corpus(6, seed=1).frame)
    >>> "pre_problems" in prepared.columns
    False
    """
    wanted = dict.fromkeys((*kinds, *with_own_columns()) if "auto" in kinds else kinds)
    names: dict[str, None] = {}
    for kind in wanted:
        with suppress(CorpusError):
            columns = kind_columns(kind, frame, features, groups)
            # Which groups there are differs from slice to slice; their columns are made when they are needed.
            names |= dict.fromkeys(name for name in columns if not is_indicator(name))
            names |= dict.fromkeys(kind_of(kind).teaching(frame))
    return with_derived(frame, list(names), drop_nested=True)


class Spec(NamedTuple):
    """What a spec says.

    Attributes
    ----------
    features : str
        As `resolve_features` reads them; empty where the spec names none.
    transforms : "identity", "log-logit" or None
        None where the spec names none.
    """

    kind: str
    features: str = ""
    transforms: Named | None = None


def parse_spec(text: str) -> Spec:
    """Return what ``KIND[:FEATURES[:TRANSFORMS]]`` says.

    Parameters
    ----------
    text : str
        FEATURES are names joined by ``+``; they may hold a colon themselves. TRANSFORMS are ``identity`` or
        ``log-logit``.

    Raises
    ------
    UsageError
        If there is no such kind, or it is followed by nothing.

    Examples
    --------
    >>> parse_spec("mixed:both:log-logit")
    Spec(kind='mixed', features='both', transforms='log-logit')
    >>> parse_spec("effective_k"), parse_spec("ridge::log-logit").transforms
    (Spec(kind='effective_k', features='', transforms=None), 'log-logit')
    """
    kind, colon, rest = text.partition(":")
    if kind not in KINDS:
        hint = did_you_mean(kind, SURROGATES, rest=f": expected one of {', '.join(SURROGATES)}")
        raise UsageError(f"unknown surrogate '{text}'{hint}")
    features, separator, last = rest.rpartition(":")
    transforms = TRANSFORMS.get(last) if separator else None
    if separator and transforms is None and (near := did_you_mean(last, TRANSFORMS, cutoff=0.5)):
        raise UsageError(f"surrogate '{text}': there are no transforms '{last}'{near}")
    if transforms is None:
        features = rest
    if colon and not rest:
        raise UsageError(f"surrogate '{text}' names no features after the colon: expected KIND:FEATURES:TRANSFORMS")
    return Spec(kind, features, transforms)


def is_spec(text: str) -> bool:
    """Return whether a text begins with a kind of surrogate, as a spec does; anything else is taken for a folder.

    Examples
    --------
    >>> is_spec("ridge:both"), is_spec("models/lab"), is_spec("./ridge")
    (True, False, False)
    """
    return text.partition(":")[0] in KINDS


class Asked(NamedTuple):
    """A spec with what was named beside it: features None and transforms None where nobody named any."""

    kind: str
    features: str | Sequence[str] | None
    transforms: Transforms | None


def asked(text: str, features: str | Sequence[str] | None = None, transforms: Transforms | None = None) -> Asked:
    """Return what a spec and the arguments beside it ask for.

    Raises
    ------
    UsageError
        If both name features, or both transforms.

    Examples
    --------
    >>> asked("ridge::log-logit", ["pre_pass_at_1"])
    Asked(kind='ridge', features=['pre_pass_at_1'], transforms='log-logit')
    """
    spec = parse_spec(text)
    for what, beside, within in (("features", features, spec.features), ("transforms", transforms, spec.transforms)):
        if beside is not None and within:
            raise UsageError(f"surrogate '{text}' names its {what} ('{within}') and so does the call: name them once")
    return Asked(
        spec.kind,
        spec.features or None if features is None else features,
        spec.transforms if transforms is None else transforms,
    )
