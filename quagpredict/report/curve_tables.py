"""A learning curve and a sensitivity as tables for the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from quagpredict.report.formats import number, plain, print_title, table_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from quagpredict.validation.learning_curve import LearningCurve
    from quagpredict.validation.sensitivity import Sensitivity

_LARGE_K = 64  # the large k of the paper
_SHOWN = (1, 2, 3, 5, 8, 12, 16, 24, 32, 64, 128)


def print_curve(curve: "LearningCurve", console: "Console") -> None:
    """Print Spearman and R² of each model against the number of finished runs, a table for each metric and design."""
    space = ""
    for (design,), part in curve.frame.group_by(["design"], maintain_order=True):
        sizes = part["runs"].unique().sort().to_list()
        shown = [size for size in sizes if size in _SHOWN or size == sizes[-1]]
        room = max(3, (console.width - 34) // 6)
        shown = shown if len(shown) <= room else [*shown[: room - 1], shown[-1]]
        by = "at random" if design == "random" else f"by {design} design"
        for metric, name in (("spearman", "Spearman"), ("r2", "R²")):
            print_title(console, f"{space}{name} against finished runs chosen {by}, {curve.test} candidates left out")
            space = "\n"
            console.print(_crossed(part.filter(metric=metric), "model", "runs", {f" {size}": size for size in shown}))
    _print_legend(console, "means over repeats; intervals and gains over SFT Pass@1 (or another baseline)")


def print_sensitivity(sensitivity: "Sensitivity", console: "Console") -> None:
    """Print how Pass@k orders and predicts, k across and samples a problem down, and what a smaller suite is worth."""
    ks = {f" k={k}": k for k in sensitivity.frame["k"].unique().sort()}
    tables = (
        ("proxy", "spearman", "Spearman of Pass@k as it is"),
        ("linear", "r2", "R² of Pass@k fitted on half of the runs"),
        ("linear with loss", "r2", "R² of Pass@k and held-out loss fitted on half of the runs"),
    )
    space = ""
    for model, metric, title in tables:
        rows = sensitivity.frame.filter(model=model, metric=metric, problems=sensitivity.problems)
        if rows.height:
            print_title(console, f"{space}{title}, {sensitivity.candidates} candidates")
            space = "\n"
            console.print(_crossed(rows, "samples", "k", ks))
    _print_smaller_suites(sensitivity, console)
    _print_legend(console, "means over draws and random halves; intervals")


def _print_smaller_suites(sensitivity: "Sensitivity", console: "Console") -> None:
    rows = sensitivity.frame.filter(model="proxy", metric="pairwise_accuracy")
    if rows["problems"].n_unique() < 2:
        return
    # Of each number of samples the largest k that it allows, up to the paper's 64.
    rows = rows.filter(pl.col("k") == pl.col("k").filter(pl.col("k") <= _LARGE_K).max().over("problems", "samples"))
    print_title(console, f"\nPairs of a base in order: problems down, samples across, k = {_LARGE_K} at most")
    samples = {f" {size}": size for size in rows["samples"].unique().sort()}
    console.print(_crossed(rows, "problems", "samples", samples))


def _crossed(rows: pl.DataFrame, down: str, across: str, shown: Mapping[str, int]) -> "Table":
    """Return the means of `rows` with one column down and another across, by heading -> its value."""
    mean_of = {(name, value): mean for name, value, mean in rows.select(down, across, "mean").rows()}
    names = rows[down].unique(maintain_order=True).to_list()
    columns = {head: [number(mean_of.get((name, value))) for name in names] for head, value in shown.items()}
    return table_of({down: list(map(plain, names)), **columns}, {down: 12})


def _print_legend(console: "Console", text: str) -> None:
    from rich.text import Text

    console.print(Text(f"\n{text} with --format csv", style="dim"))
