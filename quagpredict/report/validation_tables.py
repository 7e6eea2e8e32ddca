"""A validation as tables for the terminal, CSV, JSON or Markdown."""

import json
import math
from typing import TYPE_CHECKING

import polars as pl

from quagpredict.corpus.schema import BY_NAME
from quagpredict.report.formats import UNKNOWN, number, plain
from quagpredict.report.tables import WIDE

if TYPE_CHECKING:
    from rich.console import Console

    from quagpredict.validation import ValidationReport

#: Metric -> heading; in the order in which they are shown, the first ones where there is little room.
METRICS = {
    "r2": "R²",
    "spearman": "Spearman",
    "pairwise_accuracy": "pairs",
    "regret_1": "regret",
    "coverage_90": "cover 90 %",
    "kendall": "Kendall",
    "width_90": "width",
}
_NARROW = 5


def validation_csv(report: "ValidationReport") -> str:
    """Return the validation as CSV: one line a scenario, protocol, model and metric; scores as fractions."""
    return report.frame.write_csv()


def validation_json(report: "ValidationReport") -> str:
    """Return the validation as JSON; unknown values null."""
    rows = [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in report.frame.to_dicts()
    ]
    value = {
        "target": report.target,
        "eval_protocol_id": report.eval_protocol_id,
        "rl_recipe_id": report.rl_recipe_id,
        "candidates": report.candidates,
        "notes": report.notes,
        "scores": rows,
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def validation_blocks(report: "ValidationReport") -> list[tuple[str, str, int]]:
    """Return the (scenario, protocol, candidates) to show.

    Every scenario under the first protocol, and the scenario ``all`` under the others; CSV and JSON hold the rest.
    """
    blocks = report.frame.group_by("scenario", "protocol", maintain_order=True).agg(pl.col("candidates").max())
    first = blocks["protocol"][0] if blocks.height else ""
    return [row for row in blocks.rows() if row[0] == "all" or row[1] == first]


def validation_rows(report: "ValidationReport", scenario: str, protocol: str, metrics: list[str]) -> list[list[str]]:
    """Return the texts of one block: model, then mean ± deviation of each metric. Regret and width are in points."""
    unit = BY_NAME[report.target].unit if report.target in BY_NAME else ""
    rows = []
    for values in report.table(scenario, protocol, tuple(metrics)).iter_rows(named=True):
        cells = [plain(values["model"])]
        for metric in metrics:
            in_points = unit == "fraction" and metric.startswith(("regret", "width"))
            scale, digits = (100.0, 1) if in_points else (1.0, 2)
            mean, sd = values[metric], values[f"{metric}_sd"]
            text = number(mean and scale * mean, digits)
            known = text != UNKNOWN and sd is not None and math.isfinite(sd)
            cells.append(f"{text} ± {number(scale * sd, digits)}" if known else text)
        rows.append(cells)
    return rows


def shown_metrics(report: "ValidationReport", wide: bool) -> list[str]:
    """Return the metrics that the report has and that fit."""
    there = set(report.frame["metric"].unique())
    return [metric for metric in METRICS if metric in there][: None if wide else _NARROW]


def print_validation(report: "ValidationReport", console: "Console") -> None:
    """Print one table for each scenario and protocol of `validation_blocks`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    wide = console.width >= WIDE
    metrics = shown_metrics(report, wide)
    for place, (scenario, protocol, candidates) in enumerate(validation_blocks(report)):
        title = f"{scenario}, {protocol}, {candidates} candidates"
        console.print(Text(("\n" if place else "") + title, style="bold"), end="\n\n")
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
        table.add_column("model", overflow="fold", min_width=12)
        for metric in metrics:
            table.add_column(METRICS[metric], justify="right", no_wrap=True)
        for cells in validation_rows(report, scenario, protocol, metrics):
            table.add_row(*map(Text, cells), style="dim" if cells[0].startswith("proxy:") else None)
        console.print(table)
    console.print(Text("\nmean ± deviation over the repeats; regret and width in points of the target", style="dim"))
