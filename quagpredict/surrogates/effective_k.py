"""RL is worth k* samples: the score after RL as Pass@k* before it, k* continuous."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import curve_column, curve_k, pass_at, pass_at_columns
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.fitted import Z90, FittedSurrogate
from quagpredict.surrogates.forms import Linearised
from quagpredict.surrogates.json_object import JsonObject
from quagpredict.surrogates.kind import FitTask, Kind
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables

#: What is believed of the deviation of a run from the model before any is seen; it weighs as much as one run.
PRIOR_DEVIATION = 0.05

# How many k an octave the curve is read at, and the largest of them.
_PER_OCTAVE = 4
_LARGEST_K = 1024.0


@dataclass(frozen=True, eq=False)
class CurveForm(Linearised):
    """A curve over its columns, read at one place that is the same for all rows.

    Attributes
    ----------
    places : array (p,)
        Where each column lies: the natural log of k, rising.
    place : float
        Where the curve is read: log k*.
    place_variance : float
        Of the error of `place`.
    """

    places: Floats
    place: float
    place_variance: float
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float

    def seen(self, Z: Floats) -> Floats:
        """Return the curve at its ends and where it is read, (n, 3)."""
        mean = self.predict(Z).mean
        return np.column_stack([Z[:, 0], mean, Z[:, -1]])

    def linear(self, Z: Floats) -> tuple[Floats, Floats, Floats]:
        """See `Linearised`."""
        if len(self.places) == 1:
            mean, slope = Z[:, 0], np.zeros(len(Z))
        else:
            right = int(np.clip(np.searchsorted(self.places, self.place), 1, len(self.places) - 1))
            step = self.places[right] - self.places[right - 1]
            slope = (Z[:, right] - Z[:, right - 1]) / step
            mean = Z[:, right - 1] + slope * (self.place - self.places[right - 1])
        # Further columns are checked only for being there: a curve that breaks off is not read.
        mean = np.where(np.isfinite(Z).all(axis=1), mean, np.nan)
        return mean, slope[:, None], np.array([[self.place_variance]])


def fit_effective_k(
    X: Floats, y: Floats, *, ks: Sequence[float] | None = None, **names: Unpack[Names]
) -> FittedSurrogate:
    """Find the k* for which Pass@k* before RL is closest to the score after RL, by least squares over the runs.

    Parameters
    ----------
    X : array (n, p)
        Pass@k of each candidate at each of `ks`, n >= 1.
    y : array (n,)
        Pass@1 after RL.
    ks : sequence of float, optional
        k of each column, rising and above 0; 1, 2, ... by default. Between them the curve is straight in log k.
    features, target, feature_transforms, target_transform
        See `Names`. The transform of the target should be that of the features.

    Returns
    -------
    FittedSurrogate
        One run is enough: the residual variance contains a prior of `PRIOR_DEVIATION` that weighs as much as one run.
        k* is never beyond the largest of `ks`; where it ends there, a note says that it may be larger.

    References
    ----------
    Yue et al., Does Reinforcement Learning Really Incentivize Reasoning Capacity, arXiv 2504.13837, section 3: RL
    raises Pass@1 towards Pass@k of its base at some k without widening what is within reach.

    Examples
    --------
    >>> curves = np.array([[0.1, 0.3, 0.5], [0.2, 0.5, 0.8], [0.0, 0.2, 0.3]])
    >>> fit_effective_k(curves, np.array([0.3, 0.5, 0.2]), ks=[1, 8, 64]).notes
    ('k* = 8 (90 % interval 5.2 to 12)',)
    """
    tables = training_tables(X, y, **names)
    n, p = tables.Z.shape
    places = np.log(np.arange(1.0, p + 1) if ks is None else np.asarray(ks, dtype=np.float64))
    if len(places) != p or (np.diff(places) <= 0).any():
        raise UsageError(f"ks must be {p} rising numbers above 0, one for each column, got {list(ks or [])[:8]}")
    place, slope = _closest(tables.Z, tables.t, places)
    form = CurveForm(places, place, 0.0, 0.0, 0.0, 1.0)
    residual = tables.t - form.predict(tables.Z).mean
    df = float(max(n - 1, 1))
    variance = (PRIOR_DEVIATION**2 + float(residual @ residual)) / (1.0 + max(n - 1, 0))
    # A curve that is flat here says nothing about the place: it may then be anywhere among the columns.
    width = float(places[-1] - places[0])
    information = float(slope @ slope) / variance + (12.0 / width**2 if width > 0 else 1.0)
    form = CurveForm(places, place, 1.0 / information, variance, df, t_factor(df))
    return assemble("effective_k", form, tables, notes=(_told(form),))


def _closest(Z: Floats, t: Floats, places: Floats) -> tuple[float, Floats]:
    """Return the place of the least squared error, and the slope of each row's curve there, (n,)."""
    n, p = Z.shape
    if p == 1:
        return float(places[0]), np.zeros(n)
    step = np.diff(Z, axis=1)
    missed = t[:, None] - Z[:, :-1]
    squares = (step**2).sum(axis=0)
    # Within an interval the error is a parabola in the place.
    inside = np.divide((step * missed).sum(axis=0), squares, out=np.zeros(p - 1), where=squares > 0)
    inside = np.clip(inside, 0.0, 1.0)
    error = ((missed - inside * step) ** 2).sum(axis=0)
    best = int(np.argmin(error))
    width = places[best + 1] - places[best]
    return float(places[best] + inside[best] * width), step[:, best] / width


def _told(form: CurveForm) -> str:
    half = Z90 * form.t_factor * np.sqrt(form.place_variance)
    low, high = (np.exp(np.clip(form.place + sign * half, form.places[0], form.places[-1])) for sign in (-1, 1))
    edge = "; the largest k measured, it may be larger" if form.place >= form.places[-1] - 1e-9 else ""
    return f"k* = {np.exp(form.place):.3g} (90 % interval {low:.2g} to {high:.2g}){edge}"


def _columns(frame: pl.DataFrame, _features: str | Sequence[str], _groups: str | None) -> tuple[str, ...]:
    return tuple(curve_column(k) for k in _curve_grid(frame))


def _curve_grid(frame: pl.DataFrame) -> list[float]:
    """Return the ks of the curve: `_PER_OCTAVE` an octave, up to the smallest number of samples of any problem."""
    # Other surrogates derive columns too, of single benchmarks and of some k: what the counts say comes first.
    there = [name for name in frame.columns if (k := curve_k(name)) and name == curve_column(k)]
    if there and "pre_problems" not in frame.columns:
        ks = sorted(curve_k(name) for name in there if frame[name].null_count() == 0)
        if not ks:
            raise CorpusError(f"column '{there[0]}' lacks values: some candidate's counts were not measured")
        return ks
    limit = _smallest_n(frame)
    count = int(np.floor(np.log2(limit) * _PER_OCTAVE + 1e-9))
    return [2.0 ** (step / _PER_OCTAVE) for step in range(count + 1)]


def _smallest_n(frame: pl.DataFrame) -> float:
    if "pre_problems" in frame.columns and isinstance(frame["pre_problems"].dtype, pl.List):
        n = frame["pre_problems"].explode(empty_as_null=False, keep_nulls=False).struct.field("n").min()
        if isinstance(n, int) and n >= 1:
            return min(float(n), _LARGEST_K)
    complete = [name for name in pass_at_columns(frame) if frame[name].null_count() == 0]
    if not complete:
        raise CorpusError("neither 'pre_problems' nor a column pre_pass_at_K is complete: measure the candidates")
    return min(float(pass_at(complete[-1])), _LARGEST_K)


def _fit(task: FitTask) -> FittedSurrogate:
    table = task.table()
    ks = [curve_k(name) for name in table.columns]
    # The curve is read on the scale on which the target is.
    return fit_effective_k(table.X, task.y, ks=ks, feature_transforms=table.names["target_transform"], **table.names)


def _read(form: JsonObject, p: int) -> CurveForm:
    places = form.array("places", (p,), low=-100.0, high=100.0)
    if (np.diff(places) <= 0).any():
        raise form.error("places", "rising", "numbers that do not rise")
    return CurveForm(
        places=places,
        place=form.number("place", low=float(places[0]), high=float(places[-1])),
        place_variance=form.number("place_variance", low=0.0),
        **form.noise(),
    )


KIND = Kind(
    fit_matrix=fit_effective_k,
    fit=_fit,
    columns=_columns,
    reads="own",
    fewest=1,
    form=CurveForm,
    read=_read,
    raw_and_transformed=False,
    poor_score=True,
)
