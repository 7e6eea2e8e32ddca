"""Figures of a validation: the calibration curve, and what k and n are worth. They need the extra ``plot``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.errors import UsageError
from quagpredict.files import written_aside
from quagpredict.optional import require

if TYPE_CHECKING:
    from quagpredict.validation.calibration_curve import CalibrationCurve
    from quagpredict.validation.sensitivity import Sensitivity

SUFFIXES = (".png", ".svg", ".pdf")
_NAMES = {"r2": "R²", "spearman": "Spearman", "regret_1": "regret, unit of the target"}


def curve_figure(curve: "CalibrationCurve", path: str | Path, metric: str = "spearman") -> Path:
    """Draw a metric against the number of finished runs, a panel for each way of choosing them, and write it.

    Parameters
    ----------
    curve : CalibrationCurve
    path : path
        Ends in .png, .svg or .pdf.
    metric : str

    Raises
    ------
    UsageError
        If the suffix is another, the metric was not judged, or the file cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    frame = curve.frame.filter(metric=metric)
    if not frame.height:
        raise UsageError(f"no model has the metric '{metric}'")
    designs = frame["design"].unique(maintain_order=True).to_list()
    models = frame["model"].unique(maintain_order=True).to_list()
    figure, axes = new_figure(len(designs))
    for axis, design in zip(axes, designs, strict=True):
        for place, model in enumerate(models):
            own = frame.filter(design=design, model=model).sort("runs")
            plain = model.startswith(("proxy:", "linear:pass_at_1")) or model == "mean"
            style = {"linestyle": ":" if plain else "-", "color": f"C{place % 10}", "linewidth": 1.2 if plain else 1.8}
            axis.plot(own["runs"], own["mean"], marker="" if plain else ".", label=model, **style)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(_whole())
        axis.set_xlabel("finished RL runs that it was fitted on")
        axis.set_title("chosen at random" if design == "random" else f"chosen by {design} design")
        axis.grid(alpha=0.3)
    values = frame.filter(pl.col("runs") >= min(5, int(frame["runs"].max())))["mean"]  # type: ignore[arg-type]
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    # A model on its first few runs can be off by orders of magnitude; that must not flatten all the rest.
    axes[0].set_ylim(max(low, min(high - 2.0, 0.0)) - 0.05, high + 0.05)
    axes[0].set_ylabel(f"{_NAMES.get(metric, metric)}, {curve.test} candidates left out")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return write_figure(figure, path)


def sensitivity_figure(found: "Sensitivity", path: str | Path, metric: str = "spearman") -> Path:
    """Draw a metric of Pass@k against k, a line for each number of samples of all problems, and write it.

    A panel each shows Pass@k as it is and fitted. The parameters and errors are those of `curve_figure`.
    """
    frame = found.frame.filter(metric=metric, problems=found.problems)
    if not frame.height:
        raise UsageError(f"no model has the metric '{metric}'")
    models = frame["model"].unique(maintain_order=True).to_list()
    figure, axes = new_figure(len(models))
    samples = frame["samples"].unique().sort().to_list()
    for axis, model in zip(axes, models, strict=True):
        for place, number in enumerate(samples):
            own = frame.filter(model=model, samples=number).sort("k")
            color = _shade(place / max(1, len(samples) - 1))
            axis.plot(own["k"], own["mean"], marker=".", color=color, label=f"{number} samples")
            if number == samples[-1] and own["low"].null_count() == 0:
                axis.fill_between(own["k"], own["low"], own["high"], color=color, alpha=0.12, linewidth=0)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(_whole())
        axis.set_xlabel("k of Pass@k")
        axis.set_title({"proxy": "Pass@k as it is", "linear": "fitted as a line"}.get(model, "fitted with the loss"))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"{_NAMES.get(metric, metric)}, {found.candidates} candidates")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return write_figure(figure, path)


def check_figure_path(path: str | Path) -> None:
    """Refuse a name that no figure can have, before anything is computed."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"figure {path}: the name must end in {', '.join(SUFFIXES)}")


def new_figure(panels: int, width: float | None = None) -> tuple[Any, Any]:
    """Return a figure and its axes, side by side on one scale.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require("matplotlib")
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(width or 4.2 * panels + 0.6, 4.6), layout="constrained")
    return figure, figure.subplots(1, panels, sharey=True, squeeze=False)[0]


def _whole() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:g}")


def _shade(place: float) -> Any:
    import matplotlib as mpl

    return mpl.colormaps["viridis"](0.9 * (1 - place))


def write_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure in the format of its suffix, aside and then renamed, and return its path."""
    check_figure_path(path)
    target = Path(path)
    try:
        with written_aside(target) as aside:
            figure.savefig(aside, format=target.suffix[1:].lower(), dpi=150)
    except OSError as error:
        raise UsageError(f"figure {path}: cannot be written ({error.strerror})") from None
    return target
