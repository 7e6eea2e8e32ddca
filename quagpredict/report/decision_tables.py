"""The decisions of a ranking in words: what drives it, the gate, the budget, the next run."""

from typing import TYPE_CHECKING

from quagpredict.ranking import Ranking
from quagpredict.ranking.result import Gate
from quagpredict.report.formats import heading, is_share, percent, plain, score

if TYPE_CHECKING:
    from rich.console import Console

# Candidates whose drivers are shown.
_EXPLAINED = 3
# Candidates named in a line before the rest is only counted.
_NAMED = 5


def print_decisions(ranking: Ranking, console: "Console") -> None:
    """Print what drives the first candidates, and what was asked for: gate, budget, next run."""
    from rich.text import Text

    drivers = _drivers(ranking)
    if drivers:
        unit = " in points" if is_share(ranking.target) else ""
        console.print(
            Text(f"\nWhat drives the first {len(drivers)}{unit}, against the average candidate", style="bold")
        )
        for line in drivers:
            console.print(Text(line, style="not bold default"))
    by_benchmark = _by_benchmark(ranking)
    if by_benchmark:
        title = f"\nBy benchmark, the first {len(by_benchmark)}: before RL, predicted, 90 % interval in per cent"
        console.print(Text(title, style="bold"))
        for line in by_benchmark:
            console.print(Text(line, style="not bold default"))
    answers = [
        (title, text)
        for title, text in (
            ("Gate", _gate(ranking)),
            ("Budget", _budget(ranking)),
            ("Next run", _next_run(ranking)),
        )
        if text
    ]
    if answers:
        console.print()
    for title, text in answers:
        console.print(Text(f"{title}: ", style="bold") + Text(text, style="not bold default"))


def _drivers(ranking: Ranking) -> list[str]:
    if "drivers" not in ranking.frame.columns:
        return []
    lines = []
    for row in ranking.frame.filter(ranking.frame["rank"].is_not_null()).head(_EXPLAINED).iter_rows(named=True):
        moves = [
            f"{plain(heading(driver['feature']))} {_signed(ranking.target, driver['contribution'])}"
            for driver in row["drivers"]
            if driver["contribution"] is not None
        ]
        if moves:
            lines.append(f"{plain(row['candidate'])}: {', '.join(moves)}")
    return lines


def _by_benchmark(ranking: Ranking) -> list[str]:
    if ranking.by_benchmark is None:
        return []
    lines = []
    first = ranking.frame.filter(ranking.frame["rank"].is_not_null())["candidate"].head(_EXPLAINED)
    for name in first:
        cells = ranking.by_benchmark.filter(candidate=name).drop_nulls()
        shown = [
            f"{plain(row['benchmark'])} {percent(row['before'], 0)}, {percent(row['prediction'], 0)} "
            f"({percent(row['low'], 0)} to {percent(row['high'], 0)})"
            for row in cells.head(_NAMED).iter_rows(named=True)
        ]
        rest = f" and {cells.height - _NAMED} more" if cells.height > _NAMED else ""
        lines += [f"{plain(name)}: {'; '.join(shown)}{rest}"] if shown else []  # none of a run that has begun
    return lines


def _signed(target: str, value: float) -> str:
    shown = score(target, abs(value))
    return f"{'+' if value >= 0 else '-'}{shown}"


def _gate(ranking: Ranking) -> str:
    gate = ranking.gate
    if gate is None:
        return ""
    bar = bar_in_words(ranking.target, gate)
    sure = f"a probability of {percent(gate.probability, 0)} % or more"
    chances = dict(ranking.frame.select("candidate", "p_clear").iter_rows())
    if gate.cleared:
        named = ", ".join(f"{plain(name)} ({percent(chances[name], 0)} %)" for name in gate.cleared[:_NAMED])
        rest = f" and {len(gate.cleared) - _NAMED:,} more" if len(gate.cleared) > _NAMED else ""
        verb = "clears" if len(gate.cleared) == 1 else "clear"
        return f"{len(gate.cleared):,} {verb} {bar} with {sure}: {named}{rest}"
    if not gate.closest:
        return f"none could be held against {bar}"
    return (
        f"none clears {bar} with {sure}; the closest is {plain(gate.closest)} "
        f"({percent(chances[gate.closest], 0)} %), and with {percent(gate.p_any, 0)} % at least one of all would"
    )


def bar_in_words(target: str, gate: Gate) -> str:
    """Return what has to be reached, in words."""
    by = f" by {score(target, gate.margin)}{' points' if is_share(target) else ''}" if gate.margin else ""
    if gate.bar == "no-sft":
        return f"RL from its own base without SFT{by}"
    try:
        return f"{score(target, float(gate.bar))}{' %' if is_share(target) else ''}{by}"
    except ValueError:
        return f"{plain(gate.bar)}{by}"


def _budget(ranking: Ranking) -> str:
    budget = ranking.budget
    if budget is None:
        return ""
    if not budget.candidates:
        if ranking.gate is None:
            return "every candidate has its result already"
        return (
            "every candidate that clears the gate has its result already"
            if ranking.gate.cleared
            else "none clears the gate"
        )
    text = f"{len(budget.candidates)} for RL: {', '.join(map(plain, budget.candidates))}"
    if budget.expected_best is None or budget.expected_best_of_top is None:
        return f"{text} (the first of the screening)"
    text += f"; whichever of them turns out best is expected to reach {score(ranking.target, budget.expected_best)}"
    gain = budget.expected_best - budget.expected_best_of_top
    if abs(gain) > 1e-9:
        text += (
            f" (the {len(budget.candidates)} best predictions: {score(ranking.target, budget.expected_best_of_top)})"
        )
    if budget.in_hand is not None:
        text += f", with {score(ranking.target, budget.in_hand)} in hand already"
    if budget.exact:
        return f"{text}; every set was tried"
    return f"{text}; no set is expected to be better by more than {score(ranking.target, budget.at_most_lost, 2)}"


def _next_run(ranking: Ranking) -> str:
    next_run = ranking.next_run
    if next_run is None:
        return ""
    unit = " points" if is_share(ranking.target) else ""
    now, after = (score(ranking.target, value, 2) for value in (next_run.regret_now, next_run.regret_after))
    if now == after:
        return f"no single run is expected to change the choice (expected regret {now}{unit})"
    regrets = f"expected regret {now} now, {after}{unit} once its result is known"
    return f"{plain(next_run.candidate)} would teach most: {regrets}"
