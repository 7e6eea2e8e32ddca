"""The rules that cost nothing beside a prediction, on a ranking's page: what each takes, and what that costs."""

from math import isfinite
from typing import Any

import polars as pl

from quagpredict.ranking import Ranking
from quagpredict.ranking.result import Choice
from quagpredict.report.candidate_rows import bases_of
from quagpredict.report.decision import rule_in_words, with_unit
from quagpredict.report.formats import number, score
from quagpredict.report.markup import name, section, table, text

_SAME = '<span class="same">the same</span>'


def rules(ranking: Ranking, gpu_hours_per_run: float | None) -> str:
    """Return what each way of choosing takes, what is predicted of it and, where RL was run, what it gave.

    Empty where no rule can order the candidates.
    """
    ours = "prediction" if ranking.surrogate else "screening"
    firsts = {choice.rule: choice.candidate for choice in ranking.free_choices if choice.base_model is None}
    first = _first_left(ranking, ranking.frame)["candidate"]
    picks = {ours: first, **{rule: candidate for rule, candidate in firsts.items() if rule != ours}}
    if len(picks) < 2:
        return ""
    # Where some candidates have their result, rules choose among the others, and are judged on those: two tables.
    apart = bool(ranking.outcome and ranking.finished)
    judged = {choice.rule: choice for choice in ranking.outcome.choices} if ranking.outcome else {}
    shown, judged = (judged, {}) if apart else ({}, judged)
    predicted = dict(ranking.frame.select("candidate", "prediction").iter_rows()) if ranking.surrogate else {}
    heads = ["sorted by", "takes first"]
    heads += ["predicted", "against ours"] if predicted else []
    heads += ["ended at", "regret", "runs until the best"] if judged else []
    heads += ["GPU-hours until the best"] if judged and gpu_hours_per_run else []
    heads_of_left, rows = heads, []
    for rule, candidate in picks.items():
        cells = [text(rule_in_words(rule)), name(candidate)]
        if predicted:
            cells.append(score(ranking.target, predicted[candidate]))
            cells.append(
                "" if rule == ours else _gap(ranking, predicted[candidate] - predicted[first], candidate == first)
            )
        if judged:
            cells += _judged(ranking, judged.get(rule), gpu_hours_per_run)
        rows.append(cells)
    about = "Sorting by a measurement costs nothing: a prediction is worth what it adds to that."
    if not ranking.outcome:
        return section("What the free rules would take", about, table(heads, rows, 2, classes=["ours"]))
    best = with_unit(ranking, ranking.outcome.best_actual)
    about_results = (
        f"Of the {ranking.outcome.finished:,} whose score after RL is known, regret is how far a rule's first ended "
    )
    about_results += f"below the best, {best}; “runs until the best” is how far down each list the best stands."
    if not apart:
        return section(
            "What the free rules would take", f"{about} {about_results}", table(heads, rows, 2, classes=["ours"])
        )
    heads = ["sorted by", "took first", "ended at", "regret", "runs until the best"]
    heads += ["GPU-hours until the best"] if gpu_hours_per_run else []
    seen = [
        [text(rule_in_words(rule)), name(choice.candidate), *_judged(ranking, choice, gpu_hours_per_run)]
        for rule, choice in shown.items()
    ]
    still_open = section(
        "What the free rules would take",
        f"{about} Among those without a result.",
        table(heads_of_left, rows, 2, classes=["ours"]),
    )
    return still_open + section("What they would have cost", about_results, table(heads, seen, 2))


def _first_left(ranking: Ranking, part: pl.DataFrame) -> dict[str, Any]:
    """Return the first of the candidates that may still be taken: without a result, unless all have theirs."""
    ranked = part.filter(pl.col("rank").is_not_null())
    without_result = ranked.filter(~pl.col("candidate").is_in(list(ranking.finished)))
    return (ranked if without_result.is_empty() else without_result).row(0, named=True)


def _gap(ranking: Ranking, gap: float, same: bool) -> str:
    return _SAME if same else f"{'+' if gap > 0 else '−'}{score(ranking.target, abs(gap))}"


def _judged(ranking: Ranking, choice: Choice | None, hours: float | None) -> list[str]:
    """Return what RL gave of a rule's choice among the candidates with a result."""
    if choice is None:
        return [""] * (4 if hours else 3)
    runs = choice.runs_to_best
    cells = [score(ranking.target, choice.actual), score(ranking.target, choice.regret)]
    cells.append(number(runs, 1).removesuffix(".0"))
    return [*cells, f"{runs * hours:,.0f}" if isfinite(runs) else ""] if hours else cells


def within_bases(ranking: Ranking) -> str:
    """Return what each rule takes within each base model, where a team mostly decides; empty for one base."""
    firsts: dict[str, dict[str, str]] = {}
    for choice in ranking.free_choices:
        if choice.base_model is not None and choice.rule != "geometric mean":
            firsts.setdefault(choice.base_model, {})[choice.rule] = choice.candidate
    if not firsts or ranking.surrogate is None:
        return ""
    names = list(dict.fromkeys(rule for choices in firsts.values() for rule in choices))
    row_of = {row["candidate"]: row for row in ranking.frame.iter_rows(named=True)}
    rows = []
    for at, base in enumerate(bases_of(ranking)):
        if base not in firsts:
            continue
        ours = _first_left(ranking, ranking.frame.filter(pl.col("base_model") == base))
        cells = [f'<span class="dot b{min(at, 5)}"></span>{text(base)}', name(ours["candidate"])]
        for rule in names:
            taken = row_of.get(firsts[base].get(rule, ""))
            if taken is None:
                cells.append("")
                continue
            gap = _gap(ranking, taken["prediction"] - ours["prediction"], taken is row_of[ours["candidate"]])
            same = taken["candidate"] == ours["candidate"]
            cells.append(gap if same else f'<span title="{text(taken["candidate"])}">#{taken["rank"]}, {gap}</span>')
        rows.append(cells)
    about = "Where a team decides between checkpoints of one base model: the first by prediction, and the place and "
    about += "predicted difference of each rule's first."
    heads = ["base", "first by prediction", *map(rule_in_words, names)]
    return section("Within each base", about, table(heads, rows, 2) + _told_within(ranking))


def _told_within(ranking: Ranking) -> str:
    """Return what RL gave within base models, a row a rule; empty where that is not known."""
    choices = [choice for choice in ranking.outcome.choices if isfinite(choice.pairs_within)] if ranking.outcome else []
    if not choices:
        return ""
    rows = [
        [
            text(rule_in_words(choice.rule)),
            f"{100 * choice.pairs_within:.0f} %",
            number(choice.spearman_within).replace("-", "−"),
            score(ranking.target, choice.regret_within),
        ]
        for choice in choices
    ]
    return '<p class="about below">What RL gave, means over the bases:</p>' + table(
        ["sorted by", "pairs in order", "Spearman", "regret of the first"], rows, 1, classes=["ours"], kind="narrow"
    )
