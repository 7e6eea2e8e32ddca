"""How each method chooses its trials: Optuna samplers, seeded by trial so that restarts and workers repeat nothing."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from quagpredict.arrays import Floats
from quagpredict.mixture_search.space import SearchSpace
from quagpredict.surrogates.linear import LinearForm
from quagpredict.surrogates.ridge import fit_ridge

Method = Literal["surrogate", "sft-pass-at-1", "pass-at-64", "random", "regmix", "equal"]


_SIMULATED, _AVERAGED = 4096, 64
#: A trial is beside another if so much of the mixture moves at most, and no setting by more of its range.
_BESIDE = 0.1


def sampler_of(method: Method, space: SearchSpace, seed: int) -> BaseSampler:
    """Return the sampler of a method.

    Parameters
    ----------
    method : str
        ``surrogate``, ``sft-pass-at-1`` and ``pass-at-64``: `ResponseSurfaceSampler`; ``regmix``: the same on mixture
        weights alone.
        ``random``: uniform. ``equal``: the equal mixture (the nearest within the bounds), the other settings uniform.
    seed : int
        The draws of a trial depend on it, on the trial's number and on the trials before, and on nothing else.
    """
    match method:
        case "surrogate" | "sft-pass-at-1" | "pass-at-64":
            return SeededByTrial(lambda trial_seed: ResponseSurfaceSampler(space, trial_seed, weights_only=False), seed)
        case "random":
            return SeededByTrial(lambda trial_seed: RandomSampler(seed=trial_seed), seed)
        case "regmix":
            return SeededByTrial(lambda trial_seed: ResponseSurfaceSampler(space, trial_seed, weights_only=True), seed)
        case "equal":
            return SeededByTrial(lambda trial_seed: EqualMixtureSampler(space, trial_seed), seed)


class SeededByTrial(BaseSampler):  # type: ignore[misc]
    """Makes a sampler anew for each trial, seeded by the trial's number.

    A sampler with a seed starts over when its process does: a search that goes on after a crash, and every further
    worker, would draw the first trials once more.

    Parameters
    ----------
    make : callable
        Seed -> sampler.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._made: tuple[int, BaseSampler] = (-1, make(seed))

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if self._made[0] != trial.number:
            trial_seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
            self._made = (trial.number, self._make(trial_seed))
        return self._made[1]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
        """Ask the trial's sampler."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Any:
        """Ask the trial's sampler."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Ask the trial's sampler."""
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Tell the trial's sampler."""
        self._of(trial).after_trial(study, trial, state, values)


class EqualMixtureSampler(RandomSampler):  # type: ignore[misc]
    """The equal mixture, or the nearest one within the bounds; the other settings uniform."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        super().__init__(seed=seed)
        equal = space.simplex.nearest(np.full(space.simplex.sources, 1.0 / space.simplex.sources))
        self._fixed = space.sticks_of(equal)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the mixture's parameter, or draw uniformly."""
        if param_name in self._fixed:
            return self._fixed[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)


class ResponseSurfaceSampler(RandomSampler):  # type: ignore[misc]
    """A regression from shares to the objective, and the simulated trial that it likes best.

    The regression is ridge on shares and their squares, with a penalty by leave-one-out error. It explores at random
    for as many trials as there are parameters, and at least 10; after that every third trial is still random.

    With ``weights_only`` it is a RegMix-like search, after Liu et al., "RegMix: Data Mixture as Regression for Language
    Model Pre-training" (arXiv 2407.01492): the regression sees mixture weights alone, the proposal is the mean of the
    best predicted of many simulated mixtures, and the other settings are those of the best trial so far. (LightGBM,
    which RegMix also uses, learns nothing from under a hundred rows.)

    Otherwise the regression sees the other settings and their squares too; its coefficients are drawn from their
    posterior (Thompson sampling), so that what it does not know is tried; and simulated trials that a second regression
    expects to break the study's constraints are left out. At most a third of the trials lie beside the best one before
    them, so that a search does not end in refining its first find.
    """

    def __init__(self, space: SearchSpace, seed: int, *, weights_only: bool) -> None:
        super().__init__(seed=seed)
        self._space = space
        self._draw = np.random.default_rng(seed)
        self._weights_only = weights_only

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return all parameters; they are chosen together."""
        del study, trial
        return self._space.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters of the trial that the regression likes best; nothing while it explores."""
        done = [
            earlier
            for earlier in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if earlier.value is not None
        ]
        done = [earlier for earlier in done if search_space.keys() <= earlier.params.keys()]
        if len(done) < max(10, len(search_space)) or trial.number % 3 == 0:
            return {}
        value = np.array([earlier.value for earlier in done], dtype=np.float64)
        rows = self._coordinates({name: np.array([earlier.params[name] for earlier in done]) for name in search_space})
        best = done[int(np.argmax(np.where([_feasible(earlier) for earlier in done], value, -np.inf)))]
        sources = self._space.simplex.sources
        if self._weights_only:
            fitted = fit_ridge(_with_squares(rows[:, :sources]), value)
            simulated = self._space.simplex.from_unit(self._draw.random((_SIMULATED, sources - 1)))
            predicted = fitted.predict(_with_squares(simulated)).mean
            mean = simulated[np.argsort(-predicted)[:_AVERAGED]].mean(axis=0)
            return {**best.params, **self._space.sticks_of(mean)}
        trials = self._simulated(best.params)
        simulated = self._coordinates(trials)
        center = _with_squares(rows).mean(axis=0)
        form = fit_ridge(_with_squares(rows), value).form
        assert isinstance(form, LinearForm)
        drawn = self._draw.multivariate_normal(form.coefficients, form.covariance[1:, 1:], method="eigh")
        predicted = (_with_squares(simulated) - center) @ drawn
        excess = np.array([sum(earlier.constraints.values()) for earlier in done])
        if (excess > 0).any():
            expected = fit_ridge(_with_squares(rows), excess).predict(_with_squares(simulated)).mean
            predicted = np.where(expected <= max(0.0, float(expected.min())), predicted, -np.inf)
        order = np.argsort([earlier.number for earlier in done], kind="stable")
        if 3 * (self._refining(rows[order], value[order]) + 1) > trial.number:
            row = rows[done.index(best)]
            predicted = np.where(self._beside(simulated, row), -np.inf, predicted)
        chosen = int(np.argmax(predicted))
        return {name: values[chosen].item() for name, values in trials.items()}

    def _beside(self, rows: Floats, best: Floats) -> NDArray[np.bool_]:
        """Tell which trials (n, p) lie beside one (p,)."""
        apart, sources = np.abs(rows - best), self._space.simplex.sources
        settings = apart[:, sources:].max(axis=1, initial=0.0)
        return np.asarray((apart[:, :sources].sum(axis=1) / 2 <= _BESIDE) & (settings <= _BESIDE))

    def _refining(self, rows: Floats, value: Floats) -> int:
        """Count the trials that lay beside the best one before them; in the order of their numbers."""
        best_before = [int(np.argmax(value[:number])) for number in range(1, len(value))]
        return sum(bool(self._beside(rows[n : n + 1], rows[b])[0]) for n, b in enumerate(best_before, start=1))

    def _simulated(self, best: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return parameters drawn at random, half of them in some neighbourhood of the best trial's."""
        reach = np.where(np.arange(_SIMULATED) % 2, 1.0, 10.0 ** self._draw.uniform(-2, 0, _SIMULATED))
        drawn: dict[str, NDArray[Any]] = {}
        for name, distribution in self._space.distributions().items():
            if isinstance(distribution, CategoricalDistribution):
                fresh = self._draw.choice(np.array(distribution.choices), _SIMULATED)
                drawn[name] = np.where(self._draw.random(_SIMULATED) < reach, fresh, best[name])
            else:
                unit = (1 - reach) * _unit(best[name], distribution) + reach * self._draw.random(_SIMULATED)
                drawn[name] = _from_unit(unit, distribution)
        return drawn

    def _coordinates(self, params: Mapping[str, NDArray[Any]]) -> Floats:
        """Return what the regression sees of trials, (n, p): shares, then the other settings scaled to [0, 1]."""
        sticks = np.stack([params[name] for name in self._space.stick_names], axis=1)
        coordinates = [self._space.simplex.from_unit(sticks)]
        for name, distribution in self._space.distributions().items():
            if isinstance(distribution, CategoricalDistribution):
                coordinates += [(params[name] == choice)[:, None].astype(float) for choice in distribution.choices]
            elif name not in self._space.stick_names:
                coordinates.append(np.asarray(_unit(params[name], distribution))[:, None])
        return np.concatenate(coordinates, axis=1)


def _feasible(trial: FrozenTrial) -> bool:
    return all(excess <= 0 for excess in trial.constraints.values())


def _unit(value: Any, distribution: FloatDistribution) -> Any:
    low, high = distribution.low, distribution.high
    if distribution.log:
        return np.log(value / low) / np.log(high / low)
    return (value - low) / (high - low)


def _from_unit(unit: Any, distribution: FloatDistribution) -> Any:
    low, high = distribution.low, distribution.high
    value = low * (high / low) ** unit if distribution.log else low + unit * (high - low)
    return np.clip(value, low, high)


def _with_squares(rows: Any) -> Any:
    return np.concatenate([rows, rows**2], axis=1)


def suggest_params(trial: Any, space: SearchSpace) -> dict[str, Any]:
    """Ask an Optuna trial for every parameter of the space, by name."""
    params: dict[str, Any] = {}
    for name, distribution in space.distributions().items():
        # The typed methods work on every kind of trial; `_suggest` would be private.
        if hasattr(distribution, "choices"):
            params[name] = trial.suggest_categorical(name, distribution.choices)
        else:
            params[name] = trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    return params
