"""Search for the SFT data mixture that ends best after RL. Names are loaded on first use: Optuna takes its time."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quagpredict.mixture_search.recipes import MixtureRecipe as MixtureRecipe
    from quagpredict.mixture_search.recipes import recipe_of as recipe_of
    from quagpredict.mixture_search.rounds import search_in_rounds as search_in_rounds
    from quagpredict.mixture_search.search import MixtureSearch as MixtureSearch
    from quagpredict.mixture_search.simplex import BoundedSimplex as BoundedSimplex
    from quagpredict.mixture_search.space import SearchSpace as SearchSpace
    from quagpredict.mixture_search.space_file import SearchPlan as SearchPlan
    from quagpredict.mixture_search.warm_start import from_corpus as from_corpus
    from quagpredict.mixture_search.warm_start import from_study as from_study

_HOME = {
    "BoundedSimplex": "simplex",
    "MixtureRecipe": "recipes",
    "MixtureSearch": "search",
    "SearchPlan": "space_file",
    "SearchSpace": "space",
    "from_corpus": "warm_start",
    "from_study": "warm_start",
    "recipe_of": "recipes",
    "search_in_rounds": "rounds",
}

__all__ = [
    "BoundedSimplex",
    "MixtureRecipe",
    "MixtureSearch",
    "SearchPlan",
    "SearchSpace",
    "from_corpus",
    "from_study",
    "recipe_of",
    "search_in_rounds",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
