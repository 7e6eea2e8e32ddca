"""The pinned environment: whole, within what pyproject allows, and reached by targets that exist."""

import os
import re
import shutil
import subprocess
import tomllib
from functools import partial
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


EXTRA = {f"test-{name}": f".venv/with-{name}" for name in ("postgresql", "ray", "trackers", "notebooks")}
PARTS = {"docs": ".venv/with-docs", **EXTRA, "test-vllm": ".venv-vllm/installed"}


@pytest.mark.parametrize("fails", ["", "check", "test", *PARTS, *PARTS.values()])
def test_the_ci_script(root: Path, tmp_path: Path, fails: str) -> None:
    """What fails ends it, but what cannot be installed: that is skipped, and said."""
    (tmp_path / "initdb").touch()
    done = run_ci(root, tmp_path, FAILS=fails or "none", HANGS="none", INITDB=str(tmp_path / "initdb"))
    steps = ["check", "test", *(step for part, needed in PARTS.items() for step in (needed, part))]
    skipped = [part for part, needed in PARTS.items() if needed == fails]
    steps = [step for step in steps if step not in skipped]
    if fails and not skipped:
        steps = steps[: steps.index(fails) + 1]
    assert (tmp_path / "ran").read_text().split() == [word for step in steps for word in ("make", step)]
    assert done.returncode == (2 if fails and not skipped else 0)
    assert re.findall("!!! 'make (.*)' DID NOT RUN", done.stderr) == skipped
    assert ("No matching distribution" in done.stderr) == bool(fails)
    assert "PostgreSQL" not in done.stderr


def test_the_ci_script_does_not_wait_for_ever_for_an_index(root: Path, tmp_path: Path) -> None:
    done = run_ci(root, tmp_path, FAILS="none", HANGS=".venv/with-ray", INITDB=str(tmp_path / "none"))
    assert done.returncode == 0
    assert "'make test-ray' DID NOT RUN: .venv/with-ray could not be made (exit status 124)" in done.stderr
    assert "not installed within 1 s" in done.stderr
    assert "make test-vllm" in (tmp_path / "ran").read_text()


def test_what_a_part_of_the_tests_needs_is_installed_once(root: Path, tmp_path: Path) -> None:
    """Without a network, and without asking for it: an environment that is whole is not installed again."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    shutil.copy(root / "Makefile", tmp_path)
    for file in ("pyproject.toml", "setup.py", "constraints/cpu.txt", ".venv/bin/python"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / ".venv/installed").touch()
    for target in re.findall(r"\.venv/with-[a-z]+", makefile):
        told = partial(subprocess.run, ["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True)
        (install,) = [line for line in told().stdout.splitlines() if " pip install " in line]
        assert len(install.partition("--retries 2 ")[2].split()) >= 1
        (tmp_path / target).touch()
        assert "pip" not in told().stdout


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
    given["INSTALL_SECONDS"] = "60" if environment["HANGS"] == "none" else "1"
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


@pytest.mark.parametrize("name", ["ci", "weekly"])
def test_a_workflow_names_what_there_is(root: Path, project: dict[str, Any], tracked: list[Path], name: str) -> None:
    oldest = project["project"]["requires-python"].removeprefix(">=")
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    workflow = yaml.safe_load((root / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 360  # what the host allows
        steps, lines = job["steps"], [line for step in job["steps"] for line in step.get("run", "").splitlines()]
        # Its Python is the oldest that is supported, of an action or of an image.
        versions = [step["with"]["python-version"] for step in steps if "python-version" in step.get("with", {})]
        image = re.fullmatch(r"python:([0-9.]+)-\w+", job.get("container", ""))
        assert [*versions, *(image.groups() if image else [])] == [oldest]
        assert all(
            re.fullmatch(r"actions/(checkout|setup-python)@v\d+", step.get("uses", "actions/checkout@v0"))
            for step in steps
        )
        first = next(at for at, step in enumerate(steps) if step.get("uses", "").startswith("actions/checkout@"))
        for step in steps[:first]:  # nothing of ours is there yet
            assert not re.search(r"^(make|bash) ", step.get("run", ""), re.MULTILINE)
        for words in (line.split() for line in lines):
            if words[0] == "make":
                assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE), words
            elif words[0] == "bash":
                assert root / words[1] in tracked, words


def test_the_locked_environment_is_the_pinned_one_with_hashes(root: Path) -> None:
    entries = re.split(r"\n(?=\S)", (root / "constraints/locked.txt").read_text(encoding="utf-8").strip())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    locked = dict(re.match(r"([\w.-]+)==([^\s;\\]+)", entry).groups() for entry in entries)  # type: ignore[union-attr]
    pinned = pins(root / "constraints" / "cpu.txt")
    assert {name: version for name, version in pinned.items() if locked.get(name, version) != version} == {}
    assert {"torch", "numpy", "polars", "scikit-learn", "pandas", "transformers", "trl"} <= set(locked)
