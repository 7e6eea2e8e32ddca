"""The score as a saturating curve in RL steps: what a longer or a shorter RL run would give."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Unpack

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.errors import CorpusError, InvalidDataError
from quagpredict.surrogates.damped_least_squares import damped_least_squares
from quagpredict.surrogates.feature_sets import largest_pass_at, resolve_transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import Linearised
from quagpredict.surrogates.json_object import ABOVE_ZERO, JsonObject
from quagpredict.surrogates.kind import FitTask, Kind
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables
from quagpredict.surrogates.transforms import Transform

_SIGNAL = "pre_zero_variance_share_g8"
# Weak beliefs, as means and deviations: at the typical number of steps most of the way is gone; features of deviation 1
# change the log of the rate by half; the way is a few logits long.
_LOG_RATE, _LOG_RATE_WIDTH, _RATE_SLOPE_WIDTH, _GAIN_WIDTH = float(np.log(2.0)), 1.0, 0.5, 5.0
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


@dataclass(frozen=True, eq=False)
class SaturatingForm(Linearised):
    """``start + gain (1 - exp(-rate t))`` with gain and rate driven by the features.

    The columns are the features, the first of them the score before RL, and last the number of RL steps.

    Attributes
    ----------
    center, scale : array (p,)
        Of the features.
    typical_steps : float
        Unit of t.
    gain, log_rate : array (1 + p,)
        Intercept and one coefficient a scaled feature.
    covariance : array (2 + 2 p, 2 + 2 p)
        Of gain and log_rate.
    """

    center: Floats
    scale: Floats
    typical_steps: float
    gain: Floats
    log_rate: Floats
    covariance: Floats
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float

    def seen(self, Z: Floats) -> Floats:
        """Return the features without the steps."""
        return Z[:, :-1]

    def linear(self, Z: Floats) -> tuple[Floats, Floats, Floats]:
        """See `Linearised`."""
        design, t = scaled(Z, self.center, self.scale, self.typical_steps)
        mean, jacobian = curve(design, Z[:, 0], t, self.gain, self.log_rate)
        return mean, jacobian, self.covariance


def scaled(Z: Floats, center: Floats, scale: Floats, typical_steps: float) -> tuple[Floats, Floats]:
    """Return ``[1, scaled features]`` and the time in units of the typical number of steps, never negative."""
    design = np.concatenate([np.ones((len(Z), 1)), (Z[:, :-1] - center) / scale], axis=1)
    return design, np.maximum(Z[:, -1], 0.0) / typical_steps


def curve(design: Floats, start: Floats, t: Floats, gain: Floats, log_rate: Floats) -> tuple[Floats, Floats]:
    """Return the score at t, (n,), and its derivatives by gain and log_rate, (n, 2 q).

    Examples
    --------
    >>> mean, _ = curve(np.ones((2, 1)), np.zeros(2), np.array([0.0, 50.0]), np.array([3.0]), np.array([0.0]))
    >>> mean
    array([0., 3.])
    """
    rate = np.exp(np.clip(design @ log_rate, -12.0, 12.0))
    left = np.exp(-rate * t)
    whole = design @ gain
    jacobian = np.concatenate([design * (1.0 - left)[:, None], design * (whole * left * rate * t)[:, None]], axis=1)
    return start + whole * (1.0 - left), jacobian


def fit_saturating(
    X: Floats, y: Floats, *, groups: NDArray[np.int64] | None = None, **names: Unpack[Names]
) -> FittedSurrogate:
    """Fit the score as ``start + gain (1 - exp(-rate t))`` in RL steps t.

    Parameters
    ----------
    X : array (n, p + 1)
        The score before RL, further features, and last the number of RL steps after which `y` was measured.
    y : array (n,)
        Scores along RL; several rows may be points of one run.
    groups : array (n,) of int, optional
        Run of each row. Each run weighs the same, and the errors of its points are taken as dependent; by default
        every row is a run.
    features, target, feature_transforms, target_transform
        See `Names`. Start and target should have the same transform; the curve is one of the transformed score.

    Returns
    -------
    FittedSurrogate
        `FittedSurrogate.rl_steps` is the median of the last steps of the runs. Gain and log rate are linear in the
        features; weak beliefs (see the code) hold what the runs do not tell. Beyond twice the steps seen it is an
        extrapolation that nothing supports but the form of the curve.

    References
    ----------
    A curve that saturates exponentially is the solution of ds/dt = rate (ceiling - s). The covariance is robust to
    dependence within runs: K.-Y. Liang, S. L. Zeger, Biometrika 73 (1986).

    Examples
    --------
    >>> steps = np.tile([50.0, 100.0, 200.0, 400.0], 6)
    >>> start = np.repeat(np.linspace(0.1, 0.4, 6), 4)
    >>> y = start + 0.5 * (1 - np.exp(-steps / 100))
    >>> fitted = fit_saturating(np.column_stack([start, steps]), y, groups=np.repeat(np.arange(6), 4))
    >>> fitted.predict([[0.2, 100.0], [0.2, 1000.0]]).mean.round(2)
    array([0.52, 0.7 ])
    """
    if X.shape[1] < 2:
        raise InvalidDataError("a curve in RL steps needs the score before RL and the steps, got 1 feature(s)")
    tables = training_tables(X, y, **names)
    Z, t = tables.Z, tables.t
    n = len(t)
    run = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    runs = int(run.max()) + 1
    weight = 1.0 / np.bincount(run)[run]
    last = np.zeros(runs)
    np.maximum.at(last, run, Z[:, -1])
    typical = float(np.median(last)) if np.median(last) > 0 else 1.0
    center = np.average(Z[:, :-1], axis=0, weights=weight)
    spread = np.sqrt(np.average((Z[:, :-1] - center) ** 2, axis=0, weights=weight))
    varies = spread > 1e-12 * np.maximum(np.abs(center), 1e-300)
    scale = np.where(varies, spread, 1e150)
    design, time = scaled(Z, center, scale, typical)
    q = design.shape[1]
    belief = np.zeros(2 * q)
    belief[q] = _LOG_RATE
    width = np.concatenate([np.full(q, _GAIN_WIDTH * max(float(t.std()), 1e-3)), np.full(q, _RATE_SLOPE_WIDTH)])
    width[q] = _LOG_RATE_WIDTH
    noise = max(float(np.average((t - np.average(t, weights=weight)) ** 2, weights=weight)) * 0.1, 1e-12)
    parameters = belief.copy()
    for _ in range(3):  # the weight of the beliefs depends on the noise, which is known after a fit
        parameters, jacobian, residual = damped_least_squares(
            lambda at: curve(design, Z[:, 0], time, at[:q], at[q:]),
            t,
            parameters,
            belief=belief,
            penalty=noise / width**2,
            weight=weight,
        )
        df = float(max(runs - q, 1))
        noise = max(float((weight * residual**2).sum()) / df, 1e-14)
    bread = np.linalg.inv((jacobian * weight[:, None]).T @ jacobian / noise + np.diag(1.0 / width**2))
    scores = np.zeros((runs, 2 * q))
    np.add.at(scores, run, jacobian * (weight * residual)[:, None] / noise)
    robust = bread @ (scores.T @ scores * runs / max(runs - q, 1)) @ bread
    # The robust covariance forgets the beliefs and is poor for few runs: it may only widen the model's own.
    wider = np.sqrt(np.maximum(robust.diagonal() / bread.diagonal(), 1.0))
    covariance = np.asarray(bread * np.outer(wider, wider), dtype=np.float64)
    # Runs drift apart as they go: what a new run may differ by is seen at their ends, not over all points.
    final = np.lexsort((Z[:, -1], run))[np.cumsum(np.bincount(run)) - 1]
    at_ends = max(noise, float((residual[final] ** 2).sum()) / df)
    form = SaturatingForm(center, scale, typical, parameters[:q], parameters[q:], covariance, at_ends, df, t_factor(df))
    half = float(np.log(2.0) / np.exp(parameters[q]) * typical)
    note = f"{runs} runs, {n} points; half of the way is gone after {half:.3g} steps for the average candidate"
    fitted = assemble("saturating", form, tables, notes=(note,))
    return replace(fitted, training_rows=runs, rl_steps=typical)


def _columns(frame: pl.DataFrame, _features: str | Sequence[str], _groups: str | None) -> tuple[str, ...]:
    if "rl_steps" not in frame.columns:
        raise CorpusError("column 'rl_steps' is missing: a curve in RL steps needs to know how many there were")
    along = any(
        name in frame.columns and frame[name].null_count() < frame.height for name in ("post_curve", "rl_curve")
    )
    if not along and frame["rl_steps"].drop_nulls().n_unique() < 2:
        raise CorpusError(
            "all runs have the same 'rl_steps' and no scores along the way (column 'post_curve'): nothing tells how "
            "the score goes with the steps"
        )
    columns = ["pre_pass_at_1", largest_pass_at(frame)]
    if _SIGNAL in frame.columns and frame[_SIGNAL].null_count() == 0:
        columns.append(_SIGNAL)
    return (*dict.fromkeys(columns), "rl_steps")


def _fit(task: FitTask) -> FittedSurrogate:
    table = task.table()
    points = rl_points(table.frame, task.y, target=task.target, source=task.source)
    # Whatever was asked for: a curve that saturates is one of the logit.
    of_target, *of_features = resolve_transforms("log-logit", (task.target, *table.columns), table.frame)
    at_points = np.column_stack([table.X[points.row, :-1], points.step])
    settings = table.names | {"target_transform": of_target, "feature_transforms": of_features}
    return fit_saturating(at_points, points.score, groups=points.row, **settings)


def _read(form: JsonObject, p: int) -> SaturatingForm:
    if p < 2:
        raise form.error("center", "of at least one feature beside the RL steps", form.value["center"])
    return SaturatingForm(
        center=form.array("center", (p - 1,)),
        scale=form.array("scale", (p - 1,), low=ABOVE_ZERO),
        typical_steps=form.number("typical_steps", low=ABOVE_ZERO),
        gain=form.array("gain", (p,)),
        log_rate=form.array("log_rate", (p,)),
        covariance=form.array("covariance", (2 * p, 2 * p)),
        **form.noise(),
    )


KIND = Kind(
    fit_matrix=fit_saturating,
    fit=_fit,
    columns=_columns,
    reads="own",
    form=SaturatingForm,
    read=_read,
    slow=True,
    raw_and_transformed=False,
    poor_score=True,
)
