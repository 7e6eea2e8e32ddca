"""From a fitted surrogate and a table of candidates to predictions, their joint errors and what drives them."""

from collections.abc import Callable, Sequence
from math import factorial
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import measurement_of
from quagpredict.ranking.belief import Belief, Bounds, condition
from quagpredict.schema import BY_NAME
from quagpredict.surrogates.fitted import Z90, FittedSurrogate, Interval, transform_columns
from quagpredict.surrogates.linear import LinearForm
from quagpredict.surrogates.transforms import parse_transform


class Evidence(NamedTuple):
    """Finished candidates that the surrogate may learn from."""

    frame: pl.DataFrame  #: Their rows.
    score: Floats  #: (m,): Their scores after RL.
    #: (n + m,): Group of each candidate and then of each finished one, see `condition`; -1 for none.
    offset_of: NDArray[np.int64]
    result: Floats  #: (n,): Score of each candidate where it counts as its result; NaN elsewhere.


def believe(
    surrogate: FittedSurrogate,
    X: Floats,
    evidence: Evidence | None = None,
    *,
    bases: Sequence[str | None] | None = None,
    minimize: bool = False,
) -> Belief:
    """Return the joint belief of a surrogate about candidates, after learning from the finished ones.

    Parameters
    ----------
    X : array (n, p)
        Features of the candidates, from `FittedSurrogate.design`.
    evidence : Evidence, optional
        What is known already.
    bases : sequence of str, optional
        Base model of each candidate: intervals may be calibrated for each.
    """
    # All at once: some forms find the errors that candidates share only where they see them together.
    # An empty table has no columns that could be measured, so it is not asked for any.
    learns = evidence is not None and evidence.frame.height > 0
    rows = np.vstack([X, surrogate.design(evidence.frame)]) if evidence is not None and learns else X
    mean, factor, noise = surrogate.joint(rows)
    form = surrogate.form
    # The joint errors are widened for Student's t; here t itself is drawn from.
    if bases is not None and evidence is not None:
        bases = [*bases, *base_models(evidence.frame)]
    widening = _widening(surrogate, rows, bases) / form.t_factor
    column = BY_NAME.get(surrogate.target)
    belief = Belief(
        mean=mean,
        shared=factor * widening[:, None],
        own=noise * widening,
        degrees_of_freedom=form.degrees_of_freedom,
        t_factor=form.t_factor,
        target_transform=surrogate.target_transform,
        result=np.full(len(mean), np.nan),
        bounds=Bounds(0.0, 1.0) if column is not None and column.unit == "fraction" else None,
        minimize=minimize,
    )
    if evidence is None:
        return belief
    score = np.concatenate([np.full(len(X), np.nan), evidence.score])
    after = condition(belief, score, offset_of=evidence.offset_of).take(np.arange(len(X)))
    after.result[:] = evidence.result
    return after


def interval(belief: Belief) -> Interval:
    """Return the 90 % interval of each score, in the unit of the target; that of a known score has no width."""
    half = Z90 * belief.std
    inverse = parse_transform(belief.target_transform).inverse
    has_result = np.isfinite(belief.result)
    return Interval(
        np.where(has_result, belief.result, inverse(belief.mean - half)),
        np.where(has_result, belief.result, inverse(belief.mean + half)),
    )


def within(ends: Interval, belief: Belief) -> Interval:
    """Return intervals without what the target cannot be, such as a score above 1; they still hold the prediction."""
    if belief.bounds is None:
        return ends
    score = -belief.merits() if belief.minimize else belief.merits()
    return Interval(
        np.maximum(ends.low, np.minimum(score, belief.bounds.low)),
        np.minimum(ends.high, np.maximum(score, belief.bounds.high)),
    )


def base_models(frame: pl.DataFrame) -> list[str | None]:
    """Return the base model of each row; None where it is not known."""
    return frame["base_model"].to_list() if "base_model" in frame.columns else [None] * frame.height


def _widening(surrogate: FittedSurrogate, X: Floats, bases: Sequence[str | None] | None) -> Floats:
    """Return by how much the calibrated 90 % interval is wider than that of the joint errors, (n,)."""
    if surrogate.calibration is None:
        return np.ones(len(X))
    transform = parse_transform(surrogate.target_transform)
    low, high = map(transform.forward, surrogate.interval(X, groups=bases))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (high - low) / (2.0 * Z90 * surrogate.predict_transformed(X).std)
    return np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)


def contributions(surrogate: FittedSurrogate, X: Floats) -> tuple[tuple[str, ...], Floats]:
    """Return how much each measurement moves each prediction from that of the average candidate.

    Parameters
    ----------
    X : array (n, p)
        Rows with NaN get NaN and do not enter the average.

    Returns
    -------
    tuple of str, array (n, q)
        Measurements and their contributions in the unit of the target. Features that are derived from one column
        (the curve of Pass@k from the counts) are one measurement; one in which no candidates differ, such as the base
        model of candidates of one base, moves nothing and is left out. For linear surrogates the values are exact, for
        others see `shapley`.

    Examples
    --------
    >>> from quagpredict.surrogates.linear import fit_linear
    >>> fitted = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.1, 0.3, 0.5, 0.7]), features=["x"])
    >>> contributions(fitted, np.array([[1.0], [2.0]]))[1].round(3).tolist()
    [[-0.1], [0.1]]
    """
    origins = [measurement_of(name, surrogate.features) for name in surrogate.features]
    whole = np.isfinite(X).all(axis=1)
    rows = X[whole]
    differ = (rows != rows[:1]).any(axis=0)
    names = tuple(dict.fromkeys(name for name, varies in zip(origins, differ, strict=True) if varies))
    member = np.array([[source == name for name in names] for source in origins], dtype=np.float64)
    parts = np.full((len(X), len(names)), np.nan)
    if not whole.any():
        return names, parts
    if isinstance(surrogate.form, LinearForm):
        form = surrogate.form
        Z = transform_columns(rows, surrogate.feature_transforms)
        fine = np.isfinite(Z).all(axis=1)
        average = Z[fine].mean(axis=0) if fine.any() else Z.mean(axis=0)
        level = float(form.intercept + (average - form.center) @ form.coefficients)
        inverse = parse_transform(surrogate.target_transform).inverse
        terms = ((Z - average) * form.coefficients) @ member
        parts[whole] = of_linear(np.ones(len(names)), terms, level, inverse)
        return names, parts
    average = rows.mean(axis=0)

    def value(mask: NDArray[np.bool_]) -> Floats:
        taken = member @ mask.astype(np.float64) > 0
        return surrogate.predict(np.where(taken, rows, average)).mean

    parts[whole] = shapley(value, len(names))
    return names, parts


Masks = NDArray[np.bool_]

#: Features up to which every set of them is tried.
EXACT = 6


def shapley(value: Callable[[Masks], Floats], features: int) -> Floats:
    """Return the Shapley value of each feature for each candidate, (n, features).

    Parameters
    ----------
    value : callable
        From a mask (features,) to the predictions (n,) with the features in the mask as each candidate has them and the
        others as the average candidate has them.
    features : int
        Up to `EXACT` every set is tried, and the values sum to the prediction less that of the average candidate.
        Beyond that the value is an ablation: what the prediction loses if the feature alone is set to its average;
        these do not sum up where features interact.

    References
    ----------
    L. S. Shapley, A value for n-person games, 1953; S. Lundberg, S.-I. Lee, A unified approach to interpreting model
    predictions, NeurIPS 2017, equation 4, with one reference point.

    Examples
    --------
    >>> x = np.array([[2.0, 3.0]])
    >>> shapley(lambda mask: np.where(mask, x, 1.0).prod(axis=1), 2)
    array([[2., 3.]])
    """
    whole = np.ones(features, dtype=np.bool_)
    if features > EXACT:
        top = value(whole)
        return np.column_stack([top - value(whole & (np.arange(features) != j)) for j in range(features)])
    sets = [np.array([members >> j & 1 for j in range(features)], dtype=np.bool_) for members in range(2**features)]
    values = [value(mask) for mask in sets]
    shares = np.zeros((len(values[0]), features))
    for members, mask in enumerate(sets):
        size = int(mask.sum())
        for j in np.flatnonzero(~mask):
            weight = factorial(size) * factorial(features - size - 1) / factorial(features)
            shares[:, j] += weight * (values[members | 1 << int(j)] - values[members])
    return shares


def of_linear(coefficients: Floats, Z: Floats, level: float, inverse: Callable[[Floats], Floats]) -> Floats:
    """Return the contributions of a predictor that is linear on the scale of a transformed target, (n, p).

    Without a transform of the target these are the Shapley values, exactly: coefficient times the difference from the
    average. With one, the Shapley values of the turned-back prediction for up to `EXACT` features; beyond that the
    difference on the target's scale is shared out in proportion to the linear terms.

    Parameters
    ----------
    coefficients : array (p,)
    Z : array (n, p)
        Transformed features less those of the average candidate; rows with NaN get NaN.
    level : float
        Prediction for the average candidate on the transformed scale.
    inverse : callable
        From the transformed scale to the target's; the identity if it is not transformed.

    Examples
    --------
    >>> of_linear(np.array([2.0, -1.0]), np.array([[0.5, 0.25]]), 0.0, lambda t: t)
    array([[ 1.  , -0.25]])
    """
    terms = Z * coefficients
    if terms.shape[1] <= EXACT and inverse(np.array([level + 1.0]))[0] != level + 1.0:
        return shapley(lambda mask: inverse(level + terms @ mask), terms.shape[1])
    moved = terms.sum(axis=1)
    gained = inverse(level + moved) - inverse(np.array([level]))
    # Where the terms cancel, the slope at the average candidate says what a unit of them is worth.
    slope = (inverse(np.array([level + 1e-6])) - inverse(np.array([level - 1e-6]))) / 2e-6
    worth = np.divide(gained, moved, out=np.full_like(moved, float(slope[0])), where=np.abs(moved) > 1e-9)
    return np.asarray(terms * worth[:, None])
