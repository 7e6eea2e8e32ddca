"""Bags of boosted trees: grown by LightGBM, kept as arrays, so that predicting needs numpy alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import column_of
from quagpredict.errors import UsageError
from quagpredict.optional import require
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import JointPrediction, TransformedPrediction
from quagpredict.surrogates.json_object import JsonObject
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.training_tables import Names, assemble, t_factor, training_tables

Integers = NDArray[np.int64]

_OF_A_TREE = re.compile(r"^(num_leaves|split_feature|threshold|left_child|right_child|leaf_value)=(.*)$", re.MULTILINE)
_CELLS_AT_ONCE = 200_000
# Of a stored form: more than any fit makes.
_MOST_NODES = 1_000_000
_MOST_DEPTH = 256


@dataclass(frozen=True, eq=False)
class TreesForm:
    """Mean of several bags of trees; every tree lies in the same arrays of nodes.

    Attributes
    ----------
    feature : array (nodes,) of int
        Column that a node looks at; -1 for a leaf.
    threshold : array (nodes,)
        A row goes left if its value is at most this.
    left, right : array (nodes,) of int
        Where it goes; a leaf goes to itself.
    value : array (nodes,)
        What a leaf adds; 0 elsewhere.
    roots : array (trees,) of int
    bags : array (trees,) of int
        Bag of each tree, 0 to b - 1, rising.
    base : array (b,)
        Where each bag starts from.
    """

    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    value: Floats
    roots: Integers
    bags: Integers
    base: Floats
    residual_variance: float
    degrees_of_freedom: float
    t_factor: float

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the transformed features Z, (n, p)."""
        each = self.each_bag(Z)
        spread = each.var(axis=1, ddof=1) if each.shape[1] > 1 else np.zeros(len(Z))
        return TransformedPrediction(each.mean(axis=1), self.t_factor * np.sqrt(self.residual_variance + spread))

    def joint(self, Z: Floats) -> JointPrediction:
        """Return how the predictions at Z err together: as the bags differ."""
        each = self.each_bag(Z)
        mean = each.mean(axis=1)
        factor = (each - mean[:, None]) / np.sqrt(max(each.shape[1] - 1, 1))
        noise = np.full(len(Z), self.t_factor * np.sqrt(self.residual_variance))
        return JointPrediction(mean, self.t_factor * factor, noise)

    def seen(self, Z: Floats) -> Floats:
        """Return the features themselves."""
        return Z

    def each_bag(self, Z: Floats) -> Floats:
        """Return the prediction of each bag, (n, b); NaN for a row with a NaN."""
        bags = len(self.base)
        result = np.tile(self.base, (len(Z), 1))
        starts = np.searchsorted(self.bags, np.arange(bags))
        has_trees = np.bincount(self.bags, minlength=bags) > 0
        rows = max(1, _CELLS_AT_ONCE // max(len(self.roots), 1))
        for start in range(0, len(Z) if len(self.roots) else 0, rows):
            part = Z[start : start + rows]
            at = np.tile(self.roots, (len(part), 1))
            row = np.arange(len(part))[:, None]
            while True:
                feature = self.feature[at]
                inner = feature >= 0
                if not inner.any():
                    break
                goes_left = part[row, np.maximum(feature, 0)] <= self.threshold[at]
                at = np.where(inner, np.where(goes_left, self.left[at], self.right[at]), at)
            leaves = self.value[at]
            sums = np.add.reduceat(leaves, np.minimum(starts, leaves.shape[1] - 1), axis=1)
            result[start : start + rows] += np.where(has_trees, sums, 0.0)
        result[~np.isfinite(Z).all(axis=1)] = np.nan
        return result


def read_form(form: JsonObject, p: int) -> TreesForm:
    """Return the stored form of p features; every size, bound and way down a tree is checked."""
    nodes = form.length("feature", 0, _MOST_NODES)
    trees = form.length("roots", 0, nodes)
    bags = form.length("base", 1, 1000)
    own = np.arange(nodes)
    feature = form.places("feature", -1, p - 1, (nodes,))
    left = form.places("left", 0, nodes - 1, (nodes,))
    right = form.places("right", 0, nodes - 1, (nodes,))
    leaf = feature < 0
    # Children come after their node, so that every way down ends.
    for key, child in (("left", left), ("right", right)):
        if not (np.where(leaf, child == own, child > own)).all():
            raise form.error(key, "a later node, and of a leaf the leaf itself", "another node")
    at = form.places("roots", 0, nodes - 1, (trees,))
    result = TreesForm(
        feature=feature,
        threshold=form.array("threshold", (nodes,)),
        left=left,
        right=right,
        value=form.array("value", (nodes,)),
        roots=at,
        bags=form.places("bags", 0, bags - 1, (trees,)),
        base=form.array("base", (bags,)),
        **form.noise(),
    )
    if (np.diff(result.bags) < 0).any():
        raise form.error("bags", "rising", "numbers that fall")
    for _ in range(_MOST_DEPTH):
        at = np.unique(at[~leaf[at]])
        if not len(at):
            return result
        at = np.concatenate([left[at], right[at]])
    raise form.error("left", f"at most {_MOST_DEPTH} nodes from its root", "a deeper tree")


class Settings(NamedTuple):
    """How the trees are grown; `settings_for` chooses it by the number of rows."""

    bags: int
    trees: int
    leaves: int
    rows_in_leaf: int
    learning_rate: float
    penalty: float
    row_share: float
    column_share: float


def settings_for(n: int, p: int) -> Settings:
    """Return settings for n rows and p features.

    LightGBM's defaults (31 leaves of 20 rows) learn nothing from fewer than 40 rows. Few rows get few leaves of
    few rows, few trees and a strong penalty; with thousands of rows the settings approach the usual ones. What 512 rows
    get was chosen on two of the synthetic tables of ``bench/mixture_table.py`` that it does not report (seeds 0 and 1).

    Examples
    --------
    >>> settings_for(60, 3).leaves, settings_for(512, 17).leaves, settings_for(5000, 17).leaves
    (4, 8, 24)
    """
    few = n < 200
    return Settings(
        bags=5,
        trees=max(n * n // 900, 30) if few else min(n * n // 450, 600),
        leaves=int(np.clip(round(np.sqrt(n) / 3), 4, 31)),
        rows_in_leaf=int(np.clip(n // 200, 3, 20)),
        learning_rate=0.24 if few else 0.06,
        penalty=1.0 if few else 0.1,
        row_share=0.8,
        column_share=1.0 if p <= 3 else 0.7,
    )


def monotone_directions(features: Sequence[str]) -> tuple[int, ...]:
    """Return which way a score after RL may go with each feature: 1 where higher is better, -1 where lower is, else 0.

    Examples
    --------
    >>> monotone_directions(["pre_held_out_loss_nats", "pre_pass_at_64", "pre_length_mean"])
    (-1, 1, 0)
    """
    return tuple(column_of(name).sign for name in features)


def fit_lightgbm(
    X: Floats,
    y: Floats,
    *,
    monotone: Sequence[int] | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    **names: Unpack[Names],
) -> FittedSurrogate:
    """Fit several bags of boosted trees with LightGBM.

    Parameters
    ----------
    X : array (n, p)
    y : array (n,)
    monotone : sequence of int, optional
        -1, 0 or 1 for each feature: the way in which the prediction may go with it. By default after the features'
        names, see `monotone_directions`; only where the target is a score after RL or has no name.
    settings : Settings, optional
        `settings_for` the table by default.
    seed : int
        The same seed gives the same trees.
    features, target, feature_transforms, target_transform
        See `Names`. Transforms of features change nothing that matters.

    Returns
    -------
    FittedSurrogate
        Each bag is grown on a random 80 % of the rows. The residual variance comes from the rows that a bag has not
        seen; to it comes the spread of the bags at each candidate. Trees do not extrapolate: outside the training rows
        the prediction stays what it is at the edge, so look at the distance.

    References
    ----------
    G. Ke et al., LightGBM, NeurIPS 2017; L. Breiman, Bagging predictors, Machine Learning 24 (1996).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(200, 2))
    >>> fitted = fit_lightgbm(X, (X[:, 0] > 0.5) * 1.0)
    >>> fitted.predict([[0.25, 0.5], [0.75, 0.5]]).mean.round(1)
    array([0., 1.])
    """
    tables = training_tables(X, y, **names)
    Z, t = tables.Z, tables.t
    n, p = Z.shape
    chosen = settings or settings_for(n, p)
    if monotone is None:
        is_score = tables.target == "y" or bool(column_of(tables.target).k)
        monotone = monotone_directions(tables.features) if is_score else (0,) * p
    if len(monotone) != p or not set(monotone) <= {-1, 0, 1}:
        raise UsageError(f"monotone must be {p} numbers out of -1, 0 and 1, got {list(monotone)[:8]}")
    rng = np.random.default_rng(seed)
    # The order of the rows must not matter: bags are drawn in an order that the values give.
    order = np.lexsort((*Z.T[::-1], t))
    grown, base, outside = [], [], []
    left_out = np.full((n, chosen.bags), np.nan)
    unit = _unit(t)
    for bag in range(chosen.bags):
        inside = np.sort(order[rng.permutation(n)[: max(2, round(chosen.row_share * n))]])
        inside = inside[np.argsort(np.argsort(order)[inside])]
        level = float(t[inside].mean())
        trees = _grow(Z[inside], (t[inside] - level) / unit, monotone, chosen, seed + bag)
        grown.append(trees._replace(value=trees.value * unit))
        base.append(level)
        outside.append(np.setdiff1d(np.arange(n), inside))
    form = _joined(grown, np.array(base))
    each = form.each_bag(Z)
    for bag, rows in enumerate(outside):
        left_out[rows, bag] = each[rows, bag]
    left_out_once = np.isfinite(left_out).any(axis=1)
    count = np.isfinite(left_out[left_out_once]).sum(axis=1)
    # A row is judged by the few bags that have not seen it; their spread is more than that of all of them.
    missed = t[left_out_once] - np.nansum(left_out[left_out_once], axis=1) / count
    spread = each.var(axis=1, ddof=1) if chosen.bags > 1 else np.zeros(n)
    squared = float((missed**2).mean()) if left_out_once.any() else float(t.var())
    variance = max(squared - float(spread.mean()), 0.25 * squared, np.finfo(float).tiny)
    df = float(max(n - 1, 1))
    form = TreesForm(
        form.feature, form.threshold, form.left, form.right, form.value, form.roots, form.bags, form.base,
        variance, df, t_factor(df),
    )  # fmt: skip
    note = f"{chosen.bags} bags of {chosen.trees} trees with up to {chosen.leaves} leaves; seed {seed}"
    return assemble("lightgbm", form, tables, notes=(note,))


class _Bag(NamedTuple):
    """Nodes of the trees of one bag, one tree after another; children and roots are counted within the bag."""

    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    value: Floats
    roots: Integers


def _unit(t: Floats) -> float:
    """Return what targets are divided by before trees grow, a power of two: LightGBM holds them in single precision."""
    size = float(np.abs(t - t.mean()).max(initial=0.0))
    return 1.0 if 1e-6 <= size <= 1e6 or size == 0.0 else float(2.0 ** np.frexp(size)[1])


def _grow(Z: Floats, t: Floats, monotone: Sequence[int], settings: Settings, seed: int) -> _Bag:
    """Return the trees of one bag."""
    lightgbm = require("lightgbm")
    parameters = {
        "objective": "regression",
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.rows_in_leaf,
        "min_sum_hessian_in_leaf": 0.0,
        "learning_rate": settings.learning_rate,
        "lambda_l2": settings.penalty,
        "feature_fraction": settings.column_share,
        "max_bin": 255,
        "min_data_in_bin": 1,
        "boost_from_average": False,
        "feature_pre_filter": False,
        # Without a direction the constraints would only take time.
        **({"monotone_constraints": list(monotone)} if any(monotone) else {}),
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "seed": seed,
        "verbosity": -1,
    }
    # `lightgbm.train` does the same and then writes and reads the model once more, which takes as long as growing it.
    model = lightgbm.Booster(parameters, lightgbm.Dataset(Z, t, params=parameters, free_raw_data=True))
    for _ in range(settings.trees):
        model.update()
    return _parsed(model.model_to_string())


def _parsed(text: str) -> _Bag:
    """Return the trees of LightGBM's text form; a tree that is one leaf of nothing is left out.

    Leaves are put behind the inner nodes of their tree; LightGBM numbers leaf i as child ``-i - 1``.
    """
    fields: dict[str, list[str]] = {}
    for key, numbers in _OF_A_TREE.findall(text):
        fields.setdefault(key, []).append(numbers)

    def column(key: str, dtype: Any) -> Any:
        return np.array(" ".join(fields.get(key, ())).split(), dtype=dtype)

    leaves, value = column("num_leaves", np.int64), column("leaf_value", np.float64)
    kept = (leaves > 1) | (value[np.cumsum(leaves) - leaves] != 0.0)
    value, leaves = value[np.repeat(kept, leaves)], leaves[kept]
    inner = leaves - 1
    roots = np.cumsum(inner + leaves) - (inner + leaves)
    nodes = int((inner + leaves).sum())
    root = np.repeat(roots, inner + leaves)
    first_leaf = root + np.repeat(inner, inner + leaves)
    own = np.arange(nodes)
    is_leaf = own >= first_leaf

    def child(key: str) -> Integers:
        named = column(key, np.int64)
        at = own.copy()
        at[~is_leaf] = np.where(named < 0, first_leaf[~is_leaf] - named - 1, root[~is_leaf] + named)
        return at

    def on(mask: NDArray[np.bool_], values: Any, elsewhere: float, dtype: Any) -> Any:
        column = np.full(nodes, elsewhere, dtype=dtype)
        column[mask] = values
        return column

    return _Bag(
        feature=on(~is_leaf, column("split_feature", np.int64), -1, np.int64),
        threshold=on(~is_leaf, column("threshold", np.float64), 0.0, np.float64),
        left=child("left_child"),
        right=child("right_child"),
        value=on(is_leaf, value, 0.0, np.float64),
        roots=roots,
    )


def _joined(bags: Sequence[_Bag], base: Floats) -> TreesForm:
    sizes = np.array([len(bag.feature) for bag in bags])
    starts = np.cumsum(sizes) - sizes
    return TreesForm(
        feature=np.concatenate([bag.feature for bag in bags]),
        threshold=np.concatenate([bag.threshold for bag in bags]),
        left=np.concatenate([bag.left + start for bag, start in zip(bags, starts, strict=True)]),
        right=np.concatenate([bag.right + start for bag, start in zip(bags, starts, strict=True)]),
        value=np.concatenate([bag.value for bag in bags]),
        roots=np.concatenate([bag.roots + start for bag, start in zip(bags, starts, strict=True)]),
        bags=np.repeat(np.arange(len(bags)), [len(bag.roots) for bag in bags]),
        base=base,
        residual_variance=1.0,
        degrees_of_freedom=1.0,
        t_factor=1.0,
    )


KIND = Kind(
    fit_matrix=fit_lightgbm,
    fewest=10,
    form=TreesForm,
    read=read_form,
    seeded=True,
    slow=True,
    tried_from=12,
    raw_and_transformed=False,
)
