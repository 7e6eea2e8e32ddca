"""Figures of a replication: what was measured before RL against the score after it, and what follows for choosing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.files import written_aside
from quagpredict.report.style import BAND, COLORS, INK, MARKERS, MOST, SOFT, color_of, name_lines, styled
from quagpredict.validation.within_base import within_base

if TYPE_CHECKING:
    from quagpredict.replication.replicating import Replication

_WIDE = (9.0, 3.6)
_MEASURED = {
    "pre_pass_at_1": "SFT Pass@1",
    "pre_held_out_loss_nats": "held-out loss, nats per token",
    "pre_pass_at_64": "Pass@64 before RL",
}
#: Ways of choosing -> what they are called.
RULES = {
    "proxy:pass_at_1": "highest SFT Pass@1",
    "proxy:loss": "lowest held-out loss",
    "proxy:held_out_loss_nats": "lowest held-out loss",
    "proxy:pass_at_64": "highest Pass@64",
    "linear:both:log-logit": "loss and Pass@64, fitted",
    "mean": "at random",
}
# What the number of finished runs is told of: the rules that need none, and what `rank` fits on few runs and on more.
_FREE = {"proxy:pass_at_64": "Pass@64", "proxy:loss": "held-out loss", "proxy:pass_at_1": "SFT Pass@1"}
_LEARNT = {"average:pass_at_1+pass_at_64+loss:log-logit": "average of three", "effective_k": "effective k"}
# What the steps of RL are told of, a line fitted to each.
_BY_STEP = {
    "linear:both:log-logit": "loss and Pass@64",
    "linear:pass_at_64:log-logit": "Pass@64",
    "linear:loss:log-logit": "held-out loss",
    "linear:pass_at_1": "SFT Pass@1",
}
_SCENARIOS = ("all", "dataset-level", "instance-level")
# One thing has one colour in every figure.
_COLOR_OF = {
    **dict(zip(("average of three", "effective k", "Pass@64", "held-out loss", "SFT Pass@1"), COLORS, strict=True)),
    "loss and Pass@64": COLORS[0],
}


def draw(replication: "Replication", folder: str | Path) -> dict[str, Path]:
    """Draw every figure that the corpus allows; return its name -> a PNG file in `folder`, called after the corpus."""
    drawn = {}
    parts = {"before-and-after": _scatter, "which-k": _by_k, "which-step": _by_step}
    with styled():
        from matplotlib.figure import Figure

        for name, part in (parts | {"regret": _regret, "finished-runs": _curve}).items():
            figure = Figure(figsize=_WIDE, layout="constrained")
            if part(replication, figure):
                path = Path(folder) / f"{replication.name}-{name}.png"
                with written_aside(path) as aside:
                    figure.savefig(aside, format="png", dpi=120, metadata={"Software": None})
                drawn[name] = path
    return drawn


def _scatter(replication: "Replication", figure: Any) -> bool:
    frame = replication.frame.filter(pl.col("post_pass_at_1").is_not_null())
    columns = [column for column in _MEASURED if column in frame.columns and frame[column].null_count() < frame.height]
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    levels = "recipe_scenario" in frame.columns and frame["recipe_scenario"].null_count() < frame.height
    bases = frame["base_model"].unique(maintain_order=True).sort().to_list() if "base_model" in frame.columns else [""]
    for axis, column in zip(axes, columns, strict=True):
        for at, base in enumerate(bases):
            rows = frame.filter(pl.col("base_model") == base) if base else frame
            for filled in (True, False) if levels else (True,):
                part = rows.filter(pl.col("recipe_scenario").ne_missing("instance-level") == filled) if levels else rows
                axis.plot(
                    100 * part[column] if column.startswith("pre_pass") else part[column],
                    100 * part["post_pass_at_1"],
                    MARKERS[min(at, MOST - 1)],
                    color=color_of(at),
                    markersize=4,
                    fillstyle="full" if filled else "none",
                    linestyle="none",
                    label=base if filled else None,
                )
        axis.set_xlabel(_MEASURED[column] + (", %" if column.startswith("pre_pass") else ""))
        axis.set_title(_correlations(frame, column), fontsize=8.5, color=SOFT)
        if "loss" in column:
            _logarithmic(axis, (1, 2, 5))
    axes[0].set_ylabel("Pass@1 after RL, %")
    if len(bases) > 1 or levels:
        handles, names = axes[0].get_legend_handles_labels()
        hollow = "; hollow: instance level" if levels else ""
        figure.legend(
            handles, names, loc="outside upper left", ncols=6, title=f"base model{hollow}", title_fontsize=8,
            alignment="left", handletextpad=0.1, columnspacing=1.4, borderpad=0.1,
        )  # fmt: skip
    return True


def _correlations(frame: pl.DataFrame, column: str) -> str:
    """Return the rank correlations of what is drawn: within base models first; positive is as it should be."""
    measured = frame.drop_nulls(column)
    sign = -1.0 if "loss" in column else 1.0
    bases = (
        measured["base_model"].fill_null("").to_list() if "base_model" in measured.columns else [""] * measured.height
    )
    parts = []
    for among, groups in (("within a base", bases), ("all", [""] * measured.height)):
        try:
            within = within_base(
                measured["post_pass_at_1"].to_numpy(), {"": sign * measured[column].to_numpy()}, groups, draws=0
            )
        except InvalidDataError:  # no base model has two candidates
            continue
        parts.append(f"{among} {within[''].spearman[0]:.2f}")
    return f"Spearman {', '.join(parts)}" if parts else ""


def _by_k(replication: "Replication", figure: Any) -> bool:
    rows = replication.report.frame.filter(
        pl.col("model").str.starts_with("proxy:pass_at_"), protocol="random-halves", metric="pairwise_accuracy"
    ).with_columns(k=pl.col("model").str.extract(r"(\d+)$").cast(pl.Int64))
    scenarios = [name for name in _SCENARIOS if (rows["scenario"] == name).any()]
    if rows["k"].n_unique() < 2 or not scenarios:
        return False
    axes = figure.subplots(1, len(scenarios), sharey=True, squeeze=False)[0]
    for axis, scenario in zip(axes, scenarios, strict=True):
        part = rows.filter(scenario=scenario).sort("k").drop_nulls(("mean", "low", "high"))
        axis.plot(part["k"], 100 * part["mean"], "o-", color=COLORS[0], markersize=4)
        low, high = (100 * part[end].clip(0.0, 1.0).to_numpy() for end in ("low", "high"))
        axis.fill_between(part["k"].to_numpy(), low, high, color=COLORS[0], alpha=0.15, linewidth=0)
        axis.axhline(50, color=SOFT, linewidth=0.8, linestyle=":")
        axis.set_xscale("log", base=2)
        axis.set_xticks([k for k in (1, 4, 16, 64, 256) if k <= part["k"][-1]])
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.set_xlabel("k")
        axis.set_title(scenario)
    axes[0].annotate("by chance", (0.98, 50), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                     ha="right", fontsize=7.5, color=SOFT)  # fmt: skip
    axes[0].set_ylabel("pairs of a base model that\nPass@k before RL puts in order, %")
    return True


def _by_step(replication: "Replication", figure: Any) -> bool:
    rows = replication.targets.drop_nulls("step")
    further = pl.col("target").str.contains("further")
    parts = [("all runs", rows.filter(~further)), ("the runs taken further", rows.filter(further))]
    parts = [(title, part) for title, part in parts if part["step"].n_unique() > 1]
    if not parts:
        return False
    axes = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    drawn = []
    for axis, (title, part) in zip(axes, parts, strict=True):
        first, last = int(part["step"].min()), int(part["step"].max())  # type: ignore[arg-type]
        apart, lines = 0.012 * (last - first), []
        for at, (model, label) in enumerate(_BY_STEP.items()):
            line = part.filter(pl.col("model") == model).sort("step").drop_nulls(("mean", "low", "high"))
            if not line.height:
                continue
            # Side by side, since intervals of one step that lie over each other cannot be told apart.
            steps = line["step"].to_numpy() + apart * (at - 1.5)
            low, high = (100 * line[end].clip(0.0, 1.0) for end in ("low", "high"))
            color, means = _COLOR_OF[label], 100 * line["mean"]
            axis.vlines(steps, low, high, color=color, alpha=0.35)
            axis.plot(steps, means, "o-", color=color, markersize=4)
            lines.append((last + 1.5 * apart, means[-1], label, color))
        drawn.append((axis, lines))
        axis.set_xticks(part["step"].unique().sort().to_list())
        axis.set_xlabel("RL steps after which the score counts")
        axis.set_title(f"{title}, {part['candidates'][0]} candidates")
        axis.set_xlim(first - 0.06 * (last - first), last + 0.42 * (last - first))
    axes[0].set_ylabel("pairs of a base model in order, %")
    _name_all(figure, drawn)
    return True


def _regret(replication: "Replication", figure: Any) -> bool:
    rows = replication.report.frame.filter(protocol="random-halves", metric="regret_1_in_base")
    models = dict.fromkeys(model for model in RULES if (rows["model"] == model).any())
    ours = [model for model in replication.report.surrogates if not model.startswith("linear:")]
    models |= dict.fromkeys(ours)
    scenarios = [name for name in _SCENARIOS if (rows["scenario"] == name).any()]
    if not models or not scenarios:
        return False
    axes = figure.subplots(1, len(scenarios), sharey=True, squeeze=False)[0]
    labels = [RULES.get(model, model.partition(":")[0]) for model in models]
    for axis, scenario in zip(axes, scenarios, strict=True):
        for at, model in enumerate(models):
            part = rows.filter(scenario=scenario, model=model)
            if not part.height:
                continue
            row = part.row(0, named=True)
            axis.barh(at, 100 * row["mean"], color=BAND if model in RULES else COLORS[0])
            if row["low"] is not None and row["high"] is not None:
                low = max(0.0, row["low"])  # a regret below 0 there is none
                axis.plot([100 * low, 100 * row["high"]], [at, at], color=INK, linewidth=1)
        axis.set_title(scenario)
        axis.grid(axis="x")
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("regret in a base, points")
    axes[0].set_yticks(range(len(labels)), labels, fontsize=8)
    axes[0].invert_yaxis()
    return True


def _curve(replication: "Replication", figure: Any) -> bool:
    rows = replication.curve.frame.filter(design="random")
    metrics = {"pairwise_accuracy": "pairs of a base model in order, %", "regret_1_in_base": "regret in a base, points"}
    there = set(rows["model"])
    shown = {model: name for model, name in (_LEARNT | _FREE).items() if model in there}
    if not shown:
        return False
    axes, drawn = figure.subplots(1, 2), []
    for axis, (metric, label) in zip(axes, metrics.items(), strict=True):
        lines = []
        for model, name in shown.items():
            part = rows.filter(model=model, metric=metric).sort("runs").drop_nulls("mean")
            if not part.height:
                continue
            values = 100 * part["mean"]
            # What needs no finished run is broken: it is as good with none.
            axis.plot(part["runs"], values, ":" if model in _FREE else "-", color=_COLOR_OF[name])
            lines.append((float(part["runs"][-1]), float(values[-1]), name, _COLOR_OF[name]))
        _logarithmic(axis, (1, 2, 5))
        if lines:
            most = max(line[0] for line in lines)
            axis.set_xlim(right=3.6 * most)
            # The room for names has no ticks.
            axis.set_xticks([tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= most])
        axis.set_xlabel("finished RL runs fitted on (broken: needs none)")
        axis.set_title(label)
        drawn.append((axis, lines))
    _name_all(figure, drawn)
    return True


def _name_all(figure: Any, drawn: "list[tuple[Any, list[tuple[float, float, str, str]]]]") -> None:
    """Write the names of lines at their ends, once the places of all axes are known."""
    figure.draw_without_rendering()
    for axis, lines in drawn:
        name_lines(axis, lines)


def _logarithmic(axis: Any, ticks: tuple[int, ...]) -> None:
    """Make the horizontal axis logarithmic, with plain numbers at these multiples of the powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter("{x:g}")
