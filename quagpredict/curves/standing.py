"""Where every run of a race stands: its forecast from what was measured, and what going on would make of it.

The forecast of a run is a martingale: at a later measurement it moves by as much as its variance falls. So what a
measurement may say can be told before it is made, from the variances alone. What a base gains more or less than others
is one unknown for all its runs, and each move of a forecast tells something of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.curves.model import LOGIT, CurveModel, Forecast
from quagpredict.surrogates.fitted import Z90

#: Correlation of a run's own errors in the prediction before RL and in the forecast from its curve: between what
#: `bench/curve_forecasts.py` finds on `lab` (0.8) and on `lab-2` (0.4 after 50 steps, 0.1 after 100).
CORRELATION = 0.5


@dataclass(frozen=True, eq=False)
class Grid:
    """Forecasts of n runs at up to m measurements each, in the order of their steps; NaN after the last."""

    step: Floats  #: (n, m): RL steps; the first is 0 for a run of which something is known before RL.
    score: Floats  #: (n, m): Pass@1 that was measured.
    forecast: Forecast  #: Arrays (n, m).


@dataclass(frozen=True, eq=False)
class Standing:
    """What is believed of the ends of n runs now."""

    step: Floats  #: (n,): RL steps that are done.
    score: Floats  #: (n,): Pass@1 there; NaN if it was not measured.
    #: `mean` and `own`: (n,): Forecast on the logit scale, and the variance of the error that the run has alone.
    mean: Floats
    own: Floats
    loading: Floats  #: (n,): Deviation of the error that it shares with the runs of its base.
    #: (n,): By how much `loading` has shrunk already: the deviation of what is unknown of its base, 1 at first.
    spread: Floats
    base: NDArray[np.int64]  #: (n,): Number of its base model.
    result: Floats  #: (n,): Score of a finished run, NaN elsewhere.


def grid_of(
    model: CurveModel,
    step: Floats,
    score: Floats,
    at_k: Floats,
    k: int,
    responses: Floats,
    steps: float,
    prior: Forecast,
    by_reward: Forecast | None = None,
) -> Grid:
    """Return the forecasts at each measurement, the prediction before RL included.

    Parameters
    ----------
    step, score, at_k, responses : array (n, m)
        Measurements, see `CurveModel.forecast`; NaN in `step` where there is none.
    steps : float
        RL steps of a whole run.
    prior : Forecast
        From before RL, arrays (n,); NaN where nothing was predicted, so that the curve speaks alone.
    by_reward : Forecast, optional
        From training rewards, arrays (n, m), NaN where there is none: taken where no score was measured.
    """
    forecast = model.forecast(step / steps, score, at_k, k, responses)
    if by_reward is not None:
        by_reward_alone = ~np.isfinite(score) & np.isfinite(by_reward.mean)
        forecast = Forecast(*(np.where(by_reward_alone, *two) for two in zip(by_reward, forecast, strict=True)))
    return Grid(
        step, score, Forecast(*(np.where(np.isnan(step), np.nan, part) for part in with_prior(forecast, step, prior)))
    )


def with_prior(forecast: Forecast, step: Floats, prior: Forecast) -> Forecast:
    """Return the best mean of two forecasts whose errors are correlated, (n, m); before RL the prediction alone.

    The weights are those of least variance for errors of correlation `CORRELATION`, none below 0.

    References
    ----------
    J. M. Bates, C. W. J. Granger, The combination of forecasts, Operational Research Quarterly 20 (1969), equation 1.
    """
    mean, own, loading = (np.broadcast_to(part[:, None], step.shape) for part in prior)
    both = CORRELATION * np.sqrt(forecast.own * own)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.clip((forecast.own - both) / (forecast.own + own - 2.0 * both), 0.0, 1.0)
    weight = np.where(step > 0, weight, 1.0)
    weight = np.where(np.isfinite(mean) & (forecast.own > 0), weight, 0.0)
    mean, own, loading, both = (np.where(np.isfinite(part), part, 0.0) for part in (mean, own, loading, both))
    return Forecast(
        (1.0 - weight) * forecast.mean + weight * mean,
        (1.0 - weight) ** 2 * forecast.own + weight**2 * own + 2.0 * weight * (1.0 - weight) * both,
        (1.0 - weight) * forecast.loading + weight * loading,
    )


def prior_forecast(model: CurveModel, mean: Floats, low: Floats, high: Floats) -> Forecast:
    """Return predictions before RL, scores with their 90 % intervals, as forecasts.

    An interval holds two errors: of the level of a base, which is common to its candidates, and of each candidate. What
    is wider than candidates of one base differ by, when their score and Pass@k before RL are known, is taken as common.
    Neither is taken as larger than the curve model's own from before RL: whoever doubts the level of all candidates
    alike does not doubt their order.
    """
    middle = LOGIT.forward(np.clip(mean, 0.0, 1.0))
    reach = LOGIT.forward(np.clip(high, 0.0, 1.0)) - LOGIT.forward(np.clip(low, 0.0, 1.0))
    # Without an interval nobody knows what the prediction is worth.
    whole = np.isfinite(middle) & np.isfinite(reach)
    middle, reach = np.where(whole, middle, np.nan), np.where(whole, reach, np.nan)
    variance = np.maximum((reach / (2.0 * Z90)) ** 2, 1e-6)
    own = np.minimum(variance, model.best.own.sum())
    return Forecast(middle, own, np.sqrt(np.minimum(variance - own, model.best.shared)))


def standing(grid: Grid, seen: NDArray[np.int64], base: NDArray[np.int64], steps: float) -> Standing:
    """Return what is believed after the first `seen` measurements of each run.

    Parameters
    ----------
    seen : array (n,) of int
        At least 1.
    base : array (n,) of int
    steps : float
        RL steps of a whole run: a run that was measured there is finished.

    Notes
    -----
    Let b, standard normal before anything was measured, be what a base gains more than others. A forecast that goes
    from m to m' moves by (loading - loading') b, with a variance of own - own', so each move updates b in closed form.
    """
    rows = np.arange(len(seen))
    mean, own, loading = grid.forecast
    bases = int(base.max(initial=-1)) + 1
    precision, total = np.ones(bases), np.zeros(bases)
    for point in range(1, int(seen.max(initial=0))):
        at = np.flatnonzero(seen > point)
        moved = mean[at, point] - mean[at, point - 1]
        lever = loading[at, point - 1] - loading[at, point]
        # The variances are smooth estimates: a step that tells little still tells with some error.
        noise = np.maximum(own[at, point - 1] - own[at, point], 0.1 * own[at, point - 1]) + 1e-6
        precision += np.bincount(base[at], lever**2 / noise, minlength=bases)
        total += np.bincount(base[at], lever * moved / noise, minlength=bases)
    last = seen - 1
    step, score = grid.step[rows, last], grid.score[rows, last]
    done = (step >= steps) & np.isfinite(score)
    here = mean[rows, last] + loading[rows, last] * (total / precision)[base]
    # What a run has shown it is taken to keep.
    here = np.where(np.isfinite(score), np.maximum(here, LOGIT.forward(score)), here)
    return Standing(
        step=step,
        score=score,
        mean=here,
        own=np.where(done, 0.0, own[rows, last]),
        loading=np.where(done, 0.0, loading[rows, last]),
        spread=np.sqrt(1.0 / precision)[base],
        base=base,
        result=np.where(done, score, np.nan),
    )
