"""A ranking as Markdown, for a pull request, an issue or a lab book."""

from collections.abc import Sequence

from quagpredict.racing import Race
from quagpredict.ranking import Ranking
from quagpredict.ranking.flags import KINDS
from quagpredict.report.decision import END, NAME
from quagpredict.report.formats import plain
from quagpredict.report.race_decision import decision_of
from quagpredict.report.tables import ranking_columns

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
    shown = ranking.frame.head(ROWS)
    columns = ranking_columns(shown, ranking.target, wide=True)
    names = [_code(name) for name in shown["candidate"]]
    places = [str(rank or "–") for rank in shown["rank"]]
    flags = [", ".join(kind.replace("-", " ") for kind in kinds) for kinds in shown["flags"]]
    table: dict[str, Sequence[str]] = {"#": places, "candidate": names, **columns}
    if any(flags):
        table["flags"] = flags
    heads = list(table)
    lines = [_row(heads), _row(["---" if head in ("candidate", "flags") else "---:" for head in heads])]
    lines += [_row(cells) for cells in zip(*table.values(), strict=True)]
    parts.append("\n".join(lines))
    if ranking.frame.height > ROWS:
        parts.append(f"... and {ranking.frame.height - ROWS:,} more candidates.")
    kinds = {flag.kind for flag in ranking.flags}
    told = [*ranking.notes, *(f"{kind.replace('-', ' ')}: {KINDS[kind]}" for kind in KINDS if kind in kinds)]
    parts.append("\n".join(f"- {_text(note)}" for note in told))
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
