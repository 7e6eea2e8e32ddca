"""Surrogates: regressors from what is measured before RL to the score after it.

Each kind is one module: its form, its fit, what it reads; `kinds.py` is their table. The names are loaded on first use.
What is needed to predict (`FittedSurrogate`, `load_surrogate`) is numpy only; scikit-learn is imported with
`SurrogateRegressor`, because that import takes seconds.
"""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.surrogates.estimator import SurrogateRegressor as SurrogateRegressor
    from quagpredict.surrogates.fitted import Calibration as Calibration
    from quagpredict.surrogates.fitted import FittedSurrogate as FittedSurrogate
    from quagpredict.surrogates.fitted import Interval as Interval
    from quagpredict.surrogates.fitted import Prediction as Prediction
    from quagpredict.surrogates.fitting import fit as fit
    from quagpredict.surrogates.fitting import fit_frame as fit_frame
    from quagpredict.surrogates.kinds import SURROGATES as SURROGATES
    from quagpredict.surrogates.kinds import prepare as prepare
    from quagpredict.surrogates.store import load_surrogate as load_surrogate
    from quagpredict.surrogates.store import save_surrogate as save_surrogate

__getattr__, __dir__, __all__ = lazy_names(__name__)
