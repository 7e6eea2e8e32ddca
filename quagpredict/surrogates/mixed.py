"""Partial pooling over groups: each base model has an intercept and slopes of its own, drawn from a common law."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Unpack

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import is_indicator
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import resolve_features, resolve_transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import Linearised
from quagpredict.surrogates.json_object import JsonObject
from quagpredict.surrogates.kind import FitTask, Kind
from quagpredict.surrogates.training_tables import Names, assemble, one_each, t_factor, training_tables

#: Deviations that are tried, in units of the residual one: of the groups' intercepts, and of their slopes.
INTERCEPTS = np.concatenate([[0.03], np.logspace(-1, 1.5, 11)])
SLOPES = np.array([0.0, 0.2, 0.6, 2.0])
#: Distinct groups up to which each gets an effect of its own.
MOST_GROUPS = 200


@dataclass(frozen=True, eq=False)
class MixedForm(Linearised):
    """A linear predictor with an intercept and slopes for each group.

    The first columns are the p features; one indicator for each of the g groups follows, and last one for every other
    group. With Z the centred features and I the indicators, the coefficients belong to ``[1, Z, I, I x Z]``. A group
    shares the error of its effects; all unknown groups share one effect, as they would if they were the same.

    Attributes
    ----------
    center : array (p,)
    coefficients : array (q,)
        q = (1 + p) (2 + g), with g the known groups; those of an unknown group are 0.
    covariance : array (q, q)
        Of the coefficients; for an unknown group the variance between groups.
    """

    center: Floats
    coefficients: Floats
    covariance: Floats
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float

    def seen(self, Z: Floats) -> Floats:
        """Return the features without the indicators."""
        return Z[:, : len(self.center)]

    def linear(self, Z: Floats) -> tuple[Floats, Floats, Floats]:
        """See `Linearised`."""
        design = _design(self.seen(Z) - self.center, Z[:, len(self.center) :])
        return design @ self.coefficients, design, self.covariance


def fit_mixed(X: Floats, y: Floats, *, groups: int = 0, **names: Unpack[Names]) -> FittedSurrogate:
    """Fit a linear mixed model with random intercepts and slopes over groups, variances by restricted likelihood.

    Parameters
    ----------
    X : array (n, p + groups)
        Features, then an indicator column for each group, the last for "any other"; a row has one 1 among them.
    y : array (n,)
    groups : int
        How many of the columns are indicators. 0 gives least squares.
    features, target, feature_transforms, target_transform
        See `Names`. Indicators are not transformed.

    Returns
    -------
    FittedSurrogate
        A group that was seen is predicted with its own effects, shrunk towards the population the more the fewer its
        rows. Any other group gets the population, and the variance between groups, widened for how few groups there
        were.

    Notes
    -----
    The ratios of the variances are chosen on a grid, jointly for the intercepts and for all slopes (features are scaled
    to variance 1). The likelihood carries the factor ``deviation`` that keeps the variance between a few groups from
    collapsing to 0 (Chung et al. 2013), and a half-normal one with the deviation of the target that keeps it finite.

    References
    ----------
    D. Harville, JASA 72 (1977), on restricted likelihood; G. K. Robinson, That BLUP is a good thing, Statistical
    Science 6 (1991); Y. Chung et al., A nondegenerate penalized likelihood estimator for variance parameters in
    multilevel models, Psychometrika 78 (2013).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> group = np.arange(60) % 3
    >>> x = rng.normal(size=60)
    >>> y = x + np.array([-1.0, 0.0, 1.0])[group] + 0.1 * rng.normal(size=60)
    >>> X = np.column_stack([x, group == 0, group == 1, group == 2, np.zeros(60)]).astype(float)
    >>> fitted = fit_mixed(X, y, groups=4)
    >>> seen, other = fitted.predict([[0.0, 0, 0, 1, 0], [0.0, 0, 0, 0, 1]]).std
    >>> bool(seen < 0.15), bool(other > 0.8)
    (True, True)
    """
    columns = X.shape[1]
    p = columns - groups
    if not 0 <= groups < columns or groups == 1:
        raise UsageError(
            f"groups must leave a feature among the {columns} columns, and be 0 or at least 2 with the last of them "
            f"for any other group; got {groups}"
        )
    transforms = one_each(names.get("feature_transforms", "identity"), columns)
    tables = training_tables(X, y, **names | {"feature_transforms": transforms[:p] + ("identity",) * groups})
    center, level = tables.Z[:, :p].mean(axis=0), float(tables.t.mean())
    error = tables.Z[:, :p] - center
    spread = np.sqrt((error**2).mean(axis=0))
    varies = spread > 1e-12 * np.maximum(np.abs(center), 1e-300)
    scale = np.where(varies, spread, 1.0)
    kept = np.concatenate([[True], varies])
    indicators = tables.Z[:, p:]
    whole = _design(error * varies / scale, indicators)
    fixed, random = whole[:, : 1 + p][:, kept], whole[:, 1 + p :]
    slope = np.arange(random.shape[1]) >= groups
    seen_groups = int((indicators != 0).any(axis=0).sum())
    fit = _restricted(fixed, random, tables.t - level, slope, seen_groups)
    factor = t_factor(fit.degrees_of_freedom)
    # The variance of an unknown group is known from few groups only: Student's t with their number less one.
    variances = np.diagonal(fit.covariance).copy()
    if groups:
        widening = (t_factor(float(max(seen_groups - 1, 1))) / factor) ** 2
        unknown = fixed.shape[1] + np.concatenate([[groups - 1], groups + groups * np.arange(p) + groups - 1])
        root = np.ones(len(variances))
        root[unknown] = np.sqrt(widening)
        covariance = fit.covariance * np.outer(root, root)
    else:
        covariance = fit.covariance
    # Back to the scale of the features: a slope by its spread, and the columns that never varied get nothing.
    per_column = np.concatenate([[1.0], 1.0 / scale, np.ones(groups), np.repeat(1.0 / scale, groups)])
    kept_at = np.concatenate([np.flatnonzero(kept), 1 + p + np.arange(random.shape[1])])
    coefficients = np.zeros(len(per_column))
    coefficients[kept_at] = fit.coefficients
    full = np.zeros((len(per_column), len(per_column)))
    full[np.ix_(kept_at, kept_at)] = covariance
    coefficients[0] += level
    form = MixedForm(
        center,
        coefficients * per_column,
        full * np.outer(per_column, per_column),
        fit.variance,
        fit.degrees_of_freedom,
        factor,
    )
    within = float(np.sqrt(fit.variance))
    note = (
        f"{seen_groups} groups; deviation between them {within * fit.intercept:.3g}, of their slopes "
        f"{within * fit.slope:.3g} for each deviation of a feature, within them {within:.3g}"
    )
    return assemble("mixed", form, tables, notes=(note,) if groups else ())


def _design(Z: Floats, indicators: Floats) -> Floats:
    """Return ``[1, Z, I, I x Z]``, the interactions feature by feature."""
    n = len(Z)
    products = (Z[:, :, None] * indicators[:, None, :]).reshape(n, Z.shape[1] * indicators.shape[1])
    return np.concatenate([np.ones((n, 1)), Z, indicators, products], axis=1)


class _Restricted(NamedTuple):
    coefficients: Floats
    covariance: Floats
    variance: float
    intercept: float
    slope: float
    degrees_of_freedom: float


def _restricted(A: Floats, B: Floats, t: Floats, is_slope: NDArray[np.bool_], groups: int) -> _Restricted:
    """Return fixed and random effects of t = A b + B u + e at the ratios of the largest restricted likelihood."""
    n, q = A.shape
    r = B.shape[1]
    df = float(max(n - q, 1))
    intercepts = INTERCEPTS if groups > 1 else np.array([0.0 if r == 0 else 1.0])
    slopes = SLOPES if groups > 1 and is_slope.any() else np.zeros(1)
    ratios = np.array([(intercept_ratio, slope_ratio) for intercept_ratio in intercepts for slope_ratio in slopes])
    root = np.where(is_slope, ratios[:, 1:], ratios[:, :1])  # (grid, r)
    AA, AB, BB = A.T @ A, A.T @ B, B.T @ B
    At, Bt, tt = A.T @ t, B.T @ t, float(t @ t)
    inner = np.eye(r) + root[:, :, None] * BB * root[:, None, :]
    left = root[:, :, None] * np.concatenate([AB.T, Bt[:, None]], axis=1)  # (grid, r, q + 1)
    solved = np.linalg.solve(inner, left) if r else left
    reduced = left.transpose(0, 2, 1) @ solved
    M = AA - reduced[:, :q, :q]
    m = At - reduced[:, :q, q]
    ss = tt - reduced[:, q, q]
    ridge = 1e-10 * np.trace(AA) / q * np.eye(q)
    b = np.linalg.solve(M + ridge, m[:, :, None])[:, :, 0]
    left_over = np.maximum(ss - (b * m).sum(axis=1), 1e-12 * max(tt, 1e-300))
    log_volume = np.linalg.slogdet(inner)[1] if r else np.zeros(len(ratios))
    deviance = df * np.log(left_over) + log_volume + np.linalg.slogdet(M + ridge)[1]
    if groups > 1:
        # Weak beliefs: groups differ, by less than all targets do; that slopes differ has to be shown.
        between = ratios[:, 0] ** 2 * left_over / df
        deviance = deviance - 2.0 * np.log(ratios[:, 0]) + between * n / max(tt, 1e-300) + ratios[:, 1] ** 2
    best = int(np.argmin(deviance))
    variance = float(left_over[best]) / df
    scale = root[best]
    # Henderson's equations give fixed and random effects and their covariance together.
    C = np.concatenate([A, B * scale], axis=1)
    system = C.T @ C
    system[np.arange(q, q + r), np.arange(q, q + r)] += 1.0
    system[:q, :q] += ridge
    inverse = np.linalg.inv(system)
    back = np.concatenate([np.ones(q), scale])
    coefficients = back * (inverse @ (C.T @ t))
    covariance = variance * inverse * np.outer(back, back)
    intercept, slope = map(float, ratios[best])
    return _Restricted(coefficients, covariance, variance, intercept, slope, df)


def _columns(frame: pl.DataFrame, features: str | Sequence[str], groups: str | None) -> tuple[str, ...]:
    return (*resolve_features(features, frame), *group_columns(frame, groups))


def group_columns(frame: pl.DataFrame, groups: str | None) -> tuple[str, ...]:
    """Return the indicator columns of the groups of a table, the last for any other group; none without groups."""
    column = groups or "base_model"
    if column not in frame.columns:
        if groups:
            raise CorpusError(f"column '{groups}' is missing, but it is to name the groups")
        return ()
    values = frame[column].cast(pl.String).drop_nulls().unique().sort().to_list()
    if len(values) > MOST_GROUPS:
        raise CorpusError(
            f"column '{column}' holds {len(values)} groups, too many for an effect each (at most {MOST_GROUPS})"
        )
    if "*" in values:
        raise CorpusError(f"column '{column}' holds the text '*', which stands for any other group: rename it")
    return tuple(f"{column}={value}" for value in values) + ((f"{column}=*",) if values else ())


def _fit(task: FitTask) -> FittedSurrogate:
    table = task.table()
    return fit_mixed(
        table.X,
        task.y,
        groups=sum(is_indicator(name) for name in table.columns),
        feature_transforms=resolve_transforms(table.transforms, table.columns, table.frame),
        **table.names,
    )


def _read(form: JsonObject, p: int) -> MixedForm:
    features = form.length("center", 1, p)
    q = (1 + features) * (1 + p - features)
    return MixedForm(
        center=form.array("center", (features,)),
        coefficients=form.array("coefficients", (q,)),
        covariance=form.array("covariance", (q, q)),
        **form.noise(),
    )


KIND = Kind(
    fit_matrix=fit_mixed,
    fit=_fit,
    columns=_columns,
    reads="groups",
    fewest=3,
    fewest_each=1,
    form=MixedForm,
    read=_read,
)
