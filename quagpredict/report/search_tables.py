"""The result of a search as a table, CSV and JSON."""

from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.mixture_search.rounds import Outcome, Verified
from quagpredict.report.formats import number, percent, plain, print_title, table_of
from quagpredict.schema import BY_NAME

if TYPE_CHECKING:
    from rich.console import Console

_MIXTURE = "mixture in per cent, and settings"


def search_frame(outcome: Outcome) -> pl.DataFrame:
    """Return the trials of the last study, best first; feasible before others, finished before unfinished.

    The column ``actual`` holds the score after RL of those that were verified.
    """
    frame = outcome.searches[-1].frame
    actual = {verified.trial.recipe.recipe_id: verified.actual for verified in outcome.verified}
    results = pl.Series("actual", [actual.get(identity) for identity in frame["recipe_id"]], dtype=pl.Float64)
    return frame.with_columns(results).sort(
        [pl.col("state") != "complete", ~pl.col("feasible"), -pl.col("value"), "trial"], nulls_last=True
    )


def search_values(outcome: Outcome) -> dict[str, Any]:
    """Return the chosen recipe, the verified ones and all trials, for JSON."""
    chosen = outcome.chosen
    last = outcome.searches[-1]
    return {
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
                "trial": verified.trial.number,
                "recipe_id": verified.trial.recipe.recipe_id,
                "lower_bound": verified.trial.value,
                "prediction": verified.trial.prediction,
                "actual": verified.actual,
                "runs": _runs(verified),
            }
            for verified in outcome.verified
        ],
        "trials": search_frame(outcome),
        "notes": outcome.notes,
    }


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
    from rich.text import Text

    last = outcome.searches[-1]
    frame = search_frame(outcome)
    what, unit, factor = scored_as(last.scorer.objective)
    print_title(console, f"{plain(last.space.name)}, method {last.method}: best trials by {what}, in {unit}")
    shown = frame.filter(pl.col("state") == "complete", pl.col("feasible")).head(top)
    columns = {
        "trial": list(map(str, shown["trial"])),
        "score": [number(factor * value, 1 if factor > 0 else 3) for value in shown["value"]],
        "RL, predicted": list(map(percent, shown["prediction"])),
        "distance": list(map(number, shown["distance"])),
        "RL, actual": list(map(percent, shown["actual"])),
        _MIXTURE: list(map(_described, shown.iter_rows(named=True))),
    }
    console.print(table_of(columns, {_MIXTURE: None}, gap=1))
    counts = ", ".join(f"{count} {state}" for state, count in frame["state"].value_counts().sort("state").rows())
    outside = frame.filter(pl.col("state") == "complete", ~pl.col("feasible")).height
    console.print(Text(f"{frame.height} trials: {counts}; {outside} complete ones outside the surrogate's domain"))
    _print_verified(outcome, console)


def _print_verified(outcome: Outcome, console: "Console") -> None:
    if not outcome.verified:
        return
    print_title(console, "\nTaken through RL, in per cent")
    columns = {
        "round": [str(verified.round) for verified in outcome.verified],
        "trial": [str(verified.trial.number) for verified in outcome.verified],
        "predicted": [percent(verified.trial.prediction) for verified in outcome.verified],
        "actual": [percent(verified.actual) for verified in outcome.verified],
        "runs": [str(_runs(verified)) for verified in outcome.verified],
        "recipe": [verified.trial.recipe.name for verified in outcome.verified],
    }
    console.print(table_of(columns, {"recipe": None}, gap=1))


def _runs(verified: Verified) -> int:
    return verified.rows.drop_nulls("post_pass_at_1").height


def _described(row: dict[str, Any]) -> str:
    shares = {name.removeprefix("share_"): value for name, value in row.items() if name.startswith("share_")}
    parts = [f"{name} {100 * share:.0f}" for name, share in sorted(shares.items(), key=lambda item: -(item[1] or 0))]
    parts = [part for part in parts if not part.endswith(" 0")]
    settings = {"epochs": "epochs", "unique_share": "unique share", "learning_rate": "lr", "selection": "select"}
    for key, name in settings.items():
        if row.get(key) is not None:
            parts.append(f"{name} {row[key] if isinstance(row[key], str) else format(row[key], '.3g')}")
    return ", ".join(parts)
