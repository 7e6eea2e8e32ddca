"""From a trial's parameters to a recipe that the training program takes as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from quagpredict.files import written_aside
from quagpredict.mixture_search.space import SearchSpace
from quagpredict.plans.parts import Candidate
from quagpredict.plans.recipe import recipe_id


@dataclass(frozen=True)
class MixtureRecipe:
    """One SFT recipe of a search.

    Attributes
    ----------
    recipe_id : str
        Digest of base, data and settings: two trials with the same one are the same training.
    shares : mapping of str to float
        Share of each source in the budget's unit, as drawn.
    examples : mapping of str to int
        Examples of each source in an epoch, as they are trained on.
    unique_examples : int
        Their sum: examples in an epoch. A source that is asked for more than it has is repeated within it.
    data : mapping
        The keys of the recipe that name the data.
    config : mapping
        The whole recipe but for the paths of model and output.
    """

    recipe_id: str
    shares: Mapping[str, float]
    examples: Mapping[str, int]
    unique_examples: int
    epochs: float
    learning_rate: float
    seed: int
    data: Mapping[str, Any] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """A name for files: ``mix-`` and the first digits of the id."""
        return f"mix-{self.recipe_id[:10]}"

    def save(self, path: str | Path, space: SearchSpace, note: str = "") -> None:
        """Write the recipe as YAML, for ``python training/train_sft.py --config PATH``."""
        content = {
            "model_name_or_path": space.base.model_name_or_path,
            "output_dir": f"checkpoints/{self.name}",
            **self.config,
        }
        lines = [f"# Recipe {self.recipe_id} of the search '{space.name}'.", *(note.splitlines() if note else [])]
        comment = "\n".join(line if line.startswith("#") else f"# {line}" for line in lines)
        with written_aside(path) as aside:
            aside.write_text(f"{comment}\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}", "utf-8")


def recipe_of(space: SearchSpace, params: Mapping[str, Any]) -> MixtureRecipe:
    """Return the recipe of a trial's parameters.

    Shares become whole numbers of examples (largest remainders, within the bounds), so that two mixtures that come to
    the same data are the same recipe.

    Parameters
    ----------
    params : mapping
        A value for every name in `SearchSpace.distributions`.

    Examples
    --------
    >>> from quagpredict.testing.search_worlds import synthetic_space
    >>> params = {"mixture.s0": 0.5, "mixture.s1": 0.5, "epochs": 4, "learning_rate": 1e-3}
    >>> recipe = recipe_of(synthetic_space(3), params)
    >>> recipe.unique_examples, dict(recipe.examples)
    (1024, {'s0': 300, 's1': 362, 's2': 362})
    """
    shares = space.shares_of(params)
    passes = float(space.passes.value(params))
    epochs = passes if space.passes.name == "epochs" else float(f"{1.0 / passes:.4g}")
    seen = shares * space.budget.amount
    if space.budget.unit == "tokens":
        seen = seen / np.array([source.tokens_per_example for source in space.sources])
    unique = max(1, round(float(seen.sum()) / epochs))
    caps = np.array(
        [np.inf if s.size is None or s.max_repeats is None else s.size * s.max_repeats / epochs for s in space.sources]
    )
    counts = rounded_counts(seen / seen.sum(), unique, caps)
    taken = [(source, int(count)) for source, count in zip(space.sources, counts, strict=True) if count]
    data: dict[str, Any]
    if space.selection is None:
        data = {"lab_data": {"sources": [{**source.data, "share": count} for source, count in taken]}}
    else:
        data = {"dataset_mixture": {"sources": [{**source.data, "share": count} for source, count in taken]}}
        data["dataset_select"] = space.selection.value(params)
    learning_rate = float(space.learning_rate.value(params))
    config = {
        **space.sft.config,
        **data,
        "num_train_epochs": epochs,
        "learning_rate": learning_rate,
        "seed": space.seed,
        "unique_examples": unique,
    }
    return MixtureRecipe(
        recipe_id=recipe_id({"weights": space.base_digest}, config),
        shares={source.name: float(share) for source, share in zip(space.sources, shares, strict=True)},
        examples={source.name: int(count) for source, count in zip(space.sources, counts, strict=True)},
        unique_examples=unique,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=space.seed,
        data=data,
        config=config,
    )


def rounded_counts(
    shares: NDArray[np.float64], total: int, most: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Return whole numbers that add up to `total`, as near to the shares, (K,), as largest remainders bring them.

    Parameters
    ----------
    shares : array (K,)
        Non-negative, sum 1.
    most : array (K,), optional
        No count exceeds the floor of these, unless all of them together are too few.

    Examples
    --------
    >>> rounded_counts(np.array([0.5, 0.3, 0.2]), 8).tolist()
    [4, 2, 2]
    >>> rounded_counts(np.array([0.5, 0.3, 0.2]), 8, np.array([3, 9, 9])).tolist()
    [3, 3, 2]
    """
    limit = np.full(len(shares), np.inf) if most is None else np.floor(np.asarray(most) + 1e-9)
    if limit.sum() < total:
        limit = np.full(len(shares), np.inf)
    exact = shares * total
    counts = np.minimum(np.floor(exact + 1e-9), limit)
    while (missing := int(total - counts.sum())) > 0:
        room = np.flatnonzero(counts < limit)
        order = room[np.argsort(-(exact - counts)[room], kind="stable")]
        counts[order[:missing]] += 1
    return counts.astype(np.int64)


def candidate_of(space: SearchSpace, recipe: MixtureRecipe, rl_seeds: tuple[int, ...] = ()) -> Candidate:
    """Return the candidate that stands for a recipe in a plan whose data entry is called as the recipe."""
    return Candidate(
        name=f"{space.base.name}.{recipe.name}",
        base=space.base.name,
        scenario="instance-level",
        split="fit",
        rl_seeds=rl_seeds,
        data=recipe.name,
        unique_examples=recipe.unique_examples,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
    )
