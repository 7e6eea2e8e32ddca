import json
from pathlib import Path

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.replication.claims import MODELS
from quagpredict.replication.replicating import OURS
from quagpredict.testing.synthetic import synthetic_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replicate") / "mine.parquet"
    synthetic_corpus(30, seed=2).frame.write_parquet(path)
    return path


def test_a_page_with_its_figures(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = corpus.parent / "docs" / "page.md"
    assert main(["replicate", str(corpus), "--page", str(page), "--repeats", "5", "--format", "json"]) == 0
    said = capsys.readouterr()
    claims = json.loads(said.out)
    assert {claim["verdict"] for claim in claims} <= {"agrees", "disagrees", "cannot tell"}
    assert len(claims) > 10
    assert "mine: the paper's protocol" in said.err
    text = page.read_text()
    assert f"quagpredict replicate {corpus} --page {page} --repeats 5" in text
    linked = [line.split("(")[1].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert len(linked) == 4
    for link in linked:
        assert (page.parent / link).read_bytes().startswith(b"\x89PNG")
    assert all(claim["claim"] in text for claim in claims)


def test_what_two_corpora_say_of_each_other_is_on_the_page(corpus: Path, tmp_path: Path) -> None:
    other, page = tmp_path / "other.parquet", tmp_path / "page.md"
    synthetic_corpus(30, seed=3).frame.write_parquet(other)
    assert main(["replicate", str(corpus), str(other), "--page", str(page), "--repeats", "2"]) == 0
    carried = page.read_text().partition("## From one corpus to another")[2].partition("##")[0]
    for pair in ("| mine to other |", "| other to mine |"):
        (line,) = (line for line in carried.splitlines() if line.startswith(pair))
        assert line.count(" to ") == 7  # the pair of corpora, and every value has its interval
    # The tables beside the page hold what it leaves out.
    tables = tmp_path / "page"
    whole = {"corpora.csv", "claims.csv", "free-rules.csv", "left-out.csv", "carried.csv"}
    assert {path.name for path in tables.iterdir()} == {"mine.csv", "other.csv", *whole}
    assert set(pl.read_csv(tables / "carried.csv")["model"]) == {*MODELS, *OURS}


def test_a_corpus_that_is_too_small_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    synthetic_corpus(6, seed=2).frame.write_parquet(tmp_path / "few.parquet")
    assert main(["replicate", str(tmp_path / "few.parquet"), "--page", str(tmp_path / "page.md")]) == 3
    assert "few" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
