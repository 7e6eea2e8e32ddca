"""``quagpredict audit`` from end to end."""

import io
import json

import polars as pl
import pytest

from quagpredict.cli import main


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_keeps_to_the_width(width, workplace, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["audit", "datasets/lab-pilot/corpus.parquet", "--top", "5"]) == 0
    captured = capsys.readouterr()
    assert max(map(len, captured.out.splitlines())) <= width
    for text in ("600 tested pairs", "Reversed pairs", "and 29 more", "Matched recipes", "same order"):
        assert text in captured.out
    assert "note: paired over 160 problems" in captured.err


def test_what_cannot_be_tested_is_not_counted_as_tested(tmp_path, capsys):
    pl.DataFrame(
        {
            "candidate": ["a", "b"],
            "base_model": "x",
            "pre_pass_at_1": [0.5, 0.4],
            "post_pass_at_1": [0.5, 0.6],
        }
    ).write_csv(tmp_path / "runs.csv")
    assert main(["audit", str(tmp_path / "runs.csv")]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("0 tested pairs of candidates of one base model\n")
    assert "1 change their order after RL, 1 of them untested" in captured.out
    assert "1 pair without standard errors" in captured.err


def test_formats_agree(workplace, capsys):
    assert main(["audit", "corpus.parquet", "--format", "json", "--out", "audit.csv"]) == 0
    value = json.loads(capsys.readouterr().out)
    written = pl.read_csv("audit.csv")
    assert set(written["list"]) == {"pair", "comparison"}
    assert written.filter(list="pair").height == len(value["pairs"]) == value["reversed_observed"]
    assert written.filter(list="comparison").height == len(value["comparisons"])
    assert main(["audit", "corpus.parquet", "--format", "csv"]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out)).equals(written)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["audit", "runs"], 3, "post_pass_at_1"),
        (["audit", "none/*.parquet"], 4, "no file matches"),
        (["audit", "corpus.parquet", "--level", "2"], 2, "expected a number between 0 and 1, got '2'"),
    ],
)
def test_what_is_refused(words, code, said, workplace, capsys):
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
