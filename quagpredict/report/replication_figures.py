"""Figures of a replication: what was measured before RL against the score after it, and what follows for choosing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.files import written_aside
from quagpredict.optional import require

if TYPE_CHECKING:
    from quagpredict.replication import Replication

_WIDE = (9.0, 3.4)
_MARKERS = ("o", "s", "^", "D", "v", "P")
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


def draw(replication: "Replication", folder: str | Path) -> dict[str, Path]:
    """Draw every figure that the corpus allows.

    Returns
    -------
    dict
        Name of the figure -> PNG file in `folder`, called after the corpus.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed (extra ``plot``).
    """
    require("matplotlib")
    from matplotlib.figure import Figure

    drawn = {}
    parts = {"before-and-after": _scatter, "which-k": _by_k, "which-step": _by_step}
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
        for place, base in enumerate(bases):
            rows = frame.filter(pl.col("base_model") == base) if base else frame
            for filled in (True, False) if levels else (True,):
                part = rows.filter(pl.col("recipe_scenario").ne_missing("instance-level") == filled) if levels else rows
                axis.plot(
                    100 * part[column] if column.startswith("pre_pass") else part[column],
                    100 * part["post_pass_at_1"],
                    _MARKERS[place % len(_MARKERS)],
                    color=f"C{place}",
                    markersize=4,
                    fillstyle="full" if filled else "none",
                    linestyle="none",
                    label=base if filled else None,
                )
        axis.set_xlabel(_MEASURED[column] + (", %" if column.startswith("pre_pass") else ""))
        if "loss" in column:
            _logarithmic(axis, (1, 2, 5))
    axes[0].set_ylabel("Pass@1 after RL, %")
    axes[0].legend(title="hollow: instance level" if levels else None, fontsize=7, title_fontsize=7)
    return True


def _by_k(replication: "Replication", figure: Any) -> bool:
    rows = replication.report.frame.filter(
        pl.col("model").str.starts_with("proxy:pass_at_"), protocol="random-halves", metric="pairwise_accuracy"
    ).with_columns(k=pl.col("model").str.extract(r"(\d+)$").cast(pl.Int64))
    scenarios = [name for name in ("all", "dataset-level", "instance-level") if (rows["scenario"] == name).any()]
    if rows["k"].n_unique() < 2 or not scenarios:
        return False
    axes = figure.subplots(1, len(scenarios), sharey=True, squeeze=False)[0]
    for axis, scenario in zip(axes, scenarios, strict=True):
        part = rows.filter(scenario=scenario).sort("k").drop_nulls(("mean", "low", "high"))
        axis.plot(part["k"], part["mean"], "o-")
        low, high = part["low"].clip(0.0, 1.0).to_numpy(), part["high"].clip(0.0, 1.0).to_numpy()
        axis.fill_between(part["k"].to_numpy(), low, high, alpha=0.2)
        axis.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
        axis.set_xscale("log", base=2)
        axis.set_xticks([k for k in (1, 4, 16, 64, 256) if k <= part["k"][-1]])
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.set_xlabel("k")
        axis.set_title(scenario, fontsize=9)
    axes[0].set_ylabel("pairs of a base model that\nPass@k before RL puts in order")
    return True


def _by_step(replication: "Replication", figure: Any) -> bool:
    rows = replication.targets.drop_nulls("step")
    further = pl.col("target").str.contains("further")
    parts = [("all runs", rows.filter(~further)), ("the runs taken further", rows.filter(further))]
    parts = [(title, part) for title, part in parts if part["step"].n_unique() > 1]
    if not parts:
        return False
    names = {"linear:pass_at_1": "SFT Pass@1", "linear:loss:log-logit": "held-out loss (log)"}
    names |= {"linear:pass_at_64:log-logit": "Pass@64 (logit)", "linear:both:log-logit": "both"}
    axes = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axis, (title, part) in zip(axes, parts, strict=True):
        for place, (model, label) in enumerate(names.items()):
            line = part.filter(pl.col("model") == model).sort("step").drop_nulls(("mean", "low", "high"))
            axis.plot(line["step"], line["mean"], "o-", color=f"C{place}", label=label)
            low, high = line["low"].clip(0.0, 1.0).to_numpy(), line["high"].clip(0.0, 1.0).to_numpy()
            axis.fill_between(line["step"].to_numpy(), low, high, color=f"C{place}", alpha=0.1)
        axis.set_xlabel("RL steps after which the score counts")
        axis.set_title(f"{title}, {part['candidates'][0]} candidates", fontsize=9)
    axes[0].set_ylabel("pairs of a base model in order")
    axes[0].legend(fontsize=7)
    return True


def _regret(replication: "Replication", figure: Any) -> bool:
    rows = replication.report.frame.filter(protocol="random-halves", metric="regret_1_in_base")
    models = dict.fromkeys(model for model in RULES if (rows["model"] == model).any())
    ours = [model for model in replication.report.surrogates if not model.startswith("linear:")]
    models |= dict.fromkeys(ours)
    scenarios = [name for name in ("dataset-level", "instance-level", "all") if (rows["scenario"] == name).any()]
    if not models or not scenarios:
        return False
    axes = figure.subplots(1, len(scenarios), sharey=True, squeeze=False)[0]
    labels = [RULES.get(model, model.partition(":")[0]) for model in models]
    for axis, scenario in zip(axes, scenarios, strict=True):
        for place, model in enumerate(models):
            part = rows.filter(scenario=scenario, model=model)
            if not part.height:
                continue
            row = part.row(0, named=True)
            axis.barh(place, 100 * row["mean"], color="C0" if model in RULES else "C1")
            if row["low"] is not None and row["high"] is not None:
                low = max(0.0, row["low"])  # a regret below 0 there is none
                axis.plot([100 * low, 100 * row["high"]], [place, place], color="black", linewidth=1)
        axis.set_title(scenario, fontsize=9)
        axis.set_xlabel("regret in a base, points")
    axes[0].set_yticks(range(len(labels)), labels, fontsize=7)
    axes[0].invert_yaxis()
    return True


def _curve(replication: "Replication", figure: Any) -> bool:
    rows = replication.curve.frame.filter(design="random")
    # The mean's regret would dwarf the others'; the pages' tables have it.
    left_out = ("mean", "linear:pass_at_1:log-logit")  # a line in one measurement orders as the measurement does
    models = [model for model in rows["model"].unique().sort() if model not in left_out]
    axes = figure.subplots(1, 2)
    metrics = {"pairwise_accuracy": "pairs of a base model in order", "regret_1_in_base": "regret in a base, points"}
    for axis, (metric, label) in zip(axes, metrics.items(), strict=True):
        for place, model in enumerate(models):
            part = rows.filter(model=model, metric=metric).sort("runs").drop_nulls("mean")
            scale = 100 if metric.startswith("regret") else 1
            style = ":" if model.startswith("proxy") else "-" if place < 10 else "-."
            axis.plot(part["runs"], scale * part["mean"], style, color=f"C{place % 10}", label=_short(model))
        _logarithmic(axis, (1, 2, 5))
        axis.set_xlabel("finished RL runs fitted on")
        axis.set_ylabel(label)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=6)
    return True


def _logarithmic(axis: Any, ticks: tuple[int, ...]) -> None:
    """Make the horizontal axis logarithmic, with plain numbers at these multiples of the powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter("{x:g}")


def _short(model: str) -> str:
    """Return a model's name without what all share."""
    return model.replace(":log-logit", "").replace("pass_at_1+pass_at_64+loss", "three").replace("pass_at_", "Pass@")
