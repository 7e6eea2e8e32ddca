"""Gaussian process regression for few rows: a linear trend, a smooth departure from it, and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import JointPrediction, TransformedPrediction, symmetric_root
from quagpredict.surrogates.json_object import ABOVE_ZERO, JsonObject
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.training_tables import assemble, t_factor, training_tables

Floats = NDArray[np.float64]

#: Length scales that are tried, in deviations of a feature and units of the root of their number.
LENGTHS = np.array([0.6, 1.5, 4.0])
#: Shares of the signal's variance that the linear trend may have.
TRENDS = np.array([0.2, 0.8])
#: Variances of the noise, in units of the signal's, that are tried.
NOISES = np.logspace(-4, 2, 49)
#: More rows than this are thinned, at even steps through their order by the first feature.
MOST_ROWS = 1024

_JOINT_ROWS = 2000


@dataclass(frozen=True, eq=False)
class GaussianProcessForm:
    """Posterior of a Gaussian process; all on features scaled to deviation 1.

    Attributes
    ----------
    center, scale : array (p,)
        Of the features.
    inputs : array (n, p)
        Scaled training features.
    weights : array (n,)
        Of the kernel's columns in the mean.
    root : array (n, n)
        ``root' root`` is the inverse of the kernel's matrix with noise, in units of the signal's variance.
    level : float
        Mean of the target.
    length, trend, noise : float
        Length scale, the linear trend's share, and the noise in units of the signal's variance.
    signal_variance, degrees_of_freedom, t_factor : float
    """

    center: Floats
    scale: Floats
    inputs: Floats
    weights: Floats
    root: Floats
    level: float
    length: float
    trend: float
    noise: float
    signal_variance: float
    degrees_of_freedom: float
    t_factor: float

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the transformed features Z, (n, p)."""
        mean, std = np.empty(len(Z)), np.empty(len(Z))
        rows = max(1, 4_000_000 // max(len(self.inputs), 1))
        for start in range(0, len(Z), rows):
            part = slice(start, start + rows)
            at = (Z[part] - self.center) / self.scale
            cross = _kernel(at, self.inputs, self.length, self.trend)
            prior = 1.0 - self.trend + self.trend * (at**2).mean(axis=1)
            explained = ((cross @ self.root.T) ** 2).sum(axis=1)
            variance = np.maximum(prior - explained, 0.0) + self.noise * (1.0 + 1.0 / len(self.inputs))
            mean[part] = self.level + cross @ self.weights
            std[part] = self.t_factor * np.sqrt(self.signal_variance * variance)
        return TransformedPrediction(mean, std)

    def joint(self, Z: Floats) -> JointPrediction:
        """Return how the predictions at Z err together; beyond 2000 rows as if they did not, to keep to memory."""
        mean, std = self.predict(Z)
        if len(Z) > _JOINT_ROWS:
            return JointPrediction(mean, np.zeros((len(Z), 0)), std)
        at = (Z - self.center) / self.scale
        known = np.isfinite(at).all(axis=1)
        cross = _kernel(at[known], self.inputs, self.length, self.trend) @ self.root.T
        covariance = _kernel(at[known], at[known], self.length, self.trend) - cross @ cross.T
        factor = np.full((len(Z), int(known.sum())), np.nan)
        widened = self.t_factor * np.sqrt(self.signal_variance)
        factor[known] = widened * symmetric_root(covariance)
        noise = widened * np.sqrt(self.noise * (1.0 + 1.0 / len(self.inputs)))
        return JointPrediction(mean, factor, np.full(len(Z), noise))

    def seen(self, Z: Floats) -> Floats:
        """Return the features themselves."""
        return Z


def fit_gaussian_process(
    X: Floats,
    y: Floats,
    *,
    features: Sequence[str] | None = None,
    target: str = "y",
    feature_transforms: str | Sequence[str] = "identity",
    target_transform: str = "identity",
) -> FittedSurrogate:
    """Fit a Gaussian process whose kernel is a linear trend plus a squared exponential of one length scale.

    The parameters are those of `fit_linear`. Length scale, trend and noise are those of the largest posterior on a
    fixed grid (one eigendecomposition serves all noises), the signal's variance is integrated out, so that predictions
    are Student's t with n - 1 degrees of freedom. Nothing is drawn at random. Of more than `MOST_ROWS` rows, so
    many are used, evenly spaced.

    References
    ----------
    C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), equations 2.25, 2.26, 5.8;
    A. O'Hagan, Curve fitting and optimal design for prediction, JRSS B 40 (1978), for the variance integrated out.

    Examples
    --------
    >>> x = np.linspace(-3, 3, 30)[:, None]
    >>> fitted = fit_gaussian_process(x, np.sin(x[:, 0]))
    >>> bool(abs(fitted.predict([[1.5]]).mean[0] - np.sin(1.5)) < 0.02)
    True
    """
    tables = training_tables(X, y, feature_transforms, target_transform, features)
    taken = _thinned(tables.Z)
    Z, t = tables.Z[taken], tables.t[taken]
    n, p = Z.shape
    center, level = Z.mean(axis=0), float(t.mean())
    spread = np.sqrt(((Z - center) ** 2).mean(axis=0))
    # A feature that never varied tells nothing: whatever it is, it stays where it was.
    scale = np.where(spread > 1e-12 * np.maximum(np.abs(center), 1e-300), spread, np.inf)
    at = (Z - center) / scale
    error = t - level
    squared = _squared_distances(at, at)
    linear = at @ at.T / p
    best = (np.inf, 0.0, 0.0, 0.0)
    kept = None
    for length in LENGTHS:
        smooth = np.exp(-0.5 * squared / (length**2 * p))
        for trend in TRENDS:
            values, vectors = np.linalg.eigh(trend * linear + (1.0 - trend) * smooth)
            values = np.maximum(values, 0.0)
            moment = (vectors.T @ error) ** 2
            shrunk = values + NOISES[:, None]
            left = (moment / shrunk).sum(axis=1)
            evidence = (n - 1) * np.log(np.maximum(left, np.finfo(float).tiny)) + np.log(shrunk).sum(axis=1)
            # Weak beliefs: departures from the trend are smooth, noise is neither nothing nor everything.
            evidence = evidence + np.log(length / 2.0) ** 2 + (np.log(NOISES / 0.1) / 4.0) ** 2
            place = int(np.argmin(evidence))
            if evidence[place] < best[0]:
                best = (float(evidence[place]), float(length), float(trend), float(NOISES[place]))
                kept = (values, vectors)
    if kept is None:  # the target holds something that is not finite; training_tables refuses that
        raise AssertionError("no hyper-parameters have a finite evidence")
    values, vectors = kept
    _, length, trend, noise = best
    root = vectors.T / np.sqrt(values + noise)[:, None]
    whitened = root @ error
    df = float(max(n - 1, 1))
    form = GaussianProcessForm(
        center=center,
        scale=np.where(np.isfinite(scale), scale, 1e150),
        inputs=at,
        weights=root.T @ whitened,
        root=root,
        level=level,
        length=length * float(np.sqrt(p)),
        trend=trend,
        noise=noise,
        signal_variance=max(float(whitened @ whitened) / df, np.finfo(float).tiny),
        degrees_of_freedom=df,
        t_factor=t_factor(df),
    )
    note = f"length scale {length:g}, linear share {trend:g}, noise {noise:.2g} of the signal's variance"
    thinned = (f"fitted on {n} of the {len(tables.t)} rows",) if n < len(tables.t) else ()
    return assemble("gaussian_process", form, tables, features, target, notes=(note, *thinned))


def _kernel(A: Floats, B: Floats, length: float, trend: float) -> Floats:
    smooth = np.exp(-0.5 * _squared_distances(A, B) / length**2)
    return np.asarray(trend * (A @ B.T) / A.shape[1] + (1.0 - trend) * smooth)


def _squared_distances(A: Floats, B: Floats) -> Floats:
    products = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * A @ B.T
    return np.asarray(np.maximum(products, 0.0))


def _thinned(Z: Floats) -> NDArray[np.intp]:
    """Return which rows are used: all, or `MOST_ROWS` spread evenly through the order of the rows' values."""
    n = len(Z)
    if n <= MOST_ROWS:
        return np.arange(n)
    order = np.lexsort(Z.T[::-1])
    return np.sort(order[np.linspace(0, n - 1, MOST_ROWS).round().astype(np.intp)])


def _read(form: JsonObject, p: int) -> GaussianProcessForm:
    n = form.length("weights", 1, MOST_ROWS)
    return GaussianProcessForm(
        center=form.array("center", (p,)),
        scale=form.array("scale", (p,), low=ABOVE_ZERO),
        inputs=form.array("inputs", (n, p)),
        weights=form.array("weights", (n,)),
        root=form.array("root", (n, n)),
        level=form.number("level"),
        length=form.number("length", low=ABOVE_ZERO),
        trend=form.number("trend", low=0.0, high=1.0),
        noise=form.number("noise", low=0.0),
        signal_variance=form.number("signal_variance", low=0.0),
        **form.spread(),
    )


KIND = Kind(fit_matrix=fit_gaussian_process, form=GaussianProcessForm, read=_read, slow=True)
