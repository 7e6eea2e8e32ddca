"""The pictures of a ranking, and of a race."""

from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import polars as pl

from quagpredict.racing import Race
from quagpredict.ranking import Ranking
from quagpredict.report.candidate_rows import bases_of
from quagpredict.report.decision import first_by, rule_in_words, unmarked
from quagpredict.report.figures import check_figure_path, new_figure, write_figure
from quagpredict.report.formats import heading, is_share, plain
from quagpredict.report.race_tables import action_in_words, decision_of, taken_now
from quagpredict.report.style import BAND, COLORS, INK, MARKERS, MOST, SOFT, color_of, name_lines, styled

#: Candidates that are drawn; of more, the first by rank.
DRAWN = 25


def ranking_figure(ranking: Ranking, path: str | Path, race: Race | None = None) -> Path:
    """Draw the candidates, best on top: prediction, 90 % interval, score after RL; write it.

    Where no score is predicted, the measurement that the screening orders by is drawn. Errors are those of
    `write_figure`.
    """
    with styled():
        from matplotlib.figure import Figure

        frame = ranking.frame.head(DRAWN)
        title = wrap(unmarked(decision_of(ranking, race).sentence), 88)
        height = 0.27 * frame.height + 0.95 + 0.18 * len(title)
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axis = figure.subplots()
        _draw_candidates(ranking, axis, set(taken_now(ranking, race)))
        figure.suptitle("\n".join(title), x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
        return write_figure(figure, path)


def _draw_candidates(ranking: Ranking, axis: Any, taken: set[str]) -> None:
    frame = ranking.frame.head(DRAWN)
    by = next(name for name in ranking.frame.columns if name.startswith("pre_")) if ranking.surrogate is None else ""
    column = ranking.target if ranking.surrogate else by
    scale = 100.0 if is_share(column) else 1.0
    bases, firsts = bases_of(ranking), first_by(ranking)
    result_in_legend = False
    for at, row in enumerate(frame.iter_rows(named=True)):
        base = bases.index(row.get("base_model") or "")
        color, marker = (color_of(base), MARKERS[min(base, 4)]) if len(bases) > 1 else (COLORS[0], "o")
        middle = row.get("prediction") if ranking.surrogate else row[by]
        if middle is None:
            continue
        if ranking.surrogate:
            axis.plot([scale * row["low"], scale * row["high"]], [at, at], color=color, alpha=0.35, linewidth=3.5)
        axis.plot(scale * middle, at, marker, color=color, markersize=5.5)
        if ranking.surrogate and row.get("actual") is not None:
            result_in_legend = True
            axis.plot(scale * row["actual"], at, "D", color=INK, fillstyle="none", markersize=5.5)
        if row["candidate"] in firsts:
            note = wrap(f"first by {', '.join(map(rule_in_words, firsts[row['candidate']]))}", 34)
            axis.annotate(
                "\n".join(note),
                (1.01, at),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7.5,
                color=SOFT,
            )
    names = axis.set_yticks(range(frame.height), [plain(name) for name in frame["candidate"]])
    for tick, name in zip(names, frame["candidate"], strict=True):
        if name in taken:
            tick.label1.set_fontweight("bold")
            tick.label1.set_color(INK)
    axis.set_ylim(frame.height - 0.4, -0.6)
    axis.grid(axis="x")
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(_label(ranking, column) + ("; the diamond is what RL gave" if result_in_legend else ""))
    _legend(axis, bases)


def _label(ranking: Ranking, column: str) -> str:
    unit = ", %" if is_share(column) else ""
    if ranking.surrogate is None:
        return f"{heading(column)} before RL{unit}; no score is predicted"
    what = f"{heading(column)} after RL" if column.startswith("post_") else plain(column)
    return f"predicted {what}{unit}, with its 90 % interval"


def _legend(axis: Any, bases: list[str]) -> None:
    if len(bases) < 2:
        return
    for number, base in enumerate(bases[: len(COLORS)]):
        axis.plot([], [], MARKERS[number], color=color_of(number), label=plain(base))
    if len(bases) > len(COLORS):
        axis.plot([], [], MARKERS[-1], color=SOFT, label="others")
    axis.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, handletextpad=0.1, columnspacing=1.2, borderpad=0.0
    )


# Room to the right of the last step, in whole runs: for names, and for intervals side by side where there are any.
_NAMES, _INTERVALS = 0.6, 0.16


def race_figure(race: Race, path: str | Path) -> Path:
    """Draw Pass@1 along RL of every run that was started or is to be, with forecasts, and write it.

    Lines are what was measured, broken lines lead to the forecast, whose bar is the 90 % interval; a cross ends a run
    that is to stop. Runs that were not started are drawn only if they are to start, or wait. Errors are those of
    `write_figure`.
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
            end = _draw_run(axis, row, points.get((row["candidate"],)), race.rl_steps, at if named else MOST, style)
            if named and end is not None:
                action = action_in_words(row["action"], row["until"])
                lines.append((beyond * race.rl_steps, end, f"{plain(row['candidate'])}: {action}", color))
        axis.set_xlabel("RL steps")
        axis.set_title("Pass@1 along RL, %: measured, and forecast with its 90 % interval (broken); × stops")
        axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
        axis.set_xlim(-0.02 * race.rl_steps, (beyond + _NAMES) * race.rl_steps)
        axis.set_xticks([tick for tick in axis.get_xticks() if 0 <= tick <= race.rl_steps])
        axis.axvline(race.rl_steps, color=BAND, linewidth=0.8, zorder=0)
        figure.draw_without_rendering()
        name_lines(axis, lines)
        return write_figure(figure, path)


def _draw_run(
    axis: Any, row: dict[str, Any], own: pl.DataFrame | None, steps: int, position: int, style: dict[str, Any]
) -> float | None:
    """Draw one run, and return the score at which it ends; forecasts stand side by side beyond the last step."""
    strong = position < MOST
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
    beyond = steps * (1.03 + 0.025 * position)
    if len(at):
        axis.plot([at[-1], beyond], [score[-1], row["forecast"]], linestyle=":", linewidth=1.0, **style)
    axis.plot(beyond, row["forecast"], marker="_", markersize=7, linestyle="", **style)
    axis.plot([beyond, beyond], [row["low"], row["high"]], linewidth=1.6, **style)
    return float(row["forecast"])
