"""How results show themselves: as the terminal's table when printed, as a table in a notebook."""

from io import StringIO
from typing import Any

from quagpredict.report.decision import decide
from quagpredict.report.markup import name, sentence, text
from quagpredict.report.race_tables import print_race, race_columns, race_sentence
from quagpredict.report.tables import listed, print_ranking

# Rows of a table in a notebook.
_ROWS = 20
_CELL = "padding:.15em .6em;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
_LEFT = "padding:.15em .6em;text-align:left;overflow-wrap:anywhere"


def ranking_text(ranking: Any) -> str:
    """Return a ranking as the terminal shows it."""
    return _printed(print_ranking, ranking)


def race_text(race: Any) -> str:
    """Return a race as the terminal shows it."""
    return _printed(print_race, race)


def _printed(show: Any, value: Any) -> str:
    from rich.console import Console

    handle = StringIO()
    # The width is the terminal's, or what COLUMNS says.
    show(value, Console(file=handle, width=Console().width, highlight=False, color_system=None))
    return handle.getvalue().rstrip("\n")


def ranking_html(ranking: Any) -> str:
    """Return a ranking as a notebook shows it: the decision, the table in per cent, the notes."""
    decision = decide(ranking)
    reasons = "".join(f"<p>{sentence(reason)}</p>" for reason in (decision.doubt, decision.free) if reason)
    head = f"<p><strong>{sentence(decision.sentence)}</strong></p>{reasons}"
    return _shown(head, listed(ranking, _ROWS), ranking.frame.height, ranking.notes)


def race_html(race: Any) -> str:
    """Return a race as a notebook shows it: what it says now, the table in per cent, the notes."""
    shown = race.frame.head(_ROWS)
    columns = race_columns(shown)
    head = f"<p><strong>{sentence(race_sentence(race))}</strong></p>"
    return _shown(head, columns, race.frame.height, race.notes)


def _shown(head: str, columns: dict[str, list[str]], count: int, notes: tuple[str, ...]) -> str:
    """Return it without a style sheet, since viewers of notebooks take these away."""
    texts = ("candidate", "flags", "do")
    heads = "".join(f'<th style="{_LEFT if key in texts else _CELL}">{text(key)}</th>' for key in columns)
    rows = []
    for row in range(len(columns["candidate"])):
        cells = ""
        for key, values in columns.items():
            value = name(values[row]) if key == "candidate" else text(values[row])
            cells += f'<td style="{_LEFT if key in texts else _CELL}">{value}</td>'
        rows.append(f"<tr>{cells}</tr>")
    more = f"<p>... and {count - len(rows):,} more candidates, see <code>.frame</code></p>" if count > len(rows) else ""
    items = "".join(f"<li>{text(note)}</li>" for note in notes)
    listed = f"<ul>{items}</ul>" if items else ""
    return (
        f"<div>{head}<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}{listed}</div>"
    )
