"""The result of a search as a table, CSV and JSON."""

from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.mixture_search.rounds import Outcome
from quagpredict.report.formats import number, percent, plain, to_json
from quagpredict.schema import BY_NAME

if TYPE_CHECKING:
    from rich.console import Console


def search_frame(outcome: Outcome) -> pl.DataFrame:
    """Return the trials of the last study, best first; feasible before others, finished before unfinished.

    The column ``actual`` holds the score after RL of those that were verified.
    """
    frame = outcome.searches[-1].frame
    actual = {verified.found.recipe.recipe_id: verified.actual for verified in outcome.verified}
    results = pl.Series("actual", [actual.get(identity) for identity in frame["recipe_id"]], dtype=pl.Float64)
    return frame.with_columns(results).sort(
        [pl.col("state") != "complete", ~pl.col("feasible"), -pl.col("value"), "trial"], nulls_last=True
    )


def search_csv(outcome: Outcome) -> str:
    """Return all trials as CSV."""
    return search_frame(outcome).write_csv()


def search_json(outcome: Outcome) -> str:
    """Return the chosen recipe, the verified ones and all trials as JSON."""
    chosen = outcome.chosen
    last = outcome.searches[-1]
    content: dict[str, Any] = {
        "space": last.space.name,
        "method": last.method,
        "study": last.study.study_name,
        "chosen": None
        if chosen is None
        else {
            "trial": chosen.number,
            "recipe_id": chosen.recipe.recipe_id,
            "value": chosen.value,
            "prediction": chosen.prediction,
            "shares": dict(chosen.recipe.shares),
            "config": dict(chosen.recipe.config),
        },
        "verified": [
            {
                "round": verified.round,
                "trial": verified.found.number,
                "recipe_id": verified.found.recipe.recipe_id,
                "lower_bound": verified.found.value,
                "prediction": verified.found.prediction,
                "actual": verified.actual,
                "runs": verified.rows.drop_nulls("post_pass_at_1").height,
            }
            for verified in outcome.verified
        ],
        "trials": search_frame(outcome).to_dicts(),
        "notes": list(outcome.notes),
    }
    return to_json(content)


def scored_as(objective: str) -> tuple[str, str, float]:
    """Return what a search maximises in words, the unit it is shown in, and the factor from a study's value to that.

    Examples
    --------
    >>> scored_as("lower_bound"), scored_as("pass_at_64")
    (('lower bound after RL', 'per cent', 100.0), ('SFT Pass@64', 'per cent', 100.0))
    >>> scored_as("held_out_loss_nats")
    ('held-out loss', 'nats per token', -1.0)
    """
    if objective == "lower_bound":
        return "lower bound after RL", "per cent", 100.0
    column = BY_NAME[f"pre_{objective}"]
    if column.unit == "fraction":
        return f"SFT {column.heading}", "per cent", 100.0
    return "held-out loss", "nats per token", -1.0


def print_search(outcome: Outcome, console: "Console", top: int = 10) -> None:
    """Print the best trials, the verified ones, and what is left of the others."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    last = outcome.searches[-1]
    frame = search_frame(outcome)
    what, unit, factor = scored_as(last.scorer.objective)
    title = f"{plain(last.space.name)}, method {last.method}: best trials by {what}, in {unit}"
    console.print(Text(title, style="bold"), end="\n\n")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    headings = ["trial", "score", "RL, predicted", "distance", "RL, actual"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("mixture in per cent, and settings", overflow="fold")
    shown = frame.filter(pl.col("state") == "complete", pl.col("feasible")).head(top)
    for row in shown.iter_rows(named=True):
        score = number(factor * row["value"], 1 if factor > 0 else 3)
        values = (percent(row["prediction"]), number(row["distance"]), percent(row["actual"]))
        table.add_row(str(row["trial"]), score, *values, Text(_described(row)))
    console.print(table)
    counts = frame["state"].value_counts().sort("state").rows()
    outside = frame.filter(pl.col("state") == "complete", ~pl.col("feasible")).height
    said = ", ".join(f"{count} {state}" for state, count in counts)
    console.print(Text(f"{frame.height} trials: {said}; {outside} complete ones outside the surrogate's domain"))
    _print_verified(outcome, console)


def _print_verified(outcome: Outcome, console: "Console") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if not outcome.verified:
        return
    console.print(Text("\nTaken through RL, in per cent", style="bold"), end="\n\n")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    for heading in ("round", "trial", "predicted", "actual", "runs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("recipe")
    for verified in outcome.verified:
        runs = verified.rows.drop_nulls("post_pass_at_1").height
        cells = (percent(verified.found.prediction), percent(verified.actual), str(runs), verified.found.recipe.name)
        table.add_row(str(verified.round), str(verified.found.number), *cells)
    console.print(table)


def _described(row: dict[str, Any]) -> str:
    shares = {name.removeprefix("share_"): value for name, value in row.items() if name.startswith("share_")}
    parts = [f"{name} {100 * share:.0f}" for name, share in sorted(shares.items(), key=lambda item: -(item[1] or 0))]
    parts = [part for part in parts if not part.endswith(" 0")]
    settings = {"epochs": "epochs", "unique_share": "unique share", "learning_rate": "lr", "selection": "select"}
    for key, name in settings.items():
        if row.get(key) is not None:
            parts.append(f"{name} {row[key] if isinstance(row[key], str) else format(row[key], '.3g')}")
    return ", ".join(parts)
