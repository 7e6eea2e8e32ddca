"""Several corpora in one call: what they are called, what is written, and how the page is made again."""

from pathlib import Path

import polars as pl
import pytest

from quagpredict.errors import MissingExtraError
from quagpredict.replication import corpora, replicate
from quagpredict.testing.synthetic import synthetic_corpus


def test_frames_and_files_are_named_and_nothing_is_written_without_a_page(tmp_path: Path) -> None:
    first, second = synthetic_corpus(30, seed=1).frame, synthetic_corpus(30, seed=2).frame
    first.write_parquet(tmp_path / "mine.parquet")
    said: list[str] = []
    found = replicate([tmp_path / "mine.parquet", second], surrogates=(), repeats=2, say=said.append)
    assert [one.name for one in found.replications] == ["mine", "corpus-2"]
    assert set(found.claims["corpus"]) == {"mine", "corpus-2"}
    assert set(found.carried["fitted_on"]) == {"mine", "corpus-2"}
    assert found.written == ()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.parquet"]
    assert "from one corpus to another" in said


def test_two_files_of_one_name_stay_two() -> None:
    assert list(corpora._named(["a/corpus.parquet", "b/corpus.parquet"])) == ["corpus", "corpus-2"]
    assert list(corpora._named({"x": "a.parquet"})) == ["x"]
    assert list(corpora._named(pl.DataFrame())) == ["corpus-1"]


def test_the_page_names_what_makes_it_again() -> None:
    assert corpora._command(["a b", "c"], "p.md", 100, 3) == "quagpredict replicate 'a b' c --page p.md --seed 3"
    assert "quagpredict.replicate(" in corpora._command([pl.DataFrame()], "p.md", 100, 0)


def test_a_page_needs_its_extra_before_anything_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise MissingExtraError(name)

    monkeypatch.setattr(corpora, "require", missing)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        replicate(pl.DataFrame(), "page.md")
