"""RL sharpens: each problem's success moves along the logit by an amount that depends on its learning signal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import LOGITS, share_columns
from quagpredict.errors import CorpusError, QuagpredictError, SurrogateError, UsageError
from quagpredict.surrogates.damped_least_squares import Solution, damped_least_squares
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import Linearised
from quagpredict.surrogates.json_object import JsonObject
from quagpredict.surrogates.kind import FitTask, Kind
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables
from quagpredict.surrogates.transforms import expit, parse_transform

#: What is believed of the deviation of a run from the model before any is seen; it weighs as much as one run.
PRIOR_DEVIATION = 0.05

# Both parameters are known to be a few logits at most; this weak belief keeps them finite where scores are all 0 or 1.
_PRIOR = np.array([3.0, 6.0])
_BOUND = 30.0
# The sum of squares has two valleys: all problems move far, or those with a signal do. On halves of the lab's runs a
# single start at zero ended in the higher one in 6 of 96 fits.
_STARTS = (np.array([1.0, 5.0]), np.array([6.0, -6.0]))


@dataclass(frozen=True, eq=False)
class SharpeningForm(Linearised):
    """Mean over the bins of a distribution of success, each moved along the logit.

    Attributes
    ----------
    logits : array (p,)
        Centre of each bin.
    signal : array (p,)
        Chance that a group of that success rate holds both right and wrong answers.
    shift, gain : float
        What is added to every logit, and for each unit of signal.
    covariance : array (2, 2)
        Of shift and gain.
    target_transform : str
        Scale on which predictions are given.
    """

    logits: Floats
    signal: Floats
    shift: float
    gain: float
    covariance: Floats
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float
    target_transform: str

    def seen(self, Z: Floats) -> Floats:
        """Return the mean success, the share of problems with signal and the share of those out of reach, (n, 3)."""
        success = expit(self.logits)
        return np.asarray(Z @ np.column_stack([success, self.signal, (success < 0.02).astype(np.float64)]))

    def linear(self, Z: Floats) -> tuple[Floats, Floats, Floats]:
        """See `Linearised`."""
        mean, jacobian = sharpened(Z, self.logits, self.signal, self.shift, self.gain, self.target_transform)
        return mean, jacobian, self.covariance


def sharpened(
    Z: Floats, logits: Floats, signal: Floats, shift: float, gain: float, target_transform: str = "identity"
) -> tuple[Floats, Floats]:
    """Return the mean success after sharpening, (n,), and its derivatives by shift and gain, (n, 2).

    Examples
    --------
    >>> mean, _ = sharpened(np.array([[1.0]]), np.zeros(1), np.ones(1), 0.0, 2.0)
    >>> mean.round(4)
    array([0.8808])
    """
    moved = expit(logits + shift + gain * signal)
    slope = moved * (1.0 - moved)
    mean = Z @ moved
    jacobian = Z @ np.column_stack([slope, slope * signal])
    transform = parse_transform(target_transform)
    if transform.name == "identity":
        return mean, jacobian
    t = transform.forward(np.clip(mean, 1e-9, 1 - 1e-9))
    return t, jacobian / np.maximum(transform.slope(t), 1e-12)[:, None]


def fit_sharpening(
    X: Floats,
    y: Floats,
    *,
    logits: Sequence[float] | None = None,
    group_size: int = 8,
    **names: Unpack[Names],
) -> FittedSurrogate:
    """Fit by how much RL moves the logit of success: ``shift + gain * s``, s being the learning signal before RL.

    s(p) = 1 - p^G - (1-p)^G is the chance that a group of G rewards is not all equal, so that GRPO has a gradient.

    Parameters
    ----------
    X : array (n, p)
        Share of problems in each bin of success probability, n >= 1.
    y : array (n,)
        Mean success after RL.
    logits : sequence of float, optional
        Centre of each bin; p centres from -8 to 8 by default, as in `quagpredict.corpus.columns.LOGITS`.
    group_size : int
        G.
    features, target, feature_transforms, target_transform
        See `Names`. The shares themselves are not transformed.

    Returns
    -------
    FittedSurrogate
        With fewer than 3 runs the shift is 0 and the gain alone is fitted.

    References
    ----------
    Yu et al., DAPO, arXiv 2503.14476, section 3.2: groups of equal rewards give no gradient.

    Examples
    --------
    >>> X = np.array([[0.2, 0.8, 0.0], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0], [0.1, 0.8, 0.1]])
    >>> truth, _ = sharpened(X, np.array([-8.0, 0.0, 8.0]), np.array([0.0, 1.0, 0.0]), 0.0, 1.5)
    >>> bool(abs(fit_sharpening(X, truth, logits=[-8.0, 0.0, 8.0]).predict(X).mean - truth).max() < 1e-3)
    True
    """
    tables = training_tables(X, y, **names)
    if set(tables.feature_transforms) != {"identity"}:
        raise UsageError("sharpening moves shares of problems as they are: its feature_transforms must be 'identity'")
    n, p = tables.Z.shape
    bins = np.linspace(LOGITS[0], LOGITS[-1], p) if logits is None else np.asarray(logits, dtype=np.float64)
    if len(bins) != p:
        raise UsageError(f"logits must be {p} numbers, one for each column, got {len(bins)}")
    if group_size < 2:
        raise UsageError(f"group_size must be at least 2, got {group_size}")
    success = expit(bins)
    signal = 1.0 - success**group_size - (1.0 - success) ** group_size
    free = np.array([n >= 3, True])

    def model(at: Floats) -> tuple[Floats, Floats]:
        mean, jacobian = sharpened(tables.Z, bins, signal, float(at[0]), float(at[1]), tables.target_transform)
        return mean, jacobian * free

    penalty = (PRIOR_DEVIATION / _PRIOR) ** 2

    def ended(start: Floats) -> tuple[float, Solution]:
        solution = damped_least_squares(
            model, tables.t, start * free, belief=np.zeros(2), penalty=penalty, bound=_BOUND
        )
        return float(solution.residual @ solution.residual + penalty @ solution.parameters**2), solution

    _, (parameters, jacobian, residual) = min(map(ended, _STARTS), key=lambda fit: fit[0])
    curvature, missed = jacobian.T @ jacobian, float(residual @ residual)
    count = int(free.sum())
    df = float(max(n - count, 1))
    variance = (PRIOR_DEVIATION**2 + missed) / (1.0 + max(n - count, 0))
    covariance = np.zeros((2, 2))
    covariance[np.ix_(free, free)] = np.linalg.inv(
        curvature[np.ix_(free, free)] / variance + np.diag(1.0 / _PRIOR[free] ** 2)
    )
    form = SharpeningForm(
        bins,
        signal,
        float(parameters[0]),
        float(parameters[1]),
        covariance,
        variance,
        df,
        t_factor(df),
        tables.target_transform,
    )
    shift, gain = np.sqrt(covariance.diagonal())
    note = f"shift {form.shift:.2f} ± {shift:.2f}, gain {form.gain:.2f} ± {gain:.2f} logits (group size {group_size})"
    return assemble("sharpening", form, tables, notes=(note,))


def _columns(frame: pl.DataFrame, _features: str | Sequence[str], _groups: str | None) -> tuple[str, ...]:
    if "pre_problems" not in frame.columns and share_columns()[0] not in frame.columns:
        raise CorpusError("column 'pre_problems' is missing: sharpening needs the counts of each problem")
    return share_columns()


def _fit(task: FitTask) -> FittedSurrogate:
    table = task.table()
    return fit_sharpening(table.X, task.y, logits=LOGITS.tolist(), **table.names)


def _read(form: JsonObject, p: int) -> SharpeningForm:
    name = form.text("target_transform")
    try:
        parse_transform(name)
    except QuagpredictError as error:
        raise SurrogateError(f"{form.path}: key 'form.target_transform': {error}") from None
    return SharpeningForm(
        logits=form.array("logits", (p,), low=-700.0, high=700.0),
        signal=form.array("signal", (p,), low=0.0, high=1.0),
        shift=form.number("shift", low=-1e3, high=1e3),
        gain=form.number("gain", low=-1e3, high=1e3),
        covariance=form.array("covariance", (2, 2)),
        target_transform=name,
        **form.noise(),
    )


KIND = Kind(
    fit_matrix=fit_sharpening,
    fit=_fit,
    columns=_columns,
    reads="own",
    fewest=1,
    form=SharpeningForm,
    read=_read,
    raw_and_transformed=False,
    poor_score=True,
)
