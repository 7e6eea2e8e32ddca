"""The pinned environment: whole, within what pyproject allows, and reached by targets that exist."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
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
    asked += [*extras["train"], *extras["grade"], *extras["plot"]]
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


def test_the_ci_script_runs_both_checks(root: Path) -> None:
    script = root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-2:] == ["make check", "make test"]
