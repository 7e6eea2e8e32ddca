"""The guide to the page is true: its commands run as they stand, and so does its Python."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from quagpredict.cli import main

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "report.md"
COMMANDS = re.findall(r"^quagpredict (.+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_run(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    assert main(words) == 0
    assert (tmp_path / words[words.index("--out") + 1]).stat().st_size > 1_000


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(GUIDE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert (found.attempted, found.failed) == (3, 0)
