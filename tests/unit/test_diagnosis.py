"""The doctor looks at what is really there, and survives it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from quagpredict import diagnosis
from quagpredict.cli import main
from quagpredict.diagnosis import doctor


@pytest.fixture
def without_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines are looked at in processes of their own, which takes seconds; one test does it for real."""
    monkeypatch.setattr(diagnosis, "ENGINES", {})


@pytest.mark.usefixtures("without_probes")
def test_what_the_package_needs_is_there_with_its_version() -> None:
    found = {finding.name: finding for finding in doctor()}
    assert found["polars"].state == "works"
    assert found["polars"].detail.count(".") == 2
    assert {"numpy", "polars", "scikit-learn", "lightgbm", "optuna"} <= set(found)
    assert found["matplotlib"].state == "works"
    assert all(finding.cure for finding in found.values() if finding.state == "missing")


def test_engines_are_tried_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--format", "json"]) == 0
    found = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert found["engine transformers"]["state"] == "works"
    assert found["engine transformers"]["detail"].startswith("torch ")
    assert "GPUs" in found


def test_an_engine_that_is_installed_and_broken_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "transformers.py").write_text("raise ImportError('built for another torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = diagnosis._engine("transformers")
    assert (finding.state, finding.detail) == ("broken", "built for another torch")
    (tmp_path / "transformers.py").write_text("import os; os.abort()")
    (finding,) = diagnosis._engine("transformers")
    assert (finding.state, finding.detail) == ("broken", "ended with status -6")


def test_what_is_broken_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(diagnosis, "ENGINES", {})
    monkeypatch.setattr(diagnosis, "_needed", lambda: ["polars", "no-such-package"])
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "no-such-package" in said
    assert "pip install no-such-package" in said


def test_looking_for_help_costs_nothing_heavy() -> None:
    code = "import sys; from quagpredict.cli import main; main(['doctor', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
