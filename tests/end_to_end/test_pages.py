"""What a page of the guide tells its reader to type runs as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from quagpredict.cli import main
from quagpredict.shipped import shipped_path

ROOT = shipped_path("datasets").parent


def lines_of(page: str) -> list[str]:
    """Return the commands in the shell blocks of a page; a glob stands for the files that it finds."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs" / "guide" / page).read_text("utf-8"), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("quagpredict ")]


def words_of(line: str) -> list[str]:
    words = []
    for word in shlex.split(line, comments=True)[1:]:
        found = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(word)) if "*" in word else []
        words += found or [word]
    return words


@pytest.mark.parametrize("page", ["ten-checkpoints.md"])
def test_every_line_runs(page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    lines = lines_of(page)
    assert len(lines) >= 3
    for line in lines:
        assert main(words_of(line)) == 0, f"{line}\n{capsys.readouterr().err}"


def test_a_glob_is_read_as_a_shell_reads_it() -> None:
    words = words_of("quagpredict rank datasets/lab/candidates/strong.*.parquet --top 3  # the first three")
    assert len(words) == 11
    assert all(Path(ROOT, word).exists() for word in words[1:9])
