"""A ranking as a decision: one sentence that can be acted on, and what stands behind it.

Names of candidates stand between `NAME` and `END`, so that each page shows them in its own way; `unmarked` takes the
marks away. No name holds them itself, since `plain` leaves no control character.
"""

from typing import Any, NamedTuple

import polars as pl

from quagpredict.ranking import Ranking
from quagpredict.report.decision_tables import bar_in_words
from quagpredict.report.formats import heading, is_share, measured, percent, plain, score

NAME, END = "\x02", "\x03"
# Candidates named in a sentence before the rest is only counted.
_NAMED = 5
# A chance to be best below which the first is not told apart from others.
_CLEAR = 0.5
# Chance from which on another candidate is counted among those that may be best.
_MAY_BE_BEST = 0.1
# Results from which on it is told which rule would have chosen well, and a regret that counts as none.
_TOLD, _SAME = 3, 5e-4


class Decision(NamedTuple):
    """What a ranking says is to be done.

    Each is empty where there is nothing to say.
    """

    sentence: str  #: What to do, in one sentence.
    doubt: str = ""  #: How sure that is.
    free: str = ""  #: What the rules that cost nothing would take, and what that is predicted to cost.
    result: str = ""  #: What choosing by each rule really gave.
    cost: str = ""  #: What it costs.

    def reasons(self) -> list[str]:
        """Return what stands behind the sentence."""
        return [reason for reason in self[1:] if reason]


def decide(ranking: Ranking, gpu_hours_per_run: float | None = None) -> Decision:
    """Return what to do, and why.

    What was asked for decides: a gate that none clears, then a budget, then the first that has no result yet. That none
    is worth RL is an answer.

    Parameters
    ----------
    gpu_hours_per_run : float, optional
        What one RL run costs; the decision then says what it costs.

    Examples
    --------
    >>> from quagpredict.ranking import rank
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    >>> unmarked(decide(rank(table, None)).sentence)
    'Take b through RL first: of the 2 it has the highest Pass@64, 80.0 %.'
    """
    taken = chosen(ranking)
    return Decision(
        _sentence(ranking, taken),
        _doubt(ranking, taken),
        free_in_words(ranking, taken),
        _really(ranking),
        _cost(ranking, taken, gpu_hours_per_run),
    )


def chosen(ranking: Ranking) -> tuple[str, ...]:
    """Return the candidates that the decision takes through RL, first first; empty if none is worth it or left.

    Examples
    --------
    >>> from quagpredict.ranking import rank
    >>> chosen(rank(pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.5, 0.6]}), None, budget=2))
    ('b', 'a')
    """
    if ranking.gate is not None and not ranking.gate.cleared:
        return ()
    if ranking.budget is not None:
        return ranking.budget.candidates
    if ranking.gate is None and _in_hand(ranking):
        return ()
    open_ = ranking.frame.filter(pl.col("rank").is_not_null() & ~has_result(ranking))
    if ranking.gate is not None:
        open_ = open_.filter(pl.col("candidate").is_in(list(ranking.gate.cleared)))
    return tuple(open_["candidate"].head(1))


def has_result(ranking: Ranking) -> pl.Series:
    """Return which candidates have a result of their own already; booleans, (n,)."""
    return ranking.frame["candidate"].is_in(list(ranking.finished)).alias("has_result")


def _in_hand(ranking: Ranking) -> bool:
    """Return whether the first has its result, and is the best more likely than not."""
    best = ranking.frame.row(0, named=True)
    return best["candidate"] in ranking.finished and best.get("p_best", 0.0) >= _CLEAR


def marked(name: str) -> str:
    """Return a candidate's name between its marks."""
    return f"{NAME}{plain(name)}{END}"


def unmarked(text: str) -> str:
    """Return a text without the marks of names."""
    return text.replace(NAME, "").replace(END, "")


def rule_in_words(rule: str) -> str:
    """Return what a rule that costs nothing is called.

    Examples
    --------
    >>> rule_in_words("pre_pass_at_64"), rule_in_words("pre_held_out_loss_nats"), rule_in_words("screening")
    ('highest Pass@64', 'lowest loss', 'screening')
    """
    if not rule.startswith("pre_"):
        return {"geometric mean": "geometric mean over benchmarks"}.get(rule, rule)
    which = "SFT Pass@1" if rule == "pre_pass_at_1" else heading(rule)
    return f"{'lowest' if 'loss' in rule else 'highest'} {which}"


def first_by(ranking: Ranking) -> dict[str, list[str]]:
    """Return the candidates that a rule that costs nothing would take of all, each with these rules."""
    rules_of: dict[str, list[str]] = {}
    for choice in ranking.free_choices:
        if choice.base_model is None:
            rules_of.setdefault(choice.candidate, []).append(choice.rule)
    return rules_of


def with_unit(ranking: Ranking, value: float | None, digits: int = 1) -> str:
    """Return a value of the target with its unit: ``61.3 %``, or ``2.31``."""
    return score(ranking.target, value, digits) + (" %" if is_share(ranking.target) else "")


def points(ranking: Ranking, value: float | None) -> str:
    """Return a difference of the target with its unit: ``3.4 points``, or ``0.12``."""
    return score(ranking.target, value) + (" points" if is_share(ranking.target) else "")


def _row(ranking: Ranking, name: str) -> dict[str, Any]:
    return ranking.frame.row(by_predicate=pl.col("candidate") == name, named=True)


def and_so_on(names: tuple[str, ...]) -> str:
    """Return names as a sentence lists them, marked; of many the first, and how many more there are."""
    shown = [marked(name) for name in names[:_NAMED]]
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED:,} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _sentence(ranking: Ranking, taken: tuple[str, ...]) -> str:
    gate, count = ranking.gate, ranking.frame["rank"].drop_nulls().len()
    if gate is not None and not gate.cleared:
        bar = bar_in_words(ranking.target, gate)
        if not gate.closest:
            return f"None can be held against {bar}, so none is shown to be worth RL."
        return (
            f"None is worth RL: none clears {bar}; the closest is {marked(gate.closest)}, with a chance of "
            f"{percent(gate.p_closest, 0)} %."
        )
    best = ranking.frame.row(0, named=True)
    if not taken:
        if not ranking.finished:
            return "No candidate is left to take through RL."
        if len(ranking.finished) < ranking.frame.height and ranking.budget is None:
            return _kept(ranking, best)
        first = ranking.frame.sort("actual", descending=not ranking.minimize, nulls_last=True).row(0, named=True)
        return f"All have their result: {marked(first['candidate'])} is best, {with_unit(ranking, first['actual'])}."
    if ranking.surrogate is None:
        return _screened_sentence(ranking, taken)
    if len(taken) > 1:
        expected = ranking.budget and ranking.budget.expected_best
        of = "them" if ranking.budget is None or ranking.budget.in_hand is None else "all"
        reach = (
            "" if expected is None else f": the best of {of} is then expected to reach {with_unit(ranking, expected)}"
        )
        return f"Take {and_so_on(taken)} through RL{reach}."
    row = _row(ranking, taken[0])
    ends = f"{score(ranking.target, row['low'], 0)} to {with_unit(ranking, row['high'], 0)}"
    predicted = f"predicted {_after(ranking)} {with_unit(ranking, row['prediction'])} ({ends})"
    if has_result(ranking)[0]:
        gap = abs(best["prediction"] - row["prediction"])
        return (
            f"{marked(best['candidate'])} is ahead with its result of {with_unit(ranking, best['prediction'])}; of "
            f"those without one take {marked(taken[0])}, {predicted}, {points(ranking, gap)} behind."
        )
    order = " first" if count > 1 else ""
    if taken[0] in _begun(ranking):
        return f"Go on with the run of {marked(taken[0])}{order}: {predicted}."
    return f"Take {marked(taken[0])} through RL{order}: {predicted}."


def _begun(ranking: Ranking) -> set[str]:
    """Return the candidates whose RL has begun."""
    runs = ranking.under_way
    return set() if runs is None else {*runs.curves.filter(pl.col("step") > 0)["candidate"]}


def _kept(ranking: Ranking, best: dict[str, Any]) -> str:
    """Return that the best result is in hand, and who could still beat it."""
    text = (
        f"Keep {marked(best['candidate'])}, whose result of {with_unit(ranking, best['prediction'])} is the best of "
        f"all {ranking.frame.height:,} with a chance of {percent(best['p_best'], 0)} %"
    )
    without_result = ranking.frame.filter(pl.col("rank").is_not_null() & ~has_result(ranking))
    if without_result.is_empty():
        return f"{text}."
    row = without_result.row(0, named=True)
    ends = f"{score(ranking.target, row['low'], 0)} to {with_unit(ranking, row['high'], 0)}"
    predicted = f"predicted {with_unit(ranking, row['prediction'])} ({ends})"
    return f"{text}; of those without one {marked(row['candidate'])} is next, {predicted}."


def _after(ranking: Ranking) -> str:
    target = ranking.target
    return f"{heading(target)} after RL" if target.startswith("post_") else plain(target)


def _screened_sentence(ranking: Ranking, taken: tuple[str, ...]) -> str:
    """Return what to take where no score is predicted: by the measurement that the screening orders by."""
    open_ = ranking.frame.filter(pl.col("rank").is_not_null() & ~has_result(ranking))
    count, without = open_.height, " without a result" if ranking.finished else ""
    order = ranking.frame.columns[ranking.frame.columns.index("candidate") + 1 :]
    by = next(name for name in order if name.startswith("pre_"))
    which = f"the {rule_in_words(by)}" if by != "pre_pass_at_1" else "the highest Pass@1"
    if len(taken) > 1:
        those = f"of the {count:,}{without}"
        return f"Take {and_so_on(taken)} through RL: {those} they have {which} that passes the screening."
    value = _row(ranking, taken[0])[by]
    unit = " %" if is_share(by) else ""
    out = sum("screened-out" in kinds for kinds in open_["flags"])
    those = f"of the {count - out:,}{without}{' that pass the screening' if out else ''}"
    return f"Take {marked(taken[0])} through RL first: {those} it has {which}, {measured(by, value)}{unit}."


def _doubt(ranking: Ranking, taken: tuple[str, ...]) -> str:
    if ranking.surrogate is None or not taken or ranking.frame.height < 2:
        return ""
    rows = ranking.frame.filter(pl.col("candidate").is_in(list(taken)))
    others = ranking.frame.filter(~pl.col("candidate").is_in(list(taken)) & (pl.col("p_best") >= _MAY_BE_BEST)).sort(
        "p_best", descending=True
    )["candidate"]
    chance = min(float(rows["p_best"].sum()), 1.0)
    whose = f"the best of all {ranking.frame.height:,}"
    text = f"It is {whose} with" if len(taken) == 1 else f"{whose.capitalize()} is among them with"
    text += f" a chance of {percent(chance, 0)} %"
    if len(taken) == 1:
        text += f"; taking it alone is expected to cost {points(ranking, rows['expected_regret'][0])} against the best"
    if chance < _CLEAR and len(others):
        many = len(others) > 1
        text += f". The order is open: {and_so_on(tuple(others))} may be best too" + (
            ", each with 10 % or more" if many else f" ({percent(_row(ranking, others[0])['p_best'], 0)} %)"
        )
    return f"{text}.{_more_than_one(ranking, rows)}{_cleared(ranking, rows)}"


def _more_than_one(ranking: Ranking, rows: pl.DataFrame) -> str:
    """Return why the best of several is expected to reach more than any of them; empty where it is not said to."""
    expected = ranking.budget and ranking.budget.expected_best
    if expected is None or rows.height < 2:
        return ""
    best = rows["prediction"].min() if ranking.minimize else rows["prediction"].max()
    if not isinstance(best, float) or (expected >= best if ranking.minimize else expected <= best):
        return ""
    hand = ranking.budget.in_hand if ranking.budget is not None else None
    beside = "" if hand is None else f", beside the {with_unit(ranking, hand)} in hand"
    beyond = "below" if ranking.minimize else "above"
    none_alone = (
        f"No single one is predicted {beyond} {with_unit(ranking, best)}{beside}; {with_unit(ranking, expected)}"
    )
    return f" {none_alone} is the mean of whichever turns out best."


def _cleared(ranking: Ranking, rows: pl.DataFrame) -> str:
    """Return with which chance what is taken clears the gate; empty without one."""
    if ranking.gate is None or "p_clear" not in rows.columns or rows["p_clear"].null_count():
        return ""
    least = percent(rows["p_clear"].min(), 0)  # type: ignore[arg-type]
    who, least = ("It clears", least) if rows.height == 1 else ("Each clears", f"at least {least}")
    return f" {who} {bar_in_words(ranking.target, ranking.gate)} with a chance of {least} %."


def free_in_words(ranking: Ranking, taken: tuple[str, ...]) -> str:
    """Return what the rules that cost nothing would take instead, and what that is predicted to cost."""
    words = {
        name: [rule_in_words(rule) for rule in rules if rule != "geometric mean"]
        for name, rules in first_by(ranking).items()
    }
    rules_of = {name: rules for name, rules in words.items() if rules}
    if not rules_of or not taken or ranking.surrogate is None:
        return ""
    ours = _row(ranking, taken[0])["prediction"]
    same = [rule for name, rules in rules_of.items() if name in taken for rule in rules]
    texts = []
    for name, rules in rules_of.items():
        if name in taken:
            continue
        other, predicted = _row(ranking, name)["prediction"], ""
        if ours is not None and other is not None:  # a race may take what a ranking could not predict
            predicted = f", predicted {points(ranking, abs(ours - other))} {'lower' if ours >= other else 'higher'}"
        texts.append(f"by {' or '.join(rules)} it would be {marked(name)}{predicted}")
    if not texts:
        return f"The rules that cost nothing agree: {', '.join(same)}."
    agree = f" By {', '.join(same)} it is the same." if same else ""
    return f"Sorting costs nothing, and takes others: {'; '.join(texts)}.{agree}"


def _really(ranking: Ranking) -> str:
    """Return what choosing by each rule really gave, the best rules first; nothing of fewer results than mean much."""
    outcome = ranking.outcome
    if outcome is None or outcome.finished < _TOLD:
        return ""
    ended: dict[str, list[str]] = {}
    for choice in sorted(outcome.choices, key=lambda choice: choice.regret):
        where = "there" if choice.regret < _SAME else f"{points(ranking, choice.regret)} below"
        ended.setdefault(where, []).append(rule_in_words(choice.rule))
    endings = "; ".join(f"{where} by {', '.join(rules)}" for where, rules in ended.items())
    text = f"RL has been run for {outcome.finished:,}; {marked(outcome.best)} ended best, at "
    return f"{text}{with_unit(ranking, outcome.best_actual)}. Choices end {endings}."


def _cost(ranking: Ranking, taken: tuple[str, ...], hours: float | None) -> str:
    if hours is None:
        return ""
    runs_left = int((~has_result(ranking)).sum())
    every = f"RL for all {runs_left:,}{' without a result' if ranking.finished else ''}"
    if not taken:
        return f"At {hours:g} GPU-hours a run, {every} would cost {runs_left * hours:,.0f}, which are saved."
    which = "it" if len(taken) == 1 else f"these {len(taken):,}"
    text = f"At {hours:g} GPU-hours a run, RL for {which} costs {len(taken) * hours:,.0f}"
    saved = (runs_left - len(taken)) * hours
    return f"{text}; {every} would cost {runs_left * hours:,.0f}: {saved:,.0f} are saved."
