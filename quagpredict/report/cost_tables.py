"""What a plan costs as a table for the terminal."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from quagpredict.report.validation_tables import plain_table

if TYPE_CHECKING:
    from rich.console import Console

    from quagpredict.collection.estimate import KindCost


def print_costs(costs: "list[KindCost]", console: "Console") -> None:
    """Print the cost of each kind of stage, and of all."""
    table = plain_table("stages", ["number", " hours", " GPU-hours", " GiB"])
    table.add_column(" from", overflow="fold")
    for cost in costs:
        sizes = (_sum([cost.gpu_hours]), _sum([cost.disk_gib]))
        table.add_row(cost.kind, f"{cost.stages:,}", f"{cost.hours:,.1f}", *sizes, f" {cost.how}")
    sums = (_sum(cost.gpu_hours for cost in costs), _sum(cost.disk_gib for cost in costs))
    table.add_row("all", f"{sum(cost.stages for cost in costs):,}", f"{sum(cost.hours for cost in costs):,.1f}", *sums)
    console.print(table)


def _sum(values: Iterable[float | None]) -> str:
    """Return the sum of what is known as a whole number; empty where nothing is."""
    numbers = [value for value in values if value is not None]
    return f"{sum(numbers):,.0f}" if numbers else ""
