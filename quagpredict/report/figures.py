"""Figures of a validation: the learning curve, and what k and n are worth. They need the extra ``plot``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.errors import UsageError
from quagpredict.files import written_aside
from quagpredict.optional import require
from quagpredict.report.style import color_of, name_lines, styled

if TYPE_CHECKING:
    from quagpredict.validation.learning_curve import LearningCurve
    from quagpredict.validation.sensitivity import Sensitivity

SUFFIXES = (".png", ".svg", ".pdf")


def curve_figure(curve: "LearningCurve", path: str | Path) -> Path:
    """Draw Spearman against the number of finished runs, a panel for each way of choosing them, and write it.

    Raises
    ------
    UsageError
        If `path` does not end in .png, .svg or .pdf, or cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    with styled():
        return write_figure(_curves(curve, curve.frame.filter(metric="spearman")), path)


def _curves(curve: "LearningCurve", frame: pl.DataFrame) -> Any:
    designs = frame["design"].unique(maintain_order=True).to_list()
    # What was asked for comes first; what is beyond five lines is grey.
    models = sorted(frame["model"].unique(maintain_order=True), key=_is_baseline)
    figure, axes = new_figure(len(designs), width=4.2 * len(designs) + 2.2)
    drawn = []
    for axis, design in zip(axes, designs, strict=True):
        lines = []
        for at, model in enumerate(models):
            line = frame.filter(design=design, model=model).sort("runs").drop_nulls("mean")
            if not line.height:
                continue
            plain = _is_baseline(model)
            style = {"linestyle": ":" if plain else "-", "color": color_of(at), "linewidth": 1.2 if plain else 1.8}
            axis.plot(line["runs"], line["mean"], marker="" if plain else ".", **style)
            lines.append((float(line["runs"][-1]), float(line["mean"][-1]), model, color_of(at)))
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(_whole())
        axis.set_xlabel("finished RL runs that it was fitted on")
        axis.set_title("chosen at random" if design == "random" else f"chosen by {design} design")
        drawn.append((axis, lines))
    values = frame.filter(pl.col("runs") >= min(5, int(frame["runs"].max())))["mean"]  # type: ignore[arg-type]
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    # A model on its first few runs can be off by orders of magnitude; that must not flatten all the rest.
    axes[0].set_ylim(max(low, min(high - 2.0, 0.0)) - 0.05, high + 0.05)
    axes[0].set_ylabel(f"Spearman, {curve.test} candidates left out")
    for axis, lines in drawn:
        first, last = axis.get_xlim()
        axis.set_xlim(first, last * (last / first) ** 0.6 if lines else last)  # room for the names
    figure.draw_without_rendering()
    for axis, lines in drawn:
        name_lines(axis, lines, size=7.0)
    return figure


def _is_baseline(model: str) -> bool:
    return model.startswith(("proxy:", "linear:pass_at_1")) or model == "mean"


def sensitivity_figure(sensitivity: "Sensitivity", path: str | Path) -> Path:
    """Draw Spearman of Pass@k against k, a line for each number of samples of all problems, and write it.

    A panel each shows Pass@k as it is and fitted. Errors are those of `curve_figure`.
    """
    with styled():
        frame = sensitivity.frame.filter(metric="spearman", problems=sensitivity.problems)
        return write_figure(_by_k(sensitivity, frame), path)


def _by_k(sensitivity: "Sensitivity", frame: pl.DataFrame) -> Any:
    models = frame["model"].unique(maintain_order=True).to_list()
    figure, axes = new_figure(len(models))
    samples = frame["samples"].unique().sort().to_list()
    for axis, model in zip(axes, models, strict=True):
        for at, number in enumerate(samples):
            line = frame.filter(model=model, samples=number).sort("k")
            color = _shade(at / max(1, len(samples) - 1))
            axis.plot(line["k"], line["mean"], marker=".", color=color, label=f"{number} samples")
            if number == samples[-1] and line["low"].null_count() == 0:
                axis.fill_between(line["k"], line["low"], line["high"], color=color, alpha=0.12, linewidth=0)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(_whole())
        axis.set_xlabel("k of Pass@k")
        axis.set_title({"proxy": "Pass@k as it is", "linear": "fitted as a line"}.get(model, "fitted with the loss"))
    axes[0].set_ylabel(f"Spearman, {sensitivity.candidates} candidates")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=6)
    return figure


def check_figure_path(path: str | Path) -> None:
    """Refuse a name that no figure can have, and any where nothing can draw, before anything is computed.

    Raises
    ------
    UsageError
        If the ending is another.
    MissingExtraError
        If matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"figure {path}: the name must end in {', '.join(SUFFIXES)}")
    require("matplotlib")


def new_figure(panels: int, width: float | None = None) -> tuple[Any, Any]:
    """Return a figure and its axes, side by side on one scale."""
    require("matplotlib")
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(width or 4.2 * panels + 0.6, 4.6), layout="constrained")
    return figure, figure.subplots(1, panels, sharey=True, squeeze=False)[0]


def _whole() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:g}")


def _shade(share: float) -> Any:
    import matplotlib as mpl

    return mpl.colormaps["viridis"](0.9 * (1 - share))


def write_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure in the format of its suffix, aside and then renamed, and return its path.

    Raises
    ------
    UsageError
        If the suffix is none of `SUFFIXES`, or the file cannot be written.
    """
    check_figure_path(path)
    target = Path(path)
    try:
        with written_aside(target) as aside:
            figure.savefig(aside, format=target.suffix[1:].lower(), dpi=150)
    except OSError as error:
        raise UsageError(f"figure {path}: cannot be written ({error.strerror})") from None
    return target
