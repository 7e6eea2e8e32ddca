"""Files that vouch for their bytes, and a reader that dies alone."""

import os
import resource
import time

import polars as pl
import pytest

from quagpredict import apart
from quagpredict.apart import read_apart
from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.files import file_digest
from quagpredict.parquet import is_sealed, read_parquet, write_parquet

FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


def test_every_changed_byte_is_an_error_or_the_same_table(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(FRAME, path, {"plan": "lab"})
    assert pl.read_parquet_metadata(path)["plan"] == "lab"
    content = path.read_bytes()
    errors = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 + place % 255
        path.write_bytes(changed)
        try:
            assert read_parquet(path).equals(FRAME)
        except InvalidDataError as error:
            errors += 1
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    # What may pass are the bytes by which the digest is found: without it the file is one of another tool.
    assert errors >= len(content) - 16


def test_a_file_of_another_tool_is_read_apart(tmp_path):
    FRAME.write_parquet(tmp_path / "a.parquet")
    assert not is_sealed(tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet", ["b"]).equals(FRAME.select("b"))


def test_no_parquet_and_no_file(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InvalidDataError, match="no valid parquet"):
        read_parquet(tmp_path / "a.parquet")
    with pytest.raises(FileNotFoundError):
        read_parquet(tmp_path / "b.parquet")


def test_a_disk_that_is_full_is_an_error_of_the_file(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_parquet(FRAME, tmp_path / "a.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def dies(_path):
    os.abort()


def sleeps(_path):
    time.sleep(60)


def refuses(path):
    raise RecipeError(f"{path}: no")


def breaks(_path):
    raise ZeroDivisionError("by\nnought")


def process_of(_path):
    return os.getpid()


def test_a_reader_that_dies_takes_nothing_along_and_the_next_file_is_read():
    here = read_apart(process_of, "a")
    assert here != os.getpid()
    assert read_apart(process_of, "b") == here
    with pytest.raises(InvalidDataError, match="a: damaged, its reader ended with status -6"):
        read_apart(dies, "a")
    assert read_apart(process_of, "b") not in (here, os.getpid())


def test_a_reader_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(apart, "_SECONDS", 0.2)
    with pytest.raises(InvalidDataError, match="its reader hung"):
        read_apart(sleeps, "a")


def test_what_the_reader_raises_is_raised_here():
    with pytest.raises(RecipeError, match="a: no"):
        read_apart(refuses, "a")
    with pytest.raises(InvalidDataError, match=r"a: cannot be read \(by nought\)"):
        read_apart(breaks, "a")


def test_a_relative_path_is_read_from_where_the_caller_is_now(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        monkeypatch.chdir(tmp_path / name)
        assert read_apart(file_digest, "file") == file_digest(tmp_path / name / "file")
