"""What the training reward says of the end of a run that was not measured since its RL began.

The reward is another measurement than the suite's Pass@1: other problems, drawn while the policy changes. It is never
taken for a score. With r its logit after a fraction f of the run, and h = 1 - sqrt(f), the logit of the score at the
end is r + a + b r + h (c + d r); a base may lie above or below that by one amount. The error stays at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.curves.model import FAR, LOGIT, QUIET, Forecast, growing, left_out_errors, named_bases, ridge

#: Entries of the training log that a reward is the mean of, as a trainer's smoothed curve shows it.
LOGGED = 3


@dataclass(frozen=True, eq=False)
class RewardModel:
    """Forecasts of the end of a run from its training reward."""

    coefficients: Floats  #: (4,): Of 1, r, h and h r.
    #: `own` and `shared`: (2,): Variances of the error of a run alone, and of what all runs of a base share: at the
    #: end, and what h² adds.
    own: Floats
    shared: Floats

    def forecast(self, fraction: Floats, reward: Floats) -> Forecast:
        """Forecast the score at the end of runs of which a fraction is done, from rewards, arrays of one shape."""
        r, h = LOGIT.forward(reward), 1.0 - np.sqrt(np.clip(fraction, 0.0, 1.0))
        return Forecast(
            r + _terms(r, h) @ self.coefficients,
            self.own[0] + self.own[1] * h**2,
            np.sqrt(self.shared[0] + self.shared[1] * h**2),
        )


def learn_rewards(corpora: Sequence[pl.DataFrame]) -> RewardModel | None:
    """Learn how runs end from their training rewards, or return None where fewer than two base models have any.

    Parameters
    ----------
    corpora : sequence of polars.DataFrame
        With ``base_model``, ``post_curve`` and, where the training was logged, ``rl_curve``. As for `learn_curves`,
        each measurement is also the end of a shorter run, and errors are those on bases that were left out.

    Examples
    --------
    >>> from quagpredict.shipped import shipped_path
    >>> model = learn_rewards([pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet"))])
    >>> early, late = (model.forecast(np.array([f]), np.array([0.4])) for f in (0.1, 0.9))
    >>> bool(late.mean[0] < early.mean[0]), bool(late.own[0] < early.own[0])
    (True, True)
    """
    pairs = [_pairs(corpus, index) for index, corpus in enumerate(corpora) if "rl_curve" in corpus.columns]
    table = pl.concat(pairs) if pairs else pl.DataFrame(schema={"base": pl.String})
    names, base = np.unique(table["base"].to_numpy(), return_inverse=True)
    if len(names) < 2:
        return None
    r, y = (LOGIT.forward(table[name].to_numpy()) for name in ("reward", "end"))
    h = 1.0 - np.sqrt((table["step"] / table["end_step"]).to_numpy())
    terms, gain, weight = _terms(r, h), y - r, 1.0 / np.sqrt(QUIET + FAR * h**2)
    level = np.ones_like(h)
    size, at, mean, var = left_out_errors(table, h, terms, gain, level, base, weight)
    shared = growing(at, np.maximum(mean**2 - var / size, 0.0), size)
    return RewardModel(
        ridge(terms, gain, level, base, weight), growing(at, var, size), shared * (1.0 + 2.0 / len(names))
    )


def smoothed_rewards(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return the training rewards in a table's column ``rl_curve``: `key`, ``step``, ``reward``.

    Each is the mean of the last `LOGGED` entries of the log. A reward that is no fraction is left out.
    """
    point = pl.col("points").struct
    return (
        frame.select(key, points="rl_curve")
        .explode("points", empty_as_null=False, keep_nulls=False)
        .select(key, step=point.field("step").cast(pl.Int64), reward=point.field("reward").cast(pl.Float64))
        .filter(pl.col("reward").is_between(0.0, 1.0))
        .sort(key, "step", maintain_order=True)
        .with_columns(pl.col("reward").rolling_mean(LOGGED, min_samples=1).over(key))
    )


def _terms(r: Floats, h: Floats) -> Floats:
    return np.stack([np.ones_like(r), r, h, h * r], axis=-1)


def _pairs(corpus: pl.DataFrame, corpus_index: int) -> pl.DataFrame:
    """Return one row for each reward at a measured step and each measurement then or later, the end."""
    runs = corpus.with_columns(base=named_bases(corpus_index)).with_row_index("row")
    point = pl.col("points").struct
    measured = (
        runs.select("row", "base", points="post_curve")
        .explode("points", empty_as_null=False, keep_nulls=False)
        .select("row", "base", end_step=point.field("step").cast(pl.Int64), end=point.field("pass_at_1"))
        .filter(pl.col("end").is_not_null() & (pl.col("end_step") > 0))
    )
    rewards = smoothed_rewards(runs, "row").join(
        measured, left_on=["row", "step"], right_on=["row", "end_step"], how="semi"
    )
    return rewards.join(measured, on="row").filter(pl.col("step") <= pl.col("end_step"))
