"""Checkpoints by name: folders, models of the hub out of its cache, wrong names in one line; their digest."""

import json
import shutil

import polars as pl
import pytest
import yaml

from quagpredict.checkpoint import checkpoint_folder, weights_digest
from quagpredict.cli import main
from quagpredict.errors import CheckpointError, UsageError
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


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"a": 1}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_digest_is_of_what_the_folder_holds_not_of_its_name(checkpoint, tmp_path):
    renamed = tmp_path / "other"
    shutil.copytree(checkpoint, renamed)
    (renamed / "README.md").write_text("irrelevant")
    assert weights_digest(checkpoint) == weights_digest(renamed)
    (renamed / "model.safetensors").write_bytes(b"weightz")
    assert weights_digest(checkpoint) != weights_digest(renamed)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"])
def test_config_tokenizer_and_template_are_part_of_it(checkpoint, name):
    before = weights_digest(checkpoint)
    (checkpoint / name).write_text("changed")
    assert weights_digest(checkpoint) != before


@pytest.mark.parametrize(("missing", "message"), [("config.json", "is missing"), ("", "no such checkpoint")])
def test_what_is_no_checkpoint_is_said(checkpoint, missing, message):
    if missing:
        (checkpoint / missing).unlink()
    else:
        shutil.rmtree(checkpoint)
    with pytest.raises(CheckpointError, match=message):
        weights_digest(checkpoint)


def test_a_folder_without_weights_is_said(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        weights_digest(checkpoint)
