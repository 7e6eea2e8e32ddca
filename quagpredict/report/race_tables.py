"""A race as a table for the terminal or as JSON, and what it says that is to be done now."""

from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.racing import Race, race_of
from quagpredict.ranking import Ranking
from quagpredict.report.decision import Decision, and_so_on, chosen, decide, free_in_words, marked, unmarked
from quagpredict.report.formats import fitting, percent, percent_range, plain, print_title, table_of

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"start": "bold green", "go on": "bold green", "stop": "red", "leave": "dim", "done": "bold"}
# Columns in the order in which they go where the terminal is narrow.
_LEAVING = ("state", "gain", "regret", "now", "gate", "90 %")
#: Runs whose reason is told below the table.
_EXPLAINED = 6


def race_content(race: Race) -> dict[str, Any]:
    """Return everything that the race holds, for JSON; scores as fractions."""
    names = ("choice", "expected_regret", "finish_cost", "cost_unit", "over", "gate", "rl_steps", "notes")
    return {**{name: getattr(race, name) for name in names}, "candidates": race.frame, "curves": race.curves}


def print_race(race: Race, console: "Console", top: int = 50) -> None:
    """Print what every run is told, why, and what stopping here would cost.

    Parameters
    ----------
    console : rich.console.Console
        Its width decides what is shown: columns are left out before names are broken.
    top : int
        Candidates to show; the rest is counted.
    """
    from rich.text import Text

    print_title(console, f"Forecast of Pass@1 after {race.rl_steps} RL steps, in per cent; regret and gain in points")
    frame = race.frame.head(top)
    names = list(map(plain, frame["candidate"]))
    actions = [action_in_words(action, until) for action, until in frame.select("action", "until").iter_rows()]
    columns = _columns(frame)
    room = console.width - max(map(len, ("candidate", *names))) - max(map(len, ("now", *actions))) - 2
    kept = {name: columns[name] for name in fitting(columns, room, _LEAVING)}
    styled = [Text(words, style=_STYLES.get(kind, "")) for words, kind in zip(actions, frame["action"], strict=True)]
    console.print(table_of({"do": styled, "candidate": names, **kept}, {"candidate": 9}, left=("do",)))
    if race.frame.height > top:
        console.print(f"... and {race.frame.height - top:,} more candidates (--top, or --format csv)")
    _print_reasons(race, console)


def action_in_words(action: str, until: int | None) -> str:
    """Return what a run is told: ``go on to 200``."""
    return action if until is None else f"{action} to {until}"


def race_columns(frame: pl.DataFrame) -> dict[str, list[str]]:
    """Return every column of a race by its heading, what is to be done first."""
    actions = [action_in_words(action, until) for action, until in frame.select("action", "until").iter_rows()]
    return {"do": actions, "candidate": list(map(plain, frame["candidate"])), **_columns(frame)}


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


_STARTED = {"go on": "go on with", "start": "start"}


def race_shown(ranking: Ranking) -> Race | None:
    """Return the race of the runs that a ranking was made with, under its gate; None if none had begun."""
    if ranking.under_way is None:
        return None
    gate = ranking.gate
    if gate is None:
        return race_of(ranking)
    return race_of(ranking, gate=gate.bar, margin=gate.margin, gate_probability=gate.probability)


def decision_of(ranking: Ranking, race: Race | None, gpu_hours_per_run: float | None = None) -> Decision:
    """Return what to do: what the race tells the runs now, or, without one, what the ranking says.

    Parameters
    ----------
    race : Race or None
    gpu_hours_per_run : float, optional
        What a whole RL run costs.

    Examples
    --------
    >>> from quagpredict.ranking import rank
    >>> from quagpredict.report.decision import unmarked
    >>> who = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.2, 0.2], "pre_pass_at_16": [0.4, 0.5]})
    >>> along = pl.DataFrame({"candidate": ["a", "b"], "step": [100, 100], "pass_at_1": [0.21, 0.5]})
    >>> ranking = rank(who, curves=along, rl_steps=400)
    >>> unmarked(decision_of(ranking, race_shown(ranking)).sentence)
    'Go on with b to step 400; stop a.'
    """
    if race is None:
        return decide(ranking, gpu_hours_per_run)
    moves = _moves(race)
    ranked = race.choice is not None and race.choice in ranking.frame["candidate"]
    taken = (race.choice,) if ranked and race.choice is not None else ()
    cost = ""
    if gpu_hours_per_run is not None:
        now, every = runs_to_pay(ranking, race)
        cost = (
            f"At {gpu_hours_per_run:g} GPU-hours a run, this costs {now * gpu_hours_per_run:,.0f}; all to their end "
            f"would cost {every * gpu_hours_per_run:,.0f}."
        )
    return Decision(
        moves or race_sentence(race),
        race_sentence(race) if moves else "",
        free_in_words(ranking, taken),
        cost=cost,
    )


def taken_now(ranking: Ranking, race: Race | None) -> tuple[str, ...]:
    """Return the candidates that get RL now: those that are started or gone on with, or the one to take at the end."""
    if race is None:
        return chosen(ranking)
    going = tuple(race.frame.filter(pl.col("action").is_in(list(_STARTED)))["candidate"])
    return going or tuple(name for name in (race.choice,) if name is not None)


def runs_to_pay(ranking: Ranking, race: Race | None) -> tuple[float, float]:
    """Return what is told now, and RL for everyone who is not done, in whole runs."""
    if race is None:
        return float(len(chosen(ranking))), float(ranking.frame.height - len(ranking.finished))
    open_ = race.frame.filter(pl.col("state") != "finished")
    now = open_.filter(pl.col("until").is_not_null()).select((pl.col("until") - pl.col("step")).sum()).item()
    steps_left = open_.select((race.rl_steps - pl.col("step")).sum()).item()
    return now / race.rl_steps, steps_left / race.rl_steps


def _moves(race: Race) -> str:
    """Return what each run is told, those that go on first; empty where nothing is left to do or worth it."""
    if race.choice is None or race.over:
        return ""
    parts = []
    for action, verb in _STARTED.items():
        names_of_step: dict[int, list[str]] = {}
        for name, until in race.frame.filter(action=action).select("candidate", "until").iter_rows():
            names_of_step.setdefault(until, []).append(name)
        far = " to" if action == "go on" else ", as far as"
        parts += [f"{verb} {and_so_on(tuple(names))}{far} step {until:,}" for until, names in names_of_step.items()]
    stopped = tuple(race.frame.filter(pl.col("action") == "stop", pl.col("step") > 0)["candidate"])
    parts += [f"stop {and_so_on(stopped)}"] if stopped else []
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
