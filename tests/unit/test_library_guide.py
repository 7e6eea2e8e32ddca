"""The guide to the library runs as it stands, and knows every public function."""

import doctest
import re
from pathlib import Path

import pytest

import quagpredict

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide" / "library.md"


def test_the_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = doctest.testfile(str(GUIDE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 20
    assert found.failed == 0


def test_every_public_function_is_in_its_table() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = set(re.findall(r"\w+", " ".join(rows)))
    functions = {name for name in quagpredict.__all__ if not name.endswith("Error")}
    assert listed == functions
