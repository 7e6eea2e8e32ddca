"""Figures of a search: history, importance of parameters, the mixtures, prediction against the score after RL."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from quagpredict.mixture_search.rounds import Outcome
from quagpredict.report.search_tables import scored_as, search_frame
from quagpredict.report.style import COLORS, INK, SOFT, styled

_BLUE, _ORANGE, _GREY = COLORS[0], COLORS[1], SOFT
# Mixtures beside the best, and sources that have a name of their own.
_BEST, _SOURCES = 5, 12


def write_figures(outcome: Outcome, folder: str | Path) -> list[Path]:
    """Write the figures that the result allows as PNG files, and return their paths.

    The importance of parameters needs 8 finished trials, the last figure a verified one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with styled():
        from matplotlib.figure import Figure

        for name, draw in (
            ("history", _history),
            ("importance", _importance),
            ("mixtures", _mixtures),
            ("verified", _verified),
        ):
            figure = Figure(figsize=(6.4, 4.2), layout="constrained")
            if draw(outcome, figure.subplots()):
                path = folder / f"{name}.png"
                figure.savefig(path, dpi=150)
                made.append(path)
    return made


def _history(outcome: Outcome, axes: Any) -> bool:
    frame = search_frame(outcome).filter(pl.col("value").is_not_null()).sort("trial")
    if frame.is_empty():
        return False
    name, unit, scale = scored_as(outcome.searches[-1].scorer.objective)
    label = f"{name}, {unit}"
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
    axes.figure.legend(loc="outside upper right", ncols=4)
    return True


def _importance(outcome: Outcome, axes: Any) -> bool:
    import optuna

    study = outcome.searches[-1].study
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    searched = {name for trial in done for name in trial.params if len({other.params.get(name) for other in done}) > 1}
    if len(done) < 8 or len(searched) < 2:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importance = optuna.importance.get_param_importances(study, params=sorted(searched))
    names = list(importance)[::-1]
    axes.barh(names, [importance[name] for name in names], height=0.62, color=_BLUE)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="importance (PED-ANOVA)", title="Which parameters matter")
    axes.tick_params(axis="y", labelsize=8)
    return True


def _mixtures(outcome: Outcome, axes: Any) -> bool:
    """Draw the share of every source: a bar for the best mixture, dots for the next, a line for the mean of all."""
    frame = search_frame(outcome).filter(pl.col("state") == "complete").sort("value", descending=True, nulls_last=True)
    names = [column for column in frame.columns if column.startswith("share_")]
    if frame.is_empty() or len(names) < 2:
        return False
    # The largest of the best on top; what is beyond is one row.
    order = sorted(names, key=lambda name: -float(frame[name][0]))
    shares = {name.removeprefix("share_"): frame[name] for name in order[:_SOURCES]}
    if len(order) > _SOURCES:
        rest = order[_SOURCES:]
        shares[f"{len(rest)} more"] = frame.select(pl.sum_horizontal(rest).alias("rest"))["rest"]
    for at, values in enumerate(shares.values()):
        best, mean = 100 * float(values[0]), 100 * float(values.mean())  # type: ignore[arg-type]
        axes.barh(at, best, height=0.62, color=_BLUE, alpha=0.4, label="best" if at == 0 else None)
        others = 100 * values.to_numpy()[1:_BEST]
        axes.plot(others, np.full(len(others), at), "o", color=INK, fillstyle="none", markersize=4.5,
                  label=f"next {len(others)}" if at == 0 and len(others) else None)  # fmt: skip
        axes.vlines(mean, at - 0.4, at + 0.4, color=_ORANGE, label="mean of all" if at == 0 else None)
        axes.annotate(f"{best:.0f} %", (1.01, at), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.set_yticks(range(len(shares)), list(shares))
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="share of the mixture, per cent", xlim=(0, None), title=f"Mixtures of {frame.height} trials")
    axes.figure.legend(loc="outside upper right", ncols=3)
    return True


def _verified(outcome: Outcome, axes: Any) -> bool:
    with_prediction = [verified for verified in outcome.verified if verified.trial.prediction is not None]
    if not with_prediction:
        return False
    predicted = 100 * np.array([verified.trial.prediction for verified in with_prediction], dtype=np.float64)
    actual = 100 * np.array([verified.actual for verified in with_prediction])
    errors = 100 * np.array([_error(verified.rows) for verified in with_prediction])
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
    errors = rows["post_pass_at_1_se"].drop_nulls()
    return float(errors.mean()) if len(errors) else float("nan")  # type: ignore[arg-type]
