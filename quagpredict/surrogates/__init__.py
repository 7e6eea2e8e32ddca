"""Surrogates: regressors from what is measured before RL to the score after it.

The names are loaded on first use. What is needed to predict (`FittedSurrogate`, `load_surrogate`) is numpy only; the
scikit-learn estimators are imported when one is asked for, because that import takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quagpredict.surrogates.average import AverageSurrogate as AverageSurrogate
    from quagpredict.surrogates.bayesian_ridge import BayesianRidgeSurrogate as BayesianRidgeSurrogate
    from quagpredict.surrogates.fitted import FittedSurrogate as FittedSurrogate
    from quagpredict.surrogates.fitted import Interval as Interval
    from quagpredict.surrogates.fitted import Prediction as Prediction
    from quagpredict.surrogates.fitting import fit as fit
    from quagpredict.surrogates.linear import LinearSurrogate as LinearSurrogate
    from quagpredict.surrogates.mean import MeanSurrogate as MeanSurrogate
    from quagpredict.surrogates.ridge import RidgeSurrogate as RidgeSurrogate
    from quagpredict.surrogates.store import load_surrogate as load_surrogate
    from quagpredict.surrogates.store import save_surrogate as save_surrogate

_HOME = {
    "AverageSurrogate": "average",
    "BayesianRidgeSurrogate": "bayesian_ridge",
    "FittedSurrogate": "fitted",
    "Interval": "fitted",
    "LinearSurrogate": "linear",
    "MeanSurrogate": "mean",
    "Prediction": "fitted",
    "RidgeSurrogate": "ridge",
    "fit": "fitting",
    "load_surrogate": "store",
    "save_surrogate": "store",
}

__all__ = [
    "AverageSurrogate",
    "BayesianRidgeSurrogate",
    "FittedSurrogate",
    "Interval",
    "LinearSurrogate",
    "MeanSurrogate",
    "Prediction",
    "RidgeSurrogate",
    "fit",
    "load_surrogate",
    "save_surrogate",
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
