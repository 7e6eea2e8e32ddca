"""The kind that chooses among the others, by cross-validation inside the training rows."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import CorpusError, QuagpredictError, UsageError
from quagpredict.surrogates.feature_sets import Transforms, resolve_transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.kind import FitTask, Kind
from quagpredict.surrogates.kinds import KINDS, kind_columns, kind_of, prepare

Floats = NDArray[np.float64]

#: Folds of the inner cross-validation.
FOLDS = 5
_FEWEST = 8
_TIE = 1e-9


class Option(NamedTuple):
    """One surrogate that may be chosen.

    Attributes
    ----------
    label : str
    fit : callable
        From training rows (array of int) to the fitted surrogate.
    predict : callable
        From a fitted surrogate and rows to the predicted means.
    """

    label: str
    fit: Callable[[NDArray[np.intp]], FittedSurrogate]
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
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(40, seed=1).frame
    >>> fitted = fit_frame("auto", frame, frame["post_pass_at_1"].to_numpy())
    >>> fitted.name, fitted.notes[0][:6]
    ('auto', 'chose ')
    """
    y, transforms = task.y, task.transforms
    if len(y) < _FEWEST:
        raise CorpusError(
            f"{task.source}: {len(y)} finished candidates are too few to choose by: at least {_FEWEST} are needed"
        )
    kinds = _candidates(len(y))
    ready = prepare(task.frame, kinds, features=task.features, groups=task.groups)
    tried: list[tuple[str, Transforms]] = []
    for kind in kinds:
        with suppress(CorpusError):  # a kind that the table does not allow is not tried
            columns = kind_columns(kind, ready, task.features, task.groups)
            fixed = not isinstance(transforms, str) or not kind_of(kind).raw_and_transformed
            learnt = set(resolve_transforms("log-logit", (task.target, *columns), ready)) != {"identity"}
            tried += [(kind, transforms if fixed else "identity")]
            tried += [(kind, "log-logit")] if learnt and not fixed else []
    made: dict[tuple[str, ...], Floats] = {}
    slices: dict[bytes, pl.DataFrame] = {}  # the folds are the same for every option

    def at(rows: NDArray[np.intp]) -> pl.DataFrame:
        key = rows.tobytes()
        if key not in slices:
            slices[key] = ready[rows]
        return slices[key]

    def predicted(fitted: FittedSurrogate, rows: NDArray[np.intp]) -> Floats:
        if fitted.features not in made:
            made[fitted.features] = fitted.design(ready)
        return fitted.predict(made[fitted.features][rows]).mean

    def option(kind: str, how: Transforms) -> Option:
        return Option(
            f"{kind}:log-logit" if how == "log-logit" else kind,
            lambda rows: fit_frame(
                kind, at(rows), y[rows], features=task.features, transforms=how, target=task.target,
                groups=task.groups, seed=task.seed, source=task.source,
            ),
            predicted,
        )  # fmt: skip

    return choose_option([option(kind, how) for kind, how in tried], y, task.seed)


def _candidates(rows: int) -> list[str]:
    """Return the kinds that are tried on so many rows, the simplest first: it wins a tie."""
    return [name for name in KINDS if (first := kind_of(name).tried_from) is not None and first <= rows]


def chosen(fitted: FittedSurrogate, transforms: Transforms) -> tuple[str, Transforms]:
    """Return the kind, and the transforms, that `choose` chose; any other surrogate's own.

    Examples
    --------
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


def choose_tables(
    X: Floats,
    y: Floats,
    *,
    seed: int = 0,
    features: Sequence[str] | None = None,
    target: str = "y",
    feature_transforms: str | Sequence[str] = "identity",
    target_transform: str = "identity",
) -> FittedSurrogate:
    """Choose as `choose` does, among the kinds that need nothing but a matrix.

    Examples
    --------
    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> choose_tables(x, 2 * x[:, 0]).choice
    'linear'
    """

    def option(name: str) -> Option:
        kind = kind_of(name)
        settings = {"seed": seed} if kind.seeded else {}
        return Option(
            name,
            lambda rows: kind.fit_matrix(
                X[rows], y[rows], features=features, target=target, feature_transforms=feature_transforms,
                target_transform=target_transform, **settings,
            ),
            lambda fitted, rows: fitted.predict(X[rows]).mean,
        )  # fmt: skip

    kinds = [name for name in _candidates(len(y)) if kind_of(name).reads == "features"]
    return choose_option([option(name) for name in kinds], y, seed)


def choose_option(options: Sequence[Option], y: Floats, seed: int) -> FittedSurrogate:
    """Return the option of the smallest inner error, fitted on all rows; the first of those that tie.

    On few rows every row is a fold.

    An option that cannot be fitted on a fold is out.
    """
    n = len(y)
    folds = _folds(y, min(FOLDS, n) if n > 12 else n, seed)
    errors: dict[str, float] = {}
    for option in options:
        missed = np.full(n, np.inf)
        with suppress(QuagpredictError):
            for fold in range(int(folds.max()) + 1):
                inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
                missed[outside] = (y[outside] - option.predict(option.fit(inside), outside)) ** 2
        error = float(np.sqrt(missed.mean()))
        if np.isfinite(error):
            errors[option.label] = error
    if not errors:
        raise UsageError("no kind of surrogate could be fitted to choose from")
    # Errors that differ by rounding alone are a tie, and which way they differ depends on the machine.
    tie = min(errors.values()) * (1.0 + _TIE) + _TIE * float(np.ptp(y))
    best = next(label for label, error in errors.items() if error <= tie)
    chosen = next(option for option in options if option.label == best).fit(np.arange(n))
    order = sorted(errors, key=lambda label: errors[label])
    told = ", ".join(f"{label} {errors[label]:.4g}" for label in order)
    notes = (f"chose {best} (inner error {errors[best]:.4g}) out of {len(errors)}: {told}", *chosen.notes)
    return replace(chosen, name="auto", choice=best, notes=notes)


def _folds(y: Floats, count: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row; rows of equal rank are spread over the folds, whatever order they come in."""
    rank = np.argsort(np.argsort(y, kind="stable"), kind="stable")
    rng = np.random.default_rng(seed)
    blocks = [rng.permutation(count) for _ in range(-(-len(y) // count))]
    return np.concatenate(blocks)[rank].astype(np.int64)


KIND = Kind(fit_matrix=choose_tables, fit=choose, fewest=_FEWEST, seeded=True, slow=True, tried_from=None)
