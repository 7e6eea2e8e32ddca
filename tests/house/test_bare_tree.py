"""A copy of the tree that was never installed: no metadata of quagpredict anywhere, its dependencies alone."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import polars as pl
import pytest

from quagpredict.corpus import read_provenance

COPIED = ("quagpredict/", "datasets/lab-pilot/bases/weak/", "pyproject.toml")
SUITE = """
name: tiny
benchmarks: [{name: plain, lab: {problems: 3, seed: 1, data: {operators: "+-", lengths: [1, 2]}}}]
sampling: {max_new_tokens: 12}
grading: GRADING
"""
CLI = "import sys; from quagpredict.cli import main; sys.exit(main())"


def linked(links: Path, without: str = "quagpredict") -> Path:
    """Fill a folder with links to every installed package but quagpredict, one more, and what path files show."""
    for folder in (Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")):
        for entry in folder.iterdir():
            link = links / entry.name
            if not entry.name.startswith(("quagpredict", "__editable__", without)) and entry.suffix != ".pth":
                link.unlink(missing_ok=True)
                link.symlink_to(entry.resolve())
    return links


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linked(tmp_path_factory.mktemp("dependencies"))


@pytest.fixture
def tree(root: Path, tracked: list[Path], tmp_path: Path) -> Path:
    for file in tracked:
        name = file.relative_to(root).as_posix()
        if name.startswith(COPIED):
            copy = tmp_path / "tree" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    return tmp_path / "tree"


def run(tree: Path, dependencies: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{dependencies}", "HF_HUB_OFFLINE": "1"}
    # -S: no site-packages, so that the metadata of an installed quagpredict is out of sight.
    command = [sys.executable, "-S", "-c", CLI, *words]
    return subprocess.run(command, cwd=tree.parent, env=environment, capture_output=True, text=True)


def evaluate(tree: Path, dependencies: Path, grading: str) -> subprocess.CompletedProcess[str]:
    suite = tree.parent / "suite.yaml"
    suite.write_text(SUITE.replace("GRADING", grading))
    base = str(tree / "datasets" / "lab-pilot" / "bases" / "weak")
    return run(tree, dependencies, "evaluate", base, "--suite", str(suite), "--samples", "2", "--out", "run")


def test_a_bare_tree_measures_and_knows_its_version(root: Path, tree: Path, dependencies: Path) -> None:
    stated = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert run(tree, dependencies, "--version").stdout.split() == ["quagpredict", stated]
    done = evaluate(tree, dependencies, "{extraction: last_digits, digits: 3}")
    assert done.returncode == 0, done.stderr
    row = tree.parent / "run" / "candidate.parquet"
    assert pl.read_parquet(row)["pre_samples_per_problem"].item() == 2
    assert read_provenance(row)["created_by"] == f"quagpredict {stated}"


def test_a_copy_of_the_package_alone_says_that_its_version_is_unknown(tree: Path, dependencies: Path) -> None:
    (tree / "pyproject.toml").unlink()
    assert run(tree, dependencies, "--version").stdout.split() == ["quagpredict", "unknown"]


def test_what_grading_needs_is_missed_before_anything_is_drawn(tree: Path, tmp_path: Path) -> None:
    links = tmp_path / "dependencies"
    links.mkdir()
    done = evaluate(tree, linked(links, without="math_verify"), "{symbolic: true}")
    assert done.returncode == 2, done.stderr
    assert done.stderr.endswith(f'pip install -e "{tree}[grade]"\n')  # a line that works from a checkout
    assert not list((tmp_path / "run").rglob("*.parquet"))
