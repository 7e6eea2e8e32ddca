"""The frame: help, version, exit codes, what a start loads."""

import importlib
import io
import json
import pkgutil
import subprocess
import sys
from importlib.metadata import version

import polars as pl
import pytest

import quagpredict
from quagpredict import cli
from quagpredict.corpus import write_corpus
from quagpredict.errors import QuagpredictError, UsageError

HEAVY = {"sklearn", "scipy", "torch", "transformers", "pandas", "pyarrow", "matplotlib", "optuna", "lightgbm"}


def test_every_command_module_is_listed_and_says_what_it_does(capsys):
    modules = {name for _, name, _ in pkgutil.iter_modules(cli.__path__)}
    commands = {name for name in modules if hasattr(importlib.import_module(f"quagpredict.cli.{name}"), "add_options")}
    assert {f"quagpredict.cli.{name}" for name in commands} == set(map(cli.module_of, cli.COMMANDS))
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in cli.COMMANDS)


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_has_help_with_an_example(command, capsys):
    assert cli.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"quagpredict {command} " in shown.partition("example")[2]


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"quagpredict {version('quagpredict')}\n"


@pytest.mark.parametrize("words", [[], ["rnak"], ["rank"], ["rank", "--candidates", "a", "--nope"], ["--nope"]])
def test_a_wrong_call_is_one_line_and_2(words, capsys):
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def raising(error, monkeypatch):
    def run(args):
        raise error

    monkeypatch.setattr("quagpredict.cli.rank.run", run)
    return cli.main(["rank", "--candidates", "x"])


def test_errors_of_ours_are_one_line_and_their_code(capsys, monkeypatch):
    assert raising(UsageError("two\nlines"), monkeypatch) == 2
    assert capsys.readouterr().err == "error: two lines\n"
    assert raising(QuagpredictError("x"), monkeypatch) == 1


def test_the_package_runs_as_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "quagpredict", "--version"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"quagpredict {quagpredict.__version__}\n")


def test_an_interrupt_is_130(capsys, monkeypatch):
    assert raising(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("fault", [ZeroDivisionError("by\nnought \x1b[2J"), RecursionError(), KeyError("x")], ids=repr)
def test_a_fault_of_ours_is_one_line_that_says_what_to_report(fault, capsys, monkeypatch):
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    assert raising(fault, monkeypatch) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: a fault of quagpredict {version('quagpredict')} in 'rank' (")
    assert type(fault).__name__ in said
    assert "please report" in said
    assert said.count("\n") == 1
    assert said.rstrip("\n").isprintable()
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(type(fault)):
        raising(fault, monkeypatch)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            OSError(28, "No space left on device", "runs/a.parquet"),
            2,
            "error: runs/a.parquet: No space left on device\n",
        ),
        (MemoryError(), 1, "error: there is not enough memory for this: give fewer or smaller tables\n"),
    ],
)
def test_a_machine_that_is_full_is_one_line(error, code, said, capsys, monkeypatch):
    assert raising(error, monkeypatch) == code
    assert capsys.readouterr().err == said


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, capsys, monkeypatch):
    name = "mix\x1b[2J\x07"
    write_corpus(pl.DataFrame({"candidate": [name, "b"], "pre_pass_at_1": [0.5, 0.25]}), tmp_path / "a.parquet")
    words = ["rank", "--candidates", str(tmp_path / "a.parquet"), "--surrogate", "none", "--format"]
    assert cli.main([*words, "table"]) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert cli.main([*words, "csv"]) == 0
    assert name in capsys.readouterr().out  # a program gets what the table holds
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.main([*words, "csv"]) == 0
    assert "mix?[2J?" in capsys.readouterr().out
    assert cli.main(["rank", "--candidates", "nothing\x1bc.parquet"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def child(code, *words, **options):
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["rank", "--help"],
        ["fit", "--help"],
        ["validate", "--help"],
        ["audit", "--help"],
        ["rank", "--candidates", "runs/", "--surrogate", "model", "--truth", "corpus.parquet"],
        ["rank", "--candidates", "runs/", "--format", "json"],
    ],
)
def test_a_cold_start_loads_nothing_heavy(words, workplace):
    code = (
        "import json, sys\nfrom quagpredict.cli import main\ncode = main(sys.argv[1:])\n"
        "sys.stderr.write('\\n' + json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))"
    )
    done = child(code, *words, cwd=workplace)
    status, loaded = json.loads(done.stderr.splitlines()[-1])
    assert status == 0, done.stderr
    assert HEAVY & set(loaded) == set()
    if "--help" in words:
        assert {"polars", "numpy", "rich"} & set(loaded) == set()


def test_a_broken_pipe_is_quiet(workplace):
    start = "from quagpredict.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", start, "rank", "--candidates", "corpus.parquet", "--format", "json"]
    process = subprocess.Popen(command, cwd=workplace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()  # the reader is gone before the first line
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 141


def test_letters_that_a_terminal_cannot_show_are_no_error(workplace, corpus, monkeypatch):
    write_corpus(corpus[:2].with_columns(candidate=pl.Series(["ä", "→"])), "odd.parquet")
    for form in ("table", "csv", "json"):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict"))
        assert cli.main(["rank", "--candidates", "odd.parquet", "--format", form, "--surrogate", "none"]) == 0
        assert b"xe4" in sys.stdout.buffer.getvalue()


@pytest.mark.parametrize(("word", "meant"), [("--persent", "--percent"), ("--buget", "--budget"), ("--xyzzy", "")])
def test_an_option_that_is_not_there_is_asked_about_where_it_belongs(word, meant, capsys):
    assert cli.main(["rank", "mine.csv", word]) == 2
    hint = f"; did you mean '{meant}'?" if meant else ""
    assert capsys.readouterr().err == f"error: unrecognized arguments: {word}{hint} (see quagpredict rank --help)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ranc"], "did you mean 'rank'?"),
        (["import", "lmeval", "a", "--out", "a.parquet"], "did you mean 'lm-eval'?"),
        (["collect", "p.yaml", "--dry-run", "--estimate"], "argument --estimate: not allowed with argument --dry-run"),
        (
            ["collect", "collectors/plans/lab-pilot.yaml", "--dry-run", "--until", "rl"],
            "--until rl: expected one of base, ",
        ),
        (
            ["collect", "collectors/plans/lab-pilot.yaml", "--dry-run", "--launcher", "rai"],
            "--launcher rai: expected one",
        ),
    ],
)
def test_what_is_misspelt_is_named_before_anything_runs(words, said, capsys):
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err
