"""The evaluate command: a measured checkpoint that ranks, and bad input in one line."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from quagpredict.cli import main
from quagpredict.corpus import read_corpus, read_provenance
from quagpredict.evaluation import read_suite
from quagpredict.shipped import shipped_path

DATA = {"operators": "+-", "lengths": [1, 1]}


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    described = {
        "name": "tiny",
        "benchmarks": [{"name": "one", "lab": {"problems": 6, "data": DATA}}],
        "held_out": {"lab": {"problems": 4, "data": DATA}},
        "sampling": {"max_new_tokens": 8},
        "grading": {"extraction": "last_digits", "digits": 3},
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(described))
    return "suite.yaml"


def evaluate(suite, *more):
    base = str(shipped_path("datasets/lab-pilot/bases/weak"))
    return main(["evaluate", base, "--suite", suite, "--samples", "8", "--out", "run", *more])


def test_a_checkpoint_is_measured_written_and_ranked(suite, capsys):
    assert evaluate(suite, "--base-model", "weak") == 0
    shown = capsys.readouterr()
    assert "Pass@4" in shown.out
    assert "maj@4" in shown.out
    assert "held-out loss" in shown.out
    # On a busy machine a line of progress comes before.
    said = [line for line in shown.err.splitlines() if not line.startswith("samples: ")]
    assert said == ["48 samples drawn, 0 were there", "wrote run/candidate.parquet"]
    row = read_corpus("run/candidate.parquet").row(0, named=True)
    assert row["candidate"] == "weak" == row["base_model"]
    assert row["pre_samples_per_problem"] == 8
    assert len(row["pre_problems"]) == 6
    assert read_provenance("run/candidate.parquet")["engine"].startswith("transformers 5.")
    assert pl.read_parquet("run/samples/*/part-*.parquet").height == 48
    assert main(["rank", "--candidates", "run/candidate.parquet", "--surrogate", "none", "--format", "csv"]) == 0
    assert "weak" in capsys.readouterr().out


def test_the_base_itself_is_the_bar_of_the_gate(suite, capsys):
    assert evaluate(suite, "--base-model", "weak", "--no-sft") == 0
    assert read_corpus("run/candidate.parquet")["recipe_scenario"].to_list() == ["no-sft"]
    assert evaluate(suite, "--base-model", "weak", "--no-sft") == 0
    assert "0 samples drawn, 48 were there" in capsys.readouterr().err


def test_json_is_data_alone(suite, capsys):
    assert evaluate(suite, "--format", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["measurement"]["problems_count"] == 6
    assert [part["part"] for part in shown["parts"]] == ["all", "one"]


@pytest.mark.parametrize(
    ("break_it", "words", "code", "said"),
    [
        (None, ["missing"], 2, "missing: there is no such folder"),
        (None, ["Some/Model"], 2, "Some/Model: there is no such folder, nor does the hub give it"),
        ("adapter_config.json", ["folder"], 3, "folder: holds an adapter; merge it"),
        ("config.json", ["folder"], 3, "folder: holds no weights"),
        ("model.safetensors", ["folder"], 3, "config.json is missing"),
        (None, ["missing", "--samples", "many"], 2, "invalid int value"),
    ],
)
def test_what_is_no_checkpoint_is_one_line(break_it, words, code, said, suite, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    if break_it:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / break_it).write_text("{}")
    try:
        got = main(["evaluate", *words, "--suite", suite, "--out", "run"])
    except SystemExit as left:
        got = left.code
    error = capsys.readouterr().err
    assert got == code
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_suite_that_is_not_there_and_a_wrong_engine(suite, capsys):
    base = str(shipped_path("datasets/lab-pilot/bases/weak"))
    assert main(["evaluate", base, "--suite", "nope.yaml", "--out", "run"]) == 2
    assert "nope.yaml: there is no such file" in capsys.readouterr().err
    assert evaluate(suite, "--engine-setting", "dtype") == 2
    assert "expected KEY=VALUE, got 'dtype'" in capsys.readouterr().err
    assert evaluate(suite, "--engine", "transformers", "--engine-setting", "tension=3") == 2
    assert "unknown setting 'tension'" in capsys.readouterr().err
    assert evaluate(suite, "--engine", "abacus") == 2
    assert "unknown engine 'abacus'" in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_keeps_to_the_width_and_names_every_part(width, suite, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    base = "datasets/lab-pilot/bases/weak"  # shipped, and found from any folder
    words = ["evaluate", base, "--suite", suite, "--samples", "256", "--out", "run", "--batch-size", "1024"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.startswith("all ") for line in lines)
    assert any(line.startswith("one ") for line in lines)
    assert not any("…" in line for line in lines)
    assert any("avg@n" in line and "Pass@256" in line for line in lines)
    assert any("cut" in line and "entropy" in line for line in lines)


def test_quiet_says_nothing_but_the_result_and_what_is_there_is_used_again(suite, capsys):
    assert evaluate(suite, "--quiet", "--json") == 0
    first = capsys.readouterr()
    assert first.err == ""
    assert evaluate(suite, "--quiet", "--json") == 0
    assert capsys.readouterr() == first
    shown = json.loads(first.out)
    assert shown["parts"][0]["maj_at_4_low"] <= shown["parts"][0]["maj_at_4"] <= shown["parts"][0]["maj_at_4_high"]
    assert json.loads(Path("run/summary.json").read_text()) == shown


def test_samples_that_are_enough(suite, capsys):
    base = str(shipped_path("datasets/lab-pilot/bases/weak"))
    words = ["evaluate", base, "--suite", suite, "--samples", "auto", "--out", "run", "--engine", "transformers"]
    assert main(words) == 2
    assert "needs a precision" in capsys.readouterr().err
    assert main([*words, "--precision", "0.15", "--target", "pass@16"]) == 0
    shown = capsys.readouterr().out
    assert "Pass@16 on these problems" in shown
    assert "fewer than 50 problems" in shown
    assert read_corpus("run/candidate.parquet")["pre_samples_per_problem"].item() is None


def test_problems_that_were_trained_on_are_refused(suite, capsys):
    rows = [{"prompt": problem.question} for problem in read_suite(suite).problems[:2]]
    Path("sft.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert evaluate(suite, "--overlap", "sft.jsonl") == 3
    assert "2 of 6 texts of 'one' (33.3%) also stand in 'sft.jsonl'" in capsys.readouterr().err
    assert not Path("run").exists()
    assert evaluate(suite, "--overlap", "sft.jsonl", "--max-overlap", "0.5") == 0
    assert "overlap: 2 of 6 texts of one also stand in sft.jsonl" in capsys.readouterr().out


def test_the_order_among_shipped_candidates(suite, capsys):
    base, lab = "datasets/lab-pilot/bases/weak", "collectors/suites/lab-pilot.yaml"
    against = "datasets/lab-pilot/candidates/weak.broad-2048x2-lr0.001-s0.parquet"
    words = ["evaluate", base, "--samples", "auto", "--engine", "transformers", "--out", "run", "--quiet"]
    assert main([*words, "--suite", lab, "--target", "order@4"]) == 2
    assert "needs the candidates to be told apart from: --against" in capsys.readouterr().err
    assert main([*words, "--suite", suite, "--target", "order@4", "--against", against]) == 3
    error = capsys.readouterr().err
    assert "'weak.broad-2048x2-lr0.001-s0' was measured under eval protocol f6cb632b9f874f1f" in error
    assert error.count("\n") == 1
    assert not Path("run").exists()
    assert main([*words, "--suite", lab, "--target", "order@4", "--against", against]) == 0
    assert "worse than weak.broad-2048x2-lr0.001-s0: -" in capsys.readouterr().out
    assert json.loads(Path("run/summary.json").read_text())["adaptive"]["against"][0]["apart"]


def test_who_stops_it_hears_what_is_kept(suite, capsys, monkeypatch):
    from quagpredict.evaluation import drawing

    missing = drawing.missing_samples

    def stopped_there(*given):
        yield next(missing(*given))
        raise KeyboardInterrupt

    words = ["evaluate", str(shipped_path("datasets/lab-pilot/bases/weak")), "--suite", suite, "--samples", "4"]
    with monkeypatch.context() as patched:
        patched.setattr(drawing, "missing_samples", stopped_there)
        assert main([*words, "--out", "out"]) == 130
    assert "kept in out but for the last seconds; the same command resumes" in capsys.readouterr().err
    assert main([*words, "--out", "out"]) == 0
