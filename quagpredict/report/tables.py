"""A ranking as a table for the terminal, CSV or JSON."""

from math import isfinite
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.ranking import Ranking
from quagpredict.ranking.flags import KINDS
from quagpredict.ranking.result import Outcome
from quagpredict.report.decision import first_by
from quagpredict.report.decision_tables import print_decisions
from quagpredict.report.formats import (
    UNKNOWN,
    fitting,
    heading,
    is_share,
    measured,
    number,
    percent,
    plain,
    print_title,
    score,
    table_of,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Width in characters from which on tables show more digits and more columns.
WIDE = 110
# Candidates named for one kind of flag before the rest is only counted.
_NAMED = 3

MARKS = {
    "outside-domain": "D",
    "outside-range": "G",
    "missing-feature": "M",
    "not-screened": "L",
    "falling-curve": "F",
    "few-samples": "K",
    "saturated": "S",
    "conflict": "C",
    "over-trained": "E",
    "no-signal": "N",
    "truncated": "T",
    "off-scale": "O",
    "screened-out": "X",
    "other-protocol": "P",
    "other-rl-recipe": "R",
    "unseen-base": "B",
    "other-problems": "Q",
}


# What the JSON of a ranking holds; `frame` is called candidates there.
_IN_JSON = (
    *("surrogate", "target", "minimize", "notes", "gate", "budget", "next_run", "frame", "contributions"),
    *("by_benchmark", "flags", "finished", "free_choices", "outcome"),
)


def ranking_table(ranking: Ranking) -> pl.DataFrame:
    """Return the ranking as a flat table: a row a candidate, scores as fractions, flags and drivers joined by ``;``."""
    columns = [pl.col("flags").list.join(";")]
    if "drivers" in ranking.frame.columns:
        parts = pl.element().struct
        driver = parts.field("feature") + pl.format(":{}", parts.field("contribution").round(6))
        columns.append(pl.col("drivers").list.eval(driver.drop_nulls()).list.join(";"))
    return ranking.frame.with_columns(columns)


def ranking_values(ranking: Ranking) -> dict[str, Any]:
    """Return everything that the ranking holds, for JSON; scores as fractions."""
    return {"candidates" if name == "frame" else name: getattr(ranking, name) for name in _IN_JSON}


def print_ranking(ranking: Ranking, console: "Console", top: int = 50) -> None:
    """Print the ranking, what the flags mean, and what RL really gave where that is known.

    Parameters
    ----------
    console : rich.console.Console
        Its width decides what is shown: columns are left out before names are broken.
    top : int
        Candidates to show; the rest is counted.
    """
    print_title(console, _title(ranking))
    console.print(_candidates(ranking, console.width, top))
    if ranking.frame.height > top:
        console.print(f"... and {ranking.frame.height - top:,} more candidates (--top, or --format csv)")
    _print_flags(ranking, console, top)
    print_decisions(ranking, console)
    _print_free(ranking, console)
    _print_outcome(ranking, console)


def _title(ranking: Ranking) -> str:
    target = ranking.target
    score = f"{heading(target)} after RL" if target.startswith("post_") else target
    if ranking.surrogate is None:
        return f"Screening for {score}: no score is predicted (per cent; loss in nats)"
    if is_share(target):
        begun = "" if ranking.under_way is None else ", of runs that have begun by their curves,"
        return f"Predicted {score}{begun} and chance to be best in per cent, regret in points"
    order = "the lowest is best" if ranking.minimize else "the highest is best"
    return f"Predicted {score} ({order}), chance to be best in per cent"


def _candidates(ranking: Ranking, width: int, top: int) -> "Table":
    frame = ranking.frame.head(top)
    names = list(map(plain, frame["candidate"]))
    ranks = [str(rank or UNKNOWN) for rank in frame["rank"]]
    marks = [" ".join(MARKS[kind] for kind in kinds) for kinds in frame["flags"]]
    room = width - max(map(len, ("candidate", *names))) - max(map(len, ranks)) - max(map(len, ("flags", *marks))) - 3
    columns = _without_least(ranking_columns(frame, ranking.target, wide=width >= WIDE), room)
    flags = "flags" if any(marks) else ""
    table = table_of(
        {"#": ranks, "candidate": names, **columns, flags: marks},
        {"candidate": 9},
        left=(flags,),
        styles=["bold" if rank == "1" else "dim" if rank == UNKNOWN else None for rank in ranks],
    )
    table.columns[-1].style = "yellow"
    return table


def ranking_columns(frame: pl.DataFrame, target: str, *, wide: bool) -> dict[str, list[str]]:
    """Return every column by its heading, left to right; `wide` shows more digits and longer headings."""
    columns: dict[str, list[str]] = {}
    first = frame.columns.index("candidate") + 1
    if "prediction" in frame.columns:
        first = frame.columns.index("drivers") + 1
        results = frame["actual"] if "actual" in frame.columns else [None] * frame.height
        digits = 1 if wide or not is_share(target) else 0
        columns["predicted" if wide or not target.startswith("post_") else "RL"] = [
            score(target, value) for value in frame["prediction"]
        ]
        columns["90 %"] = [
            _interval(target, low, high, digits, actual is not None or "step" in frame.columns)  # or a curve to its end
            for low, high, actual in zip(frame["low"], frame["high"], results, strict=True)
        ]
        columns["P(best)" if wide else "best"] = [percent(value, 0) for value in frame["p_best"]]
        top = next(name for name in frame.columns if name.startswith("p_top_"))
        columns[f"P(top {top[6:]})" if wide else f"top {top[6:]}"] = [percent(value, 0) for value in frame[top]]
        columns["regret"] = [score(target, value) for value in frame["expected_regret"]]
        if "p_clear" in frame.columns:
            columns["P(gate)" if wide else "gate"] = [percent(value, 0) for value in frame["p_clear"]]
        if "regret_reduction" in frame.columns:
            columns["teaches"] = [score(target, value, 2) for value in frame["regret_reduction"]]
    if "step" in frame.columns:
        columns["step"] = [f"{step:g}" for step in frame["step"]]
        columns["now"] = [score(target, value) for value in frame["score"]]
    for name in frame.columns[first:]:
        if name not in ("actual", "flags", "base_model"):
            columns[heading(name)] = [measured(name, value) for value in frame[name]]
    if "prediction" in frame.columns and frame["distance"].count():  # curves alone have none
        columns["distance"] = [number(value, 1) for value in frame["distance"]]
    if "actual" in frame.columns:
        columns["actual"] = [score(target, value) for value in frame["actual"]]
    return columns


def listed(ranking: Ranking, rows: int) -> dict[str, list[str]]:
    """Return the first candidates as documents list them: place, name, every column, and flags in words."""
    frame = ranking.frame.head(rows)
    flags = [", ".join(kind.replace("-", " ") for kind in kinds) for kinds in frame["flags"]]
    return {
        "#": [str(rank or UNKNOWN) for rank in frame["rank"]],
        "candidate": frame["candidate"].to_list(),
        **ranking_columns(frame, ranking.target, wide=True),
        **({"flags": flags} if any(flags) else {}),
    }


def _interval(target: str, low: float | None, high: float | None, digits: int, has_result: bool) -> str:
    if low is None or high is None:
        return UNKNOWN
    return "known" if has_result and low == high else f"{score(target, low, digits)} to {score(target, high, digits)}"


def _without_least(columns: dict[str, list[str]], room: int) -> dict[str, list[str]]:
    """Return the columns without those that must go, so that names are not broken.

    The distance goes first, then the measurements but Pass@1, then the chance to be among the best, Pass@1 and the
    expected regret. What was asked for stays: the gate, what a run teaches. A screening keeps its measurements: they
    are all it has.
    """
    predictions = ("predicted", "RL", "90 %", "P(best)", "best", "P(gate)", "gate", "teaches", "actual")
    if not {*predictions[:2]} & {*columns}:
        return columns
    top = [name for name in columns if name.startswith(("P(top", "top "))]
    kept = (*predictions, *top, "regret", "Pass@1")
    leaving = ["distance", *[name for name in columns if name not in (*kept, "distance")], *top, "Pass@1", "regret"]
    return {heading: columns[heading] for heading in fitting(columns, room, leaving)}


def _print_flags(ranking: Ranking, console: "Console", top: int) -> None:
    from rich.text import Text

    shown = set(ranking.frame["candidate"].head(top))
    for kind, meaning in KINDS.items():
        flags = [flag for flag in ranking.flags if flag.kind == kind and flag.candidate in shown]
        if not flags:
            continue
        text = Text(f"{MARKS[kind]} ", style="yellow") + Text(f"{meaning}: ", style="not bold default")
        # One detail that is the same for all is said once.
        if len({flag.detail for flag in flags}) == 1 and len(flags) > 1:
            text += Text(f"{len(flags)} candidates ({plain(flags[0].detail)})", style="dim")
        else:
            named = ", ".join(f"{plain(flag.candidate)} ({plain(flag.detail)})" for flag in flags[:_NAMED])
            text += Text(named + (f" and {len(flags) - _NAMED} more" if len(flags) > _NAMED else ""), style="dim")
        console.print(text)


def _print_free(ranking: Ranking, console: "Console") -> None:
    """Say whom sorting would take, where it is not known yet what that would have cost."""
    from rich.text import Text

    actual = ranking.frame["actual"] if "actual" in ranking.frame.columns else None
    rules = first_by(ranking)
    if not rules or (actual is not None and actual.null_count() == 0):
        return
    called = {rule: heading(rule) if rule.startswith("pre_") else rule for names in rules.values() for rule in names}
    taken = "; ".join(f"{plain(name)} (by {', '.join(called[rule] for rule in by)})" for name, by in rules.items())
    among = " of those without a result" if actual is not None else ""
    console.print(Text(f"\nSorting, which costs nothing, would take first{among}: {taken}"))


def _print_outcome(ranking: Ranking, console: "Console") -> None:
    outcome = ranking.outcome
    if outcome is None or outcome.finished < 2:  # of one there is nothing to choose
        return
    from rich.text import Text

    unit = ", in per cent; regret in points" if is_share(ranking.target) else ""
    gave = "RL really gave" if ranking.target.startswith("post_") else f"the column {plain(ranking.target)} says of"
    console.print(Text(f"\nWhat {gave} {outcome.finished} of them{unit}", style="bold"))
    rules = [
        f"post-SFT {heading(choice.rule)}" if choice.rule.startswith("pre_") else choice.rule
        for choice in outcome.choices
    ]
    rules = ["the best of them", *rules]
    within, among = _outcome_columns(ranking.target, outcome)
    room = console.width - max(map(len, rules))
    # Columns leave so that names are not broken; pairs in order are what counts most.
    kept = fitting(within | among, room, ("Spearman", "regret in"))
    inside = [name.removesuffix(" in") for name in within if name in kept]
    if inside:
        listed = " and ".join([", ".join(inside[:-1]), inside[-1]]) if len(inside) > 1 else inside[0]
        line = f"{listed[0].upper()}{listed[1:]} are within a base model, the choice is among all"
        console.print(Text(line))
    console.print()
    shown = {name: cells for name, cells in (within | among).items() if name in kept}
    table = table_of({"chosen by": rules, **shown}, {"candidate": None}, left=("chosen by",))
    for column in table.columns:
        column.header = str(column.header).removesuffix(" in")
    console.print(table)


def _outcome_columns(target: str, outcome: Outcome) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the columns of choices within base models, empty where there are none, and of those among all."""
    choices = outcome.choices
    within = {
        "pairs in": [
            f"{100 * choice.pairs_within:.0f} %" if isfinite(choice.pairs_within) else "" for choice in choices
        ],
        "Spearman": [number(choice.spearman_within) for choice in choices],
        "regret in": [
            score(target, choice.regret_within) if isfinite(choice.regret_within) else "" for choice in choices
        ],
    }
    judged = any(isfinite(choice.pairs_within) for choice in choices)
    among = {
        "candidate": [plain(name) for name in (outcome.best, *(choice.candidate for choice in choices))],
        "actual": [score(target, value) for value in (outcome.best_actual, *(choice.actual for choice in choices))],
        "regret": ["", *(score(target, choice.regret) for choice in choices)],
    }
    return {name: ["", *cells] for name, cells in within.items()} if judged else {}, among
