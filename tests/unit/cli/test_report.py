"""``quagpredict report``, and `rank --out` of a page."""

import hashlib

import polars as pl
import pytest

from quagpredict.cli import main


@pytest.mark.parametrize(("name", "begins"), [("a.html", "<!doctype html>"), ("a.md", "**Take `")])
def test_report_and_rank_write_what_the_ending_says(workplace, monkeypatch, capsys, name, begins):
    monkeypatch.chdir(workplace)
    assert main(["report", "runs/", "--out", f"report-{name}", "--gpu-hours-per-run", "12"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"wrote report-{name}" in shown.err
    text = (workplace / f"report-{name}").read_text(encoding="utf-8")
    assert text.startswith(begins)
    assert "GPU-hours" in text
    assert main(["rank", "runs/", "--out", f"rank-{name}"]) == 0
    assert (workplace / f"rank-{name}").read_text(encoding="utf-8").startswith(begins)


def test_every_table_that_was_read_is_told(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    first = pl.read_parquet(sorted((workplace / "runs").iterdir())[0])["candidate"][0]
    (workplace / "losses.csv").write_text(f"candidate,judge\n{first},0.5\n")
    (workplace / "results.csv").write_text(f"candidate,post_pass_at_1\n{first},0.5\n")
    (workplace / "curves.csv").write_text(f"candidate,step,pass_at_1\n{first},10,0.5\n")
    words = ["--join", "losses.csv", "--truth", "results.csv", "--curves", "curves.csv", "--rl-steps", "100"]
    assert main(["report", "runs/", *words, "--out", "a.html"]) == 0
    text = (workplace / "a.html").read_text(encoding="utf-8")
    for file in ("losses.csv", "results.csv", "curves.csv"):
        assert hashlib.sha256((workplace / file).read_bytes()).hexdigest() in text


def test_a_wrong_call_says_what_to_do(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    name = pl.read_parquet("runs/")["candidate"][0]
    (workplace / "curves.csv").write_text(f"candidate,step,pass_at_1\n{name},10,0.5\n", encoding="utf-8")
    for words, said in (
        (["report", "runs/", "--out", "a.pdf"], "must end in .html, .md, .png"),
        (["report", "--out", "a.html"], "name the candidates"),
        (["report", "runs/", "--curves", "curves.csv"], "how long a whole run is: pass --rl-steps"),
        (["rank", "runs/", "--out", "a.pdf"], "must end in .csv, .json, .txt, .html, .md or .png"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
    assert not list(workplace.glob("a.*"))
