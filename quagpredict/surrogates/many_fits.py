"""Fits of one kind on slices of one table; what does not depend on the slice is done once."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import is_derived
from quagpredict.surrogates.feature_sets import resolve_transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kind import FitTable, FitTask, fit_features

Rows = NDArray[np.intp]


class ManyFits:
    """A task of which many slices are fitted and predicted, each as `FitTask` would alone.

    Parameters
    ----------
    task : FitTask
        All rows. What is derived from nested counts should be there (`prepare`).
    slices : dict, optional
        Slices of the table that were made, by the bytes of their rows; tasks of one table can share them.

    Raises
    ------
    CorpusError, UsageError
        As the kind's own fit on all rows, where it reads nothing but features.

    Examples
    --------
    >>> from quagpredict.surrogates.kinds import kind_of
    >>> frame = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 9.0], "y": [0.0, 2.0, 4.0, 6.0, 0.0]})
    >>> task = FitTask(kind_of("linear"), frame, frame["y"].to_numpy(), ["x"], target="y")
    >>> fits = ManyFits(task)
    >>> fits.design(fits.fit(np.arange(4))).shape
    (5, 1)
    """

    def __init__(self, task: FitTask, slices: dict[bytes, pl.DataFrame] | None = None):
        self._task = task
        self._slices = {} if slices is None else slices
        self._designs: dict[tuple[tuple[str, ...], float | None], Floats] = {}
        self._table: FitTable | None = None
        self._transforms: tuple[str, ...] = ()
        self._fewest = 0
        if task.kind.fit is fit_features and _transforms_are_fixed(task):
            self._table = task.table()
            self._transforms = resolve_transforms(self._table.transforms, self._table.columns, self._table.frame)
            self._fewest = task.kind.fewest_rows(sum(not is_derived(name) for name in self._table.columns))

    def fit(self, rows: Rows, start: FittedSurrogate | None = None) -> FittedSurrogate:
        """Fit these rows; a kind that searches starts from an earlier fit, of nearly the same rows."""
        task, table = self._task, self._table
        if table is None or len(rows) < self._fewest:  # the task itself says what is too few
            return task.kind.fit(replace(task, frame=self._slice(rows), y=task.y[rows]))
        settings = dict(table.names, feature_transforms=self._transforms)
        if task.kind.seeded:
            settings["seed"] = task.seed
        if task.kind.searches:
            settings["start"] = start
        return task.kind.fit_matrix(table.X[rows], task.y[rows], **settings)

    def design(self, fitted: FittedSurrogate) -> Floats:
        """Return the features of all rows, (n, p), as a surrogate that was fitted to some of them reads them."""
        key = (fitted.features, fitted.rl_steps)
        if key not in self._designs:
            as_table = self._table is not None and fitted.features == self._table.columns
            self._designs[key] = self._table.X if as_table and self._table else fitted.design(self._task.frame)
        return self._designs[key]

    def _slice(self, rows: Rows) -> pl.DataFrame:
        key = rows.tobytes()
        if key not in self._slices:
            self._slices[key] = self._task.frame[rows]
        return self._slices[key]


def _transforms_are_fixed(task: FitTask) -> bool:
    """Return whether every slice resolves the transforms alike: none, named ones, or counts that never vary."""
    if isinstance(task.transforms, Mapping) or task.transforms == "identity":
        return True
    counts = [f"{stage}_{count}" for stage in ("pre", "post") for count in ("samples_per_problem", "problems_count")]
    return all(task.frame[name].n_unique() == 1 for name in counts if name in task.frame.columns)
