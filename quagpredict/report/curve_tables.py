"""A learning curve and a sensitivity as tables for the terminal, CSV or JSON."""

from typing import TYPE_CHECKING

import polars as pl

from quagpredict.report.formats import UNKNOWN, number, plain, to_json
from quagpredict.report.validation_tables import plain_table

if TYPE_CHECKING:
    from rich.console import Console

    from quagpredict.validation.learning_curve import LearningCurve
    from quagpredict.validation.sensitivity import Sensitivity

_LARGE_K = 64  # the large k of the paper
_SHOWN = (1, 2, 3, 5, 8, 12, 16, 24, 32, 64, 128)


def frame_csv(result: "LearningCurve | Sensitivity") -> str:
    """Return the table of a result as CSV; scores as fractions."""
    return result.frame.write_csv()


def frame_json(result: "LearningCurve | Sensitivity") -> str:
    """Return a result as JSON; unknown values null."""
    return to_json(vars(result))


def print_curve(curve: "LearningCurve", console: "Console") -> None:
    """Print Spearman and R² of each model against the number of finished runs, a table for each metric and design."""
    from rich.text import Text

    first = True
    for (design,), part in curve.frame.group_by(["design"], maintain_order=True):
        sizes = part["runs"].unique().sort().to_list()
        shown = [size for size in sizes if size in _SHOWN or size == sizes[-1]]
        room = max(3, (console.width - 34) // 6)
        shown = shown if len(shown) <= room else [*shown[: room - 1], shown[-1]]
        for metric, name in (("spearman", "Spearman"), ("r2", "R²")):
            title = f"{name} against finished runs chosen {_by(str(design))}, {curve.test} candidates left out"
            console.print(Text(("" if first else "\n") + title, style="bold"), end="\n\n")
            first = False
            table = plain_table("model", [f" {size}" for size in shown])
            own = part.filter(metric=metric)
            for model in own["model"].unique(maintain_order=True):
                values = dict(own.filter(model=model).select("runs", "mean").rows())
                table.add_row(Text(plain(model)), *(number(values.get(size)) for size in shown))
            console.print(table)
    legend = "\nmeans over repeats; intervals and gains over SFT Pass@1 (or another baseline) with --format csv"
    console.print(Text(legend, style="dim"))


def _by(design: str) -> str:
    return "at random" if design == "random" else f"by {design} design"


def print_sensitivity(sensitivity: "Sensitivity", console: "Console") -> None:
    """Print how Pass@k orders and predicts, k across and samples a problem down, and what a smaller suite is worth."""
    from rich.text import Text

    ks = sensitivity.frame["k"].unique().sort().to_list()
    tables = (
        ("proxy", "spearman", "Spearman of Pass@k as it is"),
        ("linear", "r2", "R² of Pass@k fitted on half of the runs"),
        ("linear with loss", "r2", "R² of Pass@k and held-out loss fitted on half of the runs"),
    )
    first = True
    for model, metric, title in tables:
        own = sensitivity.frame.filter(model=model, metric=metric, problems=sensitivity.problems)
        if not own.height:
            continue
        console.print(
            Text(f"{'' if first else chr(10)}{title}, {sensitivity.candidates} candidates", style="bold"), end="\n\n"
        )
        first = False
        table = plain_table("samples", [f" k={k}" for k in ks])
        for (samples,), row in own.group_by(["samples"], maintain_order=True):
            values = dict(row.select("k", "mean").rows())
            table.add_row(str(samples), *(number(values[k]) if k in values else UNKNOWN for k in ks))
        console.print(table)
    _print_smaller_suites(sensitivity, console)
    legend = "\nmeans over draws and random halves; intervals with --format csv"
    console.print(Text(legend, style="dim"))


def _print_smaller_suites(sensitivity: "Sensitivity", console: "Console") -> None:
    from rich.text import Text

    own = sensitivity.frame.filter(model="proxy", metric="pairwise_accuracy")
    if own["problems"].n_unique() < 2:
        return
    # Of each number of samples the largest k that it allows, up to the paper's 64.
    own = own.filter(pl.col("k") == pl.col("k").filter(pl.col("k") <= _LARGE_K).max().over("problems", "samples"))
    title = f"Pairs of a base in order: problems down, samples across, k = {_LARGE_K} at most"
    console.print(Text(f"\n{title}", style="bold"), end="\n\n")
    sizes = own["samples"].unique().sort().to_list()
    table = plain_table("problems", [f" {size}" for size in sizes])
    for (problems,), rows in own.group_by(["problems"], maintain_order=True):
        values = dict(rows.select("samples", "mean").rows())
        table.add_row(str(problems), *(number(values.get(size)) for size in sizes))
    console.print(table)
