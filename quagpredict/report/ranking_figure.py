"""The picture of a ranking: every candidate with its interval, and what RL gave where that is known."""

from pathlib import Path
from textwrap import wrap
from typing import Any

from quagpredict.racing import Race
from quagpredict.ranking import Ranking
from quagpredict.report.candidate_rows import bases_of, first_by
from quagpredict.report.decision import unmarked
from quagpredict.report.figures import write_figure
from quagpredict.report.formats import heading, is_share, plain
from quagpredict.report.race_decision import decision_of, taken_now
from quagpredict.report.style import COLORS, INK, MARKERS, SOFT, color_of, styled

#: Candidates that are drawn; of more, the first by rank.
DRAWN = 25


def ranking_figure(ranking: Ranking, path: str | Path, race: Race | None = None) -> Path:
    """Draw the candidates, best on top: prediction, 90 % interval, score after RL; write it.

    Where no score is predicted, the measurement that the screening orders by is drawn.

    Raises
    ------
    UsageError
        If the file cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    with styled():
        from matplotlib.figure import Figure

        frame = ranking.frame.head(DRAWN)
        title = wrap(unmarked(decision_of(ranking, race).sentence), 88)
        height = 0.27 * frame.height + 0.95 + 0.18 * len(title)
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axis = figure.subplots()
        _draw(ranking, axis, set(taken_now(ranking, race)))
        figure.suptitle("\n".join(title), x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
        return write_figure(figure, path)


def _draw(ranking: Ranking, axis: Any, taken: set[str]) -> None:
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
            note = wrap(f"first by {', '.join(firsts[row['candidate']])}", 34)
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
