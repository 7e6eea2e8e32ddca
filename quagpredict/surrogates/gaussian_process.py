"""Gaussian process regression: a linear trend, a smooth departure with a length scale for each feature, and noise."""

from typing import Any, NamedTuple, Unpack

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
    *,
    start: FittedSurrogate | None = None,
    **names: Unpack[Names],
) -> FittedSurrogate:
    """Fit a Gaussian process whose kernel is a linear trend plus a Matérn 5/2 with a length scale for each feature.

    The parameters are those of `fit_linear`. Weights of a mixture (`weight_columns`) enter by their square roots, so
    that distances between mixtures are Hellinger's and a first hundredth counts for more than the tenth.
    Hyperparameters are those of the largest posterior, which scikit-learn finds (L-BFGS, from a second start where the
    first ends in noise; learnt from at most `LEARNING_ROWS` rows); the signal's variance is integrated out, so that
    predictions are Student's t with n - 1 degrees of freedom. `start`, a fit of nearly the same rows, is where the
    search starts; it saves half of the time.
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
    hyper = largest_posterior(at[few], error[few], _hyperparameters(start.form) if start else None)
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


def largest_posterior(at: Floats, error: Floats, start: Hyperparameters | None = None) -> Hyperparameters:
    """Return the hyperparameters of the largest posterior, the signal's variance integrated out.

    scikit-learn makes the likelihood; the log prior is added to it on the way to the optimiser.

    Parameters
    ----------
    at : array (n, p)
        Features, scaled to deviation 1.
    error : array (n,)
        Target less its mean. If it never varies, nothing is learnt.
    start : Hyperparameters, optional
        Where the search starts; in the middle of the prior by default.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(-2, 2, (40, 2))
    >>> found = largest_posterior(x, np.sin(3 * x[:, 0]))
    >>> bool(found.length[0] < 2 < 10 < found.length[1])
    True
    """
    from scipy.optimize import minimize
    from sklearn.gaussian_process import GaussianProcessRegressor

    from quagpredict.surrogates.gaussian_process_kernel import TrendAndMatern

    p = at.shape[1]
    # Length scales, trend, noise; last the variance of all together, of which nothing is believed.
    middle = np.array([*[_LENGTH[0] + 0.5 * np.log(p)] * p, _TREND[0], _NOISE[0], 0.0])
    deviation = np.array([*[_LENGTH[1]] * p, _TREND[1], _NOISE[1], 1.0])
    low = np.log([*[1e-2] * p, 1.0 / _MOST, _LEAST_NOISE, 1e-9])
    high = np.log([*[_MOST] * (p + 2), 1e9])
    first = middle if start is None else np.log([*start.length, start.trend, start.noise, 1.0])
    size = float(np.abs(error).max(initial=0.0))

    def optimizer(objective: Any, _start: Floats, **_bounds: Floats) -> tuple[Floats, float]:
        """Minimise minus the log posterior, in deviations of the prior."""

        def minus_log_posterior(z: Floats) -> tuple[float, Floats]:
            theta, shares = _of_the_smooth_part(middle + deviation * z)
            value, slope = objective(theta)
            # Half of its logarithm puts the variance's largest likelihood where the integral over it is.
            slope[-1] -= 0.5
            slope[-3:-1] -= slope[-1] * shares
            away = np.append(z[:-1], 0.0)
            return value - 0.5 * theta[-1] + 0.5 * float(away @ away), deviation * slope + away

        limits = (np.stack([low, high, first]) - middle) / deviation
        more_noise_than_signal = -middle[-2] / deviation[-2]

        # From the middle of the prior one search in thirty that ends at 1e-3 lies tenths of a nat below the top; from
        # another fit it is not far.
        enough = 1e-5 if start is None else 1e-3

        def lowest_from(z: Floats) -> Any:
            return minimize(
                minus_log_posterior, z, jac=True, method="L-BFGS-B", bounds=limits[:2].T,
                options={"maxiter": 200, "ftol": enough},
            )  # fmt: skip

        optimum = lowest_from(limits[2])
        if (
            optimum.x[-2] > more_noise_than_signal
        ):  # one in a hundred has passed a signal by: look from little noise too
            quiet = limits[2].copy()
            quiet[-2] = limits[0, -2] / 2
            optimum = min(optimum, lowest_from(quiet), key=lambda result: float(result.fun))
        return _of_the_smooth_part(middle + deviation * optimum.x)[0], optimum.fun

    theta = middle
    if size > 0:
        unit = error / size
        model = GaussianProcessRegressor(TrendAndMatern(middle), alpha=0.0, optimizer=optimizer)
        theta = model.fit(at, unit / np.sqrt((unit**2).mean())).kernel_.theta
    return Hyperparameters(np.exp(theta[:p]), float(np.exp(theta[p])), float(np.exp(theta[p + 1])))


def _hyperparameters(form: Any) -> Hyperparameters:
    """Return what a form was made with."""
    smooth = 1.0 - form.trend
    return Hyperparameters(form.length, form.trend / smooth, form.noise / smooth)


def _of_the_smooth_part(theta: Floats) -> tuple[Floats, Floats]:
    """Return parameters that end in the variance of the smooth part, from some that end in that of all together.

    That of all together hardly depends on the others, which an optimiser likes. Also returned are the shares of trend
    and noise in it, by which it moves with them.
    """
    parts = np.exp(theta[-3:-1])
    return np.append(theta[:-1], theta[-1] - np.log1p(parts.sum())), parts / (1.0 + parts.sum())


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


KIND = Kind(fit_matrix=fit_gaussian_process, form=GaussianProcessForm, read=read_form, slow=True, searches=True)
