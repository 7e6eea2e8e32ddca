"""Candidates that RL has already been run for: which of them may be learnt from, and a surrogate fitted on them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.columns import pass_at, pass_at_columns
from quagpredict.errors import CorpusError
from quagpredict.ranking.applicability import Mismatch
from quagpredict.ranking.predicting import Evidence, base_models
from quagpredict.surrogates.feature_sets import resolve_features
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.fitting import fit, row_digests
from quagpredict.surrogates.hierarchical import knows_benchmarks, level_of, predicts
from quagpredict.surrogates.kinds import Asked, asked, kind_of, with_own_columns

LOSS, SFT_SCORE = "pre_held_out_loss_nats", "pre_pass_at_1"
TARGET = "post_pass_at_1"
#: Finished candidates from which on a surrogate is fitted on them.
FEWEST = 5


def finished(frame: pl.DataFrame, target: str) -> pl.Series:
    """Return which candidates have the target, booleans, (n,)."""
    if target not in frame.columns:
        return pl.repeat(False, frame.height, eager=True)
    values = frame[target].cast(pl.Float64, strict=False)
    return (values.is_not_null() & ~values.is_nan().fill_null(True)).alias("finished")


def why_not_fitted(frame: pl.DataFrame, target: str | None = None) -> str:
    """Return what a surrogate fitted on the finished candidates lacks to rank the others; empty if nothing.

    They must be of one RL recipe. Where scores by benchmark are known, one result is enough, since there is a prior;
    otherwise `FEWEST` are needed, and the others must be of base models that are among them.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": list("abcdef"), "pre_pass_at_1": 0.5, "post_pass_at_1": [0.5] * 5 + [None]})
    >>> why_not_fitted(table)
    ''
    >>> why_not_fitted(table[4:])
    "that takes 5 candidates with 'post_pass_at_1' (1 has), or the counts of two benchmarks"
    """
    target = target or TARGET
    done = finished(frame, target)
    count = int(done.sum())
    if count == frame.height:
        return "every candidate has its result already"
    by_benchmark = predicts(target) and knows_benchmarks(frame)
    if not count or (count < FEWEST and not by_benchmark):
        has = f"{count} {'has' if count == 1 else 'have'}" if count else "none has"
        instead = ", or the counts of two benchmarks" if predicts(target) else ""
        return f"that takes {FEWEST} candidates with '{target}' ({has}){instead}"
    recipes = frame.filter(done)["rl_recipe_id"].n_unique() if "rl_recipe_id" in frame.columns else 1
    if recipes > 1:
        return f"the results are of {recipes} RL recipes, and a surrogate learns from one"
    if by_benchmark:
        return ""
    if not any(name in frame.columns and frame[name].null_count() == 0 for name in (SFT_SCORE, LOSS)):
        return f"that takes {SFT_SCORE} or {LOSS} of every candidate"
    if "base_model" in frame.columns:
        new = set(base_models(frame.filter(~done))) - set(base_models(frame.filter(done)))
        if new:
            return f"no candidate of the base model {', '.join(sorted(map(str, new)))} has a result"
    return ""


def fit_finished(
    frame: pl.DataFrame,
    surrogate: str,
    features: str | Sequence[str] | None,
    target: str,
) -> FittedSurrogate:
    """Fit a surrogate, by its spec or an empty one, to the finished candidates of a table.

    Where neither names kind or features, it is ``hierarchical`` where the candidates have what its prior speaks of:
    scores by benchmark, or Pass@64 or Pass@16. Otherwise it is the mean of a line through post-SFT Pass@1, one
    through Pass@k of the largest k up to 64, and one through the held-out loss, with log-logit transforms: each
    that every finished candidate has. With fewer than `FEWEST` finished candidates it is ``effective_k``. With
    features and without a kind, least squares if there are twice as many rows as features, otherwise ridge.

    Raises
    ------
    CorpusError
        If there are too few finished candidates, or nothing to learn from.
    UsageError
        If the kind is unknown.
    """
    done = frame.filter(finished(frame, target))
    kind, features, transforms = asked(surrogate, features) if surrogate else Asked("", features, None)
    if features is None and not kind and predicts(target) and done.height and level_of(frame):
        kind = "hierarchical"
    if features is None and (kind in with_own_columns() or (not kind and 0 < done.height < FEWEST)):
        kind, features = kind or "effective_k", "both"
    if features is None:
        complete = [name for name in done.columns if name.startswith("pre_") and done[name].null_count() == 0]
        measured = done.select(complete)
        coverage = [name for name in pass_at_columns(measured) if pass_at(name) <= 64][-1:]
        features = [name for name in dict.fromkeys([SFT_SCORE, *coverage, LOSS]) if name in complete]
        kind, transforms = kind or "average", transforms or "log-logit"
        if not features:
            raise CorpusError(
                f"no surrogate can be fitted on the {done.height} finished candidates: they lack {SFT_SCORE}, "
                f"pre_pass_at_K and {LOSS}; name the features"
            )
    count = len(resolve_features(features, done, exclude=(target,)))
    kind = kind or ("linear" if done.height >= max(2 * count, count + 3) else "ridge")
    needed = kind_of(kind).fewest_rows(count)
    if done.height < needed:
        raise CorpusError(
            f"{done.height} of {frame.height} candidates have '{target}': at least {needed} are needed to fit a "
            "surrogate on them"
        )
    return fit(done, kind, features, target, transforms=transforms, split=None, source="finished candidates")


def evidence(
    frame: pl.DataFrame,
    surrogate: FittedSurrogate,
    mismatched: Sequence[Mismatch],
    rl_steps: float | None,
    fitted_on: pl.Series,
) -> tuple[Evidence | None, str]:
    """Return what the surrogate can learn from the finished candidates, and a sentence about it.

    Nothing if no candidate is finished or none is left to predict. Rows that the surrogate was `fitted_on` count with
    their score already, and correct nothing; of them alone no sentence is needed.
    """
    done = finished(frame, surrogate.target)
    if not done.any() or done.all():
        return None, ""
    score = frame[surrogate.target].cast(pl.Float64).to_numpy()
    results = np.where(done.to_numpy(), score, np.nan)
    if "rl_steps" in surrogate.features and rl_steps is not None and "rl_steps" in frame.columns:
        # A result after fewer or more steps is evidence, but not the score after these.
        results = np.where(frame["rl_steps"].cast(pl.Float64).to_numpy() == rl_steps, results, np.nan)
    rows = np.flatnonzero((done & ~fitted_on).to_numpy())
    count, counting = int(done.sum()), int(np.isfinite(results).sum())
    whole = counting == count
    if not len(rows) and whole:
        return Evidence(frame.clear(), np.zeros(0), np.full(frame.height, -1), results), ""
    sentence = f"{count} candidate{'s have' if count > 1 else ' has'} a result already"
    sentence += ", which counts as their score" if whole else f"; that of {counting} is after so many RL steps"
    if not len(rows):
        return Evidence(frame.clear(), np.zeros(0), np.full(frame.height, -1), results), sentence
    group = _beside(frame, mismatched, done.to_numpy())
    return (
        Evidence(frame[rows.tolist()], score[rows], np.concatenate([group, group[rows]]), results),
        f"{sentence}; {'they' if len(rows) == count else f'{len(rows)} of them'} correct the predictions of the others "
        "(if the surrogate was fitted on them, they count twice: pass condition=False)",
    )


def training_candidates(frame: pl.DataFrame, surrogate: FittedSurrogate) -> pl.Series:
    """Return which candidates are rows that the surrogate was fitted on, booleans (n,).

    They are recognised by the digests of the surrogate's training rows: name, features and score to the last bit.
    """
    done = finished(frame, surrogate.target)
    if not done.any() or not surrogate.row_digests:
        return pl.repeat(False, frame.height, eager=True)
    table = frame.filter(done)
    X, y = surrogate.design(table), table[surrogate.target].cast(pl.Float64).to_numpy()
    at = np.flatnonzero(np.isfinite(X).all(axis=1) & np.isfinite(y))  # no other row was fitted on
    names = table["candidate"].gather(at).to_list()
    digests = row_digests(names, surrogate.features, X[at], surrogate.target, y[at])
    seen = set(surrogate.row_digests)
    result = np.zeros(frame.height, dtype=np.bool_)
    result[np.flatnonzero(done.to_numpy())[at]] = [digest in seen for digest in digests]
    return pl.Series(result)


def _beside(frame: pl.DataFrame, mismatched: Sequence[Mismatch], done: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return a number for each group of candidates beside the training runs; -1 for those that are not.

    A base model that the surrogate was not validated on is a group; so are candidates of another RL recipe.
    """
    group = np.full(frame.height, -1)
    odd = {mismatch.kind: mismatch.rows.to_numpy() for mismatch in mismatched}
    if "unseen-base" in odd:
        names = pl.Series(base_models(frame), dtype=pl.String).fill_null("")
        bases = names.rank("dense").to_numpy().astype(np.int64)
        group[odd["unseen-base"]] = bases[odd["unseen-base"]]
    if "other-rl-recipe" in odd and odd["other-rl-recipe"][done].all():
        # Every result is of the other recipe, so the candidates that are left will be taken through it too.
        odd["other-rl-recipe"] = np.full(frame.height, True)
    for number, kind in enumerate(("other-rl-recipe", "other-protocol"), start=1):
        if kind in odd:
            group = np.where(odd[kind] & (group < 0), frame.height + number, group)
    return group.astype(np.int64)
