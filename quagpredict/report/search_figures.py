"""Figures of a search: history, importance of parameters, the simplex, prediction against the score after RL."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.mixture_search.rounds import Outcome
from quagpredict.optional import require
from quagpredict.report.search_tables import search_frame

Floats = NDArray[np.float64]

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9730d", "#9aa0a6"


def write_figures(outcome: Outcome, folder: str | Path) -> list[Path]:
    """Write the figures that the result allows as PNG files, and return their paths.

    The importance of parameters needs 8 finished trials, the last figure a verified one.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require("matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, draw in (
        ("history", _history),
        ("importance", _importance),
        ("simplex", _simplex),
        ("verified", _verified),
    ):
        figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
        if draw(outcome, axes):
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=150)
            made.append(path)
        pyplot.close(figure)
    return made


def _history(outcome: Outcome, axes: Any) -> bool:
    frame = search_frame(outcome).filter(pl.col("value").is_not_null()).sort("trial")
    if frame.is_empty():
        return False
    scale, label = _unit(outcome)
    complete = frame.filter(pl.col("state") == "complete", pl.col("feasible"))
    for name, part, color, marker in (
        ("finished", complete, _BLUE, "o"),
        ("outside the domain", frame.filter(pl.col("state") == "complete", ~pl.col("feasible")), _ORANGE, "x"),
        ("stopped by the pruner", frame.filter(pl.col("state") == "pruned"), _GREY, "v"),
    ):
        if part.height:
            axes.scatter(part["trial"], scale * part["value"], s=22, color=color, marker=marker, label=name)
    if complete.height:
        best = np.maximum.accumulate(complete["value"].to_numpy())
        axes.step(complete["trial"], scale * best, where="post", color=_BLUE, linewidth=1, label="best so far")
    axes.set(xlabel="trial", ylabel=label, title="History")
    axes.legend(frameon=False, fontsize=8)
    return True


def _importance(outcome: Outcome, axes: Any) -> bool:
    import optuna

    study = outcome.searches[-1].study
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    searched = {name for trial in done for name in trial.params if len({one.params.get(name) for one in done}) > 1}
    if len(done) < 8 or len(searched) < 2:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, params=sorted(searched))
    names = list(found)[::-1]
    axes.barh(names, [found[name] for name in names], color=_BLUE)
    axes.set(xlabel="importance (PED-ANOVA)", title="Which parameters matter")
    axes.tick_params(axis="y", labelsize=8)
    return True


def _simplex(outcome: Outcome, axes: Any) -> bool:
    """Place each mixture at the mean of its sources' corners, weighted by share: for three sources, the triangle."""
    frame = search_frame(outcome).filter(pl.col("state") == "complete").sort("value")
    names = [column for column in frame.columns if column.startswith("share_")]
    if frame.is_empty() or len(names) < 3:
        return False
    angles = np.pi / 2 + 2 * np.pi * np.arange(len(names)) / len(names)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    scale, label = _unit(outcome)
    points = frame.select(names).to_numpy() @ corners
    closed = np.concatenate([corners, corners[:1]])
    axes.plot(closed[:, 0], closed[:, 1], color=_GREY, linewidth=0.8)
    drawn = axes.scatter(points[:, 0], points[:, 1], c=scale * frame["value"].to_numpy(), s=28, cmap="viridis")
    axes.scatter(points[-1:, 0], points[-1:, 1], s=110, facecolors="none", edgecolors=_ORANGE, linewidths=1.5)
    for (x, y), name in zip(1.13 * corners, names, strict=True):
        axes.text(x, y, name.removeprefix("share_"), ha="center", va="center", fontsize=8)
    axes.set(xlim=(-1.45, 1.45), ylim=(-1.25, 1.3), aspect="equal", title="Mixtures (best circled)")
    axes.axis("off")
    axes.figure.colorbar(drawn, ax=axes, shrink=0.8, label=label)
    return True


def _verified(outcome: Outcome, axes: Any) -> bool:
    known = [one for one in outcome.verified if one.found.prediction is not None]
    if not known:
        return False
    predicted = 100 * np.array([one.found.prediction for one in known], dtype=np.float64)
    actual = 100 * np.array([one.actual for one in known])
    errors = 100 * np.array([_error(one.rows) for one in known])
    shown = np.isfinite(errors)
    axes.errorbar(predicted[shown], actual[shown], yerr=1.645 * errors[shown], fmt="none", ecolor=_GREY, linewidth=1)
    axes.scatter(predicted, actual, color=_BLUE, s=30)
    low = min(predicted.min(), actual.min()) - 5
    high = max(predicted.max(), actual.max()) + 5
    axes.plot([low, high], [low, high], color=_GREY, linewidth=0.8, linestyle="--")
    axes.set(xlabel="predicted Pass@1 after RL, per cent", ylabel="Pass@1 after RL, per cent", title="Verified by RL")
    return True


def _error(rows: pl.DataFrame) -> float:
    """Return the standard error of the mean over RL runs, problems being the same in all of them; NaN if unknown."""
    if "post_pass_at_1_se" not in rows.columns:
        return float("nan")
    known = rows["post_pass_at_1_se"].drop_nulls()
    return float(known.mean()) if len(known) else float("nan")  # type: ignore[arg-type]


def _unit(outcome: Outcome) -> tuple[float, str]:
    objective = outcome.searches[-1].scorer.objective
    if objective == "held_out_loss":
        return -1.0, "held-out loss, nats per token"
    name = "lower bound of Pass@1 after RL" if objective == "lower_bound" else "SFT Pass@1"
    return 100.0, f"{name}, per cent"
