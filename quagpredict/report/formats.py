"""How values are shown: scores in per cent, unknown values as a dash, names without control characters."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.corpus.columns import column_of
from quagpredict.files import printable
from quagpredict.schema import BY_NAME

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNKNOWN = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction as per cent, without the sign.

    Examples
    --------
    >>> percent(0.4567), percent(None), percent(-0.0004)
    ('45.7', '–', '0.0')
    """
    return number(None if value is None else 100.0 * value, digits)


def percent_range(low: float | None, high: float | None) -> str:
    """Return an interval of fractions as per cent; a dash for None.

    Examples
    --------
    >>> percent_range(0.4567, 0.5), percent_range(None, None)
    ('46 to 50', '–')
    """
    return "–" if low is None or high is None else f"{percent(low, 0)} to {percent(high, 0)}"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with that many digits after the point; a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0 turns -0.0 into 0.0


def plain(name: Any) -> str:
    r"""Return a name as it may stand in a terminal: control characters, which a file can hold, become ``?``.

    Examples
    --------
    >>> plain("weak.easy\x1b[31m")
    'weak.easy?[31m'
    """
    return printable(str(name))


def measured(column: str, value: float | None) -> str:
    """Return a measurement in the way its column asks for: a fraction in per cent, a loss with three digits.

    Examples
    --------
    >>> measured("pre_pass_at_64", 0.81), measured("pre_held_out_loss_nats", 0.41237), measured("weight", 0.5)
    ('81.0', '0.412', '0.5')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNKNOWN
    unit = BY_NAME[column].unit if column in BY_NAME else ""
    if unit == "fraction":
        return percent(value)
    return f"{value:.3f}" if unit == "nats/token" else f"{value:.4g}"


def to_json(value: Any) -> str:
    """Return a result as JSON: tables as lists of rows, NaN and infinity as null, which JSON has no word for.

    Examples
    --------
    >>> print(to_json({"r2": float("nan"), "rows": pl.DataFrame({"k": [1]})}), end="")
    {
     "r2": null,
     "rows": [
      {
       "k": 1
      }
     ]
    }
    """
    return json.dumps(_json_value(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, pl.DataFrame):
        return _json_value(value.to_dicts())
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value


def is_share(column: str) -> bool:
    """Return whether a column holds fractions, which are shown in per cent."""
    return column in BY_NAME and BY_NAME[column].unit == "fraction"


def score(target: str, value: float | None, digits: int = 1) -> str:
    """Return a value of the target: a share in per cent, anything else with four significant digits.

    Examples
    --------
    >>> score("post_pass_at_1", 0.4567), score("loss", 2.34567), score("loss", None)
    ('45.7', '2.346', '–')
    """
    return percent(value, digits) if is_share(target) else measured(target, value)


def heading(column: str) -> str:
    """Return the heading of a measurement's column.

    Examples
    --------
    >>> heading("pre_pass_at_64"), heading("pre_held_out_loss_nats"), heading("pre_length_mean"), heading("weight")
    ('Pass@64', 'loss', 'length mean', 'weight')
    """
    return column_of(column).heading


def fitting(
    columns: Mapping[str, Sequence[str]], room: int, leaving: Iterable[str] | None = None, gap: int = 1
) -> list[str]:
    """Return the headings of the columns that fit side by side, so that no name or number has to be broken.

    Parameters
    ----------
    columns : mapping
        Heading -> texts, from left to right.
    room : int
        Characters for all of them.
    leaving : iterable of str, optional
        Headings in the order in which their columns go while there is too little room; by default from the right to
        the left, and never the first.
    gap : int
        Characters between two columns.

    Examples
    --------
    >>> fitting({"R²": ["0.72"], "Spearman": ["0.88"], "regret": ["3.4"]}, 16)
    ['R²', 'Spearman']
    >>> fitting({"R²": ["0.72"], "Spearman": ["0.88"], "regret": ["3.4"]}, 16, leaving=["Spearman"])
    ['R²', 'regret']
    """
    widths = {heading: gap + max(map(len, (heading, *cells))) for heading, cells in columns.items()}
    for heading in reversed(list(columns)[1:]) if leaving is None else leaving:
        if sum(widths.values()) <= room:
            break
        widths.pop(heading, None)
    return list(widths)


def print_title(console: "Console", text: str) -> None:
    """Print what a table is about, and an empty line."""
    from rich.text import Text

    console.print(Text(text, style="bold"), end="\n\n")


def table_of(
    columns: Mapping[str, Sequence[Any]],
    folding: Mapping[str, int | None],
    *,
    left: Collection[str] = (),
    styles: Sequence[str | None] = (),
    gap: int = 0,
) -> "Table":
    """Return a table for the terminal: numbers to the right, each in one line, texts to the left.

    Parameters
    ----------
    columns : mapping
        Heading -> cells (str, or `rich.text.Text` with its style), from left to right.
    folding : mapping
        Headings of texts that are broken where there is no room -> the characters that they keep in any case.
    left : collection of str
        Headings of texts that are never broken.
    styles : sequence of str or None
        Of each row.
    gap : int
        Spaces on both sides of a column.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, gap), show_edge=False, pad_edge=False)
    for head in columns:
        if head in folding:
            table.add_column(head, overflow="fold", min_width=folding[head])
        else:
            table.add_column(head, justify="left" if head in left else "right", no_wrap=True)
    for row, cells in enumerate(zip(*columns.values(), strict=True)):
        texts = (cell if isinstance(cell, Text) else Text(cell) for cell in cells)
        table.add_row(*texts, style=styles[row] if styles else None)
    return table
