"""What every fit on a matrix begins with and ends in: transformed tables, and the fitted surrogate of a form."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.domain import training_domain
from quagpredict.surrogates.fitted import Z90, FittedSurrogate, transform_columns
from quagpredict.surrogates.forms import Form
from quagpredict.surrogates.transforms import parse_transform

Floats = NDArray[np.float64]


class TrainingTables(NamedTuple):
    """Transformed features (n, p) and target (n,), with the names of their transforms."""

    Z: Floats
    t: Floats
    feature_transforms: tuple[str, ...]
    target_transform: str


def training_tables(
    X: Floats,
    y: Floats,
    feature_transforms: str | Sequence[str],
    target_transform: str,
    features: Sequence[str] | None = None,
) -> TrainingTables:
    """Transform features and target, or say which value cannot be."""
    p = X.shape[1]
    names = (feature_transforms,) * p if isinstance(feature_transforms, str) else tuple(feature_transforms)
    if len(names) != p:
        raise UsageError(f"feature_transforms must be one name or {p} names (one a feature), got {len(names)}")
    Z = transform_columns(np.asarray(X, dtype=np.float64), names)
    t = parse_transform(target_transform).forward(y)
    for row, column in np.argwhere(~np.isfinite(Z))[:1]:
        label = features[column] if features is not None else f"x{column}"
        raise CorpusError(
            f"feature '{label}' is {X[row, column]} in training row {row}, where '{names[column]}' is not defined: "
            "use identity, or logit(TRIALS), which keeps shares of 0 and 1"
        )
    for row in np.flatnonzero(~np.isfinite(t))[:1]:
        raise CorpusError(f"the target is {y[row]} in training row {row}, where '{target_transform}' is not defined")
    return TrainingTables(Z, t, names, target_transform)


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


def assemble(
    name: str,
    form: Form,
    tables: TrainingTables,
    features: Sequence[str] | None,
    target: str,
    *,
    notes: tuple[str, ...] = (),
) -> FittedSurrogate:
    """Return the fitted surrogate of a form, with the domain of what the form has seen in training."""
    n, p = tables.Z.shape
    return FittedSurrogate(
        name=name,
        features=tuple(features) if features is not None else tuple(f"x{i}" for i in range(p)),
        target=target,
        feature_transforms=tables.feature_transforms,
        target_transform=tables.target_transform,
        form=form,
        domain=training_domain(form.seen(tables.Z)),
        training_rows=n,
        notes=notes,
    )
