"""The picture of a race: what was measured along every run, its forecast, and where it was stopped."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from quagpredict.racing import Race
from quagpredict.report.figures import check_figure_path, new_figure, write_figure
from quagpredict.report.formats import plain

#: Runs with a colour and a name; those with the best forecasts that are not told to stop come first.
_NAMED = 8


def race_figure(found: Race, path: str | Path) -> Path:
    """Draw Pass@1 along RL of every run that was started or is to be, with forecasts, and write it.

    Lines are what was measured, broken lines lead to the forecast, whose bar is the 90 % interval; a cross ends a run
    that is to stop. Runs that were not started are drawn only if they are to start, or wait.

    Parameters
    ----------
    found : Race
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
    frame = found.frame.filter((pl.col("step") > 0) | pl.col("action").is_in(["start", "wait"]))
    order = frame.with_columns(ended=pl.col("action") == "stop").sort("ended", maintain_order=True)
    figure, (axis,) = new_figure(1, width=7.6)
    points = found.curves.partition_by("candidate", as_dict=True)
    drawn = max(frame.height, 1)
    for place, row in enumerate(order.iter_rows(named=True)):
        own = points.get((row["candidate"],))
        named = place < _NAMED and not row["ended"]
        color = f"C{place % 10}" if named else "0.6"
        _draw(axis, row, own, found.rl_steps, place / drawn, {"color": color, "alpha": 1.0 if named else 0.8}, named)
    axis.set_xlabel("RL steps")
    axis.set_ylabel("Pass@1")
    axis.set_xlim(-0.02 * found.rl_steps, 1.12 * found.rl_steps)
    axis.axvline(found.rl_steps, color="0.8", linewidth=0.8, zorder=0)
    axis.plot([], [], color="0.4", marker=".", label="measured")
    axis.plot([], [], color="0.4", linestyle=":", marker="_", label="forecast, 90 %")
    axis.plot([], [], color="0.4", marker="x", linestyle="", label="stop")
    axis.grid(alpha=0.3)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7)
    return write_figure(figure, path)


def _draw(
    axis: Any,
    row: dict[str, Any],
    own: pl.DataFrame | None,
    steps: int,
    place: float,
    style: dict[str, Any],
    named: bool,
) -> None:
    """Draw one run; its forecast stands a little beyond the end, so that bars lie side by side."""
    label = f"{plain(row['candidate'])}: {row['action']}" if named else None
    at, score = (own["step"].to_numpy(), own["pass_at_1"].to_numpy()) if own is not None else (np.zeros(0), np.zeros(0))
    axis.plot(at, score, marker=".", linewidth=1.8 if named else 1.0, label=label, **style)
    if row["state"] == "finished":
        return
    if row["action"] == "stop" and len(at):
        axis.plot(at[-1], score[-1], marker="x", markersize=8, linestyle="", **style)
    if row["forecast"] is None:
        return
    beyond = steps * (1.02 + 0.08 * place)
    if len(at):
        axis.plot([at[-1], beyond], [score[-1], row["forecast"]], linestyle=":", linewidth=0.9, **style)
    axis.plot(beyond, row["forecast"], marker="_", markersize=7, linestyle="", **style)
    axis.plot([beyond, beyond], [row["low"], row["high"]], linewidth=1.6 if named else 0.9, **style)
