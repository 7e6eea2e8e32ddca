"""Predict which SFT checkpoints will end best after reinforcement learning, before RL compute is spent."""

from typing import TYPE_CHECKING, Any

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.answers.grading import grade as grade
    from quagpredict.callbacks.while_training import QuagpredictCallback as QuagpredictCallback
    from quagpredict.collection.collecting import collect as collect
    from quagpredict.collection.estimate import estimate_cost as estimate_cost
    from quagpredict.collection.planning import planned_commands as planned_commands
    from quagpredict.corpus.files import write_corpus as write_corpus
    from quagpredict.corpus.reading import read_corpus as read_corpus
    from quagpredict.diagnosis import doctor as doctor
    from quagpredict.errors import CheckpointError as CheckpointError
    from quagpredict.errors import CorpusError as CorpusError
    from quagpredict.errors import IncomparableError as IncomparableError
    from quagpredict.errors import InvalidDataError as InvalidDataError
    from quagpredict.errors import LauncherError as LauncherError
    from quagpredict.errors import MissingExtraError as MissingExtraError
    from quagpredict.errors import NothingToRankError as NothingToRankError
    from quagpredict.errors import QuagpredictError as QuagpredictError
    from quagpredict.errors import RecipeError as RecipeError
    from quagpredict.errors import StageError as StageError
    from quagpredict.errors import SurrogateError as SurrogateError
    from quagpredict.errors import UsageError as UsageError
    from quagpredict.evaluation.score import score_checkpoint as score_checkpoint
    from quagpredict.importers.importing import import_run as import_run
    from quagpredict.importers.many import import_runs as import_runs
    from quagpredict.importers.many import write_imported as write_imported
    from quagpredict.importers.mlflow_runs import read_mlflow as read_mlflow
    from quagpredict.metrics.coverage import pass_at_k as pass_at_k
    from quagpredict.mixture_search.searching import check_search as check_search
    from quagpredict.mixture_search.searching import search as search
    from quagpredict.mixture_search.study import MixtureSearch as MixtureSearch
    from quagpredict.racing.racer import race as race
    from quagpredict.ranking.ranker import rank as rank
    from quagpredict.replication.auditing import audit as audit
    from quagpredict.replication.corpora import replicate as replicate
    from quagpredict.report.cards import save_validated as save_validated
    from quagpredict.report.cards import write_hub_folder as write_hub_folder
    from quagpredict.report.reporting import write_report as write_report
    from quagpredict.surrogates.estimator import SurrogateRegressor as SurrogateRegressor
    from quagpredict.surrogates.fitting import fit as fit
    from quagpredict.surrogates.store import load_surrogate as load_surrogate
    from quagpredict.surrogates.store import save_surrogate as save_surrogate
    from quagpredict.validation.fit_and_validate import fit_validated as fit_validated
    from quagpredict.validation.learning_curve import learning_curve as learning_curve
    from quagpredict.validation.sensitivity import sensitivity as sensitivity
    from quagpredict.validation.validating import validate as validate

_lazy, _, __all__ = lazy_names(__name__)


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `import quagpredict` and the command line start at once.
    if name == "__version__":
        from quagpredict.version import own_version

        return own_version()
    return _lazy(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
