"""From candidates and what was measured along their RL runs to where every run stands: what `race` and `rank` share."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus import read_corpus
from quagpredict.curves.model import CurveModel, Forecast, learn_curves
from quagpredict.curves.reading import COLUMNS, USUAL_K, Curves
from quagpredict.curves.rewards import RewardModel, learn_rewards
from quagpredict.curves.standing import Grid, Standing, grid_of, standing
from quagpredict.errors import CorpusError, argument

#: Finished runs with curves that ship with the library.
CORPORA = tuple(f"datasets/{name}/corpus.parquet" for name in ("lab", "lab-2", "lab-3"))


class Learnt(NamedTuple):
    """What finished runs of others say of runs under way."""

    corpora: list[pl.DataFrame]  #: The runs.
    sources: str  #: What to call them.
    model: CurveModel
    rewards: RewardModel | None  #: None where training was not logged.

    def about(self) -> str:
        """Return a sentence that says what forecasts rest on."""
        return (
            f"forecasts rest on {self.model.runs} finished runs on {self.model.bases} base models ({self.sources}): of "
            "other models and problems the order is better known than the level"
        )


def learnt_from(source: Any, candidates: pl.DataFrame) -> Learnt:
    """Learn from finished runs, the shipped ones if `source` is None, without the candidates themselves.

    Raises
    ------
    CorpusError
        If a table has no curves, or all come from fewer than two base models.
    """
    if source is None:
        shipped = _shipped()
        corpora = [_without(corpus, candidates) for corpus in shipped.corpora]
        if all(entry.height == other.height for entry, other in zip(corpora, shipped.corpora, strict=True)):
            return shipped
        return _learnt(corpora, shipped.sources)
    sources = source if isinstance(source, list | tuple) else [source]
    called = ", ".join(str(entry) if isinstance(entry, str | Path) else "a table" for entry in sources)
    return _learnt([_without(_with_curves(read_corpus(entry)), candidates) for entry in sources], called)


@cache
def _shipped() -> Learnt:
    """Return what is learnt from the shipped runs, without their counts of problems."""
    corpora = [read_corpus(name, nested=("post_curve", "rl_curve")) for name in CORPORA]
    return _learnt(corpora, ", ".join(CORPORA))


def _learnt(corpora: list[pl.DataFrame], sources: str) -> Learnt:
    return Learnt(corpora, sources, learn_curves(corpora), learn_rewards(corpora))


def _with_curves(corpus: pl.DataFrame) -> pl.DataFrame:
    if "post_curve" not in corpus.columns or "base_model" not in corpus.columns:
        raise CorpusError(
            "curves to learn from need the columns 'base_model' and 'post_curve': finished runs that were measured "
            "along RL"
        )
    return corpus


def _without(corpus: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    key = [name for name in ("candidate", "base_model") if name in candidates.columns]
    return corpus.join(candidates.select(key), on=key, how="anti") if set(key) <= set(corpus.columns) else corpus


def with_results(curves: Curves, candidates: pl.DataFrame, rl_steps: int) -> Curves:
    """Add the scores after RL that candidates have already, at the step where their RL ended.

    Where the end of a whole run was measured along its curve too, the score after RL is its result, as for `rank`.
    """
    if "post_pass_at_1" not in candidates.columns:
        return curves
    at_k = f"post_pass_at_{curves.k}"
    steps = pl.col("rl_steps").fill_null(rl_steps) if "rl_steps" in candidates.columns else pl.lit(rl_steps)
    results = candidates.select(
        pl.col("candidate").cast(pl.String),
        step=steps.cast(pl.Int64),
        pass_at_1=pl.col("post_pass_at_1").cast(pl.Float64),
        pass_at_k=(pl.col(at_k) if at_k in candidates.columns else pl.lit(None)).cast(pl.Float64),
        responses=pl.lit(None, dtype=pl.Float64),
        reward=pl.lit(None, dtype=pl.Float64),
    ).filter(pl.col("pass_at_1").is_not_null())
    ends = results.filter(pl.col("step") == rl_steps)
    along = curves.frame.join(ends, on=["candidate", "step"], how="anti")
    new = results.join(along, on=["candidate", "step"], how="anti")
    return curves._replace(frame=pl.concat([along, new]).sort("candidate", "step"))


def check_ends(curves: Curves, rl_steps: int) -> None:
    """Refuse measurements beyond the end of a run, and a run that ended with no score.

    Raises
    ------
    CorpusError
        It names the candidate.
    """
    beyond = curves.frame.filter(pl.col("step") > rl_steps)
    if beyond.height:
        raise CorpusError(
            f"'{beyond['candidate'][0]}' was measured at step {beyond['step'][0]}, beyond "
            f"{argument('rl_steps', rl_steps)}; say how long a whole run is"
        )
    ended = curves.frame.filter((pl.col("step") == rl_steps) & pl.col("pass_at_1").is_null())
    if ended.height:
        raise CorpusError(
            f"'{ended['candidate'][0]}' has only a training reward at step {rl_steps}, the end of its run, and that is "
            "no score: measure it on the suite, and give its 'pass_at_1'"
        )


def stand(
    curves: Curves, candidates: pl.DataFrame, learnt: Learnt, before: Forecast, rl_steps: int
) -> tuple[Standing, Grid, NDArray[np.int64]]:
    """Return where every run stands, the forecasts at each of its measurements, and how many there are.

    Parameters
    ----------
    curves : Curves
        From `read_curves`.
    candidates : polars.DataFrame
        ``candidate``, a row each, and ``base_model`` where it is known; without, all count as of one base.
    before : Forecast
        What was predicted before RL, arrays (n,); NaN where nothing was.
    rl_steps : int
        Of a whole run.
    """
    runs = candidates.select(pl.col("candidate").cast(pl.String)).with_row_index("row")
    points = curves.frame.join(runs, on="candidate").sort("row", "step", maintain_order=True)
    row = points["row"].to_numpy().astype(np.int64)
    measured = np.bincount(row, minlength=runs.height)
    first = np.cumsum(measured) - measured
    # What is predicted before RL is the start, also where the score before RL was not measured.
    unmeasured = np.ones(runs.height, dtype=np.int64)
    unmeasured[measured > 0] = points["step"].to_numpy()[first[measured > 0]] > 0
    seen = measured + unmeasured
    table = np.full((5, runs.height, int(seen.max(initial=1))), np.nan)
    table[0, :, 0] = 0.0
    for at, name in enumerate(COLUMNS[1:]):
        table[at, row, np.arange(len(row)) - first[row] + unmeasured[row]] = points[name].cast(pl.Float64).to_numpy()
    step, score, at_k, responses, reward = table
    by_reward = None if learnt.rewards is None else learnt.rewards.forecast(step / rl_steps, reward)
    grid = grid_of(learnt.model, step, score, at_k, curves.k, responses, float(rl_steps), before, by_reward)
    return standing(grid, seen, _bases(candidates), float(rl_steps)), grid, seen


def about_curves(curves: Curves) -> Sequence[str]:
    """Return what a reader must know about the measurements."""
    notes = []
    if not curves.k:
        notes.append(
            f"no Pass@{USUAL_K} along the curves: with it forecasts are much better, measured from the same samples"
        )
    elif curves.k != USUAL_K:
        notes.append(
            f"the curves have Pass@{curves.k} where the forecast was learnt on Pass@{USUAL_K}: it is converted"
        )
    rewarded = curves.frame["pass_at_1"].null_count()
    if rewarded:
        notes.append(
            f"of {rewarded} runs under way only the training reward is known: a measurement on the suite says more"
        )
    return notes


def _bases(frame: pl.DataFrame) -> NDArray[np.int64]:
    if "base_model" not in frame.columns:
        return np.zeros(frame.height, dtype=np.int64)
    names = frame["base_model"].cast(pl.String).fill_null("").to_numpy()
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
