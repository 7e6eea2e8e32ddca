"""The fitted forms as plain JSON, and back with every size, shape and bound checked."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from quagpredict.errors import QuagpredictError, SurrogateError
from quagpredict.surrogates.boosted_trees import TreesForm
from quagpredict.surrogates.effective_samples import CurveForm
from quagpredict.surrogates.forms import Form, LinearForm
from quagpredict.surrogates.json_object import JsonObject, short
from quagpredict.surrogates.pooling import MixedForm
from quagpredict.surrogates.processes import MOST_ROWS, GaussianProcessForm
from quagpredict.surrogates.saturating import SaturatingForm
from quagpredict.surrogates.sharpened import SharpeningForm
from quagpredict.surrogates.transforms import parse_transform

KINDS: dict[str, type[Any]] = {
    "curve": CurveForm,
    "gaussian-process": GaussianProcessForm,
    "linear": LinearForm,
    "mixed": MixedForm,
    "saturating": SaturatingForm,
    "sharpening": SharpeningForm,
    "trees": TreesForm,
}

MAX_NODES = 1_000_000
MAX_DEPTH = 256

_ABOVE_ZERO = float(np.finfo(float).tiny)


def form_to_json(form: Form) -> dict[str, Any]:
    """Return a form as plain data."""
    for kind, its_type in KINDS.items():
        if type(form) is its_type:
            return {"kind": kind} | {name: _plain(getattr(form, name)) for name in _names(its_type)}
    raise SurrogateError(f"a form of type {type(form).__name__} cannot be stored; known are {', '.join(KINDS)}")


def form_from_json(value: Any, path: Path, p: int) -> Form:
    """Return the form of p features that the data describe.

    Raises
    ------
    SurrogateError
        If anything is not as it must be; the message names the file and the key.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(value, dict) and (not isinstance(kind, str) or kind not in KINDS):
        raise SurrogateError(f"{path}: key 'form.kind' must be one of {', '.join(KINDS)}, got {short(kind)}")
    its_type: Any = KINDS[kind] if isinstance(kind, str) else LinearForm
    form = JsonObject(value, path, "form.", frozenset({"kind", *_names(its_type)}))
    match kind:
        case "curve":
            return _curve(form, p)
        case "gaussian-process":
            return _gaussian_process(form, p)
        case "mixed":
            return _mixed(form, p)
        case "saturating":
            return _saturating(form, p)
        case "sharpening":
            return _sharpening(form, p)
        case "trees":
            return _trees(form, p)
    return LinearForm(
        intercept=form.number("intercept"),
        coefficients=form.array("coefficients", (p,)),
        center=form.array("center", (p,)),
        covariance=form.array("covariance", (p + 1, p + 1)),
        **_noise(form),
    )


def _names(its_type: type[Any]) -> list[str]:
    return [field.name for field in fields(its_type)]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, str) else float(value)


def _noise(form: JsonObject) -> dict[str, float]:
    return {"residual_variance": form.number("residual_variance", low=0.0)} | _spread(form)


def _spread(form: JsonObject) -> dict[str, float]:
    return {
        "degrees_of_freedom": form.number("degrees_of_freedom", low=1.0),
        "t_factor": form.number("t_factor", low=1.0, high=4.0),
    }


def _curve(form: JsonObject, p: int) -> CurveForm:
    places = form.array("places", (p,), low=-100.0, high=100.0)
    if (np.diff(places) <= 0).any():
        raise form.error("places", "rising", "numbers that do not rise")
    return CurveForm(
        places=places,
        place=form.number("place", low=float(places[0]), high=float(places[-1])),
        place_variance=form.number("place_variance", low=0.0),
        **_noise(form),
    )


def _gaussian_process(form: JsonObject, p: int) -> GaussianProcessForm:
    n = form.length("weights", 1, MOST_ROWS)
    return GaussianProcessForm(
        center=form.array("center", (p,)),
        scale=form.array("scale", (p,), low=_ABOVE_ZERO),
        inputs=form.array("inputs", (n, p)),
        weights=form.array("weights", (n,)),
        root=form.array("root", (n, n)),
        level=form.number("level"),
        length=form.number("length", low=_ABOVE_ZERO),
        trend=form.number("trend", low=0.0, high=1.0),
        noise=form.number("noise", low=0.0),
        signal_variance=form.number("signal_variance", low=0.0),
        **_spread(form),
    )


def _mixed(form: JsonObject, p: int) -> MixedForm:
    own = form.length("center", 1, p)
    q = (1 + own) * (1 + p - own)
    return MixedForm(
        center=form.array("center", (own,)),
        coefficients=form.array("coefficients", (q,)),
        covariance=form.array("covariance", (q, q)),
        **_noise(form),
    )


def _saturating(form: JsonObject, p: int) -> SaturatingForm:
    if p < 2:
        raise form.error("center", "of at least one feature beside the RL steps", form.value["center"])
    return SaturatingForm(
        center=form.array("center", (p - 1,)),
        scale=form.array("scale", (p - 1,), low=_ABOVE_ZERO),
        typical_steps=form.number("typical_steps", low=_ABOVE_ZERO),
        gain=form.array("gain", (p,)),
        log_rate=form.array("log_rate", (p,)),
        covariance=form.array("covariance", (2 * p, 2 * p)),
        **_noise(form),
    )


def _sharpening(form: JsonObject, p: int) -> SharpeningForm:
    name = form.text("target_transform")
    try:
        parse_transform(name)
    except QuagpredictError as error:
        raise SurrogateError(f"{form.path}: key 'form.target_transform': {error}") from None
    return SharpeningForm(
        logits=form.array("logits", (p,), low=-700.0, high=700.0),
        signal=form.array("signal", (p,), low=0.0, high=1.0),
        shift=form.number("shift", low=-1e3, high=1e3),
        gain=form.number("gain", low=-1e3, high=1e3),
        covariance=form.array("covariance", (2, 2)),
        target_transform=name,
        **_noise(form),
    )


def _trees(form: JsonObject, p: int) -> TreesForm:
    nodes = form.length("feature", 0, MAX_NODES)
    trees = form.length("roots", 0, nodes)
    bags = form.length("base", 1, 1000)
    own = np.arange(nodes)
    feature = form.places("feature", -1, p - 1, (nodes,))
    left = form.places("left", 0, nodes - 1, (nodes,))
    right = form.places("right", 0, nodes - 1, (nodes,))
    leaf = feature < 0
    # Children come after their node, so that every way down ends.
    for key, child in (("left", left), ("right", right)):
        if not (np.where(leaf, child == own, child > own)).all():
            raise form.error(key, "a later node, and of a leaf the leaf itself", "another node")
    at = form.places("roots", 0, nodes - 1, (trees,))
    result = TreesForm(
        feature=feature,
        threshold=form.array("threshold", (nodes,)),
        left=left,
        right=right,
        value=form.array("value", (nodes,)),
        roots=at,
        bags=form.places("bags", 0, bags - 1, (trees,)),
        base=form.array("base", (bags,)),
        **_noise(form),
    )
    if (np.diff(result.bags) < 0).any():
        raise form.error("bags", "rising", "numbers that fall")
    for _ in range(MAX_DEPTH):
        at = np.unique(at[~leaf[at]])
        if not len(at):
            return result
        at = np.concatenate([left[at], right[at]])
    raise form.error("left", f"at most {MAX_DEPTH} nodes from its root", "a deeper tree")
