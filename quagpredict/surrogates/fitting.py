"""From a corpus to a fitted surrogate."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.derived import curve_k, with_derived
from quagpredict.corpus.design import design_matrix
from quagpredict.corpus.reading import Source, checked_table
from quagpredict.errors import CorpusError, UsageError
from quagpredict.files import digest
from quagpredict.surrogates.averaging import fit_average
from quagpredict.surrogates.boosted_trees import fit_lightgbm
from quagpredict.surrogates.effective_samples import fit_effective_k
from quagpredict.surrogates.feature_sets import Transforms, resolve_features, resolve_transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kinds import OWN_COLUMNS as OWN_COLUMNS
from quagpredict.surrogates.kinds import SURROGATES as SURROGATES
from quagpredict.surrogates.kinds import bins, check_kind, kind_columns, plain
from quagpredict.surrogates.kinds import fewest_rows as fewest_rows
from quagpredict.surrogates.kinds import prepare as prepare
from quagpredict.surrogates.least_squares import fit_linear, fit_mean
from quagpredict.surrogates.pooling import fit_mixed
from quagpredict.surrogates.processes import fit_gaussian_process
from quagpredict.surrogates.rl_points import rl_points
from quagpredict.surrogates.saturating import fit_budget
from quagpredict.surrogates.sharpened import fit_sharpening
from quagpredict.surrogates.shrinkage import fit_bayesian_ridge, fit_ridge
from quagpredict.surrogates.training_rows import training_rows
from quagpredict.version import own_version

Floats = NDArray[np.float64]


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
        ``loss``, ``pass_at_64``, ``both``, ``all-numeric``, a pattern or any columns, see `resolve_features`. Kinds in
        `OWN_COLUMNS` read the counts of each problem, or the scores along RL, whatever is named here.
    target : str
        Column to predict.
    transforms : "identity", "in-fold" or mapping of column to transform
        See `resolve_transforms`; the default is raw, as in the paper.
    groups : str, optional
        Column that says which rows belong together, for ``mixed``; ``base_model`` by default.
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
    frame = checked_table(frame, source)
    rows = training_rows(frame, target, split=split, source=source)
    if len(rows.y) > 1 and np.ptp(rows.y) == 0:
        raise CorpusError(
            f"{source}: all {len(rows.y)} finished candidates have the same {target}, {rows.y[0]:g}: nothing can be "
            "learnt"
        )
    fitted = fit_frame(
        surrogate,
        rows.frame,
        rows.y,
        features=features,
        transforms=transforms,
        target=target,
        groups=groups,
        seed=seed,
        source=source,
    )
    X = fitted.design(rows.frame, source=source)
    bases = rows.frame["base_model"].drop_nulls().unique().to_list() if "base_model" in rows.frame.columns else []
    return replace(
        fitted,
        eval_protocol_id=rows.eval_protocol_id,
        rl_recipe_id=rows.rl_recipe_id,
        base_models=tuple(sorted(map(str, bases))),
        dropped_rows=rows.dropped_rows,
        **digests(rows.frame["candidate"].to_list(), fitted.features, X, target, rows.y),
        versions=library_versions(),
    )


def digests(candidates: Sequence[str], features: Sequence[str], X: Floats, target: str, y: Floats) -> dict[str, Any]:
    """Return what tells training rows again: a digest of each, and one of them all, whatever their order.

    Examples
    --------
    >>> made = digests(["a", "b"], ["x"], np.array([[1.0], [2.0]]), "y", np.array([0.1, 0.2]))
    >>> len(made["row_digests"]), len(made["corpus_digest"])
    (2, 16)
    """
    each = tuple(sorted(row_digests(candidates, features, X, target, y)))
    return {"row_digests": each, "corpus_digest": digest(each)}


def row_digests(candidates: Sequence[str], features: Sequence[str], X: Floats, target: str, y: Floats) -> list[str]:
    """Return a digest of the name, features and target of each row; all numbers must be finite.

    Examples
    --------
    >>> len(row_digests(["a"], ["x"], np.array([[1.0]]), "y", np.array([0.1]))[0])
    16
    """
    rows = zip(candidates, X.tolist(), y.tolist(), strict=True)
    return [digest([features, target, *row]) for row in rows]


def fit_frame(
    kind: str,
    frame: pl.DataFrame,
    y: Floats,
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
        What "in-fold" needs to know is learnt from these rows alone. ``effective_k`` and ``sharpening`` apply the
        target's transform to what they model; ``budget`` always takes logits.
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
    if kind == "auto":
        from quagpredict.surrogates.choosing import choose  # which fits the other kinds through this module

        return choose(frame, y, features, transforms, target, groups, seed, source)
    if kind not in OWN_COLUMNS:
        features = resolve_features(features, frame, exclude=(target, groups or ""))
    columns = kind_columns(kind, frame, features, groups)
    if target in columns:
        raise UsageError(f"'{target}' is the target and cannot be a feature too")
    needed = fewest_rows(kind, plain(columns))
    if len(y) < needed:
        raise CorpusError(
            f"{source}: {len(y)} finished candidates are too few for {plain(columns) or len(columns)} features "
            f"({_shown(columns)}): at least {needed} are needed; finish more runs or use fewer features"
        )
    frame = with_derived(frame, columns, source=source)
    X = design_matrix(frame, columns, source=source).X
    if isinstance(transforms, Mapping):
        of_target = transforms.get(target, "identity")
        transforms = {column: name for column, name in transforms.items() if column != target}
    else:
        (of_target,) = resolve_transforms(transforms, [target], frame)
    settings: dict[str, Any] = {"features": columns, "target": target, "target_transform": of_target}
    match kind:
        case "effective_k":
            return fit_effective_k(
                X, y, ks=[curve_k(name) for name in columns], feature_transforms=of_target, **settings
            )
        case "sharpening":
            return fit_sharpening(X, y, logits=bins(), **settings)
        case "budget":
            points = rl_points(frame, y, target=target, source=source)
            names = (target, *columns)
            settings["target_transform"], *of_features = resolve_transforms("in-fold", names, frame)
            at_points = np.column_stack([X[points.row, :-1], points.step])
            return fit_budget(at_points, points.score, groups=points.row, feature_transforms=of_features, **settings)
    settings["feature_transforms"] = resolve_transforms(transforms, columns, frame)
    if kind == "mixed":
        settings["groups"] = len(columns) - plain(columns)
    if kind == "lightgbm":
        settings["seed"] = seed
    return fit_tables(kind, X, y, **settings)


def fit_tables(surrogate: str, X: Floats, y: Floats, **settings: Any) -> FittedSurrogate:
    """Fit a kind of surrogate to features X (n, p) and target y (n,); `settings` are those of its fit function."""
    check_kind(surrogate)
    match surrogate:
        case "average":
            return fit_average(X, y, **settings)
        case "bayesian_ridge":
            return fit_bayesian_ridge(X, y, **settings)
        case "budget":
            return fit_budget(X, y, **settings)
        case "effective_k":
            return fit_effective_k(X, y, **settings)
        case "gaussian_process":
            return fit_gaussian_process(X, y, **settings)
        case "lightgbm":
            return fit_lightgbm(X, y, **settings)
        case "linear":
            return fit_linear(X, y, **settings)
        case "mean":
            return fit_mean(X, y, **settings)
        case "mixed":
            return fit_mixed(X, y, **settings)
        case "ridge":
            return fit_ridge(X, y, **settings)
        case "sharpening":
            return fit_sharpening(X, y, **settings)
    raise UsageError(f"'{surrogate}' chooses among kinds by their names: use fit_frame")


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of what makes a surrogate."""
    return {"quagpredict": own_version(), "numpy": np.__version__, "python": platform.python_version()}


def _shown(columns: Sequence[str]) -> str:
    return ", ".join(columns) if len(columns) <= 6 else f"{', '.join(columns[:3])}, ... {columns[-1]}"
