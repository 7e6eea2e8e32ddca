"""Files of earlier versions predict what they did: the shipped surrogates, and one file of every kind."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from quagpredict.corpus import read_corpus
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import load_surrogate, save_surrogate

STORED = Path(__file__).parent / "stored"
SCHEMA_3 = json.loads((STORED / "schema-3.json").read_text())


@pytest.mark.parametrize("name", ["lab", "lab-2", "lab-pilot"])
def test_shipped_surrogates_predict_what_they_always_did(name: str) -> None:
    with (STORED / "shipped.csv").open(newline="") as handle:
        expected = [row for row in csv.DictReader(handle) if row["model"] == name]
    candidates = read_corpus([str(path) for path in sorted(shipped_path(f"datasets/{name}/candidates").iterdir())])
    assert candidates["candidate"].to_list() == [row["candidate"] for row in expected]
    surrogate = load_surrogate(shipped_path(f"models/{name}"))
    X = surrogate.design(candidates)
    groups = candidates["base_model"].to_list()
    columns = {**surrogate.predict(X)._asdict(), **surrogate.interval(X, groups=groups)._asdict()}
    for column, values in columns.items():
        then = [float(row[column]) for row in expected]
        np.testing.assert_allclose(values, then, rtol=1e-12, atol=1e-12, err_msg=column)


@pytest.mark.parametrize("kind", SCHEMA_3)
def test_a_file_of_schema_3_predicts_what_it_did(kind: str, tmp_path: Path) -> None:
    then = SCHEMA_3[kind]
    (tmp_path / "surrogate.json").write_text(json.dumps(then["surrogate"]))
    now = load_surrogate(tmp_path).predict(then["X"])
    for column in ("mean", "std", "distance"):
        np.testing.assert_allclose(getattr(now, column), then[column], rtol=1e-12, atol=1e-12, err_msg=column)


def test_a_kind_that_had_another_name_is_read_under_its_own(tmp_path: Path) -> None:
    """What is a budget may be spent; the surrogate of that name was a curve in RL steps."""
    stored, X = SCHEMA_3["budget"]["surrogate"], SCHEMA_3["budget"]["X"]
    (tmp_path / "surrogate.json").write_text(json.dumps(stored | {"choice": "budget:in-fold"}))
    surrogate = load_surrogate(tmp_path)
    assert (surrogate.name, surrogate.choice) == ("saturating", "saturating:log-logit")
    path = save_surrogate(surrogate, tmp_path / "now")
    now = json.loads(path.read_text())
    assert (now["name"], now["form"]["kind"]) == ("saturating", "saturating")
    written = {**now, "name": "budget", "form": {**now["form"], "kind": "budget"}}  # by the version before the name
    path.write_text(json.dumps(written))
    assert load_surrogate(path).predict(X).mean.tolist() == surrogate.predict(X).mean.tolist()
