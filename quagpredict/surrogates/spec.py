"""How a surrogate is named wherever one is asked for: ``KIND``, ``KIND:FEATURES`` or ``KIND:FEATURES:TRANSFORMS``."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from quagpredict.errors import UsageError
from quagpredict.surrogates.feature_sets import Transforms
from quagpredict.surrogates.kinds import KINDS, SURROGATES

Named = Literal["identity", "log-logit"]

#: What the transforms are called; ``in-fold`` is how files of earlier versions call ``log-logit``.
TRANSFORMS: dict[str, Named] = {"identity": "identity", "log-logit": "log-logit", "in-fold": "log-logit"}


class Spec(NamedTuple):
    """What a spec says.

    Attributes
    ----------
    kind : str
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
        raise UsageError(f"unknown surrogate '{text}': expected one of {', '.join(SURROGATES)}")
    features, separator, last = rest.rpartition(":")
    transforms = TRANSFORMS.get(last) if separator else None
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
