"""Splits of rows into those that a surrogate is fitted on and those that it is judged on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import UsageError, argument

Indices = NDArray[np.intp]


class Split(NamedTuple):
    """One fit and its test.

    Attributes
    ----------
    train, test : array of int
        Row numbers, sorted, disjoint.
    repeat : int
        Splits of one repeat are judged together: their test rows are pooled.
    """

    train: Indices
    test: Indices
    repeat: int


def random_halves(groups: ArrayLike, repeats: int = 100, seed: int = 0, share: float = 0.5) -> list[Split]:
    """Split at random into a part to fit on and the rest, again and again: the paper's protocol.

    Parameters
    ----------
    groups : array (n,)
        Rows of one group are never parted. `np.arange(n)` lets every row go its own way.
    repeats, seed : int
        The same seed gives the same splits.
    share : float
        Share of the groups to fit on, rounded to whole groups, at least one on each side.

    Raises
    ------
    UsageError
        If there are fewer than two groups or no repeat, or `share` is not strictly between 0 and 1.

    References
    ----------
    Kang et al., arXiv 2510.01624: the predictor is fitted on a random half of the models, 100 times.

    Examples
    --------
    >>> [(split.train.tolist(), split.test.tolist()) for split in random_halves(["a", "a", "b", "c"], 2, seed=1)]
    [([0, 1, 2], [3]), ([0, 1, 3], [2])]
    """
    codes, count = _codes(groups)
    if repeats < 1:
        raise UsageError(f"{argument('repeats', repeats)}: expected a whole number of at least 1")
    if not 0.0 < share < 1.0:
        raise UsageError(f"share must lie strictly between 0 and 1, got {share}")
    taken = min(max(round(share * count), 1), count - 1)
    rng = np.random.default_rng(seed)
    splits = []
    for repeat in range(repeats):
        inside = np.zeros(count, dtype=bool)
        inside[rng.permutation(count)[:taken]] = True
        splits.append(Split(np.flatnonzero(inside[codes]), np.flatnonzero(~inside[codes]), repeat))
    return splits


def repeated_k_fold(groups: ArrayLike, folds: int = 5, repeats: int = 20, seed: int = 0) -> list[Split]:
    """Split into k parts of nearly equal size and leave each out in turn; again with another shuffle.

    The parameters are those of `random_halves`; with fewer groups than `folds`, each group is a fold.

    Examples
    --------
    >>> splits = repeated_k_fold(range(6), folds=3, repeats=2)
    >>> len(splits), sorted(row for split in splits[:3] for row in split.test.tolist())
    (6, [0, 1, 2, 3, 4, 5])
    """
    codes, count = _codes(groups)
    if folds < 2:
        raise UsageError(f"folds must be at least 2, got {folds}")
    rng = np.random.default_rng(seed)
    splits = []
    for repeat in range(repeats):
        fold = np.empty(count, dtype=np.intp)
        fold[rng.permutation(count)] = np.arange(count) % folds
        for left_out in range(min(folds, count)):
            inside = fold[codes] != left_out
            splits.append(Split(np.flatnonzero(inside), np.flatnonzero(~inside), repeat))
    return splits


def leave_one_group_out(groups: ArrayLike) -> list[Split]:
    """Leave each group out in turn; every one is a repeat of its own, in sorted order of the groups.

    Examples
    --------
    >>> [split.test.tolist() for split in leave_one_group_out(["qwen", "llama", "qwen"])]
    [[1], [0, 2]]
    """
    codes, count = _codes(groups)
    return [Split(np.flatnonzero(codes != group), np.flatnonzero(codes == group), group) for group in range(count)]


def _codes(groups: ArrayLike) -> tuple[Indices, int]:
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise UsageError(f"a split needs at least two groups of rows, got {len(names)}")
    return codes.reshape(-1), len(names)
