"""From a corpus to a fitted surrogate."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Unpack

import numpy as np
import polars as pl

from quagpredict.arguments import check_arguments
from quagpredict.arrays import Floats
from quagpredict.corpus.reading import Source, checked_table, in_order
from quagpredict.corpus.weights import weighted
from quagpredict.errors import CorpusError
from quagpredict.files import digest
from quagpredict.surrogates.feature_sets import Transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kind import FitSettings, FitTask
from quagpredict.surrogates.kinds import asked, kind_of
from quagpredict.surrogates.training_rows import training_rows
from quagpredict.version import own_version


def fit(
    frame: "Source | Sequence[Source]",
    surrogate: str = "linear",
    features: str | Sequence[str] | None = None,
    target: str = "post_pass_at_1",
    *,
    transforms: Transforms | None = None,
    groups: str | None = None,
    split: str | None = "fit",
    seed: int = 0,
    weights: Mapping[str, float] | None = None,
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
        ``KIND``, ``KIND:FEATURES`` or ``KIND:FEATURES:TRANSFORMS``, e.g. ``mixed:both:log-logit``; KIND is one of
        `SURROGATES`.
    features : str or sequence of str, optional
        Where `surrogate` names none: ``both`` (the default), ``loss``, ``pass_at_64``, ``all-numeric``, a pattern or
        any columns, see `resolve_features`. Kinds that read columns of their own take the counts of each problem, or
        the scores along RL, whatever is named here.
    target : str
        Column to predict.
    transforms : "identity", "log-logit" or mapping of column to transform, optional
        Where `surrogate` names none. See `resolve_transforms`; the default is raw, as in the paper.
    groups : str, optional
        Column that says which rows belong together, for ``mixed``; ``base_model`` by default.
    split : str or None
        Only rows of this split are used, so that held-out candidates stay unseen; None uses all.
    seed : int
        Of kinds that draw random numbers; the same seed gives the same fit.
    weights : mapping of benchmark to float, optional
        How much each benchmark counts in every score, before and after RL; 1 where nothing is given. By default a
        benchmark counts as much as it has problems. See `quagpredict.corpus.weights.weighted`.
    source : str
        What to call the table in errors.

    Raises
    ------
    CorpusError
        If a column or value is missing (named), or there are fewer candidates than its kind bears.
    IncomparableError
        If eval protocols or RL recipes are mixed.
    UsageError
        If the surrogate or a transform is unknown.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> fitted = fit(synthetic_corpus(40, seed=1).frame)
    >>> fitted.features, fitted.training_rows
    (('pre_held_out_loss_nats', 'pre_pass_at_64'), 40)
    """
    check_arguments(fit, locals())
    kind, features, transforms = asked(surrogate, features, transforms)
    how = kind_of(kind)
    frame = in_order(checked_table(frame, source))
    frame = weighted(frame, weights, source=source) if weights else frame
    rows = training_rows(frame, target, split=split, source=source, none_will_do=how.fewest == 0)
    if len(rows.y) > 1 and np.ptp(rows.y) == 0:
        raise CorpusError(
            f"{source}: all {len(rows.y)} finished candidates have the same {target}, {rows.y[0]:g}: nothing can be "
            "learnt"
        )
    fitted = fit_frame(
        kind,
        rows.frame,
        rows.y,
        features="both" if features is None else features,
        transforms="identity" if transforms is None else transforms,
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
        weights=dict(weights or {}),
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


def fit_frame(kind: str, frame: pl.DataFrame, y: Floats, **settings: Unpack[FitSettings]) -> FittedSurrogate:
    """Fit a kind of surrogate to the rows of a table; what `fit` does once the rows are chosen.

    Parameters
    ----------
    kind : str
        One of `SURROGATES`.
    frame : polars.DataFrame
        One row a finished candidate. What is derived from nested counts is computed here unless `prepare` has done it.
    y : array (n,)
        The target of each row, finite.
    **settings
        See `FitSettings`.

    Returns
    -------
    FittedSurrogate
        Predict with `FittedSurrogate.predict_frame`.

    Raises
    ------
    CorpusError
        If a column or value is missing (named), or there are fewer rows than its kind bears.
    UsageError
        If the kind or a transform is unknown.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(40, seed=1).frame
    >>> fitted = fit_frame("ridge", frame[:20], frame["post_pass_at_1"][:20].to_numpy())
    >>> fitted.predict_frame(frame[20:]).mean.shape
    (20,)
    """
    task = FitTask(kind_of(kind), frame, y, **settings)
    return task.kind.fit(task)


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of what makes a surrogate."""
    return {"quagpredict": own_version(), "numpy": np.__version__, "python": platform.python_version()}
