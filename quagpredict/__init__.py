"""Predict which SFT checkpoints will end best after reinforcement learning, before RL compute is spent."""

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
from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.answers import grade
    from quagpredict.collection import collect
    from quagpredict.collection.estimate import estimate_cost
    from quagpredict.corpus import read_corpus, write_corpus
    from quagpredict.diagnosis import doctor
    from quagpredict.evaluation import score_checkpoint
    from quagpredict.importers import import_run, import_runs, write_imported
    from quagpredict.metrics import pass_at_k
    from quagpredict.mixture_search import MixtureSearch, search
    from quagpredict.racing import race
    from quagpredict.ranking import rank
    from quagpredict.replication import replicate
    from quagpredict.replication.auditing import audit
    from quagpredict.report.card import save_validated
    from quagpredict.report.reporting import write_report
    from quagpredict.surrogates import SurrogateRegressor, fit
    from quagpredict.surrogates.store import load_surrogate, save_surrogate
    from quagpredict.validation import fit_validated, validate
    from quagpredict.validation.learning_curve import learning_curve
    from quagpredict.validation.sensitivity import sensitivity

__all__ = [
    "CheckpointError",
    "CorpusError",
    "IncomparableError",
    "InvalidDataError",
    "MissingExtraError",
    "MixtureSearch",
    "NothingToRankError",
    "QuagpredictCallback",
    "QuagpredictError",
    "RecipeError",
    "StageError",
    "SurrogateError",
    "SurrogateRegressor",
    "UsageError",
    "audit",
    "collect",
    "doctor",
    "estimate_cost",
    "fit",
    "fit_validated",
    "grade",
    "import_run",
    "import_runs",
    "learning_curve",
    "load_surrogate",
    "pass_at_k",
    "race",
    "rank",
    "read_corpus",
    "replicate",
    "save_surrogate",
    "save_validated",
    "score_checkpoint",
    "search",
    "sensitivity",
    "validate",
    "write_corpus",
    "write_imported",
    "write_report",
]

_HOME = {
    "MixtureSearch": "mixture_search",
    "QuagpredictCallback": "callbacks",
    "SurrogateRegressor": "surrogates",
    "audit": "replication.auditing",
    "collect": "collection",
    "doctor": "diagnosis",
    "estimate_cost": "collection.estimate",
    "fit": "surrogates",
    "fit_validated": "validation",
    "grade": "answers",
    "import_run": "importers",
    "import_runs": "importers",
    "learning_curve": "validation.learning_curve",
    "load_surrogate": "surrogates.store",
    "pass_at_k": "metrics",
    "race": "racing",
    "rank": "ranking",
    "read_corpus": "corpus",
    "replicate": "replication",
    "save_surrogate": "surrogates.store",
    "save_validated": "report.card",
    "score_checkpoint": "evaluation",
    "search": "mixture_search",
    "sensitivity": "validation.sensitivity",
    "validate": "validation",
    "write_corpus": "corpus",
    "write_imported": "importers",
    "write_report": "report.reporting",
}

_lazy, _ = lazy_names(__name__, _HOME)


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `import quagpredict` and the command line start at once.
    if name == "__version__":
        from quagpredict.version import own_version

        return own_version()
    return _lazy(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
