"""From a corpus to a fitted surrogate."""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.derived import with_derived
from quagpredict.corpus.design import design_matrix
from quagpredict.corpus.reading import Source, read_corpus
from quagpredict.errors import CorpusError, UsageError
from quagpredict.files import digest
from quagpredict.surrogates.averaging import fit_average
from quagpredict.surrogates.feature_sets import Transforms, resolve_features, resolve_transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.least_squares import fit_linear, fit_mean
from quagpredict.surrogates.shrinkage import fit_bayesian_ridge, fit_ridge
from quagpredict.surrogates.training_rows import feature_table, training_rows

#: Kinds of surrogates that `fit` knows.
SURROGATES = ("average", "bayesian_ridge", "linear", "mean", "ridge")

#: Kinds that read columns of their own, whatever features are named.
OWN_COLUMNS: tuple[str, ...] = ()


def fit(
    frame: "Source | Sequence[Source]",
    surrogate: str = "linear",
    features: str | Sequence[str] = "both",
    target: str = "post_pass_at_1",
    *,
    transforms: Transforms = "identity",
    groups: str | None = None,
    split: str | None = "fit",
    seed: int = 0,
    source: str = "corpus",
) -> FittedSurrogate:
    """Fit a surrogate to the finished runs of a corpus.

    Rows without target are left out and counted in `FittedSurrogate.dropped_rows`. Runs of one candidate with several
    RL seeds are averaged into one row.

    Parameters
    ----------
    frame : polars.DataFrame, or what `read_corpus` reads
        One row a run.
    surrogate : str
        One of `SURROGATES`.
    features : str or sequence of str
        ``loss``, ``pass_at_64``, ``both`` or any columns, see `resolve_features`.
    target : str
        Column to predict.
    transforms : "identity", "in-fold" or mapping of column to transform
        See `resolve_transforms`; the default is raw, as in the paper.
    groups : str, optional
        Column that says which rows belong together, for kinds that use it; ``base_model`` by default.
    split : str or None
        Only rows of this split are used, so that held-out candidates stay unseen; None uses all.
    seed : int
        Of kinds that draw random numbers; the same seed gives the same fit.
    source : str
        What to call the table in errors.

    Raises
    ------
    CorpusError
        If a column or value is missing (named), or there are fewer candidates than `fewest_rows` says.
    IncomparableError
        If eval protocols or RL recipes are mixed.
    UsageError
        If the surrogate or a transform is unknown.

    Examples
    --------
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> fitted = fit(synthetic_corpus(40, seed=1).frame)
    >>> fitted.features, fitted.training_rows
    (('pre_held_out_loss_nats', 'pre_pass_at_64'), 40)
    """
    check_kind(surrogate)
    if not isinstance(frame, pl.DataFrame):
        frame = read_corpus(frame)
    rows = training_rows(frame, target, split=split, source=source)
    columns = kind_columns(surrogate, rows.frame, features, groups)
    prepared = with_derived(rows.frame, columns, source=source)
    X = feature_table(replace(rows, frame=prepared), columns, target, source)
    fitted = fit_frame(
        surrogate,
        prepared,
        rows.y,
        features=features,
        transforms=transforms,
        target=target,
        groups=groups,
        seed=seed,
        source=source,
    )
    bases = rows.frame["base_model"].drop_nulls().unique().to_list() if "base_model" in rows.frame.columns else []
    return replace(
        fitted,
        eval_protocol_id=rows.eval_protocol_id,
        rl_recipe_id=rows.rl_recipe_id,
        base_models=tuple(sorted(map(str, bases))),
        dropped_rows=rows.dropped_rows,
        corpus_digest=digest([rows.frame["candidate"].to_list(), columns, X.tolist(), target, rows.y.tolist()]),
        versions=library_versions(),
    )


def fit_frame(
    kind: str,
    frame: pl.DataFrame,
    y: NDArray[np.float64],
    *,
    features: str | Sequence[str] = "both",
    transforms: Transforms = "identity",
    target: str = "post_pass_at_1",
    groups: str | None = None,
    seed: int = 0,
    source: str = "corpus",
) -> FittedSurrogate:
    """Fit a kind of surrogate to the rows of a table; what `fit` does once the rows are chosen.

    Parameters
    ----------
    kind : str
        One of `SURROGATES`.
    frame : polars.DataFrame
        One row a finished candidate. What is derived from nested counts is computed here unless `prepare` has done it.
    y : array (n,)
        The target of each row, finite.
    features : str or sequence of str
        As for `fit`; a kind that reads columns of its own (`OWN_COLUMNS`) takes those instead.
    transforms : "identity", "in-fold" or mapping
        What "in-fold" needs to know is learnt from these rows alone.
    target, groups, seed, source
        As for `fit`.

    Returns
    -------
    FittedSurrogate
        Predict with `FittedSurrogate.predict_frame`.

    Raises
    ------
    CorpusError
        If a column or value is missing (named), or there are fewer rows than `fewest_rows` says.
    UsageError
        If the kind or a transform is unknown.

    Examples
    --------
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(40, seed=1).frame
    >>> fitted = fit_frame("ridge", frame[:20], frame["post_pass_at_1"][:20].to_numpy())
    >>> fitted.predict_frame(frame[20:]).mean.shape
    (20,)
    """
    check_kind(kind)
    del seed  # no kind draws random numbers yet
    columns = kind_columns(kind, frame, features, groups)
    needed = fewest_rows(kind, len(columns))
    if len(y) < needed:
        raise CorpusError(
            f"{source}: {len(y)} finished candidates are too few for {len(columns)} features ({', '.join(columns)}): "
            f"at least {needed} are needed; finish more runs or use fewer features"
        )
    X = design_matrix(with_derived(frame, columns, source=source), columns, source=source).X
    if isinstance(transforms, Mapping):
        of_target = transforms.get(target, "identity")
        transforms = {column: name for column, name in transforms.items() if column != target}
    else:
        (of_target,) = resolve_transforms(transforms, [target], frame)
    return fit_tables(
        kind,
        X,
        y,
        features=columns,
        target=target,
        feature_transforms=resolve_transforms(transforms, columns, frame),
        target_transform=of_target,
    )


def kind_columns(
    kind: str, frame: pl.DataFrame, features: str | Sequence[str] = "both", groups: str | None = None
) -> tuple[str, ...]:
    """Return the columns, some of them derived, that a kind of surrogate reads from this table."""
    del kind, groups  # no kind has columns of its own yet
    return resolve_features(features, frame)


def prepare(
    frame: pl.DataFrame,
    kinds: Sequence[str] = SURROGATES,
    *,
    features: str | Sequence[str] = "both",
    groups: str | None = None,
) -> pl.DataFrame:
    """Return the table with everything derived that these kinds read, and without its nested columns.

    Fitting many times on slices of a table is fast after this. Kinds that the table does not allow are passed over.

    Examples
    --------
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> prepared = prepare(synthetic_corpus(6, seed=1).frame)
    >>> "pre_problems" in prepared.columns
    False
    """
    names: dict[str, None] = {}
    for kind in kinds:
        with suppress(CorpusError):
            names |= dict.fromkeys(kind_columns(kind, frame, features, groups))
    return with_derived(frame, list(names), drop_nested=True)


def check_kind(surrogate: str) -> None:
    """Refuse a kind of surrogate that `fit` does not know."""
    if surrogate not in SURROGATES:
        raise UsageError(f"unknown surrogate '{surrogate}': expected one of {', '.join(SURROGATES)}")


def fewest_rows(surrogate: str, features: int) -> int:
    """Return how many candidates a fit needs: two degrees of freedom for its residual variance.

    Examples
    --------
    >>> fewest_rows("linear", 2), fewest_rows("ridge", 2), fewest_rows("mean", 2)
    (5, 4, 3)
    """
    return 3 + {"linear": features, "mean": 0}.get(surrogate, 1)


def fit_tables(surrogate: str, X: NDArray[np.float64], y: NDArray[np.float64], **settings: Any) -> FittedSurrogate:
    """Fit a kind of surrogate to features X (n, p) and target y (n,); `settings` are those of `fit_linear`."""
    check_kind(surrogate)
    match surrogate:
        case "average":
            return fit_average(X, y, **settings)
        case "bayesian_ridge":
            return fit_bayesian_ridge(X, y, **settings)
        case "linear":
            return fit_linear(X, y, **settings)
        case "mean":
            return fit_mean(X, y, **settings)
        case "ridge":
            return fit_ridge(X, y, **settings)
    raise AssertionError(f"'{surrogate}' has passed check_kind")


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of what makes a surrogate."""
    return {"quagpredict": version("quagpredict"), "numpy": np.__version__, "python": platform.python_version()}
