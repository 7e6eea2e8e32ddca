"""Small pieces of HTML: text that is safe to show, names that may break where names break, tables."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from quagpredict.report.decision import END, NAME
from quagpredict.report.formats import plain


def text(value: object) -> str:
    """Return a text as HTML.

    Examples
    --------
    >>> text("a < b")
    'a &lt; b'
    """
    return escape(plain(value))


def name(candidate: str) -> str:
    """Return a candidate's name as HTML, with places where a narrow screen may break it.

    Examples
    --------
    >>> name("mix-a.easy")
    '<span class="name">mix-<wbr>a.<wbr>easy</span>'
    """
    return f'<span class="name">{breakable(candidate)}</span>'


def breakable(value: str) -> str:
    """Return a text as HTML that may be broken behind ``.``, ``-``, ``_``, ``/`` and ``:``, but not within a number."""
    return re.sub(r"(?:(?<!\d)[.:]|[\-_/]|[.:](?!\d))+(?=[^.\-_/:])", r"\g<0><wbr>", text(value))


def sentence(marked: str) -> str:
    """Return a sentence of a decision as HTML, its names shown as names, each with the sign that follows it.

    Examples
    --------
    >>> sentence(f"Take {NAME}a{END}, 5 %.")
    'Take <span class="kept"><span class="name">a</span>,</span> 5&nbsp;%.'
    """
    parts = re.split(f"{NAME}(.*?){END}([.,;:]?)", marked)
    html = escape(parts[0])
    for at in range(1, len(parts), 3):
        candidate, sign, rest = parts[at : at + 3]
        html += f'<span class="kept">{name(candidate)}{sign}</span>{escape(rest)}'
    return html.replace(" %", "&nbsp;%")


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: int,
    *,
    classes: Sequence[str] = (),
    kind: str = "stacked",
) -> str:
    """Return a table of cells that are HTML already; from column `left` on they are set to the right.

    A narrow screen shows a ``stacked`` table as a block a row, in which each cell says which column it is of.
    """
    sides = [' class="r"' if at >= left else "" for at in range(len(heads))]
    head = "".join(f"<th{side}>{escape(head_text)}</th>" for head_text, side in zip(heads, sides, strict=True))
    body = []
    for at, cells in enumerate(rows):
        row_class = f' class="{classes[at]}"' if at < len(classes) and classes[at] else ""
        shown = zip(cells, sides, heads, strict=True)
        body.append(
            f"<tr{row_class}>"
            + "".join(f'<td{side} data-of="{escape(of)}">{cell}</td>' for cell, side, of in shown)
            + "</tr>"
        )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def facts(pairs: Iterable[tuple[str, str]], kind: str) -> str:
    """Return terms and what is said of them, as HTML both."""
    return f'<dl class="{kind}">' + "".join(f"<dt>{key}</dt><dd>{value}</dd>" for key, value in pairs) + "</dl>"


def section(title: str, about: str, content: str) -> str:
    """Return a part of the page under its heading; `about` is HTML and may be empty."""
    paragraph = f'<p class="about">{about}</p>' if about else ""
    return f"<section>\n<h2>{escape(title)}</h2>\n{paragraph}{content}\n</section>"


def figure(key: str, title: str, about: str, label: str, below: str = "") -> str:
    """Return the place of a figure that the page's script draws; `label` is what is read out of it."""
    return (
        f'<figure>\n<h2>{escape(title)}</h2>\n<p class="about">{about}</p>\n'
        f'<div class="plot" data-figure="{key}" role="img" aria-label="{escape(label)}"></div>\n{below}</figure>'
    )
