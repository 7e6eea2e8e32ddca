"""Rank candidates by a fitted surrogate, or by the paper's screening without one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quagpredict.arguments import check_arguments
from quagpredict.corpus import read_corpus
from quagpredict.corpus.columns import PROBLEM_SET, minimized
from quagpredict.corpus.reading import in_order
from quagpredict.corpus.weights import weighted
from quagpredict.errors import UsageError, argument, did_you_mean
from quagpredict.ranking.deciding import Asked, by_curves, predicted, screened
from quagpredict.ranking.defaults import default_surrogate, shipped_surrogates
from quagpredict.ranking.finished import TARGET, fit_finished
from quagpredict.ranking.gate import of_bases_asked
from quagpredict.ranking.headers import with_headers
from quagpredict.ranking.outcome import CURVE, check_one_rl_recipe, farthest, one_row_each, with_truth
from quagpredict.ranking.result import Ranking
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.hierarchical import BY_BENCHMARK
from quagpredict.surrogates.kinds import SURROGATES, is_spec
from quagpredict.surrogates.store import load_surrogate

#: Surrogate that is fitted on the finished candidates, of whichever kind suits their number.
ON_THE_SPOT = "fit"
DEFAULT = "default"


def rank(
    candidates: Any,
    surrogate: FittedSurrogate | str | Path | None = DEFAULT,
    *,
    target: str | None = None,
    features: str | Sequence[str] | None = None,
    truth: Any = None,
    curves: Any = None,
    rl_steps: float | None = None,
    top_m: int = 3,
    budget: int | None = None,
    next_run: bool = False,
    gate: str | float | None = None,
    margin: float = 0.0,
    gate_probability: float = 0.5,
    condition: bool = True,
    minimize: bool | None = None,
    weights: Mapping[str, float] | None = None,
    columns: Mapping[str, str] | None = None,
    percent: bool = False,
    join: Any = None,
    join_seeds: str | None = None,
    split: str | None = None,
    allow_mixed_protocols: bool = False,
    allow_unvalidated_base: bool = False,
) -> Ranking:
    """Order candidates by how much they deserve RL compute.

    Parameters
    ----------
    candidates : source
        Anything that `read_corpus` reads: files, globs, folders, polars or pandas frames. Rows of one candidate with
        several RL seeds are joined. A row without SFT (``recipe_scenario`` "no-sft") is left out where no other
        candidate is of its base model.
    surrogate : FittedSurrogate, path, str or None
        A fitted surrogate or its folder. "default" takes a shipped one that applies to the candidates, otherwise "fit"
        if enough of them are finished, otherwise the hierarchical prior where scores by benchmark are known, otherwise
        None. A spec such as "ridge" or "mixed:both:log-logit" is fitted on the candidates that have the target already;
        "fit" chooses the kind by their number. None, or "none", ranks by the paper's screening, which predicts no
        score.
    target : str, optional
        Column to predict; the surrogate's own by default, ``post_pass_at_1`` without a surrogate.
    features : str or sequence of str, optional
        What "fit", or a spec that names none, learns from, as for `quagpredict.fit`; by default see `fit_finished`.
    truth : source, optional
        A table with the target of some candidates, by name. It is shown beside the prediction and never enters it.
    curves : path or frame, optional
        Scores along RL runs that have begun, as for `quagpredict.race`: a long table (``candidate``, ``step``,
        ``pass_at_1``, and where known ``pass_at_16`` and ``n``), or one with the column ``post_curve``; by default that
        column of the candidates. The end of each run without a result is predicted from them and from what is predicted
        without them, exactly as the race does; the interval shrinks along the run. A training reward is no score: it
        may stand in a column ``reward``, and counts where nothing was measured since RL began.
    rl_steps : float, optional
        Predict the score after so many RL steps; only a surrogate that depends on them can. With curves, the length of
        a whole run: by default what the candidates' column ``rl_steps`` says.
    top_m : int
        Size of the group whose chances ``p_top_M`` gives.
    budget : int, optional
        Also choose so many candidates for RL, see `best_set`; with a gate, of those that clear it.
    next_run : bool
        Also say whose RL run would teach most, see `regret_reductions`.
    gate : float or str, optional
        Also say who clears a bar: a score, a candidate of the table, or "no-sft" for RL from the own base model.
    margin : float
        By how much the bar must be cleared, in the target's unit.
    gate_probability : float
        Probability with which a candidate must clear the bar.
    condition : bool
        Whether candidates that have the target already count with it, and correct the predictions of the others
        (see `condition`). Where all have it there is nothing to correct, and predictions stand beside the results.
    minimize : bool, optional
        Whether the lowest target is best; by default for losses of the schema.
    weights : mapping of benchmark to float, optional
        How much each benchmark counts in every score, what is predicted and what is shown as truth alike; 1 where
        nothing is given. By default a benchmark counts as much as it has problems, or as it did for the fit of a stored
        surrogate. See `quagpredict.corpus.weights.weighted`.
    columns : mapping, optional
        Of tables with headers of their own: column of the schema -> header, such as ``{"candidate": "run"}``. Without
        it, headers that can mean but one thing are taken for it, where the tables cannot be used as they stand.
    percent : bool
        Whether scores are in per cent, in every table but those that quagpredict wrote.
    join : source, optional
        A table whose columns are laid beside, by ``candidate``: the losses, say, of another tool.
    join_seeds : str, optional
        Column of eval seeds: rows of one candidate that differ in it are joined, see
        `quagpredict.corpus.eval_seeds.joined_seeds`.
    split : str, optional
        Rank only the rows of this split.
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
        If a table, the surrogate or the call is wrong. A `HeadersError` names headers that would help.

    Examples
    --------
    >>> from quagpredict.surrogates import fit
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> runs = synthetic_corpus(40, seed=1).frame
    >>> ranking = rank(runs, fit(runs), budget=2, gate=0.9)
    >>> ranking.frame["rank"].to_list()[:3], ranking.surrogate
    ([1, 2, 3], 'linear')
    >>> rank(runs, None).surrogate is None  # screening
    True
    """
    check_arguments(rank, locals())
    asked = Asked(top_m, budget, next_run, gate, margin, gate_probability, rl_steps, condition)
    asked.check()
    ranking, read = with_headers(
        lambda source: _ranked(
            source,
            surrogate,
            asked,
            target=target,
            features=features,
            truth=truth,
            curves=curves,
            percent=percent,
            minimize=minimize,
            weights=weights,
            allow_mixed_protocols=allow_mixed_protocols,
            allow_unvalidated_base=allow_unvalidated_base,
        ),
        candidates,
        columns=columns,
        percent=percent,
        join=join,
        join_seeds=join_seeds,
        split=split,
        keep=[*((features,) if isinstance(features, str) else features or ()), *([target] if target else ())],
        allow_mixed_protocols=allow_mixed_protocols,
    )
    return replace(ranking, notes=(*read.notes, *ranking.notes), candidates=read.source)


def _ranked(
    candidates: Any,
    surrogate: FittedSurrogate | str | Path | None,
    asked: Asked,
    *,
    target: str | None,
    features: str | Sequence[str] | None,
    truth: Any,
    curves: Any,
    percent: bool,
    minimize: bool | None,
    weights: Mapping[str, float] | None,
    allow_mixed_protocols: bool,
    allow_unvalidated_base: bool,
) -> Ranking:
    if surrogate == DEFAULT and features is not None:
        surrogate = ON_THE_SPOT
    shipped = shipped_surrogates() if surrogate == DEFAULT else {}
    on_the_spot = isinstance(surrogate, str) and (surrogate == ON_THE_SPOT or is_spec(surrogate))
    fitted = _loaded(surrogate, target) if not on_the_spot and surrogate != DEFAULT else None
    if features is not None and not on_the_spot:
        raise UsageError('`features` are for a surrogate that is fitted on the candidates: pass surrogate="fit"')
    weights = _agreed(weights, fitted)
    read = (fitted,) if fitted is not None else tuple(shipped.values())
    frame = in_order(
        read_corpus(
            candidates,
            nested=on_the_spot or bool(weights) or (CURVE,),
            derived=(PROBLEM_SET, *dict.fromkeys(name for table in read for name in table.features), *BY_BENCHMARK),
            allow_mixed_protocols=allow_mixed_protocols,
        )
    )
    every = set(frame["candidate"])
    frame, left_out = of_bases_asked(frame, asked.gate)
    unasked = every - set(frame["candidate"])
    notes, why_none = [*left_out], ""
    along = farthest(frame) if CURVE in frame.columns and asked.condition else None
    if CURVE in frame.columns and not (on_the_spot or weights):
        frame = frame.drop(CURVE)
    if weights:
        frame = weighted(frame, weights, source="candidates")
        shipped = {}  # fitted to means over problems
        weighted_by = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
        notes.append(f"scores are weighted by benchmark, not by problems: {weighted_by}, each other one 1")
    if surrogate == DEFAULT:
        fitted, on_the_spot, why_none = default_surrogate(frame, shipped, target)
        surrogate = ON_THE_SPOT if on_the_spot else None
    if PROBLEM_SET in frame.columns and (sets := frame[PROBLEM_SET].drop_nulls().n_unique()) > 1:
        notes.append(
            f"the candidates were not measured on the same problems ({sets} different sets): their scores do not "
            "compare; measure all on one set, or say which benchmark it is where one has several names"
        )
    target = fitted.target if fitted is not None else target or TARGET
    check_one_rl_recipe(frame, target, allow_mixed=allow_mixed_protocols)
    # Results of the candidates' own are for learning, those of `truth` only for showing.
    own = one_row_each(frame, target)
    shown = own
    if truth is not None:
        shown, read_as = with_truth(
            own, truth, target, percent=percent, allow_mixed=allow_mixed_protocols, weights=weights
        )
        notes += read_as
        check_one_rl_recipe(shown, target, allow_mixed=allow_mixed_protocols)
    if on_the_spot:
        fitted = fit_finished(own, "" if surrogate == ON_THE_SPOT else str(surrogate), features, target)
        fitted = replace(fitted, weights=weights)
    # A stored surrogate's card says what its fit found; of one that was made here nobody has been told yet.
    made_here = on_the_spot or (surrogate is None and all(fitted is not table for table in read))
    notes += fitted.notes if fitted is not None and made_here else ()
    low = minimized(target, minimize)
    listed = own.drop(CURVE, strict=False)
    listed = listed if along is None else listed.join(along, on="candidate", how="left", maintain_order="left")
    runs = None
    if curves is not None or CURVE in listed.columns:
        from quagpredict.ranking.partial_runs import partial_runs

        runs, why = partial_runs(
            curves,
            listed,
            target,
            asked.rl_steps,
            results=fitted is None and asked.condition,
            percent=percent,
            weights=weights,
            minimize=low,
            left_out=unasked,
        )
        notes += [why] if why else []
    if fitted is None and runs is not None:
        ranking = by_curves(shown, own, runs, asked, notes=notes)
    elif fitted is None:
        asked = asked._replace(rl_steps=None) if curves is not None else asked  # it was said for the curves
        ranking = screened(shown, own, target, asked, minimize=low, notes=notes, why=why_none)
    else:
        ranking = predicted(
            shown,
            own,
            fitted,
            asked,
            minimize=low,
            allow_mixed=allow_mixed_protocols,
            allow_base=allow_unvalidated_base,
            notes=notes,
            runs=runs,
        )
    return replace(ranking, weights=weights)


def _loaded(surrogate: FittedSurrogate | str | Path | None, target: str | None) -> FittedSurrogate | None:
    if surrogate is None or surrogate == "none":
        return None
    if isinstance(surrogate, str) and surrogate.startswith(f"{ON_THE_SPOT}:"):
        kind = surrogate.removeprefix(f"{ON_THE_SPOT}:")
        raise UsageError(
            f"{argument('surrogate', surrogate)}: name the kind alone, '{kind}', to fit one on the results"
        )
    try:
        fitted = load_surrogate(surrogate) if isinstance(surrogate, (str, Path)) else surrogate
    except UsageError as error:  # no folder, and no kind to fit
        near = did_you_mean(str(surrogate).partition(":")[0], SURROGATES)
        raise UsageError(f"{error}{near}") from None
    if target not in (None, fitted.target):
        raise UsageError(f"{argument('target', target)}: the surrogate predicts '{fitted.target}'")
    return fitted


def _agreed(weights: Mapping[str, float] | None, fitted: FittedSurrogate | None) -> dict[str, float]:
    """Return the weights of benchmarks to rank by: those of a surrogate's fit, from which given ones may not differ."""
    given = dict(weights or {})
    if fitted is None or fitted.training_rows == 0:
        return given
    if given and given != dict(fitted.weights):
        fitted_with = ", ".join(f"{name} {weight:g}" for name, weight in fitted.weights.items()) or "none"
        raise UsageError(
            f"{argument('weights', given)}: the surrogate was fitted to scores with other weights ({fitted_with})"
        )
    return dict(fitted.weights)
