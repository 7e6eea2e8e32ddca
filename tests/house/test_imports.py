"""What importing and starting costs: nothing heavy is loaded before it is needed."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "trl", "vllm", "datasets", "accelerate")
SLOW = ("lightgbm", "optuna", "matplotlib", "sklearn", "scipy", "pandas")


def loaded_after(code: str, cwd: Path) -> set[str]:
    """Top-level names of the modules that a fresh interpreter holds after `code`."""
    tail = "\nimport json, sys\nsys.stderr.write(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    child = subprocess.run([sys.executable, "-c", code + tail], cwd=cwd, capture_output=True, check=True, text=True)
    return set(json.loads(child.stderr.splitlines()[-1]))


def test_import_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded_after("import quagpredict", tmp_path).isdisjoint({*HEAVY, *SLOW})


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "from quagpredict.cli import main\nassert main(['--help']) == 0"
    assert loaded_after(code, tmp_path).isdisjoint({*HEAVY, *SLOW})


def test_every_module_but_engines_and_callbacks_imports_without_torch(tmp_path: Path, modules: dict[str, Path]) -> None:
    names = [name for name in modules if not name.startswith(("quagpredict.engines", "quagpredict.callbacks"))]
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    assert loaded_after(code, tmp_path).isdisjoint(HEAVY)


def found_at(name: str, cwd: Path) -> str:
    code = f"import importlib.util as u\nspec = u.find_spec({name!r})\nprint(spec.origin if spec else 'nowhere')"
    child = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, check=True, text=True)
    return child.stdout.strip()


@pytest.mark.parametrize("inside_checkout", [True, False])
def test_hugging_face_datasets_is_not_shadowed(root: Path, tmp_path: Path, inside_checkout: bool) -> None:
    installed = importlib.metadata.distribution("datasets").locate_file("datasets/__init__.py")
    found = found_at("datasets", root if inside_checkout else tmp_path)
    assert Path(found).resolve() == Path(str(installed)).resolve()


@pytest.mark.parametrize("folder", ["collectors", "training", "models"])
def test_the_folders_cannot_be_imported_from_elsewhere(tmp_path: Path, folder: str) -> None:
    assert found_at(folder, tmp_path) == "nowhere"
