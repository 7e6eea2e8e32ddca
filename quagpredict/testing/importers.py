"""The contract of a reader of another tool's files, for anyone's own."""

from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from quagpredict.errors import QuagpredictError
from quagpredict.importers.formats import detect, format_and_files
from quagpredict.importers.importing import import_run
from quagpredict.testing import held

_OTHER = '{"nothing": "that any tool writes"}\n'


def check_importer(format: str, file: str | Path, counts: Mapping[str, tuple[int, int]]) -> None:
    r"""Hold a reader to what every reader keeps to.

    Its files are recognised, alone and in a folder beside others; the counts are right and the table that comes of them
    is valid; a file that was cut off anywhere, or holds something else, is refused in a line and never read as less.

    Parameters
    ----------
    format : str
        Its line in `quagpredict.importers.table.READERS`.
    file : path
        A file as the tool writes it.
    counts : mapping
        Problem -> (samples, correct) that it holds.

    Raises
    ------
    AssertionError
        At the first thing that does not hold; the message says which.

    Examples
    --------
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "t.csv"
    ...     _ = file.write_text("benchmark,id,n,c\nt,p,4,1\nt,q,4,3\n")
    ...     check_importer("counts", file, {"p": (4, 1), "q": (4, 3)})
    """
    file = Path(file)
    held(detect([file]) == format, "a file of the tool is recognised")
    imported = import_run(format, [file], candidate="a")
    read = {row["problem_id"]: (row["n"], row["c"]) for row in imported.problems.iter_rows(named=True)}
    held(read == dict(counts), f"the counts are those of the file, not {read}")
    held(imported.row.height == 1, "a candidate is one row")
    with TemporaryDirectory() as kept:
        folder = Path(kept)
        copyfile(file, folder / file.name)
        (folder / "notes.jsonl").write_text(_OTHER)
        name, files = format_and_files("auto", [folder])
        held((name, [path.name for path in files]) == (format, [file.name]), "in a folder its files are found")
        whole = file.read_bytes()
        for part in (0.25, 0.5, 0.9):
            cut = folder / f"cut{part}" / file.name
            cut.parent.mkdir()
            cut.write_bytes(whole[: int(part * len(whole))])
            try:
                less = import_run(format, [cut], candidate="a").problems
            except QuagpredictError as error:
                held(
                    "\n" not in str(error) and file.name in str(error),
                    f"a damaged file is named in a line, not: {error}",
                )
            else:
                whole_counts = {row["problem_id"]: (row["n"], row["c"]) for row in less.iter_rows(named=True)}
                whole_records = all(read.get(problem) == pair for problem, pair in whole_counts.items())
                held(whole_records, "of a file that was cut off only whole records are read")
