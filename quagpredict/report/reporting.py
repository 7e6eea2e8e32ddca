"""Write a ranking for others to read: a page, a table for a pull request, a picture."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from quagpredict.arguments import check_arguments
from quagpredict.errors import UsageError
from quagpredict.files import written_aside
from quagpredict.racing import Race
from quagpredict.ranking import Ranking
from quagpredict.ranking.flags import KINDS
from quagpredict.report.decision import END, NAME
from quagpredict.report.formats import plain
from quagpredict.report.page import page
from quagpredict.report.page_data import measured_of
from quagpredict.report.race_tables import decision_of, race_shown
from quagpredict.report.ranking_figures import ranking_figure
from quagpredict.report.tables import listed

#: Endings of a report's name.
SUFFIXES = (".html", ".md", ".png")


def write_report(
    ranking: Ranking,
    path: str | Path,
    *,
    candidates: Any = None,
    files: Any = None,
    race: Race | None = None,
    title: str = "",
    gpu_hours_per_run: float | None = None,
    command: str = "",
) -> Path:
    """Write what a ranking says, for a team to read.

    Parameters
    ----------
    ranking : Ranking
    path : path
        Its ending says what is written: ``.html`` one page that needs no network, ``.md`` a table for a pull request or
        an issue, ``.png`` a picture of the candidates (needs the extra ``plot``).
    candidates : source, optional
        The candidates that were ranked, as `read_corpus` reads them: they bring the curves of Pass@k, the losses, the
        ids of protocols and the digests of files. By default those that the ranking was made of.
    files : source, optional
        The files that were read, for the provenance: those of the candidates by default; of a truth and of curves too.
    race : Race, optional
        The state of the RL runs that are under way; by default that of the curves that the ranking was made with. It is
        shown, and what it tells each run is then the decision.
    title : str
        What the page is about, in a few words.
    gpu_hours_per_run : float, optional
        What one RL run costs: costs are then told in GPU-hours.
    command : str
        The command line or call that made it, for the provenance.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        If the ending is another, the cost is not above 0, or the file cannot be written.
    MissingExtraError
        If a picture is asked for and matplotlib is not installed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import polars as pl
    >>> from quagpredict.ranking import rank
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    >>> with TemporaryDirectory() as folder:
    ...     path = write_report(rank(table), f"{folder}/ranking.html")
    ...     "<h1>Take" in path.read_text(encoding="utf-8")
    True
    """
    check_arguments(write_report, locals())
    check_report_path(path)
    if gpu_hours_per_run is not None and not 0.0 < gpu_hours_per_run < float("inf"):
        raise UsageError(f"gpu_hours_per_run={gpu_hours_per_run:g}: expected a number above 0")
    race = race_shown(ranking) if race is None else race
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix == ".png":
        return ranking_figure(ranking, target, race)
    if suffix == ".md":
        content = ranking_markdown(ranking, gpu_hours_per_run, title, race)
    else:
        made = [("made", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}")]
        made += [("command", command)] if command else []
        measured = measured_of(ranking, candidates, files)
        content = page(ranking, measured, race=race, title=title, gpu_hours_per_run=gpu_hours_per_run, made=made)
    try:
        with written_aside(target) as aside:
            aside.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"report {path}: cannot be written ({error.strerror})") from None
    return target


def check_report_path(path: str | Path) -> None:
    """Refuse a name that no report can have, before anything is computed."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"report {path}: the name must end in {', '.join(SUFFIXES)}")


#: Candidates in the table.
ROWS = 20


def ranking_markdown(
    ranking: Ranking, gpu_hours_per_run: float | None = None, title: str = "", race: Race | None = None
) -> str:
    """Return the decision, what stands behind it, a table of the first candidates, and the notes.

    Examples
    --------
    >>> import polars as pl
    >>> from quagpredict.ranking import rank
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    >>> print(ranking_markdown(rank(table, None)).splitlines()[0])
    **Take `b` through RL first: of the 2 it has the highest Pass@64, 80.0 %.**
    """
    decision = decision_of(ranking, race, gpu_hours_per_run)
    head = [f"# {_text(title)}"] if title else []
    parts = [*head, f"**{_sentence(decision.sentence)}**", *map(_sentence, decision.reasons())]
    table = listed(ranking, ROWS)
    table["candidate"] = list(map(_code, table["candidate"]))
    heads = list(table)
    lines = [_row(heads), _row(["---" if head in ("candidate", "flags") else "---:" for head in heads])]
    lines += [_row(cells) for cells in zip(*table.values(), strict=True)]
    parts.append("\n".join(lines))
    if ranking.frame.height > ROWS:
        parts.append(f"... and {ranking.frame.height - ROWS:,} more candidates.")
    kinds = {flag.kind for flag in ranking.flags}
    notes = [*ranking.notes, *(f"{kind.replace('-', ' ')}: {KINDS[kind]}" for kind in KINDS if kind in kinds)]
    parts.append("\n".join(f"- {_text(note)}" for note in notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _sentence(marked: str) -> str:
    pieces = marked.replace(END, NAME).split(NAME)
    return "".join(_code(piece) if number % 2 else _text(piece) for number, piece in enumerate(pieces))


def _code(name: str) -> str:
    """Return a name as code, whatever signs it holds."""
    return f"`{plain(name).replace('`', chr(39))}`"


def _text(value: str) -> str:
    """Return a text in which no sign is taken for Markdown or HTML."""
    escaped = plain(value).replace("\\", "\\\\").replace("<", "&lt;")
    for sign in "*_`[]":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped
