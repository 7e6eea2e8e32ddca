"""The command line: ``quagpredict COMMAND ...``, one thin module a command.

The module of each command in `COMMANDS` has ``DESCRIPTION``, ``EPILOG``, ``add_options(parser)`` and
``run(args) -> int``. Only the module of the command that was asked for is imported, so that ``--help`` and
``--version`` start at once. Data goes to stdout, messages go to stderr. Exit codes: 0 done, 2 wrong call, 3 invalid
data, 4 nothing to rank, 1 any other failure, 130 interrupted.
"""

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import NoReturn

from quagpredict.errors import QuagpredictError, UsageError, did_you_mean
from quagpredict.files import printable

TRACEBACK = "QUAGPREDICT_TRACEBACK"  # the environment variable that lets an unforeseen error through
_CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")  # as argparse says it

# Command -> line in `quagpredict --help`.
COMMANDS = {
    "audit": "list where the order after SFT reverses after RL",
    "collect": "carry a plan out: SFT, evaluation, RL, evaluation; resumable",
    "completion": "print what a shell needs to complete commands, options and files",
    "doctor": "say what is installed, what really works here, and what to do about the rest",
    "evaluate": "measure one checkpoint on a suite",
    "fit": "fit a surrogate to finished runs",
    "hub": "write a corpus or a surrogate as a folder for the Hugging Face hub",
    "import": "bring samples or counts of another evaluation tool into the table",
    "race": "say which RL runs to start, go on with and stop",
    "rank": "say which candidates deserve RL compute",
    "report": "write a ranking as a page, a table or a picture for others to read",
    "replicate": "hold the paper's claims against corpora of finished runs",
    "search": "find the SFT mixture that ends best after RL",
    "validate": "say how far a surrogate can be trusted",
}


class Parser(argparse.ArgumentParser):
    """A parser that puts a wrong call on one line, as every other error."""

    def error(self, message: str) -> NoReturn:
        """Print the error and leave with exit code 2."""
        if choice := _CHOICE.search(message):
            message += did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2]))
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Prints the version, which is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from quagpredict.version import own_version

        print(f"quagpredict {own_version()}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``quagpredict``; those of the process if None.

    Examples
    --------
    >>> main(["rank", "--candidates", "missing.parquet"])
    2
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower().replace("-", "") != "utf8":
        # A terminal that cannot show a letter gets its code instead of an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    command = next((word for word in words if not word.startswith("-")), "")
    try:
        code = _run(words, command)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has seen enough, e.g. `| head`. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    except QuagpredictError as error:
        from quagpredict.cli.wording import on_the_command_line

        print(f"error: {printable(on_the_command_line(' '.join(str(error).split()), command))}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a path that cannot be written, a full disk
        print(f"error: {printable(str(error.filename or 'file'))}: {error.strerror or error}", file=sys.stderr)
        return UsageError.exit_code
    except MemoryError:
        print("error: there is not enough memory for this: give fewer or smaller tables", file=sys.stderr)
        return QuagpredictError.exit_code
    except BaseException as error:  # the last resort; a panic of polars is no Exception
        if isinstance(error, SystemExit | GeneratorExit) or os.environ.get(TRACEBACK):
            raise
        print(f"error: {_fault(error, command)}", file=sys.stderr)
        return QuagpredictError.exit_code


def _fault(error: BaseException, command: str) -> str:
    """Return the one line for an error that nobody foresaw: a fault of ours, with what its report needs."""
    from importlib.metadata import version
    from traceback import extract_tb

    ours = [frame for frame in extract_tb(error.__traceback__) if "quagpredict" in frame.filename]
    where = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    message = "; ".join([str(error)[:200], *getattr(error, "__notes__", ())])
    message = printable(" ".join(message.split()))[:400]
    return (
        f"a fault of quagpredict {version('quagpredict')} in '{command}'{where}: {type(error).__name__}"
        f"{f': {message}' if message else ''}; please report this line and the command where you got quagpredict from; "
        f"{TRACEBACK}=1 shows the whole traceback"
    )


def _run(words: Sequence[str], command: str) -> int:
    try:
        parser = build_parser(command)
        args, unknown = parser.parse_known_args(words)
        if unknown:
            _refuse_unknown(parser, args.command, unknown)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    code: int = import_module(module_of(args.command)).run(args)
    return code


def _refuse_unknown(parser: argparse.ArgumentParser, command: str, words: Sequence[str]) -> None:
    """Leave with the options of the command in view: argparse knows only of the whole program."""
    from quagpredict.errors import did_you_mean

    (choices,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    options = [name for action in choices[command]._actions for name in action.option_strings]
    choices[command].error(f"unrecognized arguments: {' '.join(words)}{did_you_mean(words[0], options)}")


def build_parser(*commands: str) -> argparse.ArgumentParser:
    """Return the parser; only `commands` know their options."""
    parser = Parser(
        "quagpredict",
        description="Predict which SFT checkpoints will end best after reinforcement learning.",
        epilog="example:\n  quagpredict rank --candidates runs/*.parquet\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        chosen = subparsers.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name in commands:
            module = import_module(module_of(name))
            chosen.description, chosen.epilog = module.DESCRIPTION, module.EPILOG
            module.add_options(chosen)
    return parser


def module_of(command: str) -> str:
    """Return the module of a command; one that is a word of Python's has an underscore behind it.

    Examples
    --------
    >>> module_of("rank"), module_of("import")
    ('quagpredict.cli.rank', 'quagpredict.cli.import_')
    """
    return f"quagpredict.cli.{command}{'_' if iskeyword(command) else ''}"
