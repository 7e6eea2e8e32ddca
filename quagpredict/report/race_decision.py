"""What a page says first where RL runs are under way: the race decides, since it knows what each run has done."""

import polars as pl

from quagpredict.racing import Race, race_of
from quagpredict.ranking import Ranking
from quagpredict.report.decision import Decision, and_so_on, chosen, decide, free_in_words
from quagpredict.report.race_tables import race_sentence

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
    ranking : Ranking
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
    known = race.choice is not None and race.choice in ranking.frame["candidate"]
    taken = (race.choice,) if known and race.choice is not None else ()
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
    left = open_.select((race.rl_steps - pl.col("step")).sum()).item()
    return now / race.rl_steps, left / race.rl_steps


def _moves(race: Race) -> str:
    """Return what each run is told, those that go on first; empty where nothing is left to do or worth it."""
    if race.choice is None or race.over:
        return ""
    parts = []
    for action, verb in _STARTED.items():
        told: dict[int, list[str]] = {}
        for name, until in race.frame.filter(action=action).select("candidate", "until").iter_rows():
            told.setdefault(until, []).append(name)
        far = " to" if action == "go on" else ", as far as"
        parts += [f"{verb} {and_so_on(tuple(names))}{far} step {until:,}" for until, names in told.items()]
    stopped = tuple(race.frame.filter(pl.col("action") == "stop", pl.col("step") > 0)["candidate"])
    parts += [f"stop {and_so_on(stopped)}"] if stopped else []
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
