"""The kind that chooses among the others, by cross-validation inside the training rows."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, Unpack

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.design import design_matrix
from quagpredict.errors import CorpusError, QuagpredictError, UsageError
from quagpredict.surrogates.feature_sets import Transforms, resolve_transforms, weight_columns
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kind import FitTask, Kind
from quagpredict.surrogates.kinds import KINDS, kind_columns, kind_of, prepare
from quagpredict.surrogates.many_fits import ManyFits
from quagpredict.surrogates.training_tables import Names, training_tables

#: Folds of the inner cross-validation.
FOLDS = 5
_FEWEST = 8
_TIE = 1e-9
# Of few rows every one is left out alone; of somewhat more the folds are drawn again, for one draw decides little.
_LEFT_OUT_ONE_BY_ONE, _REPEATED = 12, 40
# An error that exceeds the mean's by less than this factor is worth an order; chosen with `bench/mixture_table.py`.
_NEARLY = 1.25


class Option(NamedTuple):
    """One surrogate that may be chosen.

    Attributes
    ----------
    fit : callable
        From training rows (array of int), and the fit of another fold or None, to the fitted surrogate.
    predict : callable
        From a fitted surrogate and rows to the predicted means.
    """

    label: str
    fit: Callable[[NDArray[np.intp], FittedSurrogate | None], FittedSurrogate]
    predict: Callable[[FittedSurrogate, NDArray[np.intp]], Floats]


def choose(task: FitTask) -> FittedSurrogate:
    """Fit the kind of surrogate whose inner cross-validation error on these rows is smallest.

    Parameters
    ----------
    task : FitTask
        Raw and log-logit transforms are both tried, whichever is named; a mapping is taken as it is.

    Returns
    -------
    FittedSurrogate
        Its name is ``auto``; its notes tell what was chosen, and the inner root mean squared errors of all.

    Raises
    ------
    CorpusError
        If there are fewer than 8 rows.

    Examples
    --------
    >>> from quagpredict.surrogates.fitting import fit_frame
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(40, seed=1).frame
    >>> fitted = fit_frame("auto", frame, frame["post_pass_at_1"].to_numpy())
    >>> fitted.name, fitted.notes[0][:6]
    ('auto', 'chose ')
    """
    y, transforms = task.y, task.transforms
    named: list[str] = []
    if len(y) < _FEWEST:
        raise CorpusError(
            f"{task.source}: {len(y)} finished candidates are too few to choose by: at least {_FEWEST} are needed"
        )
    kinds = _candidates(len(y))
    ready = prepare(task.frame, kinds, features=task.features, groups=task.groups)
    with suppress(CorpusError):  # kinds that read columns of their own need none of the named features
        named = [name for name in kind_columns("linear", ready, task.features) if name in ready.columns]
    if named:  # but what is there must be numbers, or no kind could say which is not
        design_matrix(ready, named, source=task.source)
    tried: list[tuple[str, Transforms]] = []
    for kind in kinds:
        with suppress(CorpusError):  # a kind that the table does not allow is not tried
            columns = kind_columns(kind, ready, task.features, task.groups)
            fixed = not isinstance(transforms, str) or not kind_of(kind).raw_and_transformed
            learnt = set(resolve_transforms("log-logit", (task.target, *columns), ready)) != {"identity"}
            tried += [(kind, transforms if fixed else "identity")]
            tried += [(kind, "log-logit")] if learnt and not fixed else []
    slices: dict[bytes, pl.DataFrame] = {}  # the folds are the same for every option
    options = []
    for kind, how in tried:
        with suppress(QuagpredictError):
            fits = ManyFits(replace(task, kind=kind_of(kind), frame=ready, transforms=how), slices)
            options.append(Option(f"{kind}:log-logit" if how == "log-logit" else kind, fits.fit, _predict(fits)))
    return choose_option(options, y, task.seed)


def _predict(fits: ManyFits) -> Callable[[FittedSurrogate, NDArray[np.intp]], Floats]:
    return lambda fitted, rows: fitted.predict(fits.design(fitted)[rows]).mean


def _candidates(rows: int) -> list[str]:
    """Return the kinds that are tried on so many rows, the simplest first: it wins a tie."""
    return [name for name in KINDS if (first := kind_of(name).tried_from) is not None and first <= rows]


def chosen(fitted: FittedSurrogate, transforms: Transforms) -> tuple[str, Transforms]:
    """Return the kind, and the transforms, that `choose` chose; any other surrogate's own.

    Examples
    --------
    >>> from quagpredict.surrogates.fitting import fit_frame
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(40, seed=1).frame
    >>> fitted = fit_frame("auto", frame, frame["post_pass_at_1"].to_numpy())
    >>> chosen(fitted, "identity")[0] == fitted.choice.partition(":")[0]
    True
    """
    if not fitted.choice:
        return fitted.name, transforms
    kind, _, how = fitted.choice.partition(":")
    return kind, "log-logit" if how == "log-logit" else "identity" if isinstance(transforms, str) else transforms


def choose_tables(X: Floats, y: Floats, *, seed: int = 0, **names: Unpack[Names]) -> FittedSurrogate:
    """Choose as `choose` does, among the kinds that need nothing but a matrix.

    Examples
    --------
    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> choose_tables(x, 2 * x[:, 0]).choice
    'linear'
    """
    tables = training_tables(X, y, **names)  # says what no kind could be fitted to

    def option(name: str) -> Option:
        kind = kind_of(name)
        settings: dict[str, Any] = {"seed": seed} if kind.seeded else {}
        return Option(
            name,
            lambda rows, start: kind.fit_matrix(
                X[rows], y[rows], **names, **settings, **({"start": start} if kind.searches else {})
            ),
            lambda fitted, rows: fitted.predict(X[rows]).mean,
        )

    readable = {"features", "weights"} if weight_columns(X, tables.features).any() else {"features"}
    kinds = [name for name in _candidates(len(y)) if kind_of(name).reads in readable]
    return choose_option([option(name) for name in kinds], y, seed)


def choose_option(options: Sequence[Option], y: Floats, seed: int) -> FittedSurrogate:
    """Return the option of the smallest inner error, fitted on all rows; the first of those that tie.

    Up to `_LEFT_OUT_ONE_BY_ONE` rows every row is a fold; up to `_REPEATED` rows the folds are drawn three times. An
    option that cannot be fitted on a fold is out; one whose error on some folds is already more than that of another on
    all is not fitted on the others. The mean puts nothing in order: it is chosen only where no other option of nearly
    as small an error (`_NEARLY`) puts rows that were left out in an order that goes with theirs.
    """
    n = len(y)
    alone, repeats = n <= _LEFT_OUT_ONE_BY_ONE, 3 if _LEFT_OUT_ONE_BY_ONE < n <= _REPEATED else 1
    draws = [_folds(y, n if alone else FOLDS, seed + repeat) for repeat in range(repeats)]
    parts = [folds == fold for folds in draws for fold in range(int(folds.max()) + 1)]
    errors: dict[str, float] = {}
    beyond: dict[str, float] = {}
    orders: set[str] = set()
    enough = np.inf
    for option in options:
        squares, left_out, fitted = 0.0, np.zeros(n), None
        with suppress(QuagpredictError):
            for outside in parts:
                fitted = option.fit(np.flatnonzero(~outside), fitted)
                predicted = option.predict(fitted, np.flatnonzero(outside))
                squares += float(((y[outside] - predicted) ** 2).sum()) / (n * repeats)
                left_out[outside] += predicted
                if squares > enough:  # also without any error on the folds that are left, another is better
                    beyond[option.label] = float(np.sqrt(squares))
                    break
            else:
                if np.isfinite(squares):
                    errors[option.label] = float(np.sqrt(squares))
                    orders |= {option.label} if option.label != "mean" and _rank(left_out) @ _rank(y) > 0 else set()
                    enough = _tied(errors, y) ** 2 * (
                        _NEARLY**2 if min(errors, key=errors.__getitem__) == "mean" else 1
                    )
    if not errors:
        raise UsageError("no kind of surrogate could be fitted to choose from")
    best = next(label for label, error in errors.items() if error <= _tied(errors, y))
    if best == "mean" and orders:
        ordering = {label: error for label, error in errors.items() if label in orders}
        best = next(label for label, error in ordering.items() if error <= _tied(ordering, y))
    chosen = next(option for option in options if option.label == best).fit(np.arange(n), None)
    listed = [f"{label} {errors[label]:.4g}" for label in sorted(errors, key=errors.__getitem__)]
    listed += [f"{label} over {error:.4g}" for label, error in beyond.items()]
    notes = (f"chose {best} (inner error {errors[best]:.4g}) out of {len(listed)}: {', '.join(listed)}", *chosen.notes)
    return replace(chosen, name="auto", choice=best, notes=notes)


def _tied(errors: dict[str, float], y: Floats) -> float:
    """Return up to which error the best is tied: what differs by rounding alone differs from machine to machine."""
    return min(errors.values()) * (1.0 + _TIE) + _TIE * float(np.ptp(y))


def _rank(values: Floats) -> Floats:
    """Return how many values are smaller, less the mean over all."""
    rank = (values[:, None] > values).sum(axis=1).astype(np.float64)
    return np.asarray(rank - rank.mean())


def _folds(y: Floats, count: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row; rows of equal rank are spread over the folds, whatever order they come in."""
    rank = np.argsort(np.argsort(y, kind="stable"), kind="stable")
    rng = np.random.default_rng(seed)
    blocks = [rng.permutation(count) for _ in range(-(-len(y) // count))]
    return np.concatenate(blocks)[rank].astype(np.int64)


KIND = Kind(fit_matrix=choose_tables, fit=choose, fewest=_FEWEST, seeded=True, slow=True, tried_from=None)
