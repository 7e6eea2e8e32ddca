"""The examples of the guide run as they stand."""

import doctest
import re
import shlex
from pathlib import Path

from quagpredict.cli import main
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


def test_the_table_of_the_guide_is_what_the_command_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "datasets").symlink_to(shipped_root() / "datasets")
    pair = re.compile(r"```bash\n(quagpredict race [^`]*)```\n\n```text\n([^`]*)```")
    command, shown = pair.search(GUIDE.read_text(encoding="utf-8")).groups()
    words = shlex.split(command.replace("\\\n", " "))[1:]
    files = [str(path) for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word])]
    assert main(files) == 0
    printed = capsys.readouterr().out
    assert [line.rstrip() for line in printed.strip().splitlines()] == shown.strip().splitlines()
