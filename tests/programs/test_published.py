"""Published results: shipped tables are what the CSV says, in one unit; the page says what the program prints."""

import importlib.util
import re
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quagpredict import read_corpus
from quagpredict.errors import CorpusError
from quagpredict.shipped import shipped_path

FOLDER = shipped_path("datasets/published")


def program(name):
    spec = importlib.util.spec_from_file_location(name, shipped_path(f"collectors/{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def making():
    return program("make_published")


@pytest.fixture(scope="module")
def pairs(making):
    return making.read_pairs(FOLDER / "pairs.csv")


def changed(tmp_path, *replacements):
    text = (FOLDER / "pairs.csv").read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "pairs.csv").write_text(text, encoding="utf-8")
    return tmp_path / "pairs.csv"


def test_the_shipped_tables_are_made_from_the_csv(making, pairs):
    assert_frame_equal(pl.read_parquet(FOLDER / "pairs.parquet"), pairs)
    assert_frame_equal(pl.read_parquet(FOLDER / "by-benchmark.parquet"), making.by_benchmark(pairs))
    starts = read_corpus(FOLDER / "starts-7b.parquet")
    assert_frame_equal(starts, making.starts_of_7b(pairs), check_column_order=False)


def test_scores_are_fractions_and_other_numbers_have_their_unit(pairs):
    assert pairs.height == pl.read_csv(FOLDER / "pairs.csv", infer_schema_length=None).height
    scores = pairs.filter(pl.col("unit") == "fraction")
    assert scores["pre"].is_between(0, 1).all()
    assert pairs["post"].is_between(0, 1).all()
    assert set(pairs["unit"]) == {"fraction", "nats", "index", "count"}
    # A fraction that was read as per cent would be a hundredth of itself; the lowest study ends at 2 %.
    assert (pairs.group_by("study").agg(pl.col("post").max())["post"] > 0.02).all()
    losses = pairs.filter(pl.col("measure").str.contains("loss"))
    assert losses["unit"].unique().to_list() == ["nats"]
    assert losses["pre"].is_between(0.1, 3).all()


def test_every_row_names_where_it_comes_from(pairs):
    assert pairs["source"].str.contains(r"arXiv|github|README|report|issue|pull request|section|Tables|@").all()
    assert not pairs["source"].str.contains("same paper").any()
    fitted = pairs.filter(pl.col("source") == "arXiv 2512.11470v2 Table 4")
    assert fitted["post_kind"].unique().to_list() == ["fitted"]


@pytest.mark.parametrize(
    ("replacements", "said"),
    [
        ([("SimpleRL-Zoo README", "Nobody's README")], "belongs to no study"),
        ([("0.151,0.806", "15.1,0.806")], "pre is 15.1, expected 0 to 1"),
        ([("70.7303,76.7", "70.7303,767")], "post is 7.67, expected 0 to 1"),
        ([(",70.7303,76.7", ",70.7303,")], "column 'post': 1 values are missing"),
        (
            [("step 720 (SFT compute 39.52 EF)", "step 360 (SFT compute 19.76 EF)"), ("73.2714,78.5", "70.7303,76.7")],
            "twice",
        ),
    ],
    ids=["study", "unit", "range", "missing", "duplicate"],
)
def test_a_row_that_is_wrong_is_refused(making, tmp_path, replacements, said):
    with pytest.raises(CorpusError, match=re.escape(said)):
        making.read_pairs(changed(tmp_path, *replacements))


def test_ten_bases_have_eight_columns_and_a_candidate_has_a_benchmark_once():
    table = pl.read_parquet(FOLDER / "by-benchmark.parquet")
    zoo = table.filter(pl.col("study") == "simplerl-zoo")
    assert (zoo.height, zoo["candidate"].n_unique(), zoo["benchmark"].n_unique()) == (80, 10, 8)
    # The printed average is that of the others, AIME by its single run; rounded to a tenth of a point.
    parts = zoo.filter(~pl.col("aggregate"), pl.col("benchmark") != "AIME24 avg@32")
    mean = parts.group_by("candidate").agg(pl.col("pre", "post").mean())
    printed = zoo.filter("aggregate").join(mean, on="candidate", suffix="_mean")
    assert (printed["post"] - printed["post_mean"]).abs().max() < 0.0011
    assert not table.select(pl.struct("study", "candidate", "benchmark").is_duplicated()).to_series().any()


def test_the_page_says_what_the_program_prints(root_docs, capsys):
    program("published_findings").main([str(FOLDER)])
    printed = capsys.readouterr().out.strip()
    page = (root_docs / "published.md").read_text(encoding="utf-8")
    for block in printed.split("\n\n"):
        assert f"```text\n{block}\n```" in page


@pytest.fixture
def root_docs():
    return Path(__file__).parents[2] / "docs"
