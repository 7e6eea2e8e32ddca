"""Which features are the weights of a mixture: shares that add up to one."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from quagpredict.schema import BY_NAME

Floats = NDArray[np.float64]

# Published tables round weights to three decimals: each may be half a thousandth off.
_ROUNDING = 0.6e-3
_SEPARATORS = "_.-:/ "


def weight_columns(X: Floats, features: Sequence[str] | None = None) -> NDArray[np.bool_]:
    """Return which columns are weights on a simplex, (p,).

    Parameters
    ----------
    X : array (n, p)
        Finite.
    features : sequence of str, optional
        Names of the columns. Measurements of the schema are never weights.

    Returns
    -------
    array of bool
        Columns that are nowhere negative and add up to 1, or to 100, in every row, but for weights rounded to three
        digits: those whose names begin alike (``w_code``, ``w_math``), else all that lie between 0 and the total. At
        least two; none where nothing adds up.

    Examples
    --------
    >>> X = np.array([[0.5, 0.3, 0.2, 3.0], [0.1, 0.0, 0.9, 1.0]])
    >>> weight_columns(X)
    array([ True,  True,  True, False])
    >>> weight_columns(np.array([[0.5, 0.25, 0.5], [0.25, 0.75, 0.75]]), ["w_a", "dropout", "w_b"])
    array([ True, False,  True])
    """
    n, p = X.shape
    names = list(features) if features is not None else [""] * p
    low, high = X.min(axis=0, initial=np.inf), X.max(axis=0, initial=-np.inf)
    for total in (1.0, 100.0):
        within = (low >= 0.0) & (high <= total * (1.0 + _ROUNDING)) & np.array([name not in BY_NAME for name in names])
        for chosen in _groups(within, names):
            count = int(chosen.sum())
            off = np.abs(X[:, chosen].sum(axis=1) / total - 1.0)
            if count >= 2 and n and (off <= _ROUNDING * count).all():
                return chosen
    return np.zeros(p, dtype=bool)


def _groups(within: NDArray[np.bool_], names: Sequence[str]) -> Iterator[NDArray[np.bool_]]:
    """Yield the columns within bounds: those whose names begin alike, up to each name's last separator, then all."""
    stems = [name[: max(name.rfind(mark) for mark in _SEPARATORS) + 1] for name in names]
    for stem in dict.fromkeys(stem for stem in stems if stem):
        yield within & np.array([other_stem == stem for other_stem in stems])
    yield within
