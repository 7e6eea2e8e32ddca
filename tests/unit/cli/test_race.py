"""``quagpredict race`` from end to end."""

import csv
import io
import json
import sys

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.shipped import shipped_path


@pytest.fixture
def race_folder(tmp_path, monkeypatch):
    """Five candidates of a shipped corpus as they were before RL, three with the first points of their curves."""
    runs = pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet")).filter(rl_seed=0, base_model="able").head(5)
    runs.select(pl.col("^(candidate|base_model|pre_pass_at_.*)$")).write_parquet(tmp_path / "candidates.parquet")
    points = runs.head(3).select("candidate", "post_curve").explode("post_curve").unnest("post_curve")
    early = points.filter(pl.col("step") <= 100).select("candidate", "step", "pass_at_1", "pass_at_16")
    early.write_csv(tmp_path / "curves.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


WORDS = ["race", "candidates.parquet", "--curves", "curves.csv", "--rl-steps", "300", "--rungs", "50", "100", "200"]
LEARN = ["--learn-from", "datasets/lab/corpus.parquet"]


def test_json_csv_table_and_figure_say_the_same(race_folder, capsys):
    words = [*WORDS, *LEARN, "--budget", "700"]
    assert main([*words, "--format", "json", "--figure", "race.png", "--out", "race.csv"]) == 0
    captured = capsys.readouterr()
    value = json.loads(captured.out)
    assert value["choice"] in {row["candidate"] for row in value["candidates"]}
    assert len(value["candidates"]) == 5
    assert (race_folder / "race.png").stat().st_size > 10_000
    assert captured.err.count("note: ") == len(value["notes"]) >= 2
    assert "wrote race.png" in captured.err
    rows = list(csv.DictReader(io.StringIO((race_folder / "race.csv").read_text(encoding="utf-8"))))
    assert [row["action"] for row in rows] == [row["action"] for row in value["candidates"]]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(row["candidate"] in shown for row in rows)
    assert "expected regret" in shown
    assert main([*words, "--format", "csv"]) == 0
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out))) == rows


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["race", "--rl-steps", "300"], 2, "name the candidates"),
        (["race", "candidates.parquet"], 2, "--rl-steps"),
        ([*WORDS, "--parallel", "0"], 2, "at least 1"),
        ([*WORDS, "--budget", "-1"], 2, "--budget -1"),
        ([*WORDS, "--figure", "race.gif"], 2, "must end in"),
        ([*WORDS, "--prior", "a.csv", "--no-prior"], 2, "exclude each other"),
        (["race", "candidates.parquet", "--curves", "no.csv", "--rl-steps", "300", *LEARN], 2, "no such file"),
        (
            ["race", "candidates.parquet", "--curves", "curves.csv", "--rl-steps", "50", *LEARN],
            3,
            "beyond --rl-steps 50",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(race_folder, capsys, words, code, message):
    assert main(words) == code
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_figure_that_nothing_can_draw_is_refused_before_anything_is_read(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["race", "nothing-there.parquet", "--rl-steps", "300", "--figure", "race.png"]) == 2
    assert "needs the package 'matplotlib'" in capsys.readouterr().err


def test_rank_reads_the_same_curves_and_says_the_same(race_folder, capsys):
    assert main([*WORDS, "--format", "json"]) == 0
    raced = {row["candidate"]: row for row in json.loads(capsys.readouterr().out)["candidates"]}
    words = ["candidates.parquet", "--curves", "curves.csv", "--rl-steps", "300"]
    assert main(["rank", *words, "--format", "json"]) == 0
    captured = capsys.readouterr()
    for row in json.loads(captured.out)["candidates"]:
        other = raced[row["candidate"]]
        assert [row["prediction"], row["low"], row["high"]] == pytest.approx(
            [other["forecast"], other["low"], other["high"]]
        )
        assert row["step"] == other["step"]
    assert "note: RL of 3 candidates has begun (100 of 300 steps)" in captured.err
    assert main(["rank", *words]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Predicted Pass@1 after RL, of runs that have begun by their curves, and chance")
    assert not any(line.endswith(": ") for line in shown.splitlines())
    assert main(["rank", "candidates.parquet", "--curves", "curves.csv"]) == 2
    assert "pass --rl-steps, a whole number" in capsys.readouterr().err


def test_eval_seeds_are_joined_by_the_option_that_the_refusal_names(tmp_path, capsys):
    file = tmp_path / "seeds.csv"
    file.write_text("candidate,seed,pre_pass_at_1\na,0,0.1\na,1,0.3\nb,0,0.3\n")
    words = ["race", str(file), "--rl-steps", "300", "--format", "json"]
    assert main(words) == 3
    assert "to join its eval seeds: --join-seeds seed, which `quagpredict rank` and" in capsys.readouterr().err
    assert main([*words, "--join-seeds", "seed"]) == 0
    assert len(json.loads(capsys.readouterr().out)["candidates"]) == 2


def test_costs_have_a_unit_where_none_was_given(race_folder, capsys):
    assert main([*WORDS, *LEARN]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert " RL steps)" in shown
    assert " RL steps more; expected regret" in shown
    assert main([*WORDS, *LEARN, "--step-cost", "0.5"]) == 0
    assert "RL steps)" not in (shown := " ".join(capsys.readouterr().out.split()))
    assert "(cost " in shown
