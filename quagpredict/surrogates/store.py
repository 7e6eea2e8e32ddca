"""Surrogates on disk: a folder with `surrogate.json` and `card.md`; plain data, safe to open from a stranger.

Floats are written so that reading gives the same bits; no pickle and no code is ever loaded. Every key must be there,
no other may be, and every size and shape is checked before it is used.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import QuagpredictError, SurrogateError
from quagpredict.files import write_json, written_aside
from quagpredict.surrogates.domain import TrainingDomain
from quagpredict.surrogates.fitted import FittedSurrogate, LinearForm
from quagpredict.surrogates.transforms import parse_transform

SCHEMA_VERSION = 1
FILE = "surrogate.json"
CARD = "card.md"

MAX_BYTES = 64 * 1024**2
MAX_FEATURES = 1000
MAX_TEXT = 1000


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
    >>> from quagpredict.surrogates.least_squares import fit_linear
    >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.4, 0.5, 0.8]))
    >>> with TemporaryDirectory() as folder:
    ...     _ = save_surrogate(fitted, folder)
    ...     bool(load_surrogate(folder).predict([[1.5]]).mean == fitted.predict([[1.5]]).mean)
    True
    """
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
    """Read a surrogate from its folder (or from its `surrogate.json`).

    Raises
    ------
    SurrogateError
        If the file is missing, too large, not JSON, of another schema version, or any key, type, size, shape or value
        is not as it must be; the message names the file and the key.
    """
    path = Path(folder)
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


def _to_json(fitted: FittedSurrogate) -> dict[str, Any]:
    form, domain = fitted.form, fitted.domain
    if not isinstance(form, LinearForm):
        raise SurrogateError(f"a surrogate of kind '{fitted.name}' cannot be stored")
    return {
        "schema_version": SCHEMA_VERSION,
        "name": fitted.name,
        "features": list(fitted.features),
        "target": fitted.target,
        "feature_transforms": list(fitted.feature_transforms),
        "target_transform": fitted.target_transform,
        "form": {
            "kind": "linear",
            "intercept": float(form.intercept),
            "coefficients": form.coefficients.tolist(),
            "center": form.center.tolist(),
            "covariance": form.covariance.tolist(),
            "residual_variance": float(form.residual_variance),
            "degrees_of_freedom": float(form.degrees_of_freedom),
            "t_factor": float(form.t_factor),
        },
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
        "corpus_digest": fitted.corpus_digest,
        "versions": dict(fitted.versions),
    }


def _from_json(value: Any, path: Path) -> FittedSurrogate:
    found = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(value, dict) and (isinstance(found, bool) or found != SCHEMA_VERSION):
        raise SurrogateError(
            f"{path}: key 'schema_version' is {str(found)[:40]!r}, but this version of quagpredict reads "
            f"{SCHEMA_VERSION}: fit the surrogate again, or use the version that wrote it"
        )
    whole = _Object(value, path, "", _KEYS)
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
    form = _Object(whole.value["form"], path, "form.", _FORM_KEYS)
    if form.text("kind") != "linear":
        raise form.error("kind", "'linear'", form.value["kind"])
    domain = _Object(whole.value["domain"], path, "domain.", _DOMAIN_KEYS)
    versions = whole.value["versions"]
    if not isinstance(versions, dict) or len(versions) > 100:
        raise whole.error("versions", "an object of texts", versions)
    names = _Object(versions, path, "versions.", frozenset(versions))
    return FittedSurrogate(
        name=whole.text("name"),
        features=features,
        target=whole.text("target"),
        feature_transforms=transforms,
        target_transform=target_transform,
        form=LinearForm(
            intercept=form.number("intercept"),
            coefficients=form.array("coefficients", (p,)),
            center=form.array("center", (p,)),
            covariance=form.array("covariance", (p + 1, p + 1)),
            residual_variance=form.number("residual_variance", low=0.0),
            degrees_of_freedom=form.number("degrees_of_freedom", low=1.0),
            t_factor=form.number("t_factor", low=1.0, high=4.0),
        ),
        domain=TrainingDomain(
            mean=domain.array("mean", (p,)),
            whitening=domain.array("whitening", (p, p)),
            edge=domain.number("edge", low=np.finfo(float).tiny),
        ),
        eval_protocol_id=whole.text("eval_protocol_id"),
        rl_recipe_id=whole.text("rl_recipe_id"),
        base_models=whole.texts("base_models", 0, 10_000),
        cross_base_validated=whole.flag("cross_base_validated"),
        training_rows=whole.count("training_rows"),
        dropped_rows=whole.count("dropped_rows"),
        corpus_digest=whole.text("corpus_digest"),
        versions={name: names.text(name) for name in versions},
    )


_TEXT_KEYS = {"name", "target", "target_transform", "eval_protocol_id", "rl_recipe_id", "corpus_digest"}
_OTHER_KEYS = {"schema_version", "features", "feature_transforms", "form", "domain", "base_models", "versions"}
_KEYS = frozenset(_TEXT_KEYS | _OTHER_KEYS | {"cross_base_validated", "training_rows", "dropped_rows"})
_FORM_NUMBERS = {"intercept", "residual_variance", "degrees_of_freedom", "t_factor"}
_FORM_KEYS = frozenset(_FORM_NUMBERS | {"kind", "coefficients", "center", "covariance"})
_DOMAIN_KEYS = frozenset({"mean", "whitening", "edge"})


class _Object:
    """A JSON object that is read key by key, with errors that name the file and the key."""

    def __init__(self, value: Any, path: Path, prefix: str, keys: frozenset[str]):
        self.path, self.prefix = path, prefix
        if not isinstance(value, dict):
            where = f"key '{prefix[:-1]}'" if prefix else "the file"
            raise SurrogateError(f"{path}: {where} must hold a JSON object, got {repr(value)[:80]}")
        self.value: dict[str, Any] = value
        for key in sorted(keys - value.keys()):
            raise SurrogateError(f"{path}: key '{prefix}{key}' is missing")
        for key in sorted(value.keys() - keys):
            raise SurrogateError(
                f"{path}: key '{prefix}{key[:80]}' is unknown; expected only {', '.join(sorted(keys))}"
            )

    def error(self, key: str, expected: str, got: Any) -> SurrogateError:
        return SurrogateError(f"{self.path}: key '{self.prefix}{key}' must be {expected}, got {repr(got)[:80]}")

    def number(self, key: str, low: float = -np.inf, high: float = np.inf) -> float:
        value = self.value[key]
        if type(value) not in (int, float) or not low <= value <= high or abs(value) > 1e300:
            raise self.error(key, f"a finite number from {low:g} to {high:g}", value)
        return float(value)

    def count(self, key: str) -> int:
        value = self.value[key]
        if type(value) is not int or not 0 <= value <= 10**12:
            raise self.error(key, "a whole number from 0 to 1e12", value)
        return value

    def flag(self, key: str) -> bool:
        if type(self.value[key]) is not bool:
            raise self.error(key, "true or false", self.value[key])
        return bool(self.value[key])

    def text(self, key: str) -> str:
        value = self.value[key]
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise self.error(key, f"a text of at most {MAX_TEXT} characters", value)
        return value

    def texts(self, key: str, fewest: int, most: int) -> tuple[str, ...]:
        value = self.value[key]
        if (
            not isinstance(value, list)
            or not fewest <= len(value) <= most
            or not all(isinstance(item, str) and len(item) <= MAX_TEXT for item in value)
        ):
            raise self.error(key, f"a list of {fewest} to {most} texts", value)
        return tuple(value)

    def array(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        value = self.value[key]
        expected = f"finite numbers of shape {shape}"
        rows = value if len(shape) == 2 else [value]
        wanted = shape[0] if len(shape) == 2 else 1
        if not isinstance(rows, list) or len(rows) != wanted:
            raise self.error(key, expected, value)
        for row in rows:
            if not isinstance(row, list) or len(row) != shape[-1]:
                raise self.error(key, expected, value)
            for item in row:
                if type(item) not in (int, float) or not abs(item) <= 1e300:
                    raise self.error(key, expected, item)
        return np.array(value, dtype=np.float64).reshape(shape)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that a surrogate may hold")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError(f"a key is there twice among {', '.join(sorted(key for key, _ in pairs))[:120]}")
    return value
