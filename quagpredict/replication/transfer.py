"""What a surrogate that was fitted on one family of problems is worth on another."""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.training_rows import training_rows
from quagpredict.validation.baselines import BASELINE, BASELINE_ORDER, model_of
from quagpredict.validation.scores import pairwise_accuracy, r2, spearman, top_regret
from quagpredict.validation.task import names_of

Floats = NDArray[np.float64]

METRICS = ("spearman", "r2", "pairwise_accuracy", "regret_1")
RESAMPLES = 1000
_SCHEMA = {
    **dict.fromkeys(("fitted_on", "judged_on", "model", "metric"), pl.String),
    "candidates": pl.Int64,
    **dict.fromkeys(("value", "low", "high", "gain", "gain_low", "gain_high"), pl.Float64),
}


class Corpus(NamedTuple):
    """A table of finished runs and what to call it."""

    name: str
    frame: pl.DataFrame


def transfer(
    fitted_on: Corpus,
    judged_on: Corpus,
    models: Sequence[str],
    *,
    target: str = "post_pass_at_1",
    resamples: int = RESAMPLES,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> pl.DataFrame:
    """Fit models on all runs of one corpus and judge them on all of another.

    Parameters
    ----------
    fitted_on, judged_on : Corpus
        The two may have other eval protocols, RL recipes and base models: to learn what such a change costs is the
        purpose. Each alone must have one protocol and one RL recipe.
    models : sequence of str
        As `validate` reads them; SFT Pass@1 as a line (`BASELINE`) is added.
    target : str
    resamples : int
        Of the bootstrap over the judged candidates.
    seed : int
        Of the bootstrap, and of models that draw random numbers.
    say : callable, optional
        Told of each model that either corpus does not allow, which is then left out instead of an error.

    Returns
    -------
    polars.DataFrame
        One row a model and metric: ``value`` with its 90 % bootstrap interval ``low``, ``high`` over the judged
        candidates (the fit is taken as it is), and ``gain``, ``gain_low``, ``gain_high`` over SFT Pass@1 on the same
        resamples (for what depends on the order alone: over the score as it is). ``spearman``; ``r2`` (negative: worse
        than the judged corpus's own mean); ``pairwise_accuracy`` within base models; ``regret_1`` as a fraction, lower
        is better.

    Raises
    ------
    CorpusError, IncomparableError
        As `fit`; without `say`, a model that either corpus does not allow is an error that names what is missing.
    UsageError
        If a model is a proxy: nothing of it is fitted, so nothing is carried over. A model that lacks a measurement of
        some judged candidate is an error likewise: it orders the others only.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> here, there = (Corpus(name, synthetic_corpus(30, seed=seed).frame) for seed, name in enumerate("ab"))
    >>> found = transfer(here, there, ["linear:both"], resamples=100)
    >>> found.filter(metric="spearman")["model"].to_list()
    ['linear:pass_at_1', 'linear:both']
    """
    source, judged = (
        training_rows(corpus.frame, target, split=None, source=corpus.name) for corpus in (fitted_on, judged_on)
    )
    if len(judged.y) < 4:
        raise CorpusError(f"{judged_on.name}: {len(judged.y)} finished candidates are too few to judge by: at least 4")
    predicted: dict[str, Floats] = {}
    for name in dict.fromkeys((BASELINE, *models)):
        try:
            model = model_of(name, source.frame, exclude=(target,))
            if model.kind == "proxy":
                raise UsageError(f"model '{name}' is not fitted, so nothing of it is carried over: name a surrogate")
            fitted = fit_frame(
                model.kind, source.frame, source.y, features=model.features or "both", transforms=model.transforms,
                target=target, seed=seed, source=fitted_on.name,
            )  # fmt: skip
            mean = fitted.predict_frame(judged.frame).mean
            if not np.isfinite(mean).all():
                lacking = judged.frame["candidate"].to_list()[int(np.flatnonzero(~np.isfinite(mean))[0])]
                raise CorpusError(f"{judged_on.name}: '{lacking}' lacks a measurement that '{name}' needs")
            predicted[name] = mean
        except CorpusError as error:
            if say is None:
                raise
            say(f"{name} is not carried from {fitted_on.name} to {judged_on.name}: {error}")
            if name == BASELINE:
                return pl.DataFrame(schema=_SCHEMA)
    n = len(judged.y)
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    bases = names_of(judged.frame, "base_model")
    # Fitted to the other corpus, the line may fall; whoever chooses by SFT Pass@1 takes the highest.
    as_it_is = judged.frame["pre_pass_at_1"].cast(pl.Float64).to_numpy()
    orders = predicted | {BASELINE_ORDER: as_it_is}
    values = {name: _scores(judged.y, mean, bases) for name, mean in orders.items()}
    draws = {name: _scores(judged.y[drawn], mean[drawn], bases[drawn]) for name, mean in orders.items()}
    rows = []
    for name in predicted:
        for metric in METRICS:
            value, spread = values[name][metric], draws[name][metric]
            row: dict[str, object] = {"fitted_on": fitted_on.name, "judged_on": judged_on.name}
            row |= {"model": name, "metric": metric}
            row |= {"candidates": n, "value": _known(value)} | _ends("", spread)
            over = BASELINE if metric == "r2" else BASELINE_ORDER
            if name != over:
                row |= {"gain": _known(value - values[over][metric])}
                row |= _ends("gain_", spread - draws[over][metric])
            rows.append(row)
    return pl.DataFrame(rows, schema=_SCHEMA)


def transfers(
    corpora: Sequence[Corpus], models: Sequence[str], *, seed: int = 0, say: Callable[[str], None] | None = None
) -> pl.DataFrame:
    """Carry models from each corpus to each other one; what cannot be carried is told to `say` and left out.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> corpora = [Corpus(name, synthetic_corpus(30, seed=seed).frame) for seed, name in enumerate("ab")]
    >>> transfers(corpora, ["linear:both"])["judged_on"].unique(maintain_order=True).to_list()
    ['b', 'a']
    """
    tell = say or (lambda _: None)
    pairs = permutations(corpora, 2)
    carried = [transfer(fitted_on, judged_on, models, seed=seed, say=tell) for fitted_on, judged_on in pairs]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *carried])


def _scores(y: Floats, predicted: Floats, bases: NDArray[np.str_]) -> dict[str, Floats]:
    return {
        "spearman": spearman(y, predicted),
        "r2": r2(y, predicted),
        "pairwise_accuracy": pairwise_accuracy(y, predicted, bases),
        "regret_1": top_regret(y, predicted),
    }


def _ends(prefix: str, draws: Floats) -> dict[str, float | None]:
    draws = draws[np.isfinite(draws)]  # a resample of one candidate alone has no order
    low, high = np.quantile(draws, (0.05, 0.95)).tolist() if len(draws) else (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}


def _known(value: Floats) -> float | None:
    return float(value) if np.isfinite(value) else None
