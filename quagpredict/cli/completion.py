"""`quagpredict completion`: what a shell needs to complete commands, options and files, written by shtab."""

import argparse
from pathlib import Path

from quagpredict.cli import COMMANDS, build_parser

SHELLS = ("bash", "zsh", "tcsh")
DESCRIPTION = "Print the completion script of a shell; needs the extra 'completion' (shtab)."
EPILOG = """\
examples:
  quagpredict completion bash > ~/.local/share/bash-completion/completions/quagpredict
  quagpredict completion zsh > ~/.zfunc/_quagpredict
"""
# Options and positionals that stand for no file.
_NO_FILES = (argparse._StoreTrueAction, argparse._StoreFalseAction, argparse._HelpAction, argparse._SubParsersAction)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("shell", choices=SHELLS, help="which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from quagpredict.optional import require

    shtab = require("shtab")
    whole = build_parser(*COMMANDS)
    for parser in _parsers(whole):
        for action in parser._actions:
            if action.choices is None and action.type in (None, Path) and not isinstance(action, _NO_FILES):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(whole, args.shell))
    return 0


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    parsers = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in dict.fromkeys(action.choices.values()):
                parsers += _parsers(child)
    return parsers
