"""The examples of the guide run as they stand."""

import doctest
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_examples_run(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    page = str(ROOT / "docs" / "guide" / "evaluation.md")
    found = doctest.testfile(page, module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 6
    assert found.failed == 0
