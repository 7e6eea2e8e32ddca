"""A validation as tables for the terminal, CSV, JSON or Markdown."""

import math
from collections.abc import Container
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.report.formats import UNKNOWN, fitting, heading, number, plain, print_title, table_of
from quagpredict.report.tables import WIDE
from quagpredict.report.verdict import called, headline
from quagpredict.schema import BY_NAME
from quagpredict.validation.baselines import is_single
from quagpredict.validation.free_orders import PREFIX

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from quagpredict.validation import ValidationReport

_NARROW = 5
# Characters of a model's name that are shown in one line before a column has to go.
_NAME = 28


def validation_values(report: "ValidationReport") -> dict[str, Any]:
    """Return the validation for JSON."""
    names = ("target", "eval_protocol_id", "rl_recipe_id", "candidates", "surrogates", "baseline", "notes")
    return {**{name: getattr(report, name) for name in names}, "scores": report.frame}


def headings(report: "ValidationReport", protocol: str) -> dict[str, str]:
    """Return metric -> heading, in the order in which they are shown, the first ones where there is little room.

    Of several groups, what is within one comes first, and what is over all of them says so. Where groups are left out,
    R² is told pooled over them and of the middle one: their mean is decided by the group that varies least.
    """
    top = {f"regret_{report.top_m}": f"regret@{report.top_m}", f"recall_{report.top_m}": f"recall@{report.top_m}"}
    left_out = {"r2_pooled": "R² pooled", "r2_median": "R² median"}
    of_values = {**(left_out if protocol.startswith("leave-one") else {"r2": "R²"}), "coverage_90": "cover"}
    if report.groups > 1:
        within = {"pairwise_accuracy": "pairs", "spearman_in_base": "Spearman", "regret_1_in_base": "regret"}
        over = {"spearman": "Spearman all", "regret_1": "regret all", "kendall": "Kendall all"}
        return {**within, **of_values, "gain": "gain", **over, **top, "width_90": "width"}
    order = {"pairwise_accuracy": "pairs", "spearman": "Spearman", "regret_1": "regret"}
    return {**order, **of_values, "gain": "gain", "kendall": "Kendall", **top, "width_90": "width"}


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
            row_of = {row["metric"]: row for row in chosen.filter(model=model).iter_rows(named=True)}
            rows.append([plain(model), *(_cell(report, row_of, metric) for metric in metrics)])
    return rows


def single_headings(report: "ValidationReport") -> dict[str, str]:
    """Return metric -> heading of the measurements that are judged one by one: their order as it is, R² fitted."""
    names = headings(report, "")
    kept = [
        name for name in names if name.endswith("_in_base") or name in ("pairwise_accuracy", "spearman", "regret_1")
    ]
    return {**{name: names[name] for name in kept}, "r2": "R² as a line"}


def single_rows(report: "ValidationReport", scenario: str, protocol: str) -> list[list[str]]:
    """Return the texts of the measurements judged one by one: name, then what `single_headings` says."""
    chosen = report.frame.filter(scenario=scenario, protocol=protocol)
    metrics_of: dict[str, dict[str, Any]] = {}
    for row in chosen.iter_rows(named=True):
        kind, name = row["model"].partition(":")[0], row["features"]
        if not is_single(row["model"]) and row["model"] != report.baseline:
            continue
        # Fitted, a measurement may be turned around by its slope: where there is a proxy, its order counts.
        if kind == "proxy" or row["metric"] == "r2" or row["metric"] not in metrics_of.get(name, {}):
            metrics_of.setdefault(name, {})[row["metric"]] = row
    return [
        [_called(name), *(_cell(report, row_of, metric) for metric in single_headings(report))]
        for name, row_of in metrics_of.items()
    ]


def _called(name: str) -> str:
    """Return the heading of a measurement, or the name of a rule that is none."""
    return name.removeprefix(PREFIX).replace("_", " ") if name.startswith(PREFIX) else plain(heading(name))


def shown_metrics(report: "ValidationReport", protocol: str, wide: bool) -> list[str]:
    """Return the metrics that the report has and that fit."""
    there = {
        *report.frame["metric"].unique(),
        *(["gain"] if report.frame["gain"].null_count() < report.frame.height else []),
    }
    return [metric for metric in headings(report, protocol) if metric in there][: None if wide else _NARROW]


def block_title(report: "ValidationReport", scenario: str, protocol: str, candidates: int) -> str:
    """Return what a block of the validation is about."""
    return f"{called(report, scenario)}, {called(report, protocol)}, {candidates} candidates"


def legend(report: "ValidationReport") -> str:
    """Return what the columns mean."""
    text = "mean ± half of its 90 % interval; "
    text += f"gain: in Spearman over {report.baseline_of('spearman')} on the same splits; "
    if report.groups > 1:
        group = plain(report.grouped_by)
        text += f"pairs, Spearman and regret within a {group}, 'all' over all of them; "
    return text + "regret and width in points of the target; the ceiling is what noise allows"


def print_validation(report: "ValidationReport", console: "Console") -> None:
    """Print a table for each scenario and protocol of `validation_blocks`, and the headline."""
    from rich.text import Text

    for block, (scenario, protocol, candidates) in enumerate(validation_blocks(report)):
        title = block_title(report, scenario, protocol, candidates)
        print_title(console, ("\n" if block else "") + title)
        names = headings(report, protocol)
        metrics = shown_metrics(report, protocol, console.width >= WIDE)
        rows = validation_rows(report, scenario, protocol, metrics)
        table = _fitted_table("model", [names[metric] for metric in metrics], rows, console.width, report.surrogates)
        console.print(table)
        if not block and (singles := single_rows(report, scenario, protocol)):
            console.print()
            heads = list(single_headings(report).values())
            console.print(_fitted_table("one rule alone", heads, singles, console.width))
    console.print(Text(f"\n{legend(report)}", style="dim"), end="\n\n")
    for line in headline(report):
        console.print(Text(line))


def _fitted_table(
    first: str, heads: list[str], rows: list[list[str]], width: int, bold: Container[str] = ()
) -> "Table":
    """Return a table of the columns that fit beside the names."""
    columns = {head: [row[at] for row in rows] for at, head in enumerate(heads, start=1)}
    names = [row[0] for row in rows]
    shown = fitting(columns, width - max(len(first), min(max(map(len, names), default=0), _NAME)))
    styles = ["bold" if name in bold else None for name in names]
    kept = {head: columns[head] for head in shown}
    return table_of({first: names, **kept}, {first: max(12, len(first))}, styles=styles)


def _cell(report: "ValidationReport", row_of: dict[str, dict[str, Any]], metric: str) -> str:
    of = "spearman_in_base" if report.groups > 1 else "spearman"
    name, prefix = (of, "gain") if metric == "gain" else (metric, "")
    row = row_of.get(name)
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
    has_interval = low is not None and high is not None and math.isfinite(high - low)
    return f"{text} ± {number(scale * (high - low) / 2, digits)}" if has_interval else text
