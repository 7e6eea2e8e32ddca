"""Callbacks for the trainers of transformers and TRL: they measure a model while it is trained."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.callbacks.while_training import QuagpredictCallback as QuagpredictCallback

__getattr__, __dir__, __all__ = lazy_names(__name__)
