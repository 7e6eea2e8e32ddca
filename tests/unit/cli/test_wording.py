"""The library's words for its arguments become the command's options."""

import inspect

import pytest

import quagpredict
from quagpredict.cli import COMMANDS
from quagpredict.cli.wording import _COMMAND_OF, on_the_command_line, options_of
from quagpredict.errors import argument


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        ("rank", 'gate="no-sft": nobody', "--gate no-sft: nobody"),
        ("rank", "gate=0.5 needs scores", "--gate 0.5 needs scores"),
        ("rank", "next_run=True needs scores", "--next needs scores"),
        ("rank", "margin=-0.02: too low.", "--margin -0.02: too low."),
        ("rank", "count twice: pass condition=False)", "count twice: pass --no-condition)"),
        ("rank", "or pass allow_mixed_protocols=True", "or pass --allow-mixed-protocols"),
        ("rank", "`truth`: column 'a' is missing", "--truth: column 'a' is missing"),
        ("evaluate", 'against=["runs/*/candidate.parquet", "b"]', "--against runs/*/candidate.parquet b"),
        (
            "evaluate",
            '(`quagpredict.score_checkpoint` with samples="auto")',
            "(`quagpredict evaluate` with --samples auto)",
        ),
        ("collect", "`quagpredict.sensitivity` shows", "`quagpredict validate --sensitivity` shows"),
        # What names no option of the command stays as it is.
        ("fit", "next_run=True, `truth`, `quagpredict.nothing`", "next_run=True, `truth`, `quagpredict.nothing`"),
        ("rank", "runs/top=5/gate=a.csv: cannot be read", "runs/top=5/gate=a.csv: cannot be read"),
        ("", "gate=0.5", "gate=0.5"),
    ],
)
def test_an_argument_becomes_its_option(command, text, said):
    assert on_the_command_line(text, command) == said


@pytest.mark.parametrize("value", ["no-sft", "fit:ridge", "a b", "it's", 0.7, 200.0, 3, -0.5])
def test_what_an_error_names_is_read_back(value):
    shown = f"{value:g}" if isinstance(value, float) else str(value).replace("'", "")
    assert on_the_command_line(f"{argument('gate', value)}: wrong", "rank") == f"--gate {shown}: wrong"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_options(command):
    options = options_of(command)
    assert options["help"] == "--help"
    assert all(option.startswith("--") for option in options.values())


def test_every_argument_of_rank_has_an_option():
    arguments = set(inspect.signature(quagpredict.rank).parameters) - {"candidates"}
    options = {name.partition("=")[0] for name in options_of("rank")}
    assert arguments <= options


def test_every_command_is_a_public_function():
    functions = {command: function for function, command in _COMMAND_OF.items()}
    # A script of completion is of the command line alone.
    commands = set(COMMANDS) - {"completion"}
    assert {functions.get(command, command) for command in commands} <= set(quagpredict.__all__)
