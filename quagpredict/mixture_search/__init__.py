"""Search for the SFT data mixture that ends best after RL. Names are loaded on first use: Optuna takes its time."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.mixture_search.recipes import MixtureRecipe as MixtureRecipe
    from quagpredict.mixture_search.recipes import recipe_of as recipe_of
    from quagpredict.mixture_search.rounds import search_in_rounds as search_in_rounds
    from quagpredict.mixture_search.searching import check_search as check_search
    from quagpredict.mixture_search.searching import search as search
    from quagpredict.mixture_search.simplex import BoundedSimplex as BoundedSimplex
    from quagpredict.mixture_search.space import SearchSpace as SearchSpace
    from quagpredict.mixture_search.space_file import SearchPlan as SearchPlan
    from quagpredict.mixture_search.study import MixtureSearch as MixtureSearch
    from quagpredict.mixture_search.warm_start import from_corpus as from_corpus
    from quagpredict.mixture_search.warm_start import from_study as from_study

__getattr__, __dir__, __all__ = lazy_names(__name__)
