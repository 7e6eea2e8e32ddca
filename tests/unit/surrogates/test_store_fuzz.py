"""A stored surrogate from a stranger: whatever is changed in the file, it opens as a surrogate or is refused."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quagpredict.errors import QuagpredictError, SurrogateError
from quagpredict.surrogates import FittedSurrogate, load_surrogate, save_surrogate
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.kinds import SURROGATES
from quagpredict.testing.worlds import World, draw

DRAWN = draw(World("saturating", problems=12, samples_before=32), 24, seed=1)
Y = DRAWN.frame["post_pass_at_1"].to_numpy()
#: The same candidates with the weights of a mixture, which `mixing_law` alone needs.
FRAME = DRAWN.frame.with_columns(web=pl.col("pre_pass_at_1"), code=1.0 - pl.col("pre_pass_at_1"))

each_kind = pytest.mark.parametrize("kind", SURROGATES)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[FittedSurrogate, str]]:
    found = {}
    for kind in SURROGATES:
        features = "web+code" if kind == "mixing_law" else "loss+pass_at_1"
        fitted = fit_frame(kind, FRAME, Y, features=features)
        folder = tmp_path_factory.mktemp(kind)
        found[kind] = (fitted, save_surrogate(fitted, folder).read_text())
    return found


@each_kind
def test_every_kind_survives_storage(kind: str, stored: Any, tmp_path: Path) -> None:
    fitted, text = stored[kind]
    (tmp_path / "surrogate.json").write_text(text)
    again = load_surrogate(tmp_path)
    X = fitted.design(FRAME)
    for before, after in zip((*fitted.predict(X), *fitted.joint(X)), (*again.predict(X), *again.joint(X)), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(again.predict_frame(FRAME).mean, fitted.predict(X).mean, rtol=1e-12)
    for name in ("features", "notes", "rl_steps", "calibration", "training_rows"):
        assert getattr(again, name) == getattr(fitted, name)


def opens_or_is_refused(text: str | bytes, folder: Path, p: int) -> bool:
    """Return whether the file opens; what opens must predict something of the right shape."""
    path = folder / "surrogate.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    fitted, message = None, ""
    try:
        fitted = load_surrogate(folder)
    except SurrogateError as error:
        message = str(error)
    if fitted is None:
        assert "surrogate.json" in message
        assert "\n" not in message
        assert len(message) < 2000
        return False
    assert len(fitted.features) == p
    with np.errstate(all="ignore"):
        try:
            prediction = fitted.predict(np.full((3, p), 0.5))
        except QuagpredictError:
            return False
    assert [part.shape for part in prediction] == [(3,)] * 3
    return True


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


STRANGE = [
    None,
    True,
    -1,
    0,
    1,
    2,
    0.5,
    -0.5,
    1e300,
    -1e300,
    10**40,
    "",
    "x",
    [],
    [0.0],
    [[]],
    {},
    {"a": 1},
    "logit(2)",
]


#: Which place is changed, in what way, and what is put there where that way does not suit it.
CHANGES = st.tuples(
    st.integers(0, 10_000), st.sampled_from(["strange", "delete", "double", "swap"]), st.sampled_from(STRANGE)
)


@each_kind
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGES, min_size=1, max_size=3))
def test_changed_values(kind: str, stored: Any, tmp_path: Path, changes: list[tuple[int, str, Any]]) -> None:
    fitted, text = stored[kind]
    value = json.loads(text)
    for number, change, strange in changes:
        found = places(value)
        if not found:
            break
        path = found[number % len(found)]
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        item = parent[path[-1]]
        if change == "delete":
            del parent[path[-1]]
        elif change == "double" and isinstance(item, list):
            parent[path[-1]] = item + item
        elif change == "swap" and isinstance(item, list):
            parent[path[-1]] = item[::-1]
        else:
            # A copy: what is put there may be changed itself by the next change.
            parent[path[-1]] = copy.deepcopy(strange)
    if not isinstance(value.get("features"), list) or len(value["features"]) != len(fitted.features):
        return
    opens_or_is_refused(json.dumps(value), tmp_path, len(fitted.features))


@each_kind
def test_flipped_bytes(kind: str, stored: Any, tmp_path: Path) -> None:
    fitted, text = stored[kind]
    rng = random.Random(kind)
    whole = text.encode()
    # The forms' arrays fill most of a file: half of the changes go elsewhere.
    start = whole.index(b'"domain"')
    refused = 0
    for number in range(60):
        raw = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(raw)) if number % 2 else rng.randrange(start, len(raw))
            raw[at] = rng.randrange(256) if rng.random() < 0.5 else raw[at] ^ (1 << rng.randrange(8))
        refused += not opens_or_is_refused(bytes(raw), tmp_path, len(fitted.features))
    for _ in range(20):
        refused += not opens_or_is_refused(whole[: rng.randrange(len(whole))], tmp_path, len(fitted.features))
    assert refused >= 20


def trees(**change: Any) -> dict[str, Any]:
    """Return a stump over one feature, changed."""
    form = {
        "kind": "lightgbm", "feature": [0, -1, -1], "threshold": [0.5, 0.0, 0.0], "left": [1, 1, 2], "right": [2, 1, 2],
        "value": [0.0, -1.0, 1.0], "roots": [0], "bags": [0], "base": [0.5], "residual_variance": 0.01,
        "degrees_of_freedom": 5.0, "t_factor": 1.2,
    }  # fmt: skip
    return form | change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": [0, 1, 2]}, "form.left.*a later node"),  # a circle, in which a prediction would never end
        ({"right": [2, 1, 1]}, "form.right.*a later node"),
        ({"left": [3, 1, 2]}, "form.left.*whole numbers from 0 to 2"),
        ({"feature": [1, -1, -1]}, "form.feature.*whole numbers from -1 to 0"),
        ({"feature": [0.0, -1, -1]}, "form.feature"),
        ({"bags": [1]}, "form.bags"),
        ({"base": []}, "form.base"),
        ({"roots": [0, 0], "bags": [0]}, "form.bags"),
        ({"base": [0.0, 0.0], "roots": [0, 0], "bags": [1, 0]}, "form.bags.*rising"),
        ({"t_factor": 0.5}, "form.t_factor"),
        ({"kind": "forest"}, "form.kind.*must be one of"),
        ({"kind": ["lightgbm"]}, "form.kind"),
    ],
)
def test_trees_that_lead_nowhere_are_refused(change: dict[str, Any], message: str, stored: Any, tmp_path: Path) -> None:
    value = json.loads(stored["linear"][1])
    value |= {
        "features": ["x"], "feature_transforms": ["identity"],
        "domain": {"mean": [0.5], "whitening": [[1.0]], "edge": 1.0}, "form": trees(),
    }  # fmt: skip
    path = tmp_path / "surrogate.json"
    path.write_text(json.dumps(value))
    assert load_surrogate(tmp_path).predict([[0.2], [0.7]]).mean.tolist() == [-0.5, 1.5]
    path.write_text(json.dumps(value | {"form": trees(**change)}))
    with pytest.raises(SurrogateError, match=message):
        load_surrogate(tmp_path)


def test_a_tree_that_is_too_deep_is_refused(stored: Any, tmp_path: Path) -> None:
    depth = 400
    inner = list(range(0, 2 * depth, 2))
    nodes = 2 * depth + 1
    feature = [0 if node in set(inner) else -1 for node in range(nodes)]
    left = [node + 1 if feature[node] == 0 else node for node in range(nodes)]
    right = [node + 2 if feature[node] == 0 else node for node in range(nodes)]
    value = json.loads(stored["linear"][1])
    value |= {
        "features": ["x"], "feature_transforms": ["identity"],
        "domain": {"mean": [0.5], "whitening": [[1.0]], "edge": 1.0},
        "form": trees(feature=feature, left=left, right=right, threshold=[0.5] * nodes, value=[0.0] * nodes),
    }  # fmt: skip
    (tmp_path / "surrogate.json").write_text(json.dumps(value))
    with pytest.raises(SurrogateError, match="at most 256 nodes from its root"):
        load_surrogate(tmp_path)


@pytest.mark.parametrize(
    "name", ["pre_problems.share_41", "pre_problems.pass_at_0", "pre_problems.pass_at_" + "9" * 400, "no_such=x"]
)
def test_columns_that_no_table_has_are_refused(name: str, stored: Any, tmp_path: Path) -> None:
    value = json.loads(stored["linear"][1])
    value["features"][0] = name
    (tmp_path / "surrogate.json").write_text(json.dumps(value))
    with pytest.raises(QuagpredictError):
        load_surrogate(tmp_path).predict_frame(DRAWN.frame)


def test_surrogates_of_the_first_schema_are_read(stored: Any, tmp_path: Path) -> None:
    value = json.loads(stored["linear"][1])
    old = {key: item for key, item in value.items() if key not in ("rl_steps", "notes", "calibration")}
    (tmp_path / "surrogate.json").write_text(json.dumps(old | {"schema_version": 1}))
    again = load_surrogate(tmp_path)
    X = np.array([[0.5, 0.5]])
    assert again.predict(X).mean == stored["linear"][0].predict(X).mean
    assert (again.rl_steps, again.notes, again.calibration) == (None, (), None)
