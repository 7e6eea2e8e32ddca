"""What was predicted before RL, whoever predicted it: the start of every forecast."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from quagpredict.curves.model import CurveModel, Forecast
from quagpredict.curves.reading import plain_table
from quagpredict.curves.standing import prior_forecast
from quagpredict.errors import QuagpredictError, UsageError, argument
from quagpredict.ranking.ranker import rank
from quagpredict.ranking.result import Ranking
from quagpredict.surrogates.across_families import predict_across

#: Names under which a table may hold the prediction: those of `rank` and of `predict_across`.
_PREDICTIONS = ("prediction", "predicted")


def forecast_before_rl(
    prior: Any, candidates: pl.DataFrame, corpora: Sequence[pl.DataFrame] | None, model: CurveModel
) -> tuple[Forecast, str]:
    """Return what is predicted of each candidate before RL, and a note that says by what.

    Parameters
    ----------
    prior : Ranking, table, path or None
        From `quagpredict.rank`, or any table with ``candidate``, ``prediction``, ``low`` and ``high``. "default" takes
        what `rank` predicts by default; with `corpora`, the hierarchical predictor that is learnt from these, where the
        candidates have counts of each problem and a held-out loss. None takes nothing, so that the scores before RL
        speak as the first points of the curves.
    corpora : sequence of polars.DataFrame, optional
        Finished runs of the caller's own.

    Returns
    -------
    Forecast
        Arrays (n,); NaN where nothing is predicted.
    str
        The note; empty where the caller gave the predictions.

    Raises
    ------
    UsageError
        If a table lacks a column, or names no candidate.
    """
    if prior is None:
        return _nothing(candidates), "no prediction before RL: the curves speak alone"
    if isinstance(prior, str) and prior == "default":
        return _ranked(candidates, model) if corpora is None else _learnt(candidates, corpora, model)
    table = prior.frame if isinstance(prior, Ranking) else plain_table(prior, "prior")
    name = next((name for name in _PREDICTIONS if name in table.columns), "prediction")
    for column in ("candidate", name, "low", "high"):
        if column not in table.columns:
            raise UsageError(
                f"{argument('prior', 'TABLE')}: column '{column}' is missing; expected a ranking with predicted scores "
                "(candidate, prediction, low, high), not a screening"
            )
        dtype = table.schema[column]
        if column != "candidate" and not (dtype.is_numeric() or dtype == pl.Null):
            raise UsageError(f"{argument('prior', 'TABLE')}: column '{column}' must hold numbers, not {dtype}")
    if table["candidate"].is_duplicated().any():
        raise UsageError(f"{argument('prior', 'TABLE')}: a candidate appears twice")
    numbers = [pl.col(column).cast(pl.Float64, strict=False) for column in (name, "low", "high")]
    predictions = table.select(pl.col("candidate").cast(pl.String), *numbers)
    joined = candidates.select(pl.col("candidate").cast(pl.String)).join(
        predictions, on="candidate", maintain_order="left", how="left"
    )
    if not joined[name].is_not_null().any():
        raise UsageError(f"{argument('prior', 'TABLE')}: it predicts none of the candidates")
    return _forecast(joined, (name, "low", "high"), model), ""


_LITTLE = (
    "before RL only the score and Pass@k are used: a ranking passed as `prior`, or candidates with counts of each "
    "problem and a held-out loss, say more"
)


def _ranked(candidates: pl.DataFrame, model: CurveModel) -> tuple[Forecast, str]:
    """Return what `rank` says by default, without the curves, which speak for themselves."""
    try:
        ranking = rank(candidates.drop("post_curve", strict=False))
    except QuagpredictError as error:
        return _nothing(candidates), f"{_LITTLE} ({error})"
    if ranking.surrogate is None:
        return _nothing(candidates), _LITTLE
    forecast, _ = forecast_before_rl(ranking, candidates, None, model)
    return forecast, f"before RL, what `quagpredict.rank` predicts by the surrogate '{ranking.surrogate}'"


def _learnt(candidates: pl.DataFrame, corpora: Sequence[pl.DataFrame], model: CurveModel) -> tuple[Forecast, str]:
    needed = ("base_model", "pre_problems", "pre_held_out_loss_nats")
    if not all(name in candidates.columns and candidates[name].is_not_null().any() for name in needed):
        return _nothing(candidates), _LITTLE
    names = ("hierarchical", "hierarchical_low", "hierarchical_high")
    return _forecast(predict_across(candidates, corpora), names, model), (
        "before RL, the hierarchical prediction from other bases and problems"
    )


def _nothing(candidates: pl.DataFrame) -> Forecast:
    return Forecast(*(np.full(candidates.height, np.nan) for _ in range(3)))


def _forecast(table: pl.DataFrame, names: tuple[str, str, str], model: CurveModel) -> Forecast:
    return prior_forecast(model, *(table[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names))
