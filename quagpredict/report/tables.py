"""A ranking as a table for the terminal, CSV or JSON."""

import json
import math
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.ranking import Ranking
from quagpredict.ranking.flags import KINDS
from quagpredict.report.formats import UNKNOWN, heading, measured, number, percent, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Width in characters from which on the table shows everything.
WIDE = 110
# Candidates named for one kind of flag before the rest is only counted.
_NAMED = 4

MARKS = {
    "outside-domain": "D",
    "missing-feature": "M",
    "few-samples": "K",
    "saturated": "S",
    "conflict": "C",
    "truncated": "T",
    "off-scale": "O",
    "screened-out": "X",
    "other-protocol": "P",
    "other-rl-recipe": "R",
    "unseen-base": "B",
}


def ranking_csv(ranking: Ranking) -> str:
    """Return the ranking as CSV: one line a candidate, scores as fractions, flags joined by ``;``."""
    return ranking.frame.with_columns(pl.col("flags").list.join(";")).write_csv()


def ranking_json(ranking: Ranking) -> str:
    """Return everything that the ranking holds as JSON; scores as fractions, unknown values null."""
    found = ranking.outcome
    value = {
        "surrogate": ranking.surrogate,
        "target": ranking.target,
        "notes": ranking.notes,
        "candidates": ranking.frame.to_dicts(),
        "flags": [flag._asdict() for flag in ranking.flags],
        "outcome": found and {**vars(found), "choices": [choice._asdict() for choice in found.choices]},
    }
    return json.dumps(_without_nan(value), indent=1, ensure_ascii=False) + "\n"


def print_ranking(ranking: Ranking, console: "Console", top: int = 50) -> None:
    """Print the ranking, what the flags mean, and what RL really gave where that is known.

    Parameters
    ----------
    ranking : Ranking
    console : rich.console.Console
        Its width decides what fits: from `WIDE` on everything is shown.
    top : int
        Candidates to show; the rest is counted.
    """
    from rich.text import Text

    score = f"{heading(ranking.target.replace('post_', 'pre_', 1))} after RL"
    if ranking.surrogate is None:
        title = f"Screening for {score}: no score is predicted (measurements in per cent, loss in nats)"
    else:
        title = f"Predicted {score} and chance to be best in per cent, regret in points"
    console.print(Text(title, style="bold"), end="\n\n")
    console.print(_candidates(ranking, console.width >= WIDE, top))
    if ranking.frame.height > top:
        console.print(f"... and {ranking.frame.height - top:,} more candidates (--top, or --format csv)")
    _print_flags(ranking, console, top)
    _print_outcome(ranking, console)


def _candidates(ranking: Ranking, wide: bool, top: int) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    frame = ranking.frame.head(top)
    predicted = ranking.surrogate is not None
    table = Table(box=SIMPLE_HEAD, padding=(0, 1) if wide else 0, show_edge=False, pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("candidate", overflow="fold", min_width=12)
    columns: list[tuple[str, list[str]]] = []
    if predicted:
        low, high = frame["low"], frame["high"]
        digits = 1 if wide else 0
        spans = [f"{percent(a, digits)} to {percent(b, digits)}" for a, b in zip(low, high, strict=True)]
        columns += [
            ("predicted" if wide else "RL", list(map(percent, frame["prediction"]))),
            ("90 %", [UNKNOWN if value is None else span for value, span in zip(low, spans, strict=True)]),
            ("P(best)" if wide else "best", [percent(value, 0) for value in frame["p_best"]]),
            ("regret", list(map(percent, frame["expected_regret"]))),
        ]
    for name in _measurements(frame, wide or not predicted):
        columns.append((heading(name), [measured(name, value) for value in frame[name]]))
    if predicted and wide:
        columns.append(("distance", [number(value, 1) for value in frame["distance"]]))
    if "actual" in frame.columns:
        columns.append(("actual", list(map(percent, frame["actual"]))))
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    has_flags = any(frame["flags"].list.len() > 0)
    if has_flags:
        table.add_column("flags", style="yellow", no_wrap=True)
    for row, name in enumerate(frame["candidate"]):
        place = frame["rank"][row]
        marks = [" ".join(MARKS[kind] for kind in frame["flags"][row])] if has_flags else []
        cells = [Text(str(place or UNKNOWN)), Text(plain(name)), *(Text(values[row]) for _, values in columns)]
        table.add_row(*cells, *marks, style="bold" if place == 1 else ("dim" if place is None else None))
    return table


def _measurements(frame: pl.DataFrame, every: bool) -> list[str]:
    """Return the columns of measurements to show: all, or only post-SFT Pass@1."""
    first = frame.columns.index("distance") + 1 if "distance" in frame.columns else frame.columns.index("candidate") + 1
    names = [name for name in frame.columns[first:] if name not in ("actual", "flags", "base_model")]
    return names if every else [name for name in names if name == "pre_pass_at_1"]


def _print_flags(ranking: Ranking, console: "Console", top: int) -> None:
    from rich.padding import Padding
    from rich.text import Text

    shown = set(ranking.frame["candidate"].head(top))
    for kind, meaning in KINDS.items():
        found = [flag for flag in ranking.flags if flag.kind == kind and flag.candidate in shown]
        if not found:
            continue
        text = Text(f"{MARKS[kind]} ", style="yellow") + Text(f"{meaning}: ", style="not bold default")
        # One detail that is the same for all is said once.
        if len({flag.detail for flag in found}) == 1 and len(found) > 1:
            text += Text(f"{len(found)} candidates ({plain(found[0].detail)})", style="dim")
        else:
            named = ", ".join(f"{plain(flag.candidate)} ({plain(flag.detail)})" for flag in found[:_NAMED])
            text += Text(named + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""), style="dim")
        console.print(Padding(text, (0, 0, 0, 0)))


def _print_outcome(ranking: Ranking, console: "Console") -> None:
    found = ranking.outcome
    if found is None:
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = f"What RL really gave: {found.finished} candidates known, best {plain(found.best)} with "
    console.print(Text(f"\n{title}{percent(found.best_actual)} per cent", style="bold"), end="\n\n")
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("chosen by", no_wrap=True)
    table.add_column("candidate", overflow="fold")
    for name in ("actual", "regret", "Spearman"):
        table.add_column(name, justify="right", no_wrap=True)
    for choice in found.choices:
        rule = f"post-SFT {heading(choice.rule)}" if choice.rule.startswith("pre_") else choice.rule
        values = (percent(choice.actual), f"{percent(choice.regret)} points", number(choice.spearman))
        table.add_row(Text(rule), Text(plain(choice.candidate)), *values)
    console.print(table)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value
