"""Bags of trees as arrays of nodes: they predict with numpy alone, whatever grew them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quagpredict.surrogates.forms import JointPrediction, TransformedPrediction
from quagpredict.surrogates.json_object import JsonObject

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

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
    residual_variance, degrees_of_freedom, t_factor : float
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
