"""MixtureSearch: a search space, a method and an Optuna study, in one loop or by suggest and observe."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
import polars as pl
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from quagpredict.arguments import check_arguments
from quagpredict.errors import LauncherError, QuagpredictError, UsageError, one_line
from quagpredict.files import file_digest
from quagpredict.mixture_search.recipes import MixtureRecipe, recipe_of
from quagpredict.mixture_search.samplers import Method, sampler_of, suggest_params
from quagpredict.mixture_search.scoring import Measurement, Objective, Scored, Scorer, measured_row, scoring_surrogate
from quagpredict.mixture_search.space import SearchSpace
from quagpredict.mixture_search.space_file import Scoring, SearchPlan
from quagpredict.mixture_search.storage import open_storage, open_study
from quagpredict.mixture_search.workers import ERROR, SUGGESTED, Patience, beating, next_trial
from quagpredict.schema import BY_NAME
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.fitted import FittedSurrogate

METHODS: tuple[Method, ...] = ("surrogate", "sft-pass-at-1", "pass-at-64", "random", "regmix", "equal")
OBJECTIVE_OF: dict[Method, Objective] = {
    "surrogate": "lower_bound",
    "random": "lower_bound",
    "equal": "lower_bound",
    "sft-pass-at-1": "pass_at_1",
    "pass-at-64": "pass_at_64",
    "regmix": "held_out_loss_nats",
}
ROW, RECIPE_ID, SHARES, REUSED, SECONDS = "row", "recipe_id", "shares", "reused", "seconds"
LEVEL = "prior_level"  # of a study


class Report(Protocol):
    """What a `Measure` calls while it trains; raises `optuna.TrialPruned` where the pruner has given the trial up."""

    def __call__(self, step: int, measurement: Measurement) -> None:
        """Report the measurement of an intermediate checkpoint; `step` is the same part of every training."""


#: Trains a recipe and measures it: recipe, report -> measurement.
Measure = Callable[[MixtureRecipe, Report], Measurement]


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A recipe to try, to be given back to `MixtureSearch.observe` with its measurement."""

    number: int
    recipe: MixtureRecipe
    trial: optuna.Trial


@dataclass(frozen=True)
class FinishedTrial:
    """A finished trial, best first in `MixtureSearch.best`."""

    number: int
    value: float
    recipe: MixtureRecipe
    prediction: float | None
    distance: float | None
    feasible: bool


class MixtureSearch:
    """Search for the SFT mixture that ends best after RL.

    Parameters
    ----------
    space : SearchSpace or path
        A path is that of a YAML file, also a shipped one, whose section ``score`` then gives what the call does not.
    surrogate : FittedSurrogate or path, optional
        Scores the methods ``surrogate``, ``random`` and ``equal``; for the others its prediction is only noted. A path
        is that of its folder; a spec such as ``ridge:both`` is fitted on the corpus that the space's file names. Where
        none is named it is the prior by which `rank` orders candidates without a result.
    method : {"surrogate", "sft-pass-at-1", "pass-at-64", "random", "regmix", "equal"}
        How trials are chosen, and what makes one better: the surrogate's lower bound; SFT Pass@1; Pass@64; for
        ``regmix`` the held-out loss.
    storage : str or BaseStorage, optional
        URL, see `open_storage`; by default the study lives in memory.
    name : str, optional
        Name of the study; by default space, method and seed.
    seed : int
    sampler : optuna sampler, optional
        Instead of the method's.
    pruner : optuna pruner, optional
        Judges what trials report on their way; by default none is stopped.
    lower_bound : float, optional
        Order of the quantile that is the lower bound; 0.1 by default.
    max_distance : float, optional
        Largest feasible distance from the surrogate's training runs, 1 by default. It is a constraint of the study: the
        best trial is the best of the feasible ones, and samplers that know constraints keep away from the others.

    Examples
    --------
    >>> from quagpredict.testing.search_worlds import synthetic_world
    >>> from quagpredict.surrogates import fit
    >>> world = synthetic_world(4)
    >>> search = MixtureSearch(world.space, fit(world.corpus(40), "ridge", "pass_at_1+pass_at_64+held_out_loss_nats"))
    >>> for _ in range(10):
    ...     suggestion = search.suggest()
    ...     scored = search.observe(suggestion, world.measure(suggestion.recipe))
    >>> best = search.best()[0]
    >>> best.feasible, sorted(best.recipe.shares)
    (True, ['s0', 's1', 's2', 's3'])

    From files:

    >>> search = MixtureSearch("collectors/searches/lab-mixture.yaml", "models/lab-pilot")
    >>> search.suggest().recipe.config["num_train_epochs"] >= 1
    True
    """

    def __init__(
        self,
        space: SearchSpace | str | Path,
        surrogate: FittedSurrogate | str | Path | None = None,
        *,
        method: Method = "surrogate",
        storage: Any = None,
        name: str | None = None,
        seed: int = 0,
        sampler: Any = None,
        pruner: Any = None,
        lower_bound: float | None = None,
        max_distance: float | None = None,
    ) -> None:
        check_arguments(MixtureSearch.__init__, locals())
        scoring = Scoring()
        if isinstance(space, (str, Path)):
            plan = SearchPlan.from_yaml(space)
            space, scoring = plan.space, plan.scoring or scoring
            surrogate = surrogate if surrogate is not None else scoring.surrogate or None
        surrogate = scoring_surrogate(surrogate, scoring.corpus)
        lower_bound = scoring.lower_bound if lower_bound is None else lower_bound
        max_distance = scoring.max_distance if max_distance is None else max_distance
        self.space = space
        self.method = method
        self.scorer = Scorer(OBJECTIVE_OF[method], surrogate, lower_bound, max_distance)
        opened = open_storage(storage) if storage is None or isinstance(storage, str) else storage
        scored_by = surrogate.corpus_digest if surrogate is not None else ""
        if self.scorer.by_prior:
            scored_by = file_digest(shipped_path("models/prior") / "prior.json")
        self.study = open_study(
            opened,
            name or f"{space.name}.{method}.s{seed}",
            # Studies of earlier versions have the loss by its name without unit.
            space_id=f"{space.space_id} {self.scorer.objective.removesuffix('_nats')} {scored_by} {lower_bound:g} "
            f"{max_distance:g}",
            sampler=sampler or sampler_of(method, space, seed),
            pruner=pruner,
        )

    def suggest(self) -> Suggestion:
        """Return the next recipe to try; several may be open at once, and stay open until they are observed."""
        trial = self.study.ask()
        trial.set_user_attr(SUGGESTED, True)
        return Suggestion(trial.number, self._recipe(trial), trial)

    def suggestion(self, number: int) -> Suggestion:
        """Return an open suggestion by its number: for an `observe` in another process than the `suggest`.

        Raises
        ------
        UsageError
            If there is none of that number, or it was observed already.
        """
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if frozen.number == number and SUGGESTED in frozen.user_attrs:
                # Optuna gives a trial object to whoever asks; to come back to one, its internal id is needed.
                trial = optuna.trial.Trial(self.study, frozen._trial_id)
                return Suggestion(number, recipe_of(self.space, frozen.params), trial)
        raise UsageError(f"there is no open suggestion {number} in study '{self.study.study_name}'")

    def report(self, suggestion: Suggestion, step: int, measurement: Measurement) -> bool:
        """Report an intermediate checkpoint; True means that the pruner gives up: stop, and observe None."""
        return self._report(suggestion.trial, suggestion.recipe, step, measurement)

    def observe(self, suggestion: Suggestion, measurement: Measurement | None) -> Scored | None:
        """Tell what a suggestion was measured to be; None if it was given up.

        Returns
        -------
        Scored or None

        Raises
        ------
        QuagpredictError
            If the measurement is none, or lacks what the score needs. Nothing is told then: the suggestion stays open,
            to be observed with the right one.
        UsageError
            If the suggestion was observed already.
        """
        if self._state(suggestion.trial) != TrialState.RUNNING:
            raise UsageError(f"suggestion {suggestion.number} was observed already")
        if measurement is None:
            self.study.tell(suggestion.trial, state=TrialState.PRUNED)
            return None
        scored = self._scored(suggestion.trial, suggestion.recipe, measurement)
        self.study.tell(suggestion.trial, scored.value)
        return scored

    def objective(self, measure: Measure) -> Callable[[optuna.Trial], float]:
        """Return an objective for any Optuna study: ``study.optimize(search.objective(measure))``.

        The study must maximise. A recipe that a trial of this study has already finished is not measured again.
        """

        def run(trial: optuna.Trial) -> float:
            started = time.perf_counter()
            recipe = self._recipe(trial)
            finished = _finished_row(trial.study, recipe)
            trial.set_user_attr(REUSED, finished is not None)

            def report(step: int, measurement: Measurement) -> None:
                if self._report(trial, recipe, step, measurement):
                    raise optuna.TrialPruned(f"given up at step {step}")

            measurement = measure(recipe, report) if finished is None else finished
            trial.set_user_attr(SECONDS, round(time.perf_counter() - started, 3))
            return self._scored(trial, recipe, measurement).value

        return run

    def run(
        self,
        measure: Measure,
        trials: int,
        *,
        patience: Patience | None = None,
        progress: Callable[[FrozenTrial], None] | None = None,
    ) -> None:
        """Run trials until the study has `trials` of them, together with every other worker that does the same.

        Parameters
        ----------
        measure : callable
            Recipe, report -> measurement. An error of quagpredict fails the trial and the search goes on; any other
            one, and `LauncherError`, ends it, and the trial is tried again by the next call.
        trials : int
            How many the study shall have in the end; failed ones count, those lost with a killed worker are repeated.
        patience : Patience, optional
        progress : callable, optional
            Called with each trial that this worker finished.
        """
        if trials < 1:
            raise UsageError(f"trials must be at least 1, got {trials}")
        patience = patience or Patience()
        objective = self.objective(measure)
        while (trial := next_trial(self.study, trials, patience)) is not None:
            with beating(trial, patience):
                finished = self._run_one(trial, objective)
            if progress is not None and finished is not None:
                progress(finished)

    def _run_one(self, trial: optuna.Trial, objective: Callable[[optuna.Trial], float]) -> FrozenTrial | None:
        try:
            try:
                value = objective(trial)
            except optuna.TrialPruned:
                return self.study.tell(trial, state=TrialState.PRUNED)
            except LauncherError:  # no trial's fault, and the next one would meet it too
                raise
            except QuagpredictError as error:
                return self._failed(trial, error)
            return self.study.tell(trial, value)
        except (ValueError, UpdateFinishedTrialError) as error:
            if isinstance(error, QuagpredictError) or self._state(trial) == TrialState.RUNNING:
                raise
            return None  # we were taken for dead, and somebody else repeats the trial; it counts once

    def _state(self, trial: optuna.Trial) -> TrialState:
        return self.study.get_trials(deepcopy=False)[trial.number].state

    def best(self, count: int = 1) -> list[FinishedTrial]:
        """Return the best finished trials, feasible ones only, each recipe once; fewer where there are not so many."""
        best_by_recipe: dict[str, FinishedTrial] = {}
        finished = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for trial in sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number)):
            scored = self.finished(trial)
            if scored.feasible:
                best_by_recipe.setdefault(scored.recipe.recipe_id, scored)
        return list(best_by_recipe.values())[:count]

    def finished(self, trial: FrozenTrial) -> FinishedTrial:
        """Return a finished trial with its recipe."""
        return FinishedTrial(
            trial.number,
            trial.value if trial.value is not None else float("nan"),
            recipe_of(self.space, trial.params),
            trial.user_attrs.get("prediction"),
            trial.user_attrs.get("distance"),
            all(excess <= 0 for excess in trial.constraints.values()),
        )

    @property
    def frame(self) -> pl.DataFrame:
        """All trials, one row each: number, state, value, prediction, distance, shares, settings, measurement."""
        rows = []
        for trial in self.study.get_trials(deepcopy=False):
            measured = row_of(trial)
            flat = {} if measured is None else {n: v for n, v in measured.row(0, named=True).items() if n[:4] == "pre_"}
            rows.append(
                {
                    "trial": trial.number,
                    "state": trial.state.name.lower(),
                    "value": trial.value,
                    "prediction": trial.user_attrs.get("prediction"),
                    "distance": trial.user_attrs.get("distance"),
                    "feasible": all(excess <= 0 for excess in trial.constraints.values()),
                    "recipe_id": trial.user_attrs.get(RECIPE_ID),
                    **{f"share_{name}": share for name, share in trial.user_attrs.get(SHARES, {}).items()},
                    **{name: value for name, value in trial.params.items() if not name.startswith("mixture.")},
                    **{name: value for name, value in flat.items() if not isinstance(value, list)},
                }
            )
        return pl.DataFrame(rows, infer_schema_length=None)

    def _recipe(self, trial: optuna.Trial) -> MixtureRecipe:
        recipe = recipe_of(self.space, suggest_params(trial, self.space))
        trial.set_user_attr(RECIPE_ID, recipe.recipe_id)
        trial.set_user_attr(SHARES, {name: round(share, 6) for name, share in recipe.shares.items()})
        return recipe

    def _scored(self, trial: Any, recipe: MixtureRecipe, measurement: Measurement) -> Scored:
        row = measured_row(measurement, recipe, f"{self.space.base.name}.{recipe.name}")
        scored = score_alike(self, row)
        try:
            written = json.dumps(row.row(0, named=True))
        except TypeError as error:
            raise UsageError(f"the measurement holds a value that cannot be stored: {error}") from None
        trial.set_user_attr(ROW, written)
        note_score(trial, scored)
        return scored

    def _report(self, trial: optuna.Trial, recipe: MixtureRecipe, step: int, measurement: Measurement) -> bool:
        row = measured_row(measurement, recipe, f"{self.space.base.name}.{recipe.name}")
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            raise UsageError(f"a report's step is a whole number of at least 0, got {step!r}")
        trial.report(self.scorer.score(row).value, step)
        return bool(trial.should_prune())

    def _failed(self, trial: optuna.Trial, error: Exception) -> FrozenTrial:
        trial.set_user_attr(ERROR, one_line(error, 500))
        return self.study.tell(trial, state=TrialState.FAIL)


def score_alike(search: MixtureSearch, row: pl.DataFrame) -> Scored:
    """Score a whole trial, where the prior does it by what it read of the study's first one."""
    level = search.study.user_attrs.get(LEVEL) if search.scorer.by_prior else None
    scored = search.scorer.score(row, level)
    if level is None and scored.level is not None:
        search.study.set_user_attr(LEVEL, scored.level)
    return scored


def note_score(trial: Any, scored: Scored) -> None:
    """Write a score's parts into a trial, and the distance beyond what is allowed as a constraint of the study."""
    for name in ("prediction", "distance"):
        if (value := getattr(scored, name)) is not None:
            trial.set_user_attr(name, value)
    if scored.excess is not None and "distance" not in trial.constraints:
        trial.set_constraint("distance", scored.excess)


def row_of(trial: FrozenTrial) -> pl.DataFrame | None:
    """Return the measured row of a trial, or None if it was not measured to the end."""
    text = trial.user_attrs.get(ROW)
    if text is None:
        return None
    content = json.loads(text)
    types = {name: BY_NAME[name].dtype for name in content if name in BY_NAME}
    return pl.DataFrame({name: [value] for name, value in content.items()}, schema_overrides=types)


def _finished_row(study: optuna.Study, recipe: MixtureRecipe) -> pl.DataFrame | None:
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if trial.user_attrs.get(RECIPE_ID) == recipe.recipe_id:
            return row_of(trial)
    return None
