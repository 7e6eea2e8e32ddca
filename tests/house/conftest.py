"""What every house test looks at: the checkout, its tracked files, the package's modules."""

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return CHECKOUT


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Every tracked file that still exists, absolute."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True).stdout
    files = [root / name for name in listed.split("\0") if name]
    assert len(files) > 20, "git ls-files found next to nothing: are the tests run in a checkout?"
    return [file for file in files if file.is_file()]


@pytest.fixture(scope="session")
def tracked_text(tracked: list[Path]) -> dict[Path, str]:
    """The text of every tracked file that is text."""
    texts = {}
    for file in tracked:
        content = file.read_bytes()
        if b"\0" not in content:
            texts[file] = content.decode("utf-8")
    return texts


@pytest.fixture(scope="session")
def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file, of every module of the package."""
    found = {}
    for file in sorted((root / "quagpredict").rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found
