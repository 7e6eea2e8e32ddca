"""How rules order the candidates of one base model, with intervals that resample what evidence comes in.

A team decides within one base model, and units of evidence are bases and kinds of data, not rows: draws take base
models with replacement, and of each its candidates, or whole kinds of candidates.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError
from quagpredict.validation.scores import pairwise_accuracy, spearman, top_regret

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class WithinBase(NamedTuple):
    """Scores of one rule, means over base models: the table's own first, then those of the draws; shape (1 + draws,).

    Attributes
    ----------
    pairs : array
        Share of the pairs of a base model that are in order; NaN where a draw has no pair.
    spearman : array
        Rank correlation; NaN for a rule that does not order.
    regret : array
        The best score after RL of a base model less that of the candidate that the rule puts first, in the unit of `y`.
    """

    pairs: Floats
    spearman: Floats
    regret: Floats

    def less(self, other: "WithinBase") -> "WithinBase":
        """Return the differences from another rule, on the same draws."""
        return WithinBase(*(own - theirs for own, theirs in zip(self, other, strict=True)))


def within_base(
    y: ArrayLike,
    rules: Mapping[str, ArrayLike],
    bases: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, WithinBase]:
    """Judge rules on the candidates of each base model, on the same draws for all.

    Parameters
    ----------
    y : array (n,)
        Score after RL of each candidate, the mean over its RL seeds; larger is better.
    rules : mapping
        Name -> what the rule orders by, shape (n,); larger is better, no NaN.
    bases : array (n,)
        Base model of each candidate. A base model with a single candidate does not count.
    clusters : array (n,), optional
        Kind of data of each candidate: draws take whole kinds of a base model. None: each candidate alone.
    draws, seed : int
        Of the bootstrap.

    Raises
    ------
    InvalidDataError
        If the arrays differ in length, a value is NaN, or no base model has two candidates.

    Examples
    --------
    >>> found = within_base([0.1, 0.2, 0.5, 0.4], {"rule": [1, 2, 3, 4]}, ["a", "a", "b", "b"], draws=10)
    >>> float(found["rule"].pairs[0]), float(found["rule"].regret[0].round(3))
    (0.5, 0.05)
    """
    truth = np.asarray(y, dtype=np.float64)
    orders = {name: np.asarray(values, dtype=np.float64) for name, values in rules.items()}
    of = np.asarray(bases).astype(str)
    kinds = np.arange(len(truth)) if clusters is None else np.asarray(clusters).astype(str)
    for name, values in {"y": truth, **orders}.items():
        if values.shape != of.shape or kinds.shape != of.shape or np.isnan(values).any():
            raise InvalidDataError(f"'{name}': expected one number for each of {len(of)} candidates, without NaN")
    members = [np.flatnonzero(of == base) for base in np.unique(of)]
    members = [own for own in members if len(own) > 1]
    if not members:
        raise InvalidDataError("no base model has two candidates, so there is nothing to order")
    rng = np.random.default_rng(seed)
    chosen = np.vstack([np.arange(len(members)), rng.integers(0, len(members), (draws, len(members)))])
    scores = {name: np.full((3, len(members), draws + 1), np.nan) for name in orders}
    for slot in range(len(members)):
        for position, own in enumerate(members):
            at = np.flatnonzero(chosen[:, slot] == position)
            drawn = _drawn(own, kinds[own], at, rng)
            for name, values in orders.items():
                scores[name][:, slot, at] = _scores(truth, values, drawn)
    return {name: WithinBase(*_mean(table)) for name, table in scores.items()}


def _drawn(own: Indices, kinds: NDArray[np.generic], at: Indices, rng: np.random.Generator) -> list[Indices]:
    """Return the members of each draw in `at`; draw 0 is the table as it is."""
    labels, codes = np.unique(kinds, return_inverse=True)
    groups = [own[codes == code] for code in range(len(labels))]
    return [
        own if draw == 0 else np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        for draw in at
    ]


def _scores(y: Floats, values: Floats, drawn: list[Indices]) -> Floats:
    """Return pairs, Spearman and regret of each draw, shape (3, draws); draws of equal length are judged together."""
    scores = np.full((3, len(drawn)), np.nan)
    lengths = np.array([len(rows) for rows in drawn])
    for length in np.unique(lengths):
        at = np.flatnonzero(lengths == length)
        rows = np.stack([drawn[i] for i in at])
        pair = y[rows], values[rows]
        scores[:, at] = pairwise_accuracy(*pair), spearman(*pair), top_regret(*pair)
    return scores


def _mean(table: Floats) -> Floats:
    """Return the mean over base models (axis 1), of those that have the score."""
    finite = np.isfinite(table)
    counts = finite.sum(axis=1)
    sums = np.where(finite, table, 0.0).sum(axis=1)
    return np.asarray(np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0))
