"""`rank` on tables with headers of their own."""

import io
import shlex
from functools import partial

import pandas as pd
import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.ranking import rank

FOREIGN = "name,base,pass@1,pass@64,eval_loss\nmix-a,qwen,0.31,0.71,0.82\nmix-b,qwen,0.36,0.66,0.91\n"


def test_a_table_with_headers_of_its_own_ranks_at_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(FOREIGN)
    assert main(["rank", "mine.csv", "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert [line.split(",")[1] for line in said.out.splitlines()[1:]] == ["mix-a", "mix-b"]
    assert "note: mine.csv: read 'base' as base_model" in said.err
    assert "say otherwise by --columns" in said.err


TABLE = pd.DataFrame(
    {"PRE_PASS_AT_64": [0.6, 0.7], "eval_loss": [0.6, 0.5], "score_after_rl": [0.5, None]}, index=["mix-a", "mix-b"]
)
WAYS = {
    "index.csv": TABLE.to_csv,
    "numbers-first.csv": TABLE.reset_index(names="checkpoint").to_csv,  # its first column is 'Unnamed: 0'
    "unnamed.csv": TABLE.reset_index(names="run").reset_index(names="Unnamed: 0").to_csv,
    "tabs.tsv": partial(TABLE.to_csv, sep="\t"),
    "records.json": partial(TABLE.reset_index(names="name").to_json, orient="records"),
    "lines.jsonl": partial(TABLE.reset_index(names="model").to_json, orient="records", lines=True),
}


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("piped", [False, True])
def test_the_ways_in_which_pandas_writes_a_table_all_rank(name, piped, tmp_path, capsys, monkeypatch):
    WAYS[name](tmp_path / name)
    monkeypatch.setattr("sys.stdin", io.StringIO((tmp_path / name).read_text()))
    assert main(["rank", "-" if piped else str(tmp_path / name), "--format", "csv"]) == 0
    shown = capsys.readouterr()
    table = pl.read_csv(io.StringIO(shown.out))
    columns = ("candidate", "pre_pass_at_64", "pre_held_out_loss_nats", "actual")
    assert table.select(columns).rows() == [("mix-b", 0.7, 0.5, None), ("mix-a", 0.6, 0.6, 0.5)]
    assert "not known" not in shown.err
    assert rank(TABLE).frame["candidate"].to_list() == ["mix-b", "mix-a"]


def test_a_table_in_per_cent_says_the_whole_command_that_reads_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(FOREIGN.replace("0.31", "31").replace("0.71", "71").replace("0.6", "6"))
    monkeypatch.setattr("sys.argv", ["quagpredict", "rank", "mine.csv"])
    assert main(["rank", "mine.csv"]) == 3
    assert capsys.readouterr().err.endswith("if it is: quagpredict rank mine.csv --percent\n")
    assert main(["rank", "mine.csv", "--percent"]) == 0


def test_headers_that_are_not_known_are_suggested_with_the_whole_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(FOREIGN.replace("name", "Experiment").replace("pass@64", "pass 64 acc"))
    monkeypatch.setattr("sys.argv", ["quagpredict", "rank", "mine.csv"])
    assert main(["rank", "mine.csv"]) == 3
    hint = capsys.readouterr().err.partition("did you mean: ")[2].strip()
    assert hint == "quagpredict rank mine.csv --columns candidate=Experiment"
    rows = (tmp_path / "mine.csv").read_text().splitlines()
    (tmp_path / "split.csv").write_text(
        "\n".join(f"{row},{split}" for row, split in zip(rows, ("split", "fit", "fit"), strict=True))
    )
    monkeypatch.setattr("sys.argv", ["quagpredict", "report", "split.csv", "--split", "fit"])
    assert main(["report", "split.csv", "--split", "fit"]) == 3
    hint = capsys.readouterr().err.partition("did you mean: ")[2].strip()
    assert hint == "quagpredict report split.csv --split fit --columns candidate=Experiment"
    assert main(["rank", "mine.csv", "--columns", "candidate=Experiment", "pre_pass_at_64=pass 64 acc"]) == 0
    assert main(["rank", "mine.csv", "--columns", "candidate"]) == 2
    assert "expected NAME=HEADER" in capsys.readouterr().err


def test_a_table_in_which_nothing_is_known_takes_one_refusal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(
        "experiment,sft_acc,p@64,val loss,gsm8k after RL\na,24.1,66,0.7,51\nb,31,61,0.8,\n"
    )
    words = ["rank", "mine.csv", "--format", "csv"]
    monkeypatch.setattr("sys.argv", ["quagpredict", *words])
    assert main(words) == 3
    hint = capsys.readouterr().err.partition("did you mean: quagpredict ")[2].strip()
    assert main(shlex.split(hint)) == 0
    table = pl.read_csv(io.StringIO(capsys.readouterr().out)).sort("candidate")
    columns = ("candidate", "pre_pass_at_1", "pre_pass_at_64", "pre_held_out_loss_nats", "actual")
    assert table.select(columns).row(0) == ("a", *map(pytest.approx, (0.241, 0.66, 0.7, 0.51)))


def test_a_table_for_any_target_keeps_its_headers(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"m{i},{i / 10},{2 + i / 20}" for i in range(12))
    (tmp_path / "mixtures.csv").write_text(f"candidate,web,eval_loss\n{rows}\nm12,0.7,\n")
    arguments = ["rank", "mixtures.csv", "--surrogate", "linear", "--features", "web"]
    assert main([*arguments, "--target", "eval_loss", "--minimize"]) == 0
    assert "m12" in capsys.readouterr().out


@pytest.mark.parametrize("told", [[], ["--percent"]])
def test_headers_with_a_benchmark_and_a_unit_get_the_whole_command(told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.csv").write_text("run,MATH500 pass@64 (%),SFT val loss (nats)\na,71.4,0.51\nb,66.8,0.55\n")
    monkeypatch.setattr("sys.argv", ["quagpredict", "rank", "own.csv", *told])
    assert main(["rank", "own.csv", *told]) == 3
    words = shlex.split(capsys.readouterr().err.strip().rpartition("did you mean: quagpredict ")[2])
    assert words.count("--percent") == 1
    assert main(words) == 0
