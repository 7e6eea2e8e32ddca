"""The examples of the guide run as they stand."""

import doctest
from pathlib import Path

from quagpredict.shipped import shipped_root

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "race.md"


def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    for name in ("lab", "lab-2"):
        (tmp_path / "datasets" / name).symlink_to(shipped_root() / "datasets" / name)
    found = doctest.testfile(str(GUIDE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 8
    assert found.failed == 0
    assert (tmp_path / "race.png").stat().st_size > 10_000
