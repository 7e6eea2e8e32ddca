"""The notebooks run in a real kernel and show what is stored in them, but for numbers: `make test-notebooks`.

``python tests/notebooks/run.py`` runs them and stores what they show.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def executed(path: Path, folder: Path) -> Any:
    """Run a notebook in a folder, from which nothing but what ships with the package is found."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(path, as_version=4)
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress")  # tqdm's, where ipywidgets are not installed
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    for cell in book.cells:
        cell.get("metadata", {}).pop("execution", None)  # times
    return book


def shown(book: Any) -> list[list[str]]:
    """Return of each cell what is printed, and so any warning, as it stands; of the rest its kinds, and the notes."""
    return [
        [output.get("text") or " ".join(sorted(output["data"]) + notes(output)) for output in cell.get("outputs", [])]
        for cell in book.cells
    ]


def notes(output: Any) -> list[str]:
    """Return the notes below a table, but for their numbers."""
    return [
        re.sub(r"[0-9.]+", "#", note) for note in re.findall(r"<li>(.*?)</li>", output["data"].get("text/html", ""))
    ]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["measure-and-race", "rank-your-table"]


@pytest.mark.filterwarnings("default")  # of the kernel's client
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_says(path: Path, tmp_path: Path) -> None:
    import nbformat  # made by `make test-notebooks`; other runs read this file too

    stored = nbformat.read(path, as_version=4)
    found = shown(executed(path, tmp_path))
    assert found == shown(stored)
    assert sum(map(len, found)) >= 4
    assert not any("\n" in text for texts in found for text in texts)  # a traceback, a warning


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    import nbformat

    for path in NOTEBOOKS if len(sys.argv) < 2 else map(Path, sys.argv[1:]):
        with TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)
