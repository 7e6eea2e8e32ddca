"""Predict which SFT checkpoints will end best after reinforcement learning, before RL compute is spent."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from quagpredict.errors import (
    CheckpointError,
    CorpusError,
    IncomparableError,
    InvalidDataError,
    MissingExtraError,
    NothingToRankError,
    QuagpredictError,
    RecipeError,
    StageError,
    SurrogateError,
    UsageError,
)

if TYPE_CHECKING:
    from quagpredict.answers import grade
    from quagpredict.corpus import read_corpus, write_corpus
    from quagpredict.evaluation import score_checkpoint
    from quagpredict.importers import import_run
    from quagpredict.metrics import pass_at_k
    from quagpredict.mixture_search import MixtureSearch
    from quagpredict.quagmires import audit
    from quagpredict.ranking import rank
    from quagpredict.surrogates import fit
    from quagpredict.surrogates.store import load_surrogate, save_surrogate
    from quagpredict.validation import validate

__all__ = [
    "CheckpointError",
    "CorpusError",
    "IncomparableError",
    "InvalidDataError",
    "MissingExtraError",
    "MixtureSearch",
    "NothingToRankError",
    "QuagpredictError",
    "RecipeError",
    "StageError",
    "SurrogateError",
    "UsageError",
    "audit",
    "fit",
    "grade",
    "import_run",
    "load_surrogate",
    "pass_at_k",
    "rank",
    "read_corpus",
    "save_surrogate",
    "score_checkpoint",
    "validate",
    "write_corpus",
]

_HOME = {
    "MixtureSearch": "quagpredict.mixture_search",
    "audit": "quagpredict.quagmires",
    "fit": "quagpredict.surrogates",
    "grade": "quagpredict.answers",
    "import_run": "quagpredict.importers",
    "load_surrogate": "quagpredict.surrogates.store",
    "pass_at_k": "quagpredict.metrics",
    "rank": "quagpredict.ranking",
    "read_corpus": "quagpredict.corpus",
    "save_surrogate": "quagpredict.surrogates.store",
    "score_checkpoint": "quagpredict.evaluation",
    "validate": "quagpredict.validation",
    "write_corpus": "quagpredict.corpus",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `import quagpredict` and the command line start at once.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "__version__":
        from quagpredict.version import own_version

        return own_version()
    raise AttributeError(f"module 'quagpredict' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
