"""Scores along RL as rows: what a curve in RL steps is fitted on."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import CorpusError
from quagpredict.surrogates.transforms import Transform

Floats = NDArray[np.float64]

# The training log is noisy, so that few windows of it are taken: the share of the run where each ends.
_WINDOWS = (0.15, 0.3, 0.5, 0.75, 1.0)
_LOGIT = Transform("logit", 1000.0)


class Points(NamedTuple):
    """Measurements along RL.

    Attributes
    ----------
    row : array (m,) of int
        Row of the table.
    step : array (m,)
        RL steps after which it was measured, above 0.
    score : array (m,)
    """

    row: NDArray[np.int64]
    step: Floats
    score: Floats


def rl_points(frame: pl.DataFrame, y: Floats, *, target: str = "post_pass_at_1", source: str = "corpus") -> Points:
    """Return every score along RL of the rows of a table.

    Parameters
    ----------
    frame : polars.DataFrame
        ``rl_steps`` and, where recorded, ``post_curve`` (measurements along RL, taken as they are) or ``rl_curve`` (the
        training log).
    y : array (n,)
        The score after RL, a point of every row at its ``rl_steps``.
    target : str
        What `y` is.
    source : str
        What to call the table in errors.

    Notes
    -----
    The training log's reward is not the score: other problems, other settings. Its *shape* is used, for a row without
    measurements along RL: it is moved on the logit until its last window meets the score after RL.

    Raises
    ------
    CorpusError
        If a row has no ``rl_steps``, or nothing tells how scores go with steps: no curve, and all runs equally long.

    Examples
    --------
    >>> curve = [{"step": 0, "pass_at_1": 0.1}, {"step": 50, "pass_at_1": 0.3}, {"step": 100, "pass_at_1": 0.4}]
    >>> table = pl.DataFrame({"candidate": ["a"], "rl_steps": [100], "post_curve": [curve]})
    >>> points = rl_points(table, np.array([0.41]))
    >>> points.step, points.score
    (array([100.,  50.]), array([0.41, 0.3 ]))
    """
    if "rl_steps" not in frame.columns:
        raise CorpusError(f"{source}: column 'rl_steps' is missing: a curve in RL steps needs it")
    last = frame["rl_steps"].cast(pl.Float64).to_numpy()
    bad = ~(last > 0)
    if bad.any():
        name = frame["candidate"][int(np.argmax(bad))] if "candidate" in frame.columns else int(np.argmax(bad))
        raise CorpusError(f"{source}: column 'rl_steps' of candidate '{name}' must be above 0 for a curve in RL steps")
    rows, steps, scores = [np.arange(len(y))], [last], [y]
    field = target.removeprefix("post_")
    measured = np.zeros(len(y), dtype=np.bool_)
    for column, name in (("post_curve", field), ("rl_curve", "reward")):
        if column not in frame.columns or (column == "rl_curve" and target != "post_pass_at_1"):
            continue
        flat = _flat(frame, column, name)
        if flat is None:
            continue
        row, step, value = flat
        keep = (step > 0) & (step < last[row] - 0.5) & np.isfinite(value) & ~measured[row]
        if column == "rl_curve":
            row, step, value = _moved(row[~measured[row]], step[~measured[row]], value[~measured[row]], last, y)
            keep = np.ones(len(row), dtype=np.bool_)
        rows.append(row[keep])
        steps.append(step[keep])
        scores.append(value[keep])
        measured[row[keep]] = True
    points = Points(np.concatenate(rows), np.concatenate(steps), np.concatenate(scores))
    if not measured.any() and np.ptp(last) == 0:
        raise CorpusError(
            f"{source}: all runs have {last[0]:g} RL steps and no scores along the way (column 'post_curve'): nothing "
            "tells how the score goes with the steps; fit another kind of surrogate"
        )
    return points


def _flat(frame: pl.DataFrame, column: str, field: str) -> tuple[NDArray[np.int64], Floats, Floats] | None:
    dtype = frame[column].dtype
    if not isinstance(dtype, pl.List) or not isinstance(dtype.inner, pl.Struct):
        return None
    if not {"step", field} <= {part.name for part in dtype.inner.fields}:
        return None
    sizes = frame[column].list.len().fill_null(0).to_numpy()
    flat = frame[column].explode(empty_as_null=False, keep_nulls=False).struct
    row = np.repeat(np.arange(frame.height), sizes)
    step, value = (flat.field(name).cast(pl.Float64).to_numpy() for name in ("step", field))
    return row, step, value


def _moved(
    row: NDArray[np.int64], step: Floats, reward: Floats, last: Floats, y: Floats
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return windows of the training log, moved on the logit so that the last of each row meets its score."""
    rows, steps, scores = [], [], []
    for run in np.unique(row):
        here = (row == run) & np.isfinite(reward) & (reward >= 0) & (reward <= 1)
        at, got = step[here], reward[here]
        edges = np.array((0.0, *_WINDOWS)) * last[run]
        inside = [(at > low) & (at <= high + 0.5) for low, high in pairwise(edges)]
        if not all(mask.any() for mask in inside):
            continue
        centers = np.array([at[mask].mean() for mask in inside])
        level = _LOGIT.forward([got[mask].mean() for mask in inside])
        level += float(_LOGIT.forward(y[run])) - level[-1]
        rows.append(np.full(len(centers) - 1, run))
        steps.append(centers[:-1])
        scores.append(np.clip(_LOGIT.inverse(level[:-1]), 0.0, 1.0))
    if not rows:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    return np.concatenate(rows), np.concatenate(steps), np.concatenate(scores)
