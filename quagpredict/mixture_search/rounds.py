"""Search in rounds: the best of each round are taken through RL, and the surrogate learns from them before the next."""

import fcntl
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from optuna.trial import FrozenTrial

from quagpredict.corpus.columns import is_indicator, origin
from quagpredict.errors import QuagpredictError, UsageError
from quagpredict.mixture_search.recipes import MixtureRecipe
from quagpredict.mixture_search.study import FinishedTrial, Measure, MixtureSearch
from quagpredict.mixture_search.warm_start import from_study
from quagpredict.mixture_search.workers import Patience
from quagpredict.surrogates import FittedSurrogate, fit
from quagpredict.surrogates.auto import chosen
from quagpredict.validation.conformal import with_calibration

#: Takes a recipe through RL: recipe -> its rows with the score after RL. Called again, it returns the same rows.
Verify = Callable[[MixtureRecipe], pl.DataFrame]
#: Round, surrogate -> search of that round.
MakeSearch = Callable[[int, FittedSurrogate | None], MixtureSearch]


@dataclass(frozen=True, eq=False)
class Verified:
    """A trial that was taken through RL.

    Attributes
    ----------
    trial : FinishedTrial
        With the prediction that was made before RL.
    rows : polars.DataFrame
        One row a run.
    """

    round: int
    trial: FinishedTrial
    rows: pl.DataFrame

    @property
    def actual(self) -> float:
        """The score after RL, the mean over seeds."""
        return float(self.rows["post_pass_at_1"].drop_nulls().mean())  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a search in rounds ended.

    Attributes
    ----------
    searches : tuple of MixtureSearch
        One a round; the last one's study holds all trials, scored by the last surrogate.
    written : tuple of path
        The files that `quagpredict.search` made of it.
    """

    searches: tuple[MixtureSearch, ...]
    verified: tuple[Verified, ...]
    notes: tuple[str, ...]
    written: tuple[Path, ...] = ()

    @property
    def chosen(self) -> FinishedTrial | None:
        """What to use: the verified trial with the best score after RL, or without any the best of the study."""
        if self.verified:
            return max(self.verified, key=lambda run: run.actual).trial
        best = self.searches[-1].best()
        return best[0] if best else None


def search_in_rounds(
    make_search: MakeSearch,
    measure: Measure,
    *,
    trials: int,
    surrogate: FittedSurrogate | None = None,
    corpus: pl.DataFrame | None = None,
    verify: Verify | None = None,
    verify_best: int = 0,
    rounds: int = 1,
    lock: str | Path | None = None,
    worker: int = 0,
    patience: Patience | None = None,
    progress: Callable[[FrozenTrial], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run the trials in rounds, each with a study of its own that begins with the trials before, scored anew.

    Everything is a function of the studies and of what `verify` returns, so that the same call resumes where it was
    stopped, and several workers can make it at once.

    Parameters
    ----------
    make_search : callable
        Round (from 1), surrogate -> search.
    trials : int
        In all rounds together.
    surrogate : FittedSurrogate, optional
        The first round's.
    corpus : polars.DataFrame, optional
        The runs that it was fitted on. With them it is refitted, kind, features and transforms as they were, after each
        round; without them, verified scores are reported but nothing learns from them. Where the prior scores it learns
        from what was verified alone, as `rank` does.
    verify_best : int
        How many of each round are verified; those that were verified before do not count.
    lock : path, optional
        A file that workers share, held while trials are copied into the next study.
    worker : int
        Number of this worker; each begins to verify at another trial.
    patience, progress
        As for `MixtureSearch.run`.
    say : callable
        Told what happens between the trials.

    Raises
    ------
    UsageError
        If rounds are asked for without anything to verify, or there are fewer trials than rounds.
    """
    if rounds < 1 or trials < rounds:
        raise UsageError(f"expected at least one round and a trial for each, got {trials} trials in {rounds} rounds")
    if rounds > 1 and not (verify and verify_best):
        raise UsageError("several rounds need something to learn between them: verify at least one trial a round")
    by_prior = False
    searches: list[MixtureSearch] = []
    verified: list[Verified] = []
    notes: list[str] = []
    for number in range(1, rounds + 1):
        search = make_search(number, surrogate)
        if searches:
            with _alone(lock):
                copied = from_study(search, searches[-1].study)
            if copied:
                say(f"round {number}: {copied} trials of the last round scored anew")
        searches.append(search)
        by_prior = by_prior or search.scorer.by_prior
        share = math.ceil(trials * number / rounds) - math.ceil(trials * (number - 1) / rounds)
        search.run(measure, share, patience=patience, progress=progress)
        if verify is None:
            continue
        tried = {run.trial.recipe.recipe_id for run in verified}
        fresh = [trial for trial in search.best(verify_best + len(tried)) if trial.recipe.recipe_id not in tried]
        chosen = fresh[:verify_best]
        done: dict[int, Verified] = {}
        for trial in sorted(chosen, key=lambda trial: (chosen.index(trial) - worker) % len(chosen)):
            say(f"round {number}: RL for trial {trial.number}, {trial.recipe.name}")
            done[trial.number] = Verified(number, trial, verify(trial.recipe))
            say(f"round {number}: trial {trial.number} ended at {100 * done[trial.number].actual:.1f} % after RL")
        verified += [done[trial.number] for trial in chosen]
        if not fresh:
            notes.append(f"round {number}: no feasible trial to verify")
        if number < rounds and (by_prior or surrogate is not None):
            if by_prior or surrogate is None:
                surrogate, note = _informed(verified)
            else:
                surrogate, note = _refitted(surrogate, corpus, verified)
            notes += [note] if note else []
    return Outcome(tuple(searches), tuple(verified), tuple(dict.fromkeys(notes)))


def _informed(verified: list[Verified]) -> tuple[FittedSurrogate | None, str]:
    """Return the prior with what was verified as its results; None for the prior alone."""
    if not verified:
        return None, ""
    try:
        return fit(pl.concat([run.rows for run in verified], how="diagonal_relaxed"), "hierarchical", split=None), ""
    except QuagpredictError as error:
        return None, f"the prior learnt nothing from the verified trials: {error}"


def _refitted(
    surrogate: FittedSurrogate, corpus: pl.DataFrame | None, verified: list[Verified]
) -> tuple[FittedSurrogate, str]:
    if corpus is None:
        return surrogate, "the surrogate was not refitted: name the runs it was fitted on (score.corpus)"
    rows = [run.rows.drop_nulls("post_pass_at_1") for run in verified]
    frame = pl.concat([corpus, *rows], how="diagonal_relaxed")
    # What `mixed` reads of the groups is made by the fit: there may be another group by now.
    groups = next((origin(name) for name in surrogate.features if is_indicator(name)), None)
    features = [name for name in surrogate.features if not is_indicator(name)]
    transform_of = dict(zip(surrogate.features, surrogate.feature_transforms, strict=True))
    transforms = {name: transform_of[name] for name in features} | {surrogate.target: surrogate.target_transform}
    kind, _ = chosen(surrogate, transforms)  # what `auto` chose is not chosen again
    try:
        fitted = fit(frame, kind, features, surrogate.target, transforms=transforms, groups=groups)
        if surrogate.calibration is not None:
            fitted = with_calibration(fitted, frame, features=features, transforms=transforms, groups=groups)
    except QuagpredictError as error:
        return surrogate, f"the surrogate was not refitted: {error}"
    refitted = replace(
        fitted, name=surrogate.name, choice=surrogate.choice, cross_base_validated=surrogate.cross_base_validated
    )
    return refitted, ""


@contextmanager
def _alone(lock: str | Path | None) -> Iterator[Any]:
    if lock is None:
        yield
        return
    with Path(lock).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def study_name(space: str, method: str, seed: int, number: int) -> str:
    """Return the name of a round's study.

    Examples
    --------
    >>> study_name("lab", "surrogate", 0, 2)
    'lab.surrogate.s0.r2'
    """
    return f"{space}.{method}.s{seed}.r{number}"


def round_seed(seed: int, number: int) -> int:
    """Return the seed of a round's sampler, for a search with a seed; rounds are counted from 1.

    Examples
    --------
    >>> round_seed(3, 1)
    3001
    """
    return seed * 1000 + number
