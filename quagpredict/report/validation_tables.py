"""A validation as tables for the terminal, CSV, JSON or Markdown."""

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.report.formats import UNKNOWN, fitting, heading, number, plain, to_json
from quagpredict.report.tables import WIDE
from quagpredict.report.verdict import left_out, verdict
from quagpredict.schema import BY_NAME
from quagpredict.validation.baselines import is_single
from quagpredict.validation.report import CEILING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from quagpredict.validation import ValidationReport

_NARROW = 5
# Characters of a model's name that are shown in one line before a column has to go.
_NAME = 28
LEGEND = "mean ± half of its 90 % interval; gain: in Spearman over"


def validation_csv(report: "ValidationReport") -> str:
    """Return the validation as CSV: one line a scenario, protocol, model and metric; scores as fractions."""
    return report.frame.write_csv()


def validation_json(report: "ValidationReport") -> str:
    """Return the validation as JSON; unknown values null."""
    value = {
        "target": report.target,
        "eval_protocol_id": report.eval_protocol_id,
        "rl_recipe_id": report.rl_recipe_id,
        "candidates": report.candidates,
        "surrogates": report.surrogates,
        "baseline": report.baseline,
        "notes": report.notes,
        "scores": report.frame,
    }
    return to_json(value)


def headings(report: "ValidationReport") -> dict[str, str]:
    """Return metric -> heading, in the order in which they are shown, the first ones where there is little room."""
    top = {f"regret_{report.top_m}": f"regret@{report.top_m}", f"recall_{report.top_m}": f"recall@{report.top_m}"}
    return {
        "r2": "R²",
        "spearman": "Spearman",
        "gain": "gain",
        "regret_1": "regret",
        "coverage_90": "cover",
        "pairwise_accuracy": "pairs",
        "kendall": "Kendall",
        **top,
        "width_90": "width",
    }


def validation_blocks(report: "ValidationReport") -> list[tuple[str, str, int]]:
    """Return the (scenario, protocol, candidates) to show.

    Every scenario under the first protocol, and the scenario ``all`` under the others; CSV and JSON hold the rest.
    """
    blocks = report.frame.group_by("scenario", "protocol", maintain_order=True).agg(pl.col("candidates").max())
    first = blocks["protocol"][0] if blocks.height else ""
    return [row for row in blocks.rows() if row[0] == "all" or row[1] == first]


def validation_rows(report: "ValidationReport", scenario: str, protocol: str, metrics: list[str]) -> list[list[str]]:
    """Return the texts of one block: model, then each metric; without the models that are one measurement alone.

    A metric is its mean ± half of its 90 % interval. Regret and width are in points.
    """
    chosen = report.frame.filter(scenario=scenario, protocol=protocol)
    rows = []
    for model in chosen["model"].unique(maintain_order=True):
        if not is_single(model, report.surrogates):
            own = {row["metric"]: row for row in chosen.filter(model=model).iter_rows(named=True)}
            rows.append([plain(model), *(_cell(report, own, metric) for metric in metrics)])
    return rows


def single_rows(report: "ValidationReport", scenario: str, protocol: str) -> list[list[str]]:
    """Return the texts of the measurements judged one by one: name, order as it is (Spearman, regret), R² fitted."""
    chosen = report.frame.filter(scenario=scenario, protocol=protocol)
    found: dict[str, dict[str, Any]] = {}
    for row in chosen.iter_rows(named=True):
        kind, name = row["model"].partition(":")[0], row["features"]
        if not is_single(row["model"]) and row["model"] != report.baseline:
            continue
        # Fitted, a measurement may be turned around by its slope: where there is a proxy, its order counts.
        if kind == "proxy" or row["metric"] == "r2" or row["metric"] not in found.get(name, {}):
            found.setdefault(name, {})[row["metric"]] = row
    return [
        [plain(heading(name)), *(_cell(report, own, metric) for metric in ("spearman", "regret_1", "r2"))]
        for name, own in found.items()
    ]


def headline(report: "ValidationReport", model: str | None = None) -> list[str]:
    """Return in words how good a surrogate is on the scenario and protocol that come first.

    Parameters
    ----------
    report : ValidationReport
    model : str, optional
        The surrogate with the best R², or the best Spearman where none has an R², by default.
    """
    blocks = validation_blocks(report)
    if not blocks:
        return []
    scenario, protocol, _ = blocks[0]
    chosen = model or report.best(scenario, protocol, "r2") or report.best(scenario, protocol, "spearman")
    if chosen is None:
        return []
    fails = left_out(report, scenario, chosen)
    count = len(report.surrogates)
    called = f"Highest R² of {count} surrogates" if fails else f"Best of {count} surrogates by R²"
    why = chosen if model else f"{called}: {chosen}"
    lines = [f"{plain(why)} ({scenario}, {protocol})", *([fails] if fails else [])]
    for metric, name in (("r2", "R²"), ("spearman", "Spearman")):
        rows = report.frame.filter(scenario=scenario, protocol=protocol, metric=metric)
        own, ceiling = rows.filter(model=chosen), rows.filter(model=CEILING)
        if not own.height:
            continue
        row = own.row(0, named=True)
        text = f"{name} {number(row['mean'])} {_range(row['low'], row['high'])}"
        if row["gain"] is not None:
            gain = f"{row['gain']:+.2f} {_range(row['gain_low'], row['gain_high'])}"
            text += f", gain over {plain(report.baseline_of(metric))} {gain}"
        if ceiling.height and ceiling["mean"][0] > 0:
            share = f"{100 * row['mean'] / ceiling['mean'][0]:.0f}"
            text += f", {share} % of the noise ceiling {number(ceiling['mean'][0])}"
        lines.append(text)
    lines += _on_new_kinds(report, scenario, chosen)
    if model is None and len(report.surrogates) > 1:
        lines.append("It was chosen on these splits, so its own scores are a little too good.")
    if model is None and (said := verdict(report)):
        lines.append(said)
    return lines


def _on_new_kinds(report: "ValidationReport", scenario: str, chosen: str) -> list[str]:
    """Say how a surrogate orders candidates of a kind of data that it has not seen, beside the best and SFT Pass@1.

    Halves drawn at random show a model every kind of data; one that has learnt the peculiarity of a kind wins there.
    """
    rows = report.frame.filter(scenario=scenario, protocol="leave-one-kind-out", metric="pairwise_accuracy")
    own = rows.filter(model=chosen)
    if not own.height:
        return []
    texts = [_estimate(own)]
    best = report.best(scenario, "leave-one-kind-out", "pairwise_accuracy")
    over = report.baseline_of("pairwise_accuracy")
    if best is not None and rows.filter(model=best)["mean"][0] > own["mean"][0]:
        texts.append(f"{plain(best)} {_estimate(rows.filter(model=best))}")
    if over != chosen and rows.filter(model=over).height:
        texts.append(f"{plain(over)} {_estimate(rows.filter(model=over))}")
    kinds = own["repeats"][0]
    return [f"Within each of {kinds} kinds of data that were left out, pairs of a base in order: {'; '.join(texts)}"]


def _estimate(rows: pl.DataFrame) -> str:
    """Return a share with its interval, which of few groups is wider than what a share can be."""
    row = rows.select("mean", pl.col("low", "high").clip(0, 1)).row(0, named=True)
    return f"{number(row['mean'])} {_range(row['low'], row['high'])}"


def shown_metrics(report: "ValidationReport", wide: bool) -> list[str]:
    """Return the metrics that the report has and that fit."""
    there = {
        *report.frame["metric"].unique(),
        *(["gain"] if report.frame["gain"].null_count() < report.frame.height else []),
    }
    return [metric for metric in headings(report) if metric in there][: None if wide else _NARROW]


def print_validation(report: "ValidationReport", console: "Console") -> None:
    """Print the headline, and a table for each scenario and protocol of `validation_blocks`."""
    from rich.text import Text

    names = headings(report)
    for place, (scenario, protocol, candidates) in enumerate(validation_blocks(report)):
        title = f"{scenario}, {protocol}, {candidates} candidates"
        console.print(Text(("\n" if place else "") + title, style="bold"), end="\n\n")
        metrics = shown_metrics(report, console.width >= WIDE)
        rows = validation_rows(report, scenario, protocol, metrics)
        columns = {names[metric]: [row[at] for row in rows] for at, metric in enumerate(metrics, start=1)}
        room = console.width - min(max((len(row[0]) for row in rows), default=0), _NAME)
        shown = fitting(columns, room)
        table = plain_table("model", shown)
        for model, *cells in rows:
            style = "bold" if model in report.surrogates else None
            table.add_row(*map(Text, (model, *cells[: len(shown)])), style=style)
        console.print(table)
        if not place:
            singles = single_rows(report, scenario, protocol)
            if singles:
                console.print()
                table = plain_table("one measurement alone", ["Spearman", "regret", "R² as a line"])
                for cells in singles:
                    table.add_row(*map(Text, cells))
                console.print(table)
    over = report.baseline_of("spearman")
    legend = f"\n{LEGEND} {over};\nregret and width in points of the target; the ceiling is what noise allows"
    console.print(Text(legend, style="dim"), end="\n\n")
    for line in headline(report):
        console.print(Text(line))


def plain_table(first: str, others: list[str]) -> "Table":
    """Return an empty table of the house's look: names to the left, numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column(first, overflow="fold", min_width=12)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cell(report: "ValidationReport", own: dict[str, dict[str, Any]], metric: str) -> str:
    name, prefix = ("spearman", "gain") if metric == "gain" else (metric, "")
    row = own.get(name)
    if row is None:
        return UNKNOWN
    value = row[prefix or "mean"]
    low, high = (row[f"{prefix}_{end}" if prefix else end] for end in ("low", "high"))
    unit = BY_NAME[report.target].unit if report.target in BY_NAME else ""
    in_points = unit == "fraction" and metric.startswith(("regret", "width"))
    scale, digits = (100.0, 1) if in_points else (1.0, 2)
    if value is None:
        return UNKNOWN
    text = f"{scale * value:+.{digits}f}" if prefix else number(scale * value, digits)
    known = low is not None and high is not None and math.isfinite(high - low)
    return f"{text} ± {number(scale * (high - low) / 2, digits)}" if known else text


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"
