"""Matched comparisons: recipes of one base model that differ in one respect, everything else equal."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.schema import BY_NAME

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

#: What the schema knows of a recipe; any other column ``recipe_*`` is compared too.
KIND, UNIQUE, EPOCHS = "recipe_data_kind", "recipe_unique_examples", "recipe_epochs"
PLANNED = "recipe_planned_epochs"
#: Epochs of the SFT run that a candidate is a checkpoint from the middle of; 0 for the end of a run.
CHECKPOINT_OF = "recipe_checkpoint_of"
_NO_FACTOR = ("recipe_id", "recipe_seed", "recipe_scenario", "recipe_examples_seen")


class Cells(NamedTuple):
    """Recipes of each base model; SFT seeds of one recipe are one cell.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a cell: ``base_model`` and the factors; ``sft`` is false for RL from the base.
    factors : tuple of str
    weights : array (cells, candidates)
        Share of each candidate in each cell.
    """

    frame: pl.DataFrame
    factors: tuple[str, ...]
    weights: Floats


class Comparison(NamedTuple):
    """One respect in which recipes differ, over all matched pairs.

    Attributes
    ----------
    factor : str
        ``epochs``, ``unique examples``, ``data kind``, ``repeated data``, ``checkpoint``, ``SFT``, ...
    first, second : str
        What the first and second member of each pair have.
    weights : array (2, pairs, candidates)
        Share of each candidate in each member.
    bases : tuple of str
        Base model of each pair.
    kinds : tuple of str
        Kind of data of each pair; empty where the two differ in it or it is not known.
    """

    factor: str
    first: str
    second: str
    weights: Floats
    bases: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def clusters(self) -> tuple[str, ...]:
        """Base model and kind of data of each pair: pairs that share both are not independent."""
        return tuple(f"{base}\0{kind}" for base, kind in zip(self.bases, self.kinds, strict=True))


def recipe_cells(candidates: pl.DataFrame) -> Cells:
    """Group candidates that have the same recipe but for the seed.

    Columns that the data kind decides (the share of noise of a noisy kind, say) are left out of the factors: nothing
    could be matched otherwise. So is the planned number of epochs, which is that of the epochs unless the candidate is
    a checkpoint from the middle of its SFT run.

    Examples
    --------
    >>> table = pl.DataFrame({"base_model": ["b"] * 3, "recipe_data_kind": ["x", "x", "y"], "recipe_epochs": [1, 1, 1],
    ...     "recipe_seed": [0, 1, 0]})
    >>> recipe_cells(table).weights
    array([[0.5, 0.5, 0. ],
           [0. , 0. , 1. ]])
    """
    candidates = _with_checkpoints(candidates)
    position = {name: index for index, name in enumerate(BY_NAME)}
    names = [
        name
        for name in sorted(candidates.columns, key=lambda column: (position.get(column, len(position)), column))
        if name.startswith("recipe_") and name not in _NO_FACTOR and candidates[name].null_count() < candidates.height
    ]
    if KIND in names:
        loose = [name for name in names if name not in (KIND, UNIQUE, EPOCHS)]
        most = candidates.group_by(KIND).agg(pl.col(loose).n_unique()) if loose else candidates
        decided = [name for name in loose if most[name].max() == 1]
        # A column with one value everywhere is no factor either; dropping it changes nothing.
        names = [name for name in names if name not in decided]
    base = pl.col("base_model").fill_null("") if "base_model" in candidates.columns else pl.lit("")
    keyed = candidates.select(base.alias("base_model"), *names, sft=_has_sft(candidates))
    cells = keyed.unique(maintain_order=True).with_row_index("cell")
    of = keyed.join(cells, on=keyed.columns, how="left", nulls_equal=True, maintain_order="left")["cell"].to_numpy()
    weights = np.zeros((cells.height, candidates.height))
    weights[of, np.arange(candidates.height)] = 1.0
    return Cells(cells.drop("cell"), tuple(names), weights / weights.sum(axis=1, keepdims=True))


def comparisons(cells: Cells) -> Iterator[Comparison]:
    """Yield every comparison that the recipes allow.

    - For each factor, cells that are equal in all others: one comparison for each pair of values, the larger number
      first; for ``epochs`` also the most against the fewest, whatever they are.
    - ``repeated data``, at equal budget: the same data kind, other settings and examples seen; the second has the most
      unique examples of them, the first a share of these and the more epochs (all unique x 1 against half x 2).
    - ``checkpoint``: an SFT run against a checkpoint from its middle.
    - ``SFT``: the mean over all recipes of a data kind (and over all recipes) against RL from the same base.
    """
    frame = cells.frame.with_row_index("cell")
    trained = frame.filter("sft")
    for factor in cells.factors:
        yield from _by_value(trained, cells, factor, _others(cells, factor))
    if EPOCHS in cells.factors:
        yield from _most_epochs(trained, cells, _others(cells, EPOCHS))
    if {UNIQUE, EPOCHS} <= set(cells.factors):
        yield from _at_equal_budget(trained, cells, _others(cells, UNIQUE, EPOCHS))
    if {EPOCHS, CHECKPOINT_OF} <= set(cells.factors):
        yield from _with_the_end(trained, cells, _others(cells, EPOCHS, CHECKPOINT_OF))
    yield from _against_no_sft(frame, cells)


def _by_value(trained: pl.DataFrame, cells: Cells, factor: str, others: list[str]) -> Iterator[Comparison]:
    pairs: dict[tuple[Any, Any], list[tuple[int, int, str]]] = {}
    for _, line in trained.group_by(others, maintain_order=True):
        values = line.filter(pl.col(factor).is_not_null()).sort(factor, descending=True)
        for a, b in combinations(values.select("cell", factor, "base_model").rows(), 2):
            pairs.setdefault((a[1], b[1]), []).append((a[0], b[0], a[2]))
    # One pair of values is one comparison, so no cell is in it twice.
    for (first, second), pair_list in sorted(pairs.items(), key=lambda item: str(item[0])):
        yield _comparison(factor_name(factor), _text(first), _text(second), pair_list, cells)


def _most_epochs(trained: pl.DataFrame, cells: Cells, others: list[str]) -> Iterator[Comparison]:
    """Compare runs that ended after the most and after the fewest epochs; checkpoints are no runs of their own."""
    comparisons_of = []
    ended = trained.filter(pl.col(CHECKPOINT_OF) == 0) if CHECKPOINT_OF in cells.factors else trained
    for _, line in ended.group_by(others, maintain_order=True):
        rows = line.drop_nulls(EPOCHS).sort(EPOCHS).select("cell", EPOCHS, "base_model").rows()
        if rows and rows[-1][1] > rows[0][1]:
            comparisons_of.append((rows[-1][0], rows[0][0], rows[0][2]))
    if comparisons_of:
        yield _comparison("epochs", "the most", "the fewest", comparisons_of, cells)


def _at_equal_budget(trained: pl.DataFrame, cells: Cells, others: list[str]) -> Iterator[Comparison]:
    pairs: dict[tuple[float, float], list[tuple[int, int, str]]] = {}
    budgets = trained.with_columns(budget=(pl.col(UNIQUE) * pl.col(EPOCHS)).round(6)).filter(pl.col("budget") > 0)
    for _, line in budgets.group_by([*others, "budget"], maintain_order=True):
        *repeated, most = line.sort(UNIQUE).select("cell", UNIQUE, EPOCHS, "base_model").rows()
        for cell, unique, _, base in repeated:
            if unique < most[1]:
                pairs.setdefault((round(most[1] / unique, 3), most[2]), []).append((cell, most[0], base))
    for (ratio, epochs), pair_list in sorted(pairs.items()):
        first = f"1/{ratio:g} x {ratio * epochs:g} epochs"
        yield _comparison("repeated data", first, f"all x {epochs:g}", pair_list, cells)


def _with_the_end(trained: pl.DataFrame, cells: Cells, others: list[str]) -> Iterator[Comparison]:
    """Compare the end of SFT runs with checkpoints of the same runs, by how far these had come."""
    pairs: dict[float, list[tuple[int, int, str]]] = {}
    planned = pl.when(pl.col(CHECKPOINT_OF) > 0).then(CHECKPOINT_OF).otherwise(EPOCHS)
    for _, line in trained.group_by([*others, planned.alias("planned")], maintain_order=True):
        whole = line.filter(pl.col(CHECKPOINT_OF) == 0)["cell"].to_list()
        for cell, epochs, of, base in line.select("cell", EPOCHS, CHECKPOINT_OF, "base_model").rows():
            if of and epochs and whole:
                pairs.setdefault(round(of / epochs, 3), []).append((whole[0], cell, base))
    for ratio, pair_list in sorted(pairs.items()):
        yield _comparison("checkpoint", "the whole SFT run", f"1/{ratio:g} of it", pair_list, cells)


def _against_no_sft(frame: pl.DataFrame, cells: Cells) -> Iterator[Comparison]:
    members: dict[str, list[tuple[Floats, Floats, str]]] = {}
    for (base,), rows in frame.group_by(["base_model"], maintain_order=True):
        without = rows.filter(~pl.col("sft"))["cell"].to_numpy()
        trained = rows.filter("sft")
        if not len(without) or not trained.height:
            continue
        kinds = [("any SFT", trained)]
        if KIND in cells.factors:
            kinds += [(f"SFT on {kind}", part) for (kind,), part in trained.group_by([KIND], maintain_order=True)]
        for name, part in kinds:
            # The mean over recipes is one member: they all share the score of the base.
            both = (cells.weights[part["cell"].to_numpy()].mean(axis=0), cells.weights[without].mean(axis=0))
            members.setdefault(name, []).append((*both, str(base)))
    for name, pair_list in members.items():
        weights = np.stack([[a for a, _, _ in pair_list], [b for _, b, _ in pair_list]])
        bases = tuple(base for _, _, base in pair_list)
        yield Comparison("SFT", name, "RL from the base", weights, bases, ("",) * len(bases))


def _others(cells: Cells, *factors: str) -> list[str]:
    return ["base_model", *(name for name in cells.factors if name not in factors)]


def _comparison(
    factor: str, first: str, second: str, pairs: Sequence[tuple[int, int, str]], cells: Cells
) -> Comparison:
    rows = np.array([(a, b) for a, b, _ in pairs], dtype=np.intp).T
    kinds = cells.frame[KIND].fill_null("").to_list() if KIND in cells.factors else [""] * cells.frame.height
    both = ((kinds[a], kinds[b]) for a, b, _ in pairs)
    shared = tuple(str(a) if a == b else "" for a, b in both)
    return Comparison(factor, first, second, cells.weights[rows], tuple(base for _, _, base in pairs), shared)


def differing(cells: Cells, first: Indices, second: Indices) -> list[str]:
    """Return, for each pair of cells, the factors in which they differ, joined by ``, ``; ``SFT`` against none.

    Examples
    --------
    >>> table = pl.DataFrame({"recipe_data_kind": ["x", "y"], "recipe_epochs": [1, 2]})
    >>> differing(recipe_cells(table), np.array([0, 0]), np.array([1, 0]))
    ['data kind, epochs', 'seed']
    """
    mask = np.zeros(len(first), dtype=np.int64)
    for bit, name in enumerate(cells.factors[:62]):
        codes = cells.frame[name].rank("dense").fill_null(0).to_numpy()
        mask |= (codes[first] != codes[second]).astype(np.int64) << bit
    sft = cells.frame["sft"].to_numpy()
    mask[sft[first] != sft[second]] = -1
    texts = {-1: "SFT", 0: "seed"}
    for value in np.unique(mask[mask > 0]):
        names = (factor_name(name) for bit, name in enumerate(cells.factors[:62]) if value >> bit & 1)
        texts[int(value)] = ", ".join(names)
    return [texts[int(value)] for value in mask]


def factor_name(column: str) -> str:
    """Return how a factor is called.

    Examples
    --------
    >>> factor_name("recipe_unique_examples")
    'unique examples'
    """
    return column.removeprefix("recipe_").replace("_", " ")


def _has_sft(candidates: pl.DataFrame) -> pl.Expr:
    """Return whether each candidate was fine-tuned: it is not, if its scenario or its number of examples says so."""
    no = pl.lit(False)
    if "recipe_scenario" in candidates.columns:
        no = no | (pl.col("recipe_scenario") == "no-sft").fill_null(False)
    if UNIQUE in candidates.columns:
        no = no | (pl.col(UNIQUE) == 0).fill_null(False)
    return ~no


def _with_checkpoints(candidates: pl.DataFrame) -> pl.DataFrame:
    """Put `CHECKPOINT_OF` in the place of the planned epochs."""
    if PLANNED not in candidates.columns:
        return candidates
    if EPOCHS not in candidates.columns:
        return candidates.drop(PLANNED)
    early = (pl.col(EPOCHS) < pl.col(PLANNED)).fill_null(False)
    of = pl.when(early).then(PLANNED).otherwise(0.0).alias(CHECKPOINT_OF)
    return candidates.with_columns(of).drop(PLANNED)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
