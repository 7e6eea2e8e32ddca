"""Where shipped files are found, and that what a user has goes first."""

from pathlib import Path

import pytest

from quagpredict.corpus import read_corpus
from quagpredict.errors import NothingToRankError, UsageError
from quagpredict.shipped import matches, shipped_or_given, shipped_path, shipped_root
from quagpredict.surrogates.store import load_surrogate

CORPUS = "datasets/lab-pilot/corpus.parquet"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_lies_here_goes_before_what_is_shipped(tmp_path: Path) -> None:
    assert shipped_or_given(CORPUS) == shipped_path(CORPUS) == shipped_root() / CORPUS
    assert matches("datasets/lab-pilot/corp*.parquet") == [shipped_root() / CORPUS]
    (tmp_path / CORPUS).parent.mkdir(parents=True)
    (tmp_path / CORPUS).touch()
    assert shipped_or_given(CORPUS) == Path(CORPUS)
    assert shipped_path(CORPUS) == tmp_path / CORPUS
    assert matches("datasets/lab-pilot/corp*.parquet") == [Path(CORPUS)]


@pytest.mark.parametrize(
    "name", ["corpus.parquet", "quagpredict/cli", "datasets/../README.md", "datasets/no-such-thing"]
)
def test_nothing_else_of_the_tree_is_shipped(name: str) -> None:
    assert shipped_or_given(name) == Path(name)
    assert matches(name) == matches(f"{name}*") == []
    with pytest.raises(UsageError, match="neither as given nor among the files shipped"):
        shipped_path(name)


@pytest.mark.parametrize("name", ["datasets/" + "x" * 5000, "datasets/\0", "x" * 5000 + "*"])
def test_a_name_that_no_file_can_have_is_not_there(name: str) -> None:
    assert matches(name) == []
    assert shipped_or_given(name) == Path(name)


def test_readers_find_shipped_tables_and_globs() -> None:
    assert read_corpus("datasets/lab-p*/corpus.parquet").equals(read_corpus(shipped_root() / CORPUS))
    with pytest.raises(NothingToRankError, match=r"no file matches 'datasets/lab-x\*'"):
        read_corpus("datasets/lab-x*")


def test_an_unknown_surrogate_is_told_which_are_shipped() -> None:
    with pytest.raises(UsageError, match=r"unknown surrogate 'lba'.*models/lab, models/lab-2, models/lab-pilot"):
        load_surrogate("lba")
