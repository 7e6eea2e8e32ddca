"""The picture of a race: what was measured along every run, its forecast, and where it was stopped."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from quagpredict.racing import Race
from quagpredict.report.figures import check_figure_path, new_figure, write_figure
from quagpredict.report.formats import plain
from quagpredict.report.race_tables import action_in_words
from quagpredict.report.style import BAND, MOST, SOFT, color_of, name_lines, styled

# Room to the right of the last step, in whole runs: for names, and for intervals side by side where there are any.
_NAMES, _INTERVALS = 0.6, 0.16


def race_figure(race: Race, path: str | Path) -> Path:
    """Draw Pass@1 along RL of every run that was started or is to be, with forecasts, and write it.

    Lines are what was measured, broken lines lead to the forecast, whose bar is the 90 % interval; a cross ends a run
    that is to stop. Runs that were not started are drawn only if they are to start, or wait.

    Parameters
    ----------
    race : Race
    path : path
        Ends in .png, .svg or .pdf.

    Raises
    ------
    UsageError
        If the suffix is another, or the file cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    check_figure_path(path)
    frame = race.frame.filter((pl.col("step") > 0) | pl.col("action").is_in(["start", "wait"]))
    order = frame.with_columns(ended=pl.col("action") == "stop").sort("ended", maintain_order=True)
    points = race.curves.filter(pl.col("pass_at_1").is_not_null()).partition_by("candidate", as_dict=True)
    with styled():
        figure, (axis,) = new_figure(1, width=8.4)
        lines: list[tuple[float, float, str, str]] = []
        # Room for intervals only where one is drawn: of the named runs that neither ended nor are to stop.
        open_ = order.head(MOST).filter(
            ~pl.col("ended"), pl.col("state") != "finished", pl.col("forecast").is_not_null()
        )
        beyond = 1.0 + (_INTERVALS if open_.height else 0.0)
        # Those with the best forecasts that are not told to stop have a colour and a name.
        for at, row in reversed(list(enumerate(order.iter_rows(named=True)))):
            named = at < MOST and not row["ended"]
            color = color_of(at) if named else SOFT
            style = {"color": color, "alpha": 1.0 if named else 0.6}
            end = _draw(axis, row, points.get((row["candidate"],)), race.rl_steps, at if named else MOST, style)
            if named and end is not None:
                told = action_in_words(row["action"], row["until"])
                lines.append((beyond * race.rl_steps, end, f"{plain(row['candidate'])}: {told}", color))
        axis.set_xlabel("RL steps")
        axis.set_title("Pass@1 along RL, %: measured, and forecast with its 90 % interval (broken); × stops")
        axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
        axis.set_xlim(-0.02 * race.rl_steps, (beyond + _NAMES) * race.rl_steps)
        axis.set_xticks([tick for tick in axis.get_xticks() if 0 <= tick <= race.rl_steps])
        axis.axvline(race.rl_steps, color=BAND, linewidth=0.8, zorder=0)
        figure.draw_without_rendering()
        name_lines(axis, lines)
        return write_figure(figure, path)


def _draw(
    axis: Any, row: dict[str, Any], own: pl.DataFrame | None, steps: int, place: int, style: dict[str, Any]
) -> float | None:
    """Draw one run, and return the score at which it ends; forecasts stand side by side beyond the last step."""
    strong = place < MOST
    at, score = (own["step"].to_numpy(), own["pass_at_1"].to_numpy()) if own is not None else (np.zeros(0), np.zeros(0))
    axis.plot(at, score, marker=".", linewidth=1.8 if strong else 1.0, **style)
    measured = float(score[-1]) if len(at) else None
    if row["state"] == "finished":
        return measured
    if row["action"] == "stop" and len(at):
        axis.plot(at[-1], score[-1], marker="x", markersize=7, linestyle="", **style)
        return measured
    if row["forecast"] is None or not strong:
        return measured
    beyond = steps * (1.03 + 0.025 * place)
    if len(at):
        axis.plot([at[-1], beyond], [score[-1], row["forecast"]], linestyle=":", linewidth=1.0, **style)
    axis.plot(beyond, row["forecast"], marker="_", markersize=7, linestyle="", **style)
    axis.plot([beyond, beyond], [row["low"], row["high"]], linewidth=1.6, **style)
    return float(row["forecast"])
