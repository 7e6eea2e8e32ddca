"""Checkpoints by name: folders as they are, models of the hub out of its cache, wrong names in one line."""

import shutil

import polars as pl
import pytest
import yaml

from quagpredict.cli import main
from quagpredict.engines.checkpoint_names import checkpoint_folder
from quagpredict.errors import UsageError
from quagpredict.evaluation import score_checkpoint
from quagpredict.shipped import shipped_path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SUITE = {
    "name": "tiny",
    "benchmarks": [{"name": "one", "lab": {"problems": 4, "data": {"operators": "+-", "lengths": [1, 1]}}}],
    "held_out": {"lab": {"problems": 2, "data": {"operators": "+-", "lengths": [1, 1]}}},
    "sampling": {"max_new_tokens": 8},
    "grading": {"extraction": "last_digits", "digits": 3},
}


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The hub's own cache, laid out as its client does, with one model of the lab; no network."""
    model = tmp_path / "cache" / "models--Lab--Weak"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    (model / "refs" / "v1").write_text(COMMIT)
    snapshot = model / "snapshots" / COMMIT
    shutil.copytree(shipped_path("datasets/lab-pilot/bases/weak"), snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return snapshot


@pytest.mark.parametrize("name", ["Lab/Weak", "Lab/Weak@v1"])
def test_a_model_of_the_hub_is_its_snapshot_under_its_own_name(name, cached):
    assert checkpoint_folder(name) == (cached, "Weak")


def test_a_folder_comes_before_the_hub(cached, tmp_path):
    (tmp_path / "Lab" / "Weak").mkdir(parents=True)
    assert checkpoint_folder("Lab/Weak").folder.resolve() == (tmp_path / "Lab" / "Weak").resolve()


def test_measured_by_name_it_gives_what_its_folder_gives(cached):
    (cached.parents[3] / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    assert main(["evaluate", "Lab/Weak", "--suite", "suite.yaml", "--samples", "2", "--out", "run", "--quiet"]) == 0
    row = pl.read_parquet("run/candidate.parquet")
    direct = score_checkpoint(cached, "suite.yaml", samples=2, name="Weak").row
    assert row.equals(direct.select(row.columns))
    assert row["candidate"].item() == "Weak"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs/mix-a", "runs/mix-a: there is no such folder$"),  # a folder runs is here: a path, not an organisation
        ("weak", "weak: there is no such folder$"),
        ("a/b/c", "a/b/c: there is no such folder$"),
        ("Lab/Strong", "Lab/Strong: there is no such folder, nor does the hub give it: .*HF_HUB_OFFLINE"),
        ("Lab/Weak@v2", "Lab/Weak@v2: there is no such folder, nor does the hub give it: "),
        ("Lab/We--ak", "Lab/We--ak: there is no such folder, nor does the hub give it: .*--"),
    ],
)
def test_a_name_of_nothing_is_refused(name, said, cached, tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(UsageError, match=said):
        checkpoint_folder(name)
