"""Surrogates on disk: a folder with `surrogate.json` and `card.md`; plain data, safe to open from a stranger.

Floats are written so that reading gives the same bits; no pickle and no code is ever loaded. Every key must be there,
no other may be, and every size and shape is checked before it is used.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from quagpredict.arguments import check_arguments
from quagpredict.errors import QuagpredictError, SurrogateError, UsageError
from quagpredict.files import write_json, written_aside
from quagpredict.shipped import matches
from quagpredict.surrogates.fitted import Calibration, FittedSurrogate
from quagpredict.surrogates.forms import Form, TrainingDomain
from quagpredict.surrogates.gaussian_process_form import SQUARED_EXPONENTIAL
from quagpredict.surrogates.json_object import ABOVE_ZERO, JsonObject, short
from quagpredict.surrogates.json_object import MAX_TEXT as MAX_TEXT
from quagpredict.surrogates.kinds import KINDS, kind_of
from quagpredict.surrogates.transforms import parse_transform

SCHEMA_VERSION = 5
FILE = "surrogate.json"
CARD = "card.md"

MAX_BYTES = 64 * 1024**2
MAX_FEATURES = 1000
MAX_NOTES = 100
MAX_ROWS = 1_000_000

# What earlier versions called some kinds and, up to schema 3, their forms.
_OLD_NAMES = {
    "curve": "effective_k",
    "gaussian-process": "gaussian_process",
    "budget": "saturating",
    "trees": "lightgbm",
}


def save_surrogate(fitted: FittedSurrogate, folder: str | Path, card: str = "") -> Path:
    """Write a surrogate into `folder`, card first and data last, each aside and renamed.

    Parameters
    ----------
    fitted : FittedSurrogate
    folder : path
        Made if it is not there; an older surrogate in it is replaced.
    card : str
        Markdown: fitted on which corpus, with which validation. Empty writes no card.

    Returns
    -------
    Path
        The file `surrogate.json`.

    Raises
    ------
    SurrogateError
        If the surrogate holds a number that is not finite, or is too large: what cannot be read back is not written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from quagpredict.surrogates.linear import fit_linear
    >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.4, 0.5, 0.8]))
    >>> with TemporaryDirectory() as folder:
    ...     _ = save_surrogate(fitted, folder)
    ...     bool(load_surrogate(folder).predict([[1.5]]).mean == fitted.predict([[1.5]]).mean)
    True
    """
    check_arguments(save_surrogate, locals())
    path = Path(folder) / FILE
    value = _to_json(fitted)
    try:
        _from_json(json.loads(json.dumps(value, allow_nan=False)), path)
    except ValueError as error:
        if isinstance(error, SurrogateError):
            raise
        raise SurrogateError(f"{path}: the surrogate holds a number that is not finite and cannot be stored") from None
    if card:
        with written_aside(Path(folder) / CARD) as aside:
            aside.write_text(card, encoding="utf-8")
    write_json(path, value)
    return path


def load_surrogate(folder: str | Path) -> FittedSurrogate:
    """Read a surrogate from its folder (or from its `surrogate.json`), or a shipped one by path or by short name.

    Raises
    ------
    UsageError
        If there is no such folder; the message lists the shipped ones.
    SurrogateError
        If the folder has no surrogate, or the file is too large, not JSON, of another schema version, or any key, type,
        size, shape or value is not as it must be; the message names the file and the key.

    Examples
    --------
    >>> load_surrogate("lab-pilot").target == load_surrogate("models/lab-pilot").target
    True
    """
    check_arguments(load_surrogate, locals())
    path = _found(folder)
    path = path if path.suffix == ".json" else path / FILE
    try:
        with path.open("rb") as handle:
            text = handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SurrogateError(f"{path}: there is no surrogate; `quagpredict fit` makes one") from None
    except OSError as error:
        raise SurrogateError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > MAX_BYTES:
        raise SurrogateError(f"{path}: larger than {MAX_BYTES} bytes, which no surrogate is")
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise SurrogateError(f"{path}: not valid JSON for a surrogate: {reason[:200]}") from None
    return _from_json(value, path)


def _found(folder: str | Path) -> Path:
    for name in (folder, f"models/{folder}"):
        if (match := next(iter(matches(name)), None)) is not None:
            return match
    shipped = [f"models/{file.parent.name}" for file in matches(f"models/*/{FILE}")]
    shipped_names = f"shipped: {', '.join(shipped)}" if shipped else "none is shipped"
    raise UsageError(
        f"unknown surrogate '{folder}': there is no such folder ({shipped_names}); `quagpredict.fit` makes one"
    )


def _to_json(fitted: FittedSurrogate) -> dict[str, Any]:
    domain = fitted.domain
    # Files without weights are as those of earlier versions.
    weights = {"weights": {name: float(weight) for name, weight in fitted.weights.items()}} if fitted.weights else {}
    return weights | {
        "schema_version": SCHEMA_VERSION,
        "name": fitted.name,
        "features": list(fitted.features),
        "target": fitted.target,
        "feature_transforms": list(fitted.feature_transforms),
        "target_transform": fitted.target_transform,
        "form": _form_to_json(fitted.form),
        "domain": {
            "mean": domain.mean.tolist(),
            "whitening": domain.whitening.tolist(),
            "edge": float(domain.edge),
        },
        "eval_protocol_id": fitted.eval_protocol_id,
        "rl_recipe_id": fitted.rl_recipe_id,
        "base_models": list(fitted.base_models),
        "cross_base_validated": bool(fitted.cross_base_validated),
        "training_rows": int(fitted.training_rows),
        "dropped_rows": int(fitted.dropped_rows),
        "rl_steps": None if fitted.rl_steps is None else float(fitted.rl_steps),
        "choice": fitted.choice,
        "notes": [note[:MAX_TEXT] for note in fitted.notes],
        "calibration": None if fitted.calibration is None else _plain(fitted.calibration),
        "corpus_digest": fitted.corpus_digest,
        "row_digests": list(fitted.row_digests),
        "versions": dict(fitted.versions),
    }


def _form_to_json(form: Form) -> dict[str, Any]:
    """Return a form as plain data, under the name of the kind whose module, or that with ``_form``, defines it."""
    for kind, module in KINDS.items():
        if type(form).__module__ in (module, f"{module}_form"):
            names = _field_names(type(form))
            return {"kind": kind} | {name: _plain_value(getattr(form, name)) for name in names}
    raise SurrogateError(f"a form of type {type(form).__name__} cannot be stored: no kind of surrogate defines it")


def _field_names(form: Any) -> list[str]:
    return [field.name for field in fields(form)]


def _plain_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, str) else float(value)


def _form_from_json(value: Any, path: Path, p: int) -> Form:
    """Return the form of p features that the data describe; the module of its kind checks every size and bound."""
    if not isinstance(value, dict):
        raise SurrogateError(f"{path}: key 'form' must hold a JSON object, got {short(value)}")
    name = value.get("kind")
    kind = kind_of(name) if isinstance(name, str) and name in KINDS else None
    if kind is None or kind.form is None or kind.read is None:
        kinds = ", ".join(sorted(name for name in KINDS if kind_of(name).form))
        raise SurrogateError(f"{path}: key 'form.kind' must be one of {kinds}, got {short(name)}")
    return kind.read(JsonObject(value, path, "form.", frozenset({"kind", *_field_names(kind.form)})), p)


def _renamed(value: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object with the name of today under a key, where it had another."""
    name = value.get(key)
    return {**value, key: _OLD_NAMES[name]} if isinstance(name, str) and name in _OLD_NAMES else value


def _plain(calibration: Calibration) -> dict[str, Any]:
    return {
        "level": float(calibration.level),
        "quantile": float(calibration.quantile),
        "floor": float(calibration.floor),
        "rows": int(calibration.rows),
        "method": calibration.method,
        "by_group": {name: float(value) for name, value in calibration.by_group.items()},
    }


def _of_today(value: Any, path: Path) -> Any:
    """Return what a file of this or an earlier version holds, in the form of this version."""
    if not isinstance(value, dict):
        return value
    version = value.get("schema_version")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise SurrogateError(
            f"{path}: key 'schema_version' is {str(version)[:40]!r}, but this version of quagpredict reads 1 to "
            f"{SCHEMA_VERSION}: fit the surrogate again, or use the version that wrote it"
        )
    earlier: dict[str, Any] = {"weights": {}}
    if version < 3:
        earlier |= {"row_digests": [], "choice": ""}
    if version < 2:  # had linear forms only, and none of these
        earlier |= {"rl_steps": None, "notes": [], "calibration": None}
    value = _renamed(earlier | value, "name")
    if isinstance(value.get("choice"), str):
        kind, colon, transforms = value["choice"].partition(":")
        value["choice"] = _OLD_NAMES.get(kind, kind) + colon + transforms.replace("in-fold", "log-logit")
    if isinstance(form := value.get("form"), dict):
        form = _renamed(form, "kind")
        # Every Gaussian process had this kernel up to schema 4, and did not say so.
        if version < 5 and form.get("kind") == "gaussian_process":
            form = {"kernel": SQUARED_EXPONENTIAL} | form
        # Every map read Pass@1 before it said what it reads.
        value["form"] = {"tries": 1.0} | form if form.get("kind") == "hierarchical" else form
    return value


def _from_json(value: Any, path: Path) -> FittedSurrogate:
    value = _of_today(value, path)
    whole = JsonObject(value, path, "", _KEYS)
    features = whole.texts("features", 1, MAX_FEATURES)
    p = len(features)
    if len(set(features)) < p:
        raise whole.error("features", "names each once", features)
    transforms = whole.texts("feature_transforms", p, p)
    target_transform = whole.text("target_transform")
    for key, name in [("feature_transforms", name) for name in transforms] + [("target_transform", target_transform)]:
        try:
            parse_transform(name)
        except QuagpredictError as error:
            raise SurrogateError(f"{path}: key '{key}': {error}") from None
    form = _form_from_json(whole.value["form"], path, p)
    domain = JsonObject(whole.value["domain"], path, "domain.", _DOMAIN_KEYS)
    seen = form.seen(np.zeros((1, p))).shape[1]
    versions = whole.inner("versions", 100, "texts")
    return FittedSurrogate(
        name=whole.text("name"),
        features=features,
        target=whole.text("target"),
        feature_transforms=transforms,
        target_transform=target_transform,
        form=form,
        domain=TrainingDomain(
            mean=domain.array("mean", (seen,)),
            whitening=domain.array("whitening", (seen, seen)),
            edge=domain.number("edge", low=ABOVE_ZERO),
        ),
        eval_protocol_id=whole.text("eval_protocol_id"),
        rl_recipe_id=whole.text("rl_recipe_id"),
        base_models=whole.texts("base_models", 0, 10_000),
        cross_base_validated=whole.flag("cross_base_validated"),
        training_rows=whole.count("training_rows"),
        dropped_rows=whole.count("dropped_rows"),
        rl_steps=None if whole.value["rl_steps"] is None else whole.number("rl_steps", low=ABOVE_ZERO),
        choice=whole.text("choice"),
        notes=whole.texts("notes", 0, MAX_NOTES),
        calibration=_calibration(whole.value["calibration"], path),
        corpus_digest=whole.text("corpus_digest"),
        row_digests=whole.texts("row_digests", 0, MAX_ROWS),
        weights=whole.numbers("weights", MAX_FEATURES),
        versions={name: versions.text(name) for name in versions.value},
    )


def _calibration(value: Any, path: Path) -> Calibration | None:
    if value is None:
        return None
    content = JsonObject(value, path, "calibration.", frozenset(Calibration._fields))
    level = content.number("level", low=0.0, high=1.0)
    if not 0.0 < level < 1.0:
        raise content.error("level", "strictly between 0 and 1", level)
    return Calibration(
        level=level,
        quantile=content.number("quantile", low=0.0),
        floor=content.number("floor", low=0.0),
        rows=content.count("rows"),
        method=content.text("method"),
        by_group=content.numbers("by_group", 10_000),
    )


_TEXT_KEYS = {"name", "choice", "target", "target_transform", "eval_protocol_id", "rl_recipe_id", "corpus_digest"}
_OTHER_KEYS = {"schema_version", "features", "feature_transforms", "form", "domain", "base_models", "versions"}
_LATER_KEYS = {"rl_steps", "notes", "calibration", "row_digests", "weights"}
_KEYS = frozenset(_TEXT_KEYS | _OTHER_KEYS | _LATER_KEYS | {"cross_base_validated", "training_rows", "dropped_rows"})
_DOMAIN_KEYS = frozenset({"mean", "whitening", "edge"})


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that a surrogate may hold")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError(f"a key appears twice among {', '.join(sorted(key for key, _ in pairs))[:120]}")
    return value
