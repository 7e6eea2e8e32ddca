"""A race as a table for the terminal, CSV or JSON."""

from typing import TYPE_CHECKING

import polars as pl

from quagpredict.racing import Race
from quagpredict.report.formats import fitting, percent, plain, to_json

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"start": "bold green", "go on": "bold green", "stop": "red", "leave": "dim", "done": "bold"}
# Columns in the order in which they go where the terminal is narrow.
_LEAVING = ("state", "gain", "regret", "now", "gate", "90 %")
#: Runs whose reason is told below the table.
_EXPLAINED = 6


def race_csv(found: Race) -> str:
    """Return the race as CSV: one line a candidate, scores as fractions."""
    return found.frame.write_csv()


def race_json(found: Race) -> str:
    """Return everything that the race holds as JSON; scores as fractions, unknown values null."""
    return to_json(
        {
            "choice": found.choice,
            "expected_regret": found.expected_regret,
            "finish_cost": found.finish_cost,
            "over": found.over,
            "gate": found.gate and found.gate._asdict(),
            "rl_steps": found.rl_steps,
            "notes": found.notes,
            "candidates": found.frame.to_dicts(),
            "curves": found.curves.to_dicts(),
        }
    )


def print_race(found: Race, console: "Console", top: int = 50) -> None:
    """Print what every run is told, why, and what stopping here would cost.

    Parameters
    ----------
    found : Race
    console : rich.console.Console
        Its width decides what is shown: columns are left out before names are broken.
    top : int
        Candidates to show; the rest is counted.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console.print(
        Text(
            f"Forecast of Pass@1 after {found.rl_steps} RL steps, in per cent; regret and gain in points", style="bold"
        ),
        end="\n\n",
    )
    frame = found.frame.head(top)
    names = list(map(plain, frame["candidate"]))
    actions = [_action(action, until) for action, until in frame.select("action", "until").iter_rows()]
    columns = _columns(frame)
    room = console.width - max(map(len, ("candidate", *names))) - max(map(len, ("now", *actions))) - 2
    shown = fitting(columns, room, _LEAVING)
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False, pad_edge=False)
    table.add_column("do", no_wrap=True)
    table.add_column("candidate", overflow="fold", min_width=9)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for row, action in enumerate(actions):
        style = _STYLES.get(frame["action"][row])
        cells = [Text(columns[name][row]) for name in shown]
        table.add_row(Text(action, style=style or ""), Text(names[row]), *cells)
    console.print(table)
    if found.frame.height > top:
        console.print(f"... and {found.frame.height - top:,} more candidates (--top, or --format csv)")
    _print_reasons(found, console)


def _action(action: str, until: int | None) -> str:
    return action if until is None else f"{action} to {until}"


def _columns(frame: pl.DataFrame) -> dict[str, list[str]]:
    columns = {
        "state": list(frame["state"]),
        "step": [str(step) for step in frame["step"]],
        "now": [percent(value) for value in frame["score"]],
        "end": [percent(value) for value in frame["forecast"]],
        "90 %": [
            "known" if state == "finished" else f"{percent(low, 0)} to {percent(high, 0)}"
            for state, low, high in frame.select("state", "low", "high").iter_rows()
        ],
        "best": [percent(value, 0) for value in frame["p_best"]],
        "regret": [percent(value) for value in frame["expected_regret"]],
    }
    if "p_clear" in frame.columns:
        columns["gate"] = [percent(value, 0) for value in frame["p_clear"]]
    return {**columns, "gain": [percent(value, 2) for value in frame["gain"]]}


def _print_reasons(found: Race, console: "Console") -> None:
    from rich.text import Text

    console.print()
    moves = found.frame.filter(pl.col("until").is_not_null())
    for row in moves.sort("gain", descending=True, nulls_last=True).head(_EXPLAINED).iter_rows(named=True):
        line = Text(f"{plain(row['candidate'])}: ", style="bold") + Text(row["why"], style="not bold default")
        console.print(line + Text(f" (cost {row['cost']:g})", style="not bold dim"))
    if found.choice is None:
        console.print(Text("None is worth RL: no candidate is likely enough to clear the gate", style="bold"))
        return
    cost = f", which costs {found.finish_cost:g} more" if found.finish_cost else ""
    regret = percent(found.expected_regret)
    text = f"take {plain(found.choice)}{cost}; expected regret {regret} points against the best of all in full"
    title = "The race is over: " if found.over else "Stopping here: "
    console.print(Text(title, style="bold") + Text(text, style="not bold default"))
