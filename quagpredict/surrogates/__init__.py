"""Surrogates: regressors from what is measured before RL to the score after it.

The names are loaded on first use. What is needed to predict (`FittedSurrogate`, `load_surrogate`) is numpy only; the
scikit-learn estimators are imported when one is asked for, because that import takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quagpredict.surrogates.auto import AutoSurrogate as AutoSurrogate
    from quagpredict.surrogates.average import AverageSurrogate as AverageSurrogate
    from quagpredict.surrogates.bayesian_ridge import BayesianRidgeSurrogate as BayesianRidgeSurrogate
    from quagpredict.surrogates.budget import BudgetSurrogate as BudgetSurrogate
    from quagpredict.surrogates.effective_k import EffectiveKSurrogate as EffectiveKSurrogate
    from quagpredict.surrogates.fitted import Calibration as Calibration
    from quagpredict.surrogates.fitted import FittedSurrogate as FittedSurrogate
    from quagpredict.surrogates.fitted import Interval as Interval
    from quagpredict.surrogates.fitted import Prediction as Prediction
    from quagpredict.surrogates.fitting import fit as fit
    from quagpredict.surrogates.fitting import fit_frame as fit_frame
    from quagpredict.surrogates.gaussian_process import GaussianProcessSurrogate as GaussianProcessSurrogate
    from quagpredict.surrogates.kinds import prepare as prepare
    from quagpredict.surrogates.lightgbm import LightGBMSurrogate as LightGBMSurrogate
    from quagpredict.surrogates.linear import LinearSurrogate as LinearSurrogate
    from quagpredict.surrogates.mean import MeanSurrogate as MeanSurrogate
    from quagpredict.surrogates.mixed import MixedSurrogate as MixedSurrogate
    from quagpredict.surrogates.ridge import RidgeSurrogate as RidgeSurrogate
    from quagpredict.surrogates.sharpening import SharpeningSurrogate as SharpeningSurrogate
    from quagpredict.surrogates.store import load_surrogate as load_surrogate
    from quagpredict.surrogates.store import save_surrogate as save_surrogate

_HOME = {
    "AutoSurrogate": "auto",
    "AverageSurrogate": "average",
    "BayesianRidgeSurrogate": "bayesian_ridge",
    "BudgetSurrogate": "budget",
    "Calibration": "fitted",
    "EffectiveKSurrogate": "effective_k",
    "FittedSurrogate": "fitted",
    "GaussianProcessSurrogate": "gaussian_process",
    "Interval": "fitted",
    "LightGBMSurrogate": "lightgbm",
    "LinearSurrogate": "linear",
    "MeanSurrogate": "mean",
    "MixedSurrogate": "mixed",
    "Prediction": "fitted",
    "RidgeSurrogate": "ridge",
    "SharpeningSurrogate": "sharpening",
    "fit": "fitting",
    "fit_frame": "fitting",
    "load_surrogate": "store",
    "prepare": "kinds",
    "save_surrogate": "store",
}

__all__ = [
    "AutoSurrogate",
    "AverageSurrogate",
    "BayesianRidgeSurrogate",
    "BudgetSurrogate",
    "Calibration",
    "EffectiveKSurrogate",
    "FittedSurrogate",
    "GaussianProcessSurrogate",
    "Interval",
    "LightGBMSurrogate",
    "LinearSurrogate",
    "MeanSurrogate",
    "MixedSurrogate",
    "Prediction",
    "RidgeSurrogate",
    "SharpeningSurrogate",
    "fit",
    "fit_frame",
    "load_surrogate",
    "prepare",
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
