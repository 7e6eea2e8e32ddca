"""A race as a table for the terminal, CSV or JSON."""

from typing import TYPE_CHECKING

import polars as pl

from quagpredict.racing import Race
from quagpredict.report.decision import marked, unmarked
from quagpredict.report.formats import fitting, percent, percent_range, plain, to_json

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"start": "bold green", "go on": "bold green", "stop": "red", "leave": "dim", "done": "bold"}
# Columns in the order in which they go where the terminal is narrow.
_LEAVING = ("state", "gain", "regret", "now", "gate", "90 %")
#: Runs whose reason is told below the table.
_EXPLAINED = 6


def race_csv(race: Race) -> str:
    """Return the race as CSV: one line a candidate, scores as fractions."""
    return race.frame.write_csv()


def race_json(race: Race) -> str:
    """Return everything that the race holds as JSON; scores as fractions, unknown values null."""
    return to_json(
        {
            "choice": race.choice,
            "expected_regret": race.expected_regret,
            "finish_cost": race.finish_cost,
            "cost_unit": race.cost_unit,
            "over": race.over,
            "gate": race.gate and race.gate._asdict(),
            "rl_steps": race.rl_steps,
            "notes": race.notes,
            "candidates": race.frame.to_dicts(),
            "curves": race.curves.to_dicts(),
        }
    )


def print_race(race: Race, console: "Console", top: int = 50) -> None:
    """Print what every run is told, why, and what stopping here would cost.

    Parameters
    ----------
    race : Race
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
            f"Forecast of Pass@1 after {race.rl_steps} RL steps, in per cent; regret and gain in points", style="bold"
        ),
        end="\n\n",
    )
    frame = race.frame.head(top)
    names = list(map(plain, frame["candidate"]))
    actions = [action_in_words(action, until) for action, until in frame.select("action", "until").iter_rows()]
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
    if race.frame.height > top:
        console.print(f"... and {race.frame.height - top:,} more candidates (--top, or --format csv)")
    _print_reasons(race, console)


def action_in_words(action: str, until: int | None) -> str:
    """Return what a run is told: ``go on to 200``."""
    return action if until is None else f"{action} to {until}"


def race_columns(frame: pl.DataFrame) -> dict[str, list[str]]:
    """Return every column of a race by its heading, what is to be done first."""
    told = [action_in_words(action, until) for action, until in frame.select("action", "until").iter_rows()]
    return {"do": told, "candidate": list(map(plain, frame["candidate"])), **_columns(frame)}


def _columns(frame: pl.DataFrame) -> dict[str, list[str]]:
    columns = {
        "state": list(frame["state"]),
        "step": [str(step) for step in frame["step"]],
        "now": [percent(value) for value in frame["score"]],
        "end": [percent(value) for value in frame["forecast"]],
        "90 %": [
            "known" if state == "finished" else percent_range(low, high)
            for state, low, high in frame.select("state", "low", "high").iter_rows()
        ],
        "best": [percent(value, 0) for value in frame["p_best"]],
        "regret": [percent(value) for value in frame["expected_regret"]],
    }
    if "p_clear" in frame.columns:
        columns["gate"] = [percent(value, 0) for value in frame["p_clear"]]
    return {**columns, "gain": [percent(value, 2) for value in frame["gain"]]}


def _print_reasons(race: Race, console: "Console") -> None:
    from rich.text import Text

    console.print()
    moves = race.frame.filter(pl.col("until").is_not_null())
    for row in moves.sort("gain", descending=True, nulls_last=True).head(_EXPLAINED).iter_rows(named=True):
        line = Text(f"{plain(row['candidate'])}: ", style="bold") + Text(row["why"], style="not bold default")
        console.print(line + Text(f" (cost {_costs(race, row['cost'])})", style="not bold dim"))
    title, colon, text = unmarked(race_sentence(race)).partition(": ")
    console.print(Text(title + colon, style="bold") + Text(text, style="not bold default"))


def race_sentence(race: Race) -> str:
    """Return what a race says if nothing more is learnt, its name marked as in a decision."""
    if race.choice is None:
        return "None is worth RL: no candidate is likely enough to clear the gate."
    cost = f", which costs {_costs(race, race.finish_cost)} more" if race.finish_cost else ""
    return (
        f"{'The race is over' if race.over else 'Stopping here'}: take {marked(race.choice)}{cost}; expected regret "
        f"{percent(race.expected_regret)} points against the best of all in full."
    )


def _costs(race: Race, cost: float) -> str:
    return f"{cost:g} {race.cost_unit}".rstrip()
