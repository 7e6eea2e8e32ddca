"""Gaussian process regression: a linear trend, a smooth departure with a length scale for each feature, and noise."""

from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.feature_sets import weight_columns
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.gaussian_process_form import (
    MATERN,
    MOST_ROWS,
    GaussianProcessForm,
    matern,
    read_form,
    squared_distances,
)
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.training_tables import Names, TrainingTables, assemble, one_each, t_factor, training_tables

Floats = NDArray[np.float64]

#: Length scales, trend and noise are learnt from at most so many rows; all rows (up to `MOST_ROWS`) are then used.
LEARNING_ROWS = 256

# Mean and deviation of the logarithms beforehand. Length scales as Hvarfner et al. have them, in units of the root of
# the number of features; trend and noise, in units of the smooth part's variance, may be nearly anything.
_LENGTH = (float(np.sqrt(2.0)), float(np.sqrt(3.0)))
_TREND = (float(np.log(0.1)), 2.0)
_NOISE = (float(np.log(0.1)), 3.0)
_LEAST_NOISE, _MOST = 1e-6, 1e6


class Hyperparameters(NamedTuple):
    """Length scales (p,), and the variances of trend and noise in units of that of the smooth part."""

    length: Floats
    trend: float
    noise: float


def fit_gaussian_process(
    X: Floats,
    y: Floats,
    **names: Unpack[Names],
) -> FittedSurrogate:
    """Fit a Gaussian process whose kernel is a linear trend plus a Matérn 5/2 with a length scale for each feature.

    The parameters are those of `fit_linear`. Weights of a mixture (`weight_columns`) enter by their square roots, so
    that distances between mixtures are Hellinger's and a first hundredth counts for more than the tenth.
    Hyperparameters are those of the largest posterior (L-BFGS from one start; learnt from at most `LEARNING_ROWS`
    rows); the signal's variance is integrated out, so that predictions are Student's t with n - 1 degrees of freedom.
    Nothing is drawn at random. Of more than `MOST_ROWS` rows, so many are used, evenly spaced.

    References
    ----------
    C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), equations 2.25, 2.26, 4.17, 5.8,
    5.9; A. O'Hagan, Curve fitting and optimal design for prediction, JRSS B 40 (1978), for the variance integrated out;
    C. Hvarfner, E. Hellsten, L. Nardi, Vanilla Bayesian optimization performs great in high dimensions, ICML 2024, for
    the prior of length scales.

    Examples
    --------
    >>> x = np.linspace(-3, 3, 30)[:, None]
    >>> fitted = fit_gaussian_process(x, np.sin(x[:, 0]))
    >>> bool(abs(fitted.predict([[1.5]]).mean[0] - np.sin(1.5)) < 0.02)
    True
    >>> weights = np.array([[0.0, 1.0], [0.2, 0.8], [0.6, 0.4], [1.0, 0.0]])
    >>> fit_gaussian_process(weights, np.arange(4.0)).feature_transforms
    ('sqrt', 'sqrt')
    """
    tables = _tables(X, y, **names)
    taken = _spread_out(tables, MOST_ROWS)
    Z, t = tables.Z[taken], tables.t[taken]
    n, p = Z.shape
    center, level = Z.mean(axis=0), float(t.mean())
    spread = np.sqrt(((Z - center) ** 2).mean(axis=0))
    # A feature that never varied tells nothing: whatever it is, it stays where it was.
    scale = np.where(spread > 1e-12 * np.maximum(np.abs(center), 1e-300), spread, np.inf)
    at = (Z - center) / scale
    error = t - level
    few = np.linspace(0, n - 1, min(n, LEARNING_ROWS)).round().astype(np.intp)
    hyper = largest_posterior(at[few], error[few])
    # Shares of the signal's variance, which is that of the trend and of the smooth part together.
    signal = 1.0 + hyper.trend
    trend, noise = hyper.trend / signal, hyper.noise / signal
    covariance = trend * (at @ at.T) / p + (1.0 - trend) * matern(
        squared_distances(at / hyper.length, at / hyper.length)
    )
    covariance[np.diag_indices(n)] += noise
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    whitened = root @ error
    df = float(max(n - 1, 1))
    form = GaussianProcessForm(
        center=center,
        scale=np.where(np.isfinite(scale), scale, 1e150),
        inputs=at,
        weights=root.T @ whitened,
        root=root,
        level=level,
        kernel=MATERN,
        length=hyper.length,
        trend=trend,
        noise=noise,
        signal_variance=max(float(whitened @ whitened) / df, np.finfo(float).tiny),
        degrees_of_freedom=df,
        t_factor=t_factor(df),
    )
    return assemble("gaussian_process", form, tables, notes=_notes(form, tables))


def largest_posterior(at: Floats, error: Floats) -> Hyperparameters:
    """Return the hyperparameters of the largest posterior, the signal's variance integrated out.

    Parameters
    ----------
    at : array (n, p)
        Features, scaled to deviation 1.
    error : array (n,)
        Target less its mean.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(-2, 2, (40, 2))
    >>> found = largest_posterior(x, np.sin(3 * x[:, 0]))
    >>> bool(found.length[0] < 2 < 10 < found.length[1])
    True
    """
    from scipy.optimize import minimize

    p = at.shape[1]
    middle = np.concatenate([np.full(p, _LENGTH[0] + 0.5 * np.log(p)), [_TREND[0], _NOISE[0]]])
    deviation = np.concatenate([np.full(p, _LENGTH[1]), [_TREND[1], _NOISE[1]]])
    low = np.concatenate([np.full(p, np.log(1e-2)), np.log([1.0 / _MOST, _LEAST_NOISE])])
    high = np.concatenate([np.full(p, np.log(_MOST)), np.log([_MOST, _MOST])])
    size = float(np.abs(error).max(initial=0.0))
    unit = error / size if size > 0 else error

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, slope = negative_log_likelihood(theta, at, unit)
        z = (theta - middle) / deviation
        return value + 0.5 * float(z @ z), slope + z / deviation

    optimum = minimize(
        objective, middle, jac=True, method="L-BFGS-B", bounds=np.stack([low, high], axis=1),
        options={"maxiter": 60, "ftol": 1e-4},
    ).x  # fmt: skip
    return Hyperparameters(np.exp(optimum[:p]), float(np.exp(optimum[p])), float(np.exp(optimum[p + 1])))


def negative_log_likelihood(theta: Floats, at: Floats, error: Floats) -> tuple[float, Floats]:
    """Return minus the log marginal likelihood of the target, but for a constant, and its gradient.

    Parameters
    ----------
    theta : array (p + 2,)
        Logarithms of the length scales, of the trend's variance and of the noise's, both in units of the smooth part's.
    at : array (n, p)
    error : array (n,)

    Returns
    -------
    float, array (p + 2,)
        The scale of the covariance is integrated out under a prior of ``1 / variance``, with n - 1 degrees of freedom:
        one went into the mean. A target that never varies has likelihood 1.
    """
    from scipy.linalg.lapack import dpotrf, dpotri

    n, p = at.shape
    scaled = at / np.exp(theta[:p])
    trend, noise = np.exp(theta[p]), np.exp(theta[p + 1])
    r = np.sqrt(5.0 * squared_distances(scaled, scaled))
    decay = np.exp(-r)
    linear = at @ at.T / p
    covariance = trend * linear + (1.0 + r + r**2 / 3.0) * decay
    covariance[np.diag_indices(n)] += noise
    lower, failed = dpotrf(covariance, lower=1)
    if failed or not error.any():
        return 0.0, np.zeros(p + 2)
    half, _ = dpotri(lower, lower=1)
    inverse = half + half.T
    inverse[np.diag_indices(n)] *= 0.5
    weights = inverse @ error
    left = float(error @ weights)
    value = 0.5 * (n - 1) * np.log(left) + float(np.log(lower.diagonal()).sum())
    # Half of the derivative by each cell of the covariance.
    by_cell = 0.5 * (inverse - (n - 1) / left * np.outer(weights, weights))
    # d Matérn / d log length_j = 5/3 (1 + r) exp(-r) (difference in scaled feature j)²; the squares are multiplied out.
    smooth = by_cell * (5.0 / 3.0 * (1.0 + r) * decay)
    by_length = 2.0 * (scaled**2 * smooth.sum(axis=1)[:, None] - scaled * (smooth @ scaled)).sum(axis=0)
    return value, np.concatenate([by_length, [trend * (by_cell * linear).sum(), noise * by_cell.trace()]])


def _tables(X: Floats, y: Floats, **names: Unpack[Names]) -> TrainingTables:
    """Return the transformed tables, weights of a mixture by their square roots."""
    transforms = one_each(names.get("feature_transforms", "identity"), X.shape[1])
    if len(transforms) == X.shape[1] and np.isfinite(X).all():
        weights = zip(transforms, weight_columns(X, names.get("features")), strict=True)
        transforms = tuple("sqrt" if weight and name == "identity" else name for name, weight in weights)
    return training_tables(X, y, **names | {"feature_transforms": transforms})


def _spread_out(tables: TrainingTables, most: int) -> NDArray[np.intp]:
    """Return which rows are used, in an order that their values give: all, or `most` at even steps through it."""
    order = np.lexsort((tables.t, *tables.Z.T[::-1]))
    return order if len(order) <= most else order[np.linspace(0, len(order) - 1, most).round().astype(np.intp)]


def _notes(form: GaussianProcessForm, tables: TrainingTables) -> tuple[str, ...]:
    n, p = form.inputs.shape
    rows = len(tables.t)
    shortest = np.argsort(form.length, kind="stable")[:3]
    told = ", ".join(f"{tables.features[column]} {form.length[column]:.2g}" for column in shortest)
    first = "length scale" if p == 1 else "shortest length scales" if p > 3 else "length scales"
    notes = (f"{first} {told}; linear share {form.trend:.2g}, noise {form.noise:.2g} of the signal's variance",)
    return (*notes, f"fitted on {n} of the {rows} rows") if n < rows else notes


KIND = Kind(fit_matrix=fit_gaussian_process, form=GaussianProcessForm, read=read_form, slow=True)
