"""The distribution: a wheel built from the sdist holds the four folders and ranks the shipped corpus from anywhere."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

FOLDERS = ("collectors", "training", "models", "datasets")
# Refuses what only the extras bring, so that ranking is run as if the core dependencies alone were installed.
WITHOUT_EXTRAS = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "trl", "datasets", "accelerate", "vllm", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


ROOT = "from quagpredict.shipped import shipped_root; print(shipped_root())"


def run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    child = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert child.returncode == 0, f"{' '.join(map(str, command))}\n{child.stdout}\n{child.stderr}"
    return child.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tracked: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from an sdist, built from the tracked files alone."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for file in tracked:
        copy = source / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, cwd=source)
    assert len(list(dist.glob("*.tar.gz"))) == 1
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel and sees the dependencies, but not this checkout.

    A path file shows the running environment's packages without reading their own path files, so its editable
    install of this checkout stays out of sight; nothing is downloaded.
    """
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", scripts / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=environment)
    site = Path(run(scripts / "python", "-c", "import quagpredict as q; print(q.__path__[0])", cwd=environment).strip())
    (site.parent / "dependencies.pth").write_text(str(Path(np.__file__).resolve().parents[1]))
    (site.parent / "sitecustomize.py").write_text(WITHOUT_EXTRAS)
    return scripts


def test_the_wheel_holds_what_is_tracked(root: Path, tracked: list[Path], wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    relative = [file.relative_to(root) for file in tracked]
    shipped = {f"quagpredict/_shipped/{file.as_posix()}" for file in relative if file.parts[0] in FOLDERS}
    package = {file.as_posix() for file in relative if file.parts[0] == "quagpredict"}
    assert len(shipped) > 10
    assert {name for name in names if ".dist-info/" not in name} == shipped | package
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_shipped_files_are_found_from_anywhere(installed: Path, tmp_path: Path) -> None:
    code = "from quagpredict.shipped import shipped_path; print(shipped_path('training/train_sft.py'))"
    found = Path(run(installed / "python", "-c", code, cwd=tmp_path).strip())
    assert found.is_file()
    assert found.is_relative_to(installed.parent)


def test_the_folders_do_not_pollute(installed: Path, tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('collectors', 'training', 'models') if u.find_spec(n)])"
    assert run(installed / "python", "-c", code, cwd=tmp_path).strip() == "[]"


# What a user names of the shipped files, on the command line and in Python, is found wherever he stands.
COMMANDS = (
    (
        "rank",
        "--candidates",
        "datasets/lab-pilot/candidates/*.parquet",
        "--truth",
        "datasets/lab-pilot/outcomes.parquet",
    ),
    ("rank", "datasets/lab-pilot/candidates", "--surrogate", "lab-pilot", "--format", "csv"),
    ("audit", "datasets/lab-pilot/corpus.parquet", "--format", "csv"),
    ("collect", "collectors/plans/lab-pilot.yaml", "--dry-run"),
    ("search", "collectors/searches/lab-mixture.yaml", "--check"),
)
CALLS = """
import quagpredict as qp
print(qp.rank("datasets/lab-pilot/candidates/*.parquet", "models/lab-pilot").frame.height)
print(qp.rank("datasets/lab-pilot/candidates", "lab-pilot", truth="datasets/lab-pilot/outcomes.parquet").surrogate)
print(qp.load_surrogate("lab").target, qp.read_corpus(["datasets/lab-p*/corpus.parquet"]).height)
from quagpredict.collection import planned_commands
print(sum(1 for _ in planned_commands("collectors/plans/lab-pilot.yaml")))
from quagpredict.evaluation import read_suite
print(read_suite("collectors/suites/lab-pilot.yaml").name)
"""


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_a_command_finds_shipped_files_in_a_wheel_as_in_a_checkout(
    installed: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    in_a_wheel = run(installed / "python", "-m", "quagpredict", *words, cwd=tmp_path)
    assert in_a_wheel.strip()
    in_a_checkout = run(sys.executable, "-m", "quagpredict", *words, cwd=tmp_path)
    folder = run(installed / "python", "-c", ROOT, cwd=tmp_path).strip()
    here = run(sys.executable, "-c", ROOT, cwd=tmp_path).strip()
    assert in_a_wheel.replace(folder, here).replace(str(installed / "python"), sys.executable) == in_a_checkout


def test_functions_find_shipped_files_in_a_wheel_as_in_a_checkout(installed: Path, tmp_path: Path) -> None:
    in_a_wheel = run(installed / "python", "-c", CALLS, cwd=tmp_path)
    assert len(in_a_wheel.splitlines()) == 5
    assert in_a_wheel == run(sys.executable, "-c", CALLS, cwd=tmp_path)


def test_the_wheel_ranks_the_shipped_corpus_from_anywhere(installed: Path, tmp_path: Path) -> None:
    code = "from quagpredict.shipped import shipped_path; print(shipped_path('datasets/lab-pilot'))"
    pilot = Path(run(installed / "python", "-c", code, cwd=tmp_path).strip())
    assert pilot.is_relative_to(installed.parent)
    candidates = sorted((pilot / "candidates").glob("*.parquet"))
    rows = sum(pl.scan_parquet(file).select(pl.len()).collect().item() for file in candidates)
    assert rows >= 10
    command = (installed / "quagpredict", "rank", "--candidates", *candidates)
    assert len(run(*command, "--format", "csv", cwd=tmp_path).splitlines()) == 1 + rows
    shown = run(*command, "--truth", pilot / "outcomes.parquet", cwd=tmp_path)
    assert shown.strip()
