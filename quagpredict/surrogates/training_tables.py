"""What every fit on a matrix begins with and ends in: transformed tables, and the fitted surrogate of a form."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, TypedDict, Unpack

import numpy as np

from quagpredict.arrays import Floats
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.fitted import Z90, FittedSurrogate, transform_columns
from quagpredict.surrogates.forms import Form, training_domain
from quagpredict.surrogates.transforms import parse_transform


class Names(TypedDict, total=False):
    """What the columns of a matrix are and how they are modelled: keywords of every fit on a matrix.

    Attributes
    ----------
    features : sequence of str or None
        Names of the columns; ``x0``, ``x1``, ... by default.
    target : str
        ``y`` by default.
    feature_transforms : str or sequence of str
        One name for all features, or one for each; ``identity`` by default.
    target_transform : str
        ``identity`` by default.
    """

    features: Sequence[str] | None
    target: str
    feature_transforms: str | Sequence[str]
    target_transform: str


class TrainingTables(NamedTuple):
    """Transformed features (n, p) and target (n,), with their names and those of their transforms."""

    Z: Floats
    t: Floats
    features: tuple[str, ...]
    target: str
    feature_transforms: tuple[str, ...]
    target_transform: str


def training_tables(X: Floats, y: Floats, **names: Unpack[Names]) -> TrainingTables:
    """Transform features and target, or say which value cannot be."""
    p = X.shape[1]
    given = names.get("features")
    features = tuple(f"x{column}" for column in range(p)) if given is None else tuple(given)
    transforms = one_each(names.get("feature_transforms", "identity"), p)
    if len(transforms) != p:
        raise UsageError(f"feature_transforms must be one name or {p} names (one a feature), got {len(transforms)}")
    Z = transform_columns(np.asarray(X, dtype=np.float64), transforms)
    of_target = names.get("target_transform", "identity")
    t = parse_transform(of_target).forward(y)
    for row, column in np.argwhere(~np.isfinite(Z))[:1]:
        raise CorpusError(
            f"feature '{features[column]}' is {X[row, column]} in training row {row}, where '{transforms[column]}' is "
            "not defined: use identity, or logit(TRIALS), which keeps shares of 0 and 1"
        )
    for row in np.flatnonzero(~np.isfinite(t))[:1]:
        raise CorpusError(f"the target is {y[row]} in training row {row}, where '{of_target}' is not defined")
    return TrainingTables(Z, t, features, names.get("target", "y"), transforms, of_target)


def one_each(transforms: str | Sequence[str], columns: int) -> tuple[str, ...]:
    """Return a name for each column, where one may stand for all."""
    return (transforms,) * columns if isinstance(transforms, str) else tuple(transforms)


@cache
def t_factor(df: float) -> float:
    """Return the 95 % point of Student's t over that of the normal distribution; 1 without degrees of freedom.

    Examples
    --------
    >>> round(t_factor(5), 4)
    1.2251
    """
    if df <= 0:
        return 1.0
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.95)) / Z90


def assemble(name: str, form: Form, tables: TrainingTables, *, notes: tuple[str, ...] = ()) -> FittedSurrogate:
    """Return the fitted surrogate of a form, with the domain of what the form has seen in training."""
    return FittedSurrogate(
        name=name,
        features=tables.features,
        target=tables.target,
        feature_transforms=tables.feature_transforms,
        target_transform=tables.target_transform,
        form=form,
        domain=training_domain(form.seen(tables.Z)),
        training_rows=len(tables.t),
        notes=notes,
    )
