"""What several commands read and write in the same way: numbers, tables, files."""

import argparse
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from quagpredict.errors import CorpusError, UsageError
from quagpredict.files import printable, written_aside

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

FORMATS = ("table", "csv", "json")
Result = TypeVar("Result")


def at_least(least: int) -> Callable[[str], int]:
    """Return an argument type: whole numbers from `least` on.

    Examples
    --------
    >>> at_least(1)("3")
    3
    """

    def number(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got '{text}'")
        return int(text)

    return number


def above_zero(text: str) -> float:
    """Return the number that an option gives, above 0.

    Examples
    --------
    >>> above_zero("200")
    200.0
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got '{text}'")
    return number


def several_of(parser: argparse.ArgumentParser) -> Callable[..., argparse.Action]:
    """Return what adds an option that takes one value or several, and may be given more than once."""
    return partial(parser.add_argument, action="extend", nargs="+")


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how much benchmarks count; `weights_of` reads it."""
    several_of(parser)(
        "--weights",
        metavar="BENCHMARK=NUMBER",
        help="how much benchmarks count in a score, 1 where nothing is given: aime=2 (default: by their problems)",
    )


def add_candidates(parser: argparse.ArgumentParser) -> None:
    """Add the options that name candidates; `candidates_of` reads them."""
    add = parser.add_argument
    add("tables", nargs="*", default=[], metavar="TABLE", help="candidates: files, globs (quoted or not) or folders")
    several_of(parser)("--candidates", default=[], metavar="TABLE", help="the same")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a table of another tool is read; `columns_of` reads the first."""
    several_of(parser)(
        "--columns",
        metavar="NAME=HEADER",
        help="what a table of another tool calls a column: candidate=run pre_pass_at_64='pass@64'",
    )
    parser.add_argument(
        "--percent", action="store_true", help="scores are in per cent (not in files that quagpredict wrote)"
    )


def add_join_seeds(parser: argparse.ArgumentParser) -> None:
    """Add the option that joins the rows of one candidate."""
    parser.add_argument(
        "--join-seeds",
        metavar="COLUMN",
        help="eval seeds: join the rows of a candidate that differ in this column (counts added, means weighted)",
    )


def add_corpus(parser: argparse.ArgumentParser) -> None:
    """Add the options that name finished runs; `with_corpus` reads them."""
    parser.add_argument("corpus", nargs="+", metavar="CORPUS", help="table of finished runs: files, globs or folders")
    add_reading(parser)


def with_corpus(
    use: Callable[[Any], Result], args: argparse.Namespace, command: str, keep: Collection[str] = ()
) -> Result:
    """Call `use` with the finished runs that are named, read as `rank` reads candidates, and say what was taken."""
    from quagpredict.ranking.headers import with_headers

    with telling_the_command():
        result, read = with_headers(use, args.corpus, columns=columns_of(args.columns), percent=args.percent, keep=keep)
    say_notes(read.notes, command)
    return result


def kept_of(args: argparse.Namespace) -> list[str]:
    """Return the headers that a call names itself, and that keep their names."""
    from quagpredict.schema import BY_NAME

    return [*(args.features or ()), *([] if args.target in BY_NAME else [args.target])]


@contextmanager
def telling_the_command() -> Iterator[None]:
    """Say of headers that would help the whole command that takes them."""
    from quagpredict.ranking.headers import HeadersError

    try:
        yield
    except HeadersError as error:
        told = ["--columns", *(f"{name}={header}" for name, header in error.columns.items())] if error.columns else []
        command = " ".join([called(), *map(shlex.quote, told), *(["--percent"] if error.percent else [])])
        raise CorpusError(f"{error.reason}; {'did you mean' if told else 'if it is'}: {command}") from None


def add_curves(parser: argparse.ArgumentParser) -> None:
    """Add the option that names scores along RL."""
    parser.add_argument(
        "--curves",
        metavar="TABLE",
        help="Pass@1 along RL runs that have begun (default: the candidates' own column post_curve)",
    )


def add_output(parser: argparse.ArgumentParser, result: str, endings: str, rows: str = "", top: int = 50) -> None:
    """Add what is printed and written: `result` is written to a name with one of `endings`, `rows` are shown."""
    add = parser.add_argument
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")
    add("--out", metavar="FILE", help=f"also write the {result} there: {endings}")
    if rows:
        add("--top", type=at_least(1), default=top, metavar="N", help=f"{rows} (default: {top})")


def columns_of(pairs: Iterable[str] | None) -> dict[str, str]:
    """Return what NAME=HEADER pairs say.

    Examples
    --------
    >>> columns_of(["candidate=run", "pre_pass_at_64=pass@64"])
    {'candidate': 'run', 'pre_pass_at_64': 'pass@64'}
    """
    columns: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, header = pair.partition("=")
        if not equals or not name or name in columns:
            raise UsageError(f"--columns {pair}: expected NAME=HEADER, each name once, as candidate=run")
        columns[name] = header
    return columns


def candidates_of(args: argparse.Namespace, command: str) -> list[str]:
    """Return the candidates that are named, or refuse a call without any."""
    given = [*args.tables, *args.candidates]
    if not given:
        raise UsageError(
            f"name the candidates: files, globs or folders, as `quagpredict {command} --candidates runs/*.parquet`"
        )
    return given


def add_gate(parser: argparse.ArgumentParser, bar: str, probability: str) -> None:
    """Add the options of a gate: what the bar and the probability are, in the words of the command."""
    add = parser.add_argument
    add("--gate", metavar="BAR", help=bar)
    add("--margin", type=float, default=0.0, metavar="X", help="by how much the gate must be cleared (a fraction)")
    add("--gate-probability", type=float, default=0.5, metavar="P", help=probability)


def arguments_of(args: argparse.Namespace, function: Callable[..., Any], **others: Any) -> dict[str, Any]:
    """Return what a function of the library is called with: each option that has the name of a parameter, and `others`.

    Examples
    --------
    >>> def rank(candidates, top_m=3, gate=None): ...
    >>> arguments_of(argparse.Namespace(top_m=5, out="a.csv"), rank, candidates=["runs/"])
    {'top_m': 5, 'candidates': ['runs/']}
    """
    from inspect import signature  # --help needs none of it

    options = {name: getattr(args, name) for name in signature(function).parameters if hasattr(args, name)}
    return options | others


def one_or_many(values: list[str] | None) -> str | list[str] | None:
    """Return a single value as itself: a name such as ``both`` may stand for several columns, a list may not.

    Examples
    --------
    >>> one_or_many(["both"]), one_or_many(["web", "code"]), one_or_many(None)
    ('both', ['web', 'code'], None)
    """
    return values[0] if values is not None and len(values) == 1 else values


def weights_of(given: Iterable[str] | None) -> dict[str, float] | None:
    """Return what ``--weights NAME=NUMBER ...`` says; None where it was not given.

    Raises
    ------
    UsageError
        If a pair is not one, or a name appears twice.

    Examples
    --------
    >>> weights_of(["aime=2", "math=0.5"])
    {'aime': 2.0, 'math': 0.5}
    """
    if given is None:
        return None
    weights: dict[str, float] = {}
    for pair in given:
        name, _, number = pair.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = float("nan")
        if not name or name in weights or weight != weight:
            raise UsageError(f"--weights {pair}: expected BENCHMARK=NUMBER, each benchmark once, as aime=2")
        weights[name] = weight
    return weights


def console() -> "Console":
    """Return the console that prints tables on stdout; a reader that has seen enough is ours to handle."""
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise

    return Ours(highlight=False, soft_wrap=False)


def emit(
    format: str,
    show: "Callable[[Console], None]",
    table: "Callable[[], pl.DataFrame]",
    values: Callable[[], Any],
    out: str | None = None,
    writers: "Mapping[str, Callable[[], Path]] | None" = None,
) -> None:
    """Print a result on stdout in one format, and write it to `out`, whose suffix names the format.

    `show` prints it as a table, `table` is its CSV, `values` its JSON. `writers` write `out` themselves: suffix -> what
    writes it.

    Raises
    ------
    UsageError
        If the suffix is not .csv, .json, .txt or one of `writers`, or the file cannot be written.
    """
    from quagpredict.report.formats import to_json

    makers = {"csv": lambda: table().write_csv(), "json": lambda: to_json(values())}
    suffix = Path(out).suffix.lower() if out else ""
    endings = (".csv", ".json", ".txt", *(writers or ()))
    if out and suffix not in endings:
        raise UsageError(f"--out {out}: the name must end in {', '.join(endings[:-1])} or {endings[-1]}")
    if format == "table":
        show(console())
    else:
        text = makers[format]()
        # A file or a program gets what the table holds, a terminal nothing that moves its cursor.
        sys.stdout.write("\n".join(map(printable, text.split("\n"))) if sys.stdout.isatty() else text)
    sys.stdout.flush()
    if out and writers and suffix in writers:
        say(f"wrote {writers[suffix]()}")
    elif out:
        try:
            with written_aside(out) as aside:
                if suffix == ".txt":
                    from rich.console import Console

                    with aside.open("w", encoding="utf-8") as handle:
                        show(Console(file=handle, width=120, highlight=False))
                else:
                    aside.write_text(makers[suffix[1:]](), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--out {out}: cannot be written ({error.strerror})") from None
        say(f"wrote {out}")


def say(message: str) -> None:
    """Print a message on stderr."""
    print("\n".join(map(printable, message.split("\n"))), file=sys.stderr)


def say_notes(notes: Iterable[str], command: str) -> None:
    """Print what the library notes on stderr, in the words of the command."""
    from quagpredict.cli.wording import on_the_command_line

    for note in notes:
        say(f"note: {on_the_command_line(note, command)}")


def called() -> str:
    """Return the command line of this process as it can be typed again.

    Examples
    --------
    >>> isinstance(called(), str)
    True
    """
    return shlex.join(["quagpredict", *sys.argv[1:]])
