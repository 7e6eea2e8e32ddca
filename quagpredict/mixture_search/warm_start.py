"""What is known already goes into a study: trials of an earlier study, runs of a corpus, each scored anew."""

import json
from typing import Any

import numpy as np
import optuna
import polars as pl
from optuna.trial import FrozenTrial, TrialState, create_trial

from quagpredict.errors import QuagpredictError
from quagpredict.mixture_search.recipes import MixtureRecipe, recipe_of
from quagpredict.mixture_search.scoring import measured_row
from quagpredict.mixture_search.study import RECIPE_ID, ROW, SHARES, MixtureSearch, row_of, score_alike
from quagpredict.mixture_search.workers import IMPORTED

_NEAR = 0.02


def from_study(search: MixtureSearch, earlier: optuna.Study) -> int:
    """Copy the finished trials of an earlier study; each is scored by this search's own surrogate and objective.

    Trials whose parameters the space does not know, whose values it does not allow, or whose measurement this search
    cannot score are left out. Called twice, it copies nothing the second time.

    Returns
    -------
    int
        How many were copied.
    """
    distributions = search.space.distributions()
    copied = 0
    there = imported(search.study)
    for trial in earlier.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        name = f"{earlier.study_name}#{trial.number}"
        row = row_of(trial)
        fits = trial.params.keys() == distributions.keys() and all(
            distributions[key]._contains(distributions[key].to_internal_repr(value))
            for key, value in trial.params.items()
        )
        if name in there or row is None or not fits:
            continue
        recipe = recipe_of(search.space, trial.params)
        copied += _add(search, trial.params, recipe, row, name)
    return copied


def from_corpus(search: MixtureSearch, frame: pl.DataFrame) -> int:
    """Add the measured candidates of a table whose mixture, settings and budget this space could have drawn.

    The mixture is read from columns ``share_<source>``, as a search writes them; without them a candidate whose
    ``recipe_data_kind`` is the name of a source counts as that source alone. Its epochs, learning rate and examples
    seen must fit the space (examples within 2 %), and the base model must have the same name.

    Returns
    -------
    int
        How many were added.
    """
    added = 0
    there = imported(search.study)
    for candidate in frame.unique("candidate", keep="first", maintain_order=True).iter_rows(named=True):
        name = f"corpus:{candidate['candidate']}"
        params = _params(search, candidate) if name not in there else None
        if params is not None:
            recipe = recipe_of(search.space, params)
            before = {
                k: v for k, v in candidate.items() if k.startswith("pre_") or k in ("eval_protocol_id", "base_model")
            }
            try:
                row = measured_row(before, recipe, candidate["candidate"])
            except QuagpredictError:
                continue
            added += _add(search, params, recipe, row, name)
    return added


def imported(study: optuna.Study) -> set[str]:
    """Return where the imported trials of a study come from."""
    return {trial.user_attrs[IMPORTED] for trial in study.get_trials(deepcopy=False) if IMPORTED in trial.user_attrs}


def _add(search: MixtureSearch, params: dict[str, Any], recipe: MixtureRecipe, row: pl.DataFrame, name: str) -> bool:
    try:
        scored = score_alike(search, row)
    except QuagpredictError:
        return False
    attributes: dict[str, Any] = {
        IMPORTED: name,
        RECIPE_ID: recipe.recipe_id,
        SHARES: dict(recipe.shares),
        ROW: json.dumps(row.row(0, named=True)),
    }
    attributes |= {key: getattr(scored, key) for key in ("prediction", "distance") if getattr(scored, key) is not None}
    trial: FrozenTrial = create_trial(
        params=params,
        distributions=search.space.distributions(),
        value=scored.value,
        user_attrs=attributes,
        constraints=None if scored.excess is None else {"distance": scored.excess},
    )
    search.study.add_trial(trial)
    return True


def _params(search: MixtureSearch, candidate: dict[str, Any]) -> dict[str, Any] | None:
    space = search.space
    if candidate.get("base_model") not in (None, space.base.name):
        return None
    names = [source.name for source in space.sources]
    if all(candidate.get(f"share_{name}") is not None for name in names):
        shares = np.array([candidate[f"share_{name}"] for name in names], dtype=np.float64)
    elif candidate.get("recipe_data_kind") in names:
        shares = np.array([float(candidate["recipe_data_kind"] == name) for name in names])
    else:
        return None
    epochs, rate = candidate.get("recipe_epochs"), candidate.get("recipe_learning_rate")
    seen = candidate.get("recipe_examples_seen")
    if not space.simplex.contains(shares, 1e-6) or not epochs or not rate or not seen:
        return None
    if space.budget.unit == "examples" and abs(seen / space.budget.amount - 1) > _NEAR:
        return None
    params: dict[str, Any] = dict(space.sticks_of(np.clip(shares, space.simplex.lower, space.simplex.upper)))
    values = {"epochs": epochs, "unique_share": 1.0 / epochs, "learning_rate": rate, "selection": "random"}
    for setting in space.settings:
        value = values[setting.name]
        distribution = setting.distribution()
        if distribution is None:
            if setting.choices[0] != value:
                return None
        elif distribution._contains(distribution.to_internal_repr(value)):
            params[setting.name] = value
        else:
            return None
    return params
