"""Rank candidates by a fitted surrogate, or by the paper's screening without one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from quagpredict.corpus import design_matrix, read_corpus
from quagpredict.corpus.schema import BY_NAME
from quagpredict.errors import IncomparableError, NothingToRankError, UsageError
from quagpredict.ranking.applicability import mismatches
from quagpredict.ranking.decisions import chances
from quagpredict.ranking.flags import measurement_flags, prediction_flags
from quagpredict.ranking.outcome import check_one_rl_recipe, one_row_each, outcome, with_truth
from quagpredict.ranking.result import Flag, Ranking
from quagpredict.ranking.screening import screen
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.store import load_surrogate

TARGET = "post_pass_at_1"


def rank(
    candidates: Any,
    surrogate: FittedSurrogate | str | Path | None = None,
    *,
    target: str | None = None,
    truth: Any = None,
    allow_mixed_protocols: bool = False,
    allow_unvalidated_base: bool = False,
) -> Ranking:
    """Order candidates by how much they deserve RL compute.

    Parameters
    ----------
    candidates : source
        Anything that `read_corpus` reads: files, globs, folders, polars or pandas frames. Rows of one candidate with
        several RL seeds are joined.
    surrogate : FittedSurrogate, path or None
        A fitted surrogate or its folder. None, or "none", ranks by the paper's screening, which predicts
        no score.
    target : str, optional
        Column to predict; the surrogate's own by default, ``post_pass_at_1`` without a surrogate.
    truth : source, optional
        A table with the target of some candidates, by name. Without it, the candidates' own target is used where they
        carry one. It is shown beside the prediction and never enters it.
    allow_mixed_protocols : bool
        Rank although eval protocols or RL recipes differ, among the candidates or from the surrogate's.
    allow_unvalidated_base : bool
        Rank although the surrogate was never validated on the candidates' base model.

    Returns
    -------
    Ranking
        Best first; candidates without a needed measurement come last, without a rank. Ties share the better rank.

    Raises
    ------
    NothingToRankError
        If there is no candidate, or none has every needed measurement.
    IncomparableError
        If numbers would be mixed that are not comparable, and that was not allowed.
    CorpusError, SurrogateError, UsageError
        If a table, the surrogate or the call is wrong.

    Examples
    --------
    >>> from quagpredict.surrogates import fit
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> runs = synthetic_corpus(40, seed=1).frame
    >>> ranking = rank(runs, fit(runs))
    >>> ranking.frame["rank"].to_list()[:3], ranking.surrogate
    ([1, 2, 3], 'linear')
    >>> rank(runs).surrogate is None  # screening
    True
    """
    frame = read_corpus(candidates, nested=False, allow_mixed_protocols=allow_mixed_protocols)
    if surrogate == "none":
        surrogate = None
    fitted = load_surrogate(surrogate) if isinstance(surrogate, (str, Path)) else surrogate
    if fitted is not None and target not in (None, fitted.target):
        raise UsageError(f"the surrogate predicts '{fitted.target}', but the target is '{target}'")
    target = fitted.target if fitted is not None else target or TARGET
    if truth is not None:
        frame = with_truth(frame, truth, target, allow_mixed=allow_mixed_protocols)
    check_one_rl_recipe(frame, target, allow_mixed=allow_mixed_protocols)
    frame = one_row_each(frame, target)
    if fitted is None:
        return _screened(frame, target)
    return _predicted(frame, fitted, allow_mixed_protocols, allow_unvalidated_base)


def _predicted(frame: pl.DataFrame, surrogate: FittedSurrogate, allow_mixed: bool, allow_base: bool) -> Ranking:
    flags: list[Flag] = []
    for mismatch in mismatches(frame, surrogate):
        allowed, option = (
            (allow_base, "unvalidated-base") if mismatch.kind == "unseen-base" else (allow_mixed, "mixed-protocols")
        )
        if not allowed:
            raise IncomparableError(f"{mismatch.detail}; fit a surrogate on comparable runs, or pass --allow-{option}")
        names = frame["candidate"].filter(mismatch.rows)
        flags += [Flag(name, mismatch.kind, mismatch.detail) for name in names]
    design = design_matrix(frame, surrogate.features, allow_missing=True, source="candidates")
    if design.missing.any(axis=1).all():
        raise NothingToRankError(
            f"no candidate has every measurement that the surrogate needs ({', '.join(design.features)})"
        )
    prediction, interval = surrogate.predict(design.X), surrogate.interval(design.X)
    chance = chances(prediction.mean, prediction.std)
    column = BY_NAME.get(surrogate.target)
    is_score = column is not None and column.unit == "fraction"
    flags += measurement_flags(frame, surrogate.features)
    flags += prediction_flags(design.candidates, prediction.mean, prediction.distance, is_score)
    numbers = {
        "prediction": prediction.mean,
        "low": interval.low,
        "high": interval.high,
        "p_best": chance.p_best,
        "expected_regret": chance.expected_regret,
        "distance": prediction.distance,
    }
    columns = [pl.Series(name, values, nan_to_null=True) for name, values in numbers.items()]
    notes = (
        f"surrogate '{surrogate.name}' of {', '.join(surrogate.features)}, fitted on {surrogate.training_rows} "
        "finished candidates; low to high is its 90 % interval; P(best) takes their errors as independent",
        *_missing_note(columns[0]),
    )
    score = columns[0]
    return _ranking(frame, score, columns, surrogate.features, flags, surrogate.name, surrogate.target, notes)


def _screened(frame: pl.DataFrame, target: str) -> Ranking:
    screening = screen(frame)
    flags = [
        Flag(name, "screened-out", "Pass@1 below and loss above the median of its base model")
        for name in frame["candidate"].filter(screening.screened_out)
    ]
    flags += measurement_flags(frame, screening.used)
    # The dropped come after all others, in their own order.
    key = screening.key.to_numpy().astype(np.float64)
    key = key - screening.screened_out.to_numpy() * (np.nanmax(key) - np.nanmin(key) + 1.0)
    score = pl.Series("score", key, nan_to_null=True)
    notes = (
        f"no surrogate: ordered by the paper's screening (low Pass@1 with high loss goes last, then "
        f"{screening.used[0]}); no score is predicted",
        *screening.notes,
        *_missing_note(score),
    )
    return _ranking(frame, score, [], screening.used, flags, None, target, notes)


def _ranking(
    frame: pl.DataFrame,
    score: pl.Series,
    columns: Sequence[pl.Series],
    used: Iterable[str],
    flags: Sequence[Flag],
    surrogate: str | None,
    target: str,
    notes: tuple[str, ...],
) -> Ranking:
    kinds: dict[str, list[str]] = {}
    for flag in flags:
        known = kinds.setdefault(flag.candidate, [])
        if flag.kind not in known:
            known.append(flag.kind)
    shown = [name for name in dict.fromkeys((*used, "pre_pass_at_1")) if name in frame.columns]
    table = frame.select(
        score.rank("min", descending=True).cast(pl.Int64).alias("rank"),
        "candidate",
        *(["base_model"] if "base_model" in frame.columns else []),
        *columns,
        *shown,
        *([pl.col(target).alias("actual")] if _known(frame, target) else []),
        pl.Series("flags", [kinds.get(name, []) for name in frame["candidate"]], pl.List(pl.String)),
    ).sort(["rank", "candidate"], nulls_last=True)
    order = {name: place for place, name in enumerate(table["candidate"])}
    return Ranking(
        frame=table,
        surrogate=surrogate,
        target=target,
        notes=notes,
        flags=tuple(sorted(flags, key=lambda flag: order[flag.candidate])),
        outcome=outcome(frame, score, "prediction" if surrogate else "screening", target),
    )


def _known(frame: pl.DataFrame, target: str) -> bool:
    return target in frame.columns and frame[target].null_count() < frame.height


def _missing_note(score: pl.Series) -> list[str]:
    count = score.null_count()
    return [f"{count} of {len(score)} candidates lack a needed measurement and have no rank"] if count else []
