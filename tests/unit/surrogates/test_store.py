import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import SurrogateError
from quagpredict.surrogates import fit, load_surrogate, save_surrogate, store
from quagpredict.surrogates.linear import fit_linear
from quagpredict.testing.synthetic import synthetic_corpus


@pytest.fixture(scope="module")
def value(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stored")
    path = save_surrogate(fit(synthetic_corpus(20, seed=3, nested=False).frame), folder, card="# A card\n")
    assert (folder / "card.md").read_text() == "# A card\n"
    return json.loads(path.read_text())


@given(
    seed=st.integers(0, 2**32 - 1),
    p=st.integers(1, 5),
    scale=st.floats(-6, 6),
    transform=st.sampled_from(["identity", "log", "logit", "logit(640)"]),
)
@settings(max_examples=60)
def test_a_round_trip_changes_no_prediction(seed: int, p: int, scale: float, transform: str) -> None:
    rng = np.random.default_rng(seed)
    share = transform.startswith("logit")
    X = rng.uniform(0.1, 0.9, (p + 6, p)) * (1.0 if share else 10.0**scale)
    y = rng.uniform(0.05, 0.95, p + 6)
    fitted = fit_linear(X, y, feature_transforms=transform, target_transform="logit")
    with TemporaryDirectory() as folder:
        save_surrogate(fitted, folder)
        again = load_surrogate(folder)
    for before, after in zip(fitted.predict(X * 1.01), again.predict(X * 1.01), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)


def test_every_field_survives(tmp_path: Path) -> None:
    fitted = replace(fit(synthetic_corpus(20, seed=3, nested=False).frame), cross_base_validated=True)
    save_surrogate(fitted, tmp_path)
    again = load_surrogate(tmp_path)
    for name in fitted.__dataclass_fields__:
        if name not in ("form", "domain"):
            assert getattr(again, name) == getattr(fitted, name), name
    assert load_surrogate(tmp_path / "surrogate.json").features == fitted.features


def _load(value: Any, folder: Path) -> Any:
    (folder / "surrogate.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return load_surrogate(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 6}, "key 'schema_version' is '6'"),
        ({"schema_version": True}, "key 'schema_version' is 'True'"),
        ({"extra": 1}, "key 'extra' is unknown"),
        ({"name": 3}, "key 'name' must be a text"),
        ({"features": []}, "key 'features' must be a list of 1 to 1000 texts"),
        ({"features": ["a", "a"]}, "key 'features' must be names each once"),
        ({"feature_transforms": ["identity"]}, "key 'feature_transforms' must be a list of 2 to 2 texts"),
        ({"target_transform": "__import__('os')"}, "key 'target_transform': unknown transform"),
        ({"training_rows": -1}, "key 'training_rows' must be a whole number"),
        ({"training_rows": 1.5}, "key 'training_rows' must be a whole number"),
        ({"cross_base_validated": 1}, "key 'cross_base_validated' must be true or false"),
        ({"versions": {"numpy": 2}}, "key 'versions.numpy' must be a text"),
        ({"versions": []}, "key 'versions' must be an object"),
        ({"form": []}, "key 'form' must hold a JSON object"),
        ({"domain": {"mean": [0.0, 0.0], "whitening": [[1.0, 0.0]]}}, "key 'domain.edge' is missing"),
        (
            {"domain": {"mean": [0.0, 0.0], "whitening": [[1.0, 0.0]], "edge": 1.0}},
            r"key 'domain.whitening' must be finite numbers of shape \(2, 2\)",
        ),
        (
            {"domain": {"mean": [0.0, "1"], "whitening": [[1.0, 0.0], [0.0, 1.0]], "edge": 1.0}},
            "key 'domain.mean' must be finite numbers",
        ),
        (
            {"domain": {"mean": [0.0, True], "whitening": [[1.0, 0.0], [0.0, 1.0]], "edge": 1.0}},
            "key 'domain.mean' must be finite numbers",
        ),
        (
            {"domain": {"mean": [0.0, 0.0], "whitening": [[1.0, 0.0], [0.0, 1.0]], "edge": 0}},
            "key 'domain.edge' must be a finite number",
        ),
    ],
)
def test_what_is_wrong_is_named(value: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match=message) as caught:
        _load({**value, **change}, tmp_path)
    assert str(tmp_path / "surrogate.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_key_is_needed(value: dict[str, Any], tmp_path: Path) -> None:
    for key in value:
        with pytest.raises(SurrogateError, match=key):
            _load({other: kept for other, kept in value.items() if other != key}, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        "NaN",
        '{"schema_version": 1, "schema_version": 1}',
        "[" * 100_000,
        "1" * 10_000,
        "\x00",
    ],
)
def test_what_is_no_surrogate_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match=r"surrogate\.json"):
        _load(text, tmp_path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400])
def test_numbers_that_are_not_finite_are_refused(value: dict[str, Any], number: str, tmp_path: Path) -> None:
    text = json.dumps({**value, "form": {**value["form"], "intercept": "HERE"}}).replace('"HERE"', number)
    with pytest.raises(SurrogateError):
        _load(text, tmp_path)


def test_missing_unreadable_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SurrogateError, match="there is no surrogate"):
        load_surrogate(tmp_path)
    (tmp_path / "surrogate.json").mkdir()
    with pytest.raises(SurrogateError, match="cannot be read"):
        load_surrogate(tmp_path)
    (tmp_path / "surrogate.json").rmdir()
    (tmp_path / "surrogate.json").write_bytes(b"\xff\xfe")
    with pytest.raises(SurrogateError, match="not valid JSON"):
        load_surrogate(tmp_path)
    monkeypatch.setattr(store, "MAX_BYTES", 1)
    with pytest.raises(SurrogateError, match="larger than"):
        load_surrogate(tmp_path)


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    unsure = fit_linear(np.array([[0.0], [1.0]]), np.array([1.0, 2.0]))
    with pytest.raises(SurrogateError, match="not finite"):
        save_surrogate(unsure, tmp_path / "folder", card="card")
    assert not (tmp_path / "folder").exists()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data())
@settings(max_examples=300)
def test_corrupted_values_load_as_a_working_surrogate_or_not_at_all(data: st.DataObject, value: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(value))
    node: Any = broken
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        inner = node[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.booleans()):
            node = inner
            continue
        break
    if data.draw(st.booleans()):
        del node[key]
    else:
        node[key] = data.draw(_JSON)
    _loads_or_is_refused(json.dumps(broken).encode())


@given(position=st.floats(0, 1), noise=st.binary(min_size=1, max_size=4), cut=st.booleans())
@settings(max_examples=300)
def test_corrupted_bytes_load_as_a_working_surrogate_or_not_at_all(
    position: float, noise: bytes, cut: bool, value: dict[str, Any]
) -> None:
    text = json.dumps(value).encode()
    at = int(position * len(text))
    _loads_or_is_refused(text[:at] if cut else text[:at] + noise + text[at + len(noise) :])


def _loads_or_is_refused(text: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "surrogate.json").write_bytes(text)
        try:
            fitted = load_surrogate(folder)
        except SurrogateError:  # any other error fails the test
            return
        with np.errstate(all="ignore"):
            assert fitted.predict(np.full((1, len(fitted.features)), 0.5)).mean.shape == (1,)
