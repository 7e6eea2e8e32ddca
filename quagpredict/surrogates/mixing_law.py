"""The exponential law of data mixtures: ``c + k exp(sum_j t_j r_j)`` of the weights r."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.errors import CorpusError
from quagpredict.surrogates.damped_least_squares import damped_least_squares
from quagpredict.surrogates.feature_sets import resolve_features, weight_columns
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import Linearised
from quagpredict.surrogates.json_object import JsonObject
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables

#: How far c is tried beyond the smallest and the largest target, in units of their difference.
BEYOND = np.logspace(-1.5, 1.5, 7)
#: Penalties on the rates that are tried, each a row's worth for a rate of 1.
PENALTIES = np.logspace(-4, 2, 13)

_MOST_EXPONENT = 300.0


@dataclass(frozen=True, eq=False)
class MixingLawForm(Linearised):
    """The law about the centre of the training features: ``c + k exp(rates (z - center))``.

    Attributes
    ----------
    c : float
        What the target goes to where the exponential vanishes.
    k : float
        Above 0 where the target falls to c, below where it rises.
    rates : array (p,)
    center : array (p,)
    covariance : array (p + 2, p + 2)
        Of c, of the logarithm of k and of the rates.
    """

    c: float
    k: float
    rates: Floats
    center: Floats
    covariance: Floats
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float

    def linear(self, Z: Floats) -> tuple[Floats, Floats, Floats]:
        """See `Linearised`."""
        mean, jacobian = _law(self.c, self.k, self.rates, Z - self.center)
        return mean, jacobian, self.covariance


def fit_mixing_law(X: Floats, y: Floats, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit ``c + k exp(sum_j t_j r_j)``; what is not a weight of the mixture enters the sum in units of its deviation.

    The parameters are those of `fit_linear`. With c given, the logarithm of the target's distance from c is linear, so
    c on a fixed grid beyond the targets, on either side, and the penalty that shrinks the rates are those of the
    smallest leave-one-out error (each row weighted so that errors count in the target's unit). From there the squared
    error itself is minimised over all parameters. Far from the targets, c makes the law a ridge regression.

    References
    ----------
    J. Ye et al., Data mixing laws: optimizing data mixtures by predicting language modeling performance, arXiv
    2403.16952, equation 7.

    Examples
    --------
    >>> r = np.random.default_rng(0).dirichlet([0.5, 0.5, 0.5], 40)
    >>> fitted = fit_mixing_law(r, 2.0 + np.exp(-3.0 * r[:, 0] - r[:, 1]))
    >>> round(fitted.form.c, 1), (fitted.form.rates - fitted.form.rates[2]).round(1)
    (2.0, array([-3., -1.,  0.]))
    """
    tables = training_tables(X, y, **names)
    Z, t = tables.Z, tables.t
    n, p = Z.shape
    center = Z.mean(axis=0)
    spread = np.sqrt(((Z - center) ** 2).mean(axis=0))
    varies = spread > 1e-12 * np.maximum(np.abs(center), 1e-300)
    unit = np.where(weight_columns(tables.Z, tables.features), 1.0, spread)
    at = (Z - center) * np.divide(1.0, unit, out=np.zeros(p), where=varies)
    size = float(np.ptp(t))
    if size == 0.0:  # nothing to fit: the law is flat
        c, k, rates, penalty = float(t.mean()), 0.0, np.zeros(p), float(PENALTIES[-1])
    else:
        c, k, rates, penalty = _least(at, (t - t.min()) / size)
        c, k = float(t.min()) + size * c, size * k
    mean, jacobian = _law(c, k, rates, at)
    residual = t - mean
    hessian = jacobian.T @ jacobian
    held = penalty * size**2 * np.concatenate([np.full(2, 1e-9), np.ones(p)]) + np.finfo(float).tiny
    inverse = np.linalg.pinv(hessian + np.diag(held), hermitian=True)
    df = max(n - float((inverse * hessian).sum()), 1.0)
    variance = float(residual @ residual) / df
    back = np.concatenate([np.ones(2), np.divide(1.0, unit, out=np.zeros(p), where=varies)])
    form = MixingLawForm(
        c, k, rates * back[2:], center, variance * inverse * np.outer(back, back), variance, df, t_factor(df)
    )
    return assemble("mixing_law", form, tables, notes=(_note(c, k),))


def _least(at: Floats, t: Floats) -> tuple[float, float, Floats, float]:
    """Return c, k, the rates (p,) and their penalty for targets between 0 and 1."""
    n, p = at.shape
    best, start, chosen = np.inf, np.zeros(p + 2), float(PENALTIES[-1])
    sign = 1.0
    for beyond in BEYOND:
        for side, c in ((1.0, -beyond), (-1.0, 1.0 + beyond)):
            distance = side * (t - c)
            # A small error of the target is one of its logarithm, in units of the distance.
            root = distance / np.sqrt((distance**2).mean())
            logarithm = np.log(distance)
            level = float((root**2 @ logarithm) / (root**2).sum())
            middle = (root**2 @ at) / (root**2).sum()
            U, s, Vt = np.linalg.svd((at - middle) * root[:, None], full_matrices=False)
            wanted = root * (logarithm - level)
            penalties = PENALTIES * n / 10.0
            kept = s**2 / (s**2 + penalties[:, None])
            missed = wanted - (kept * (U.T @ wanted)) @ U.T
            leverage = np.minimum(root**2 / (root**2).sum() + kept @ (U**2).T, 1.0 - 1e-6)
            errors = ((distance / root * missed / (1.0 - leverage)) ** 2).mean(axis=1)
            errors = np.where(n - 2 - kept.sum(axis=1) >= 1, errors, np.inf)
            smallest = int(np.argmin(errors))
            if errors[smallest] < best:
                best, chosen, sign = float(errors[smallest]), float(penalties[smallest]), side
                rates = Vt.T @ (s / (s**2 + chosen) * (U.T @ wanted))
                start = np.concatenate([[c, level - middle @ rates], rates])
                scale = float((distance**2).mean())
    if not np.isfinite(best):  # as many rows as parameters
        return float(t.mean()), 0.0, np.zeros(p), chosen

    def model(theta: Floats) -> tuple[Floats, Floats]:
        return _law(theta[0], sign * np.exp(min(theta[1], _MOST_EXPONENT)), theta[2:], at)

    belief = np.concatenate([start[:2], np.zeros(p)])
    # c and k are drawn to where they began by a thousandth of a row: far from the targets only their product counts.
    penalty = np.concatenate([[1e-3 / (1.0 + start[0] ** 2), 1e-3 * scale], np.full(p, chosen * scale)])
    parameters = damped_least_squares(model, t, start, belief=belief, penalty=penalty).parameters
    return float(parameters[0]), sign * float(np.exp(parameters[1])), parameters[2:], chosen * scale


def _law(c: float, k: float, rates: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Return the law at centred features, (n,), and its derivatives by c, the logarithm of k and the rates."""
    grown = k * np.exp(np.minimum(at @ rates, _MOST_EXPONENT))
    return c + grown, np.column_stack([np.ones(len(at)), grown, grown[:, None] * at])


def _note(c: float, k: float) -> str:
    return f"goes {'down' if k >= 0 else 'up'} to {c:.4g}"


def _columns(frame: pl.DataFrame, features: str | Sequence[str], _groups: str | None) -> tuple[str, ...]:
    columns = resolve_features(features, frame)
    numeric = all(name in frame.columns and frame[name].dtype.is_numeric() for name in columns)
    if numeric:  # what is missing or text is told where the table is read
        X = frame.select(pl.col(columns).cast(pl.Float64)).to_numpy()
        if np.isfinite(X).all() and not weight_columns(X, columns).any():
            raise CorpusError(
                "mixing_law needs weights of a mixture: features that are nowhere negative and add up to 1 in every "
                f"row; got {', '.join(columns[:6])}"
            )
    return columns


def _read(form: JsonObject, p: int) -> MixingLawForm:
    return MixingLawForm(
        c=form.number("c"),
        k=form.number("k"),
        rates=form.array("rates", (p,)),
        center=form.array("center", (p,)),
        covariance=form.array("covariance", (p + 2, p + 2)),
        **form.noise(),
    )


KIND = Kind(
    fit_matrix=fit_mixing_law,
    columns=_columns,
    reads="weights",
    form=MixingLawForm,
    read=_read,
    raw_and_transformed=False,
    poor_score=True,
)
