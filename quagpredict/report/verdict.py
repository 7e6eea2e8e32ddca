"""What a validation says in words: how good the best is, where it fails, and what beats the rule that costs nothing."""

from typing import TYPE_CHECKING

import polars as pl

from quagpredict.report.formats import number, plain
from quagpredict.validation.baselines import coverage_rule
from quagpredict.validation.report import CEILING, OVER_COVERAGE

if TYPE_CHECKING:
    from quagpredict.validation import ValidationReport

#: Protocols that ask most first: one base is all that is judged where bases are left out, so its level counts for
#: nothing; halves drawn at random show a model every kind of data.
_HARDEST = ("leave-one-base-out", "leave-one-kind-out")
_PAIRS = "pairwise_accuracy"


def called(report: "ValidationReport", name: str) -> str:
    """Return a scenario or protocol with what the rows are grouped by in place of the base model.

    Examples
    --------
    >>> from quagpredict.validation import ValidationReport
    >>> report = ValidationReport(pl.DataFrame(), (), "loss", "", "", 40, grouped_by="scale")
    >>> called(report, "leave-one-base-out"), called(report, "base:70m"), called(report, "random-halves")
    ('leave-one-scale-out', 'scale:70m', 'random-halves')
    """
    group = plain(report.grouped_by)
    if name == "leave-one-base-out":
        return f"leave-one-{group}-out"
    return f"{group}:{plain(name.removeprefix('base:'))}" if name.startswith("base:") else plain(name)


def headline(report: "ValidationReport", model: str | None = None) -> list[str]:
    """Return in words how good a surrogate is on the scenario and protocol that come first.

    Parameters
    ----------
    model : str, optional
        By default the surrogate with the best R² of those that do not fail where a group is left out, see `left_out`;
        the one with the best R² where all do, and with the best Spearman where none has an R².
    """
    if not report.frame.height:
        return []
    scenario, protocol = report.frame.select("scenario", "protocol").row(0)
    group = plain(report.grouped_by)
    where = f"({called(report, scenario)}, {called(report, protocol)})"
    first = report.best(scenario, protocol, "r2") or report.best(scenario, protocol, "spearman")
    chosen = model or first
    lines: list[str] = []
    if chosen is None or first is None:
        return []
    if model is None:
        holds = _holding(report, scenario, protocol)
        best = f"Best of {len(report.surrogates)} surrogates by R²"
        if left_out(report, scenario, first) and holds:
            chosen = holds[0]
            lines.append(f"{best} that hold with a {group} left out: {plain(chosen)} {where}")
            lines.append(
                f"Not {plain(first)}, with the highest R²: {_uncapitalised(left_out(report, scenario, first))}"
            )
        elif left_out(report, scenario, first):
            lines.append(f"Highest R² of {len(report.surrogates)} surrogates: {plain(first)} {where}")
        else:
            lines.append(f"{best}: {plain(first)} {where}")
    else:
        lines.append(f"{plain(chosen)} {where}")
    if fails := left_out(report, scenario, chosen):
        lines.append(fails)
    lines += _scores(report, scenario, protocol, chosen)
    lines += _on_new_kinds(report, scenario, chosen)
    if model is None and len(report.surrogates) > 1:
        lines.append("It was chosen on these splits, so its own scores are a little too good.")
    if model is None and (judgement := verdict(report)):
        lines.append(judgement)
    return lines


def verdict(report: "ValidationReport") -> str:
    """Return whether anything orders better than sorting by Pass@k does, by how much, or that nothing does.

    A surrogate beats it if the 90 % interval of the difference in pairs in order, on the same splits and under the
    protocol that asks most, lies above 0. Pass@k is that of the largest k up to 64. Empty where it was not judged as it
    is, or no surrogate was.
    """
    scenario = report.frame["scenario"][0] if report.frame.height else ""
    rows = report.frame.filter(scenario=scenario).drop_nulls("mean")
    rule = coverage_rule(rows["model"].unique())
    over = rows.filter(pl.col("model").is_in(report.surrogates), metric=OVER_COVERAGE)
    if rule is None or not over.height:
        return ""
    there = over["protocol"].unique(maintain_order=True).to_list()
    protocol = next(name for name in (*_HARDEST, *there) if name in there)
    best = over.filter(protocol=protocol).sort("mean", descending=True, maintain_order=True).row(0, named=True)
    pairs = rows.filter(protocol=protocol, metric=_PAIRS, model=best["model"])
    name, group = f"Pass@{rule.rpartition('_')[2]}", plain(report.grouped_by)
    of = f" of a {group}" if report.groups > 1 else ""
    by = f"{100 * pairs['mean'][0]:.0f} % of the pairs{of} in order, " if pairs.height else ""
    by += f"{abs(100 * best['mean']):.0f} points {'more' if best['mean'] >= 0 else 'less'} than {name}"
    if best["low"] is not None:
        by += f" ({100 * max(best['low'], -1.0):+.0f} to {100 * min(best['high'], 1.0):+.0f})"
    by += f"; {called(report, protocol)}"
    if best["low"] is not None and best["low"] > 0:
        return f"{plain(best['model'])} beats sorting by {name} here: {by}."
    return f"Nothing here is shown to beat sorting by {name}: the best, {plain(best['model'])}, has {by}."


def left_out(report: "ValidationReport", scenario: str, model: str) -> str:
    """Return where a surrogate fails once groups are left out, by its R²; empty where it does not, or was not asked.

    It fails if R² pooled over the groups is not above 0, or that of the middle group is not. What fails there is not
    called best, whatever it reaches on halves drawn at random.
    """
    # Of kinds of data, with a few candidates each, an R² says nothing.
    rows = report.frame.filter(scenario=scenario, protocol="leave-one-base-out", model=model)
    r2_of = {name: rows.filter(metric=f"r2_{name}")["mean"].to_list() for name in ("pooled", "median")}
    if not any(values and values[0] <= 0 for values in r2_of.values()):
        return ""
    r2_texts = ", ".join(f"{name} {number(values[0])}" for name, values in r2_of.items() if values)
    return f"With a {plain(report.grouped_by)} left out it fails: R² {r2_texts}"


def _holding(report: "ValidationReport", scenario: str, protocol: str) -> list[str]:
    """Return the surrogates that do not fail where a group is left out, the best by R² first."""
    rows = report.frame.filter(pl.col("model").is_in(report.surrogates), scenario=scenario, protocol=protocol)
    order = rows.filter(metric="r2").sort("mean", descending=True, maintain_order=True)["model"].to_list()
    return [name for name in order if not left_out(report, scenario, name)]


def _scores(report: "ValidationReport", scenario: str, protocol: str, model: str) -> list[str]:
    """Return a line for each score that matters: within a group first, over all second."""
    group = plain(report.grouped_by)
    within = {_PAIRS: f"Pairs of a {group} in order", "spearman_in_base": f"Spearman within a {group}"}
    over = {"r2": "R²", "spearman": "Spearman"}
    lines = []
    for metric, name in (within | over if report.groups > 1 else over).items():
        rows = report.frame.filter(scenario=scenario, protocol=protocol, metric=metric)
        of_model, ceiling = rows.filter(model=model), rows.filter(model=CEILING)
        if not of_model.height:
            continue
        row = of_model.row(0, named=True)
        text = f"{name} {number(row['mean'])} {_range(row['low'], row['high'])}"
        if row["gain"] is not None:
            gain = f"{row['gain']:+.2f} {_range(row['gain_low'], row['gain_high'])}"
            text += f", gain over {plain(report.baseline_of(metric))} {gain}"
        if ceiling.height and ceiling["mean"][0] > 0:
            share = f"{100 * row['mean'] / ceiling['mean'][0]:.0f}"
            text += f", {share} % of the noise ceiling {number(ceiling['mean'][0])}"
        lines.append(text)
    return lines


def _on_new_kinds(report: "ValidationReport", scenario: str, chosen: str) -> list[str]:
    """Say how a surrogate orders candidates of a kind of data that it has not seen, beside the best and SFT Pass@1.

    Halves drawn at random show a model every kind of data; one that has learnt the peculiarity of a kind wins there.
    """
    rows = report.frame.filter(scenario=scenario, protocol="leave-one-kind-out", metric=_PAIRS)
    of_model = rows.filter(model=chosen)
    if not of_model.height:
        return []
    texts = [_estimate(of_model)]
    best = report.best(scenario, "leave-one-kind-out", _PAIRS)
    over = report.baseline_of(_PAIRS)
    if best is not None and rows.filter(model=best)["mean"][0] > of_model["mean"][0]:
        texts.append(f"{plain(best)} {_estimate(rows.filter(model=best))}")
    if over != chosen and rows.filter(model=over).height:
        texts.append(f"{plain(over)} {_estimate(rows.filter(model=over))}")
    kinds, group = of_model["repeats"][0], plain(report.grouped_by)
    return [f"Within each of {kinds} kinds of data that were left out, pairs of a {group} in order: {'; '.join(texts)}"]


def _estimate(rows: pl.DataFrame) -> str:
    """Return a share with its interval, which of few groups is wider than what a share can be."""
    row = rows.select("mean", pl.col("low", "high").clip(0, 1)).row(0, named=True)
    return f"{number(row['mean'])} {_range(row['low'], row['high'])}"


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]
