"""The figures of a ranking's page: their places, what they say, and the values that its script draws."""

from typing import Any

import polars as pl

from quagpredict.racing import Race
from quagpredict.ranking import Ranking
from quagpredict.report.candidate_rows import times
from quagpredict.report.formats import percent, percent_range, plain
from quagpredict.report.markup import breakable, figure, name, sentence, table, text
from quagpredict.report.race_tables import action_in_words, race_sentence

#: Curves that are drawn bold, and runs in the table of a race.
BOLD, RUNS = 5, 30


def curves(values: list[dict[str, Any]]) -> str:
    """Return the figure of Pass@k against k, with what its bold lines are; empty without curves."""
    drawn = [value for value in values if len(value["curve"]) > 1]
    if not drawn:
        return ""
    bold = [value for value in drawn if value["taken"] or value["first"]]
    bold = sorted(bold, key=lambda value: (not value["taken"], value["rank"] or 0))[:BOLD]
    key = "".join(f"<li>{_swatch(value)} {breakable(value['name'])}: {text(_why(value))}</li>" for value in bold)
    about = "What a candidate reaches with many tries says more of RL than its first try. Bold are those to "
    about += "take and the first of each free rule"
    if any(point[2] is not None for value in drawn for point in value["curve"]):
        about += "; shaded is the 90 % interval of the first over problems"
    return figure(
        "curves",
        "Pass@k",
        f"{about}.",
        "Pass@k before RL of every candidate against k",
        f'<ul class="key">{key}</ul>\n' if key else "",
    )


def _swatch(value: dict[str, Any]) -> str:
    return f'<b class="b{min(value["base"], 5)}">#{value["rank"]}</b>'


def _why(value: dict[str, Any]) -> str:
    reasons = ["taken"] if value["taken"] else []
    if value["first"]:
        reasons.append(f"first by {', '.join(value['first'])}")
    return "; ".join(reasons)


def pairs(ranking: Ranking, values: list[dict[str, Any]]) -> str:
    """Return the scatter plots side by side: loss against Pass@k, predicted against actual; what can be drawn."""
    parts = []
    if sum(value["loss"] is not None and value["large"] is not None for value in values) > 1:
        about = "Lower loss and higher Pass@k are better: top left. Losses compare within one tokenizer and one set."
        parts.append(figure("loss", "Loss against Pass@k", about, "Held-out loss against Pass@k before RL"))
    inside = coverage(ranking)
    if inside is not None and inside[1] > 1:
        held, count = inside
        about = f"{held} of {count} results ({100 * held / count:.0f} %) lie within their 90 % intervals; hollow are "
        about += "those that do not."
        parts.append(figure("actual", "Predicted against actual", about, "Predicted score against the score after RL"))
    return f'<div class="two">\n{"".join(parts)}\n</div>' if parts else ""


def coverage(ranking: Ranking) -> tuple[int, int] | None:
    """Return how many results lie within their 90 % intervals, and of how many that is known; None if of none.

    A candidate whose own result was learnt from has no interval that could fail, and does not count.
    """
    if not {"actual", "low", "high"} <= set(ranking.frame.columns):
        return None
    judged = ranking.frame.drop_nulls(("actual", "low", "high")).filter(pl.col("low") < pl.col("high"))
    if judged.is_empty():
        return None
    return judged.filter(pl.col("actual").is_between("low", "high")).height, judged.height


def race_values(race: Race, values: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the script draws of a race: runs that were started, are to start, or wait; scores in per cent."""
    at = {value["name"]: number for number, value in enumerate(values)}
    curves = {key[0]: part.sort("step") for key, part in race.curves.partition_by("candidate", as_dict=True).items()}
    runs = []
    for row in race.frame.iter_rows(named=True):
        curve = curves.get(row["candidate"])
        if curve is None and row["action"] not in ("start", "wait"):
            continue
        points = [] if curve is None else curve.select("step", "pass_at_1").drop_nulls().rows()
        shown = plain(row["candidate"])
        runs.append(
            {
                "name": shown,
                "at": at.get(shown, -1),
                "state": row["state"],
                "action": row["action"],
                "told": action_in_words(row["action"], row["until"]),
                "curve": [[step, times(score, 100.0)] for step, score in points],
                **{key: times(row[key], 100.0) for key in ("forecast", "low", "high")},
            }
        )
    return {"steps": race.rl_steps, "runs": runs}


def race_part(race: Race) -> str:
    """Return the state of a race: what it says now, its figure and its table."""
    rows, kinds = [], []
    for row in race.frame.head(RUNS).iter_rows(named=True):
        rows.append(
            [
                text(action_in_words(row["action"], row["until"])),
                name(row["candidate"]),
                f"{row['step']:,}",
                percent(row["score"]),
                percent(row["forecast"]),
                "known" if row["state"] == "finished" else percent_range(row["low"], row["high"]),
                percent(row["p_best"], 0),
            ]
        )
        kinds.append("ours" if row["action"] in ("start", "go on") else "")
    about = (
        f"{sentence(race_sentence(race))} Lines are Pass@1 measured along RL; broken lines lead to the forecast after "
        f"{race.rl_steps:,} steps with its 90 % interval; a cross ends a run that is to stop."
    )
    going = [run for run in race_values(race, [])["runs"] if run["action"] not in ("stop", "leave")][:BOLD]
    key = "".join(
        f'<li><span class="dot b{number}"></span>{breakable(run["name"])}: {text(run["told"])}</li>'
        for number, run in enumerate(going)
    )
    below = f'<ul class="key">{key}</ul>\n' if key else ""
    drawn = figure("race", "The race", about, "Pass@1 along RL of every run, with forecasts", below)
    heads = ["do", "candidate", "step", "Pass@1 now", "at the end", "90 %", "P(best)"]
    others = race.frame.height - len(rows)
    more = f'<p class="small">{others:,} more candidates take part.</p>' if others else ""
    return f"{drawn}{table(heads, rows, 2, classes=kinds)}{more}"
