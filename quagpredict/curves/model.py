"""How much of its gain a run has still before it: what finished runs of other bases say of a score along RL.

With x the logit of Pass@1 at a fraction f of the run, g the logit of Pass@k less x, and h = 1 - sqrt(f), the share of
the gain that is to come where gains go with the root of the steps, the logit of the score at the end is

    y = x + h (a + b x + c g) + h² (a' + b' x + c' g) + h base + noise.

At the end of the run h is 0 and the score is what was measured; between the rungs that were seen the coefficients are
smooth. A base that was never seen gains more or less than others by one amount for all its candidates, `base`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.curves.reading import USUAL_K
from quagpredict.errors import CorpusError
from quagpredict.surrogates.transforms import parse_transform

#: Scale of scores along RL and of forecasts.
SCALE = "logit(1000)"
LOGIT = parse_transform(SCALE)

# Penalties of squares of the coefficients, and of how far bases differ: the first keep the fit defined, no more.
_RIDGE, _RIDGE_BASE = 0.01, 4.0
# Variance of a forecast by h, for weights only: what is far from the end is less certain.
QUIET, FAR = 0.01, 0.25
_LEAST = 1e-4


class Forecast(NamedTuple):
    """Forecasts of scores at the end of RL, on the scale of `SCALE`; arrays of one shape, NaN where none is known."""

    mean: Floats
    own: Floats  #: Variance of the error that a run has alone.
    loading: Floats  #: How much of the error that all runs of one base share is in it: its deviation.


@dataclass(frozen=True, eq=False)
class Part:
    """The model for measurements with Pass@k, or for those without."""

    coefficients: Floats  #: (2 p,): For h and h² times each of the p terms: 1, x and, with Pass@k, g.
    own: Floats  #: (2,): Variance of a run's own error: at the end of the run, and what h² adds.
    shared: float  #: Variance, times h², of what a base gains more or less than others.


@dataclass(frozen=True, eq=False)
class CurveModel:
    """Forecasts of the end of a run from its last measurement."""

    plain: Part  #: Without Pass@16.
    with_k: Part | None  #: With it; None if it was not measured along the runs that were learnt from.
    #: `level` and `spread`: Mean and deviation of the scores at the end, for a run of which nothing was measured.
    level: float
    spread: float
    #: `runs` and `bases`: How many it was learnt from.
    runs: int
    bases: int

    @property
    def best(self) -> Part:
        """The part that knows most."""
        return self.plain if self.with_k is None else self.with_k

    def forecast(self, fraction: Floats, score: Floats, at_k: Floats, k: int, responses: Floats) -> Forecast:
        """Forecast the score at the end; all arrays have one shape.

        Parameters
        ----------
        fraction : array
            Of the run that is done; 1 or more is the end, where the forecast is what was measured.
        score, at_k : array
            Pass@1 and Pass@k; NaN where not measured. Without Pass@1 the forecast is that of any run.
        k : int
            Of `at_k`. The logit of Pass@k grows about as log k does: another k than 16 is brought to it so.
        responses : array
            Responses that Pass@1 was measured with; NaN takes it as well measured as the runs learnt from.
        """
        x = LOGIT.forward(score)
        h = 1.0 - np.sqrt(np.clip(fraction, 0.0, 1.0))
        stretch = np.log(USUAL_K) / np.log(k) if k > 1 else np.nan
        g = (LOGIT.forward(at_k) - x) * stretch
        mean, own, loading = _forecast(self.plain, h, [x], x, responses)
        if self.with_k is not None:
            both = _forecast(self.with_k, h, [x, g], x, responses)
            measured = np.isfinite(g)
            mean, own, loading = (np.where(measured, *two) for two in zip(both, (mean, own, loading), strict=True))
        nothing = ~np.isfinite(x)
        return Forecast(
            np.where(nothing, self.level, mean),
            np.where(nothing, self.spread**2, own),
            np.where(nothing, np.sqrt(self.plain.shared), loading),
        )


def learn_curves(corpora: Sequence[pl.DataFrame]) -> CurveModel:
    """Learn how runs end from what was measured along finished ones.

    Every measurement after step 0 is also taken as the end of a shorter run, so that the model has seen runs of
    several lengths. This assumes a learning rate that does not depend on the length. What the forecasts say of their
    own error is measured on bases that the coefficients were not learnt from.

    Parameters
    ----------
    corpora : sequence of polars.DataFrame
        With ``base_model`` and ``post_curve``, measured with Pass@16 for the model that uses it. Rows without are
        passed over, and so are runs that did not end, where there is a column ``post_pass_at_1`` to tell. The base
        models of different corpora count as different.

    Raises
    ------
    CorpusError
        If the curves come from fewer than two base models.

    Examples
    --------
    >>> from quagpredict.shipped import shipped_path
    >>> runs = pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet"), columns=["base_model", "post_curve"])
    >>> model = learn_curves([runs])
    >>> one = lambda value: np.array([value])
    >>> late, early = (model.forecast(one(f), one(0.4), one(0.6), 16, one(np.nan)) for f in (0.5, 0.1))
    >>> bool(late.mean[0] < early.mean[0]), bool(late.own[0] < early.own[0])
    (True, True)
    """
    points = [_points(corpus, index) for index, corpus in enumerate(corpora)]
    table = pl.concat(points) if points else pl.DataFrame(schema={"base": pl.String})
    if table["base"].n_unique() < 2:
        raise CorpusError(
            f"curves to learn from: found runs measured along RL (column 'post_curve') on {table['base'].n_unique()} "
            "base models; at least two are needed, to know how far one says something of another"
        )
    with_k = table.filter(pl.col("at_k").is_not_null())
    plain = _part(table, with_k=False)
    ends = table.filter(pl.col("end_step") == pl.col("last"))
    end = LOGIT.forward(ends["end"].to_numpy())
    return CurveModel(
        plain=plain,
        with_k=_part(with_k, with_k=True) if with_k["base"].n_unique() > 1 else None,
        level=float(end.mean()),
        spread=float(end.std()),
        runs=table["run"].n_unique(),
        bases=table["base"].n_unique(),
    )


def named_bases(corpus_index: int) -> pl.Expr:
    """Return the base models of a corpus, named so that those of different corpora differ."""
    return pl.format(f"{corpus_index}:{{}}", pl.col("base_model").cast(pl.String).fill_null(""))


def _points(corpus: pl.DataFrame, corpus_index: int) -> pl.DataFrame:
    """Return one row for each pair of a measurement and a later one, the end."""
    ended = pl.col("post_pass_at_1").is_not_null() if "post_pass_at_1" in corpus.columns else pl.lit(value=True)
    long = (
        corpus.filter(ended)
        .select(base=named_bases(corpus_index), points="post_curve")
        .with_row_index("row")
        .with_columns(run=pl.format(f"{corpus_index}:{{}}", "row"))
        .explode("points", empty_as_null=False, keep_nulls=False)
        .select(
            "base",
            "run",
            step=pl.col("points").struct.field("step").cast(pl.Float64),
            score=pl.col("points").struct.field("pass_at_1"),
            at_k=pl.col("points").struct.field(f"pass_at_{USUAL_K}"),
        )
        .filter(pl.col("score").is_not_null() & pl.col("step").is_not_null())
    )
    ends = long.filter(pl.col("step") > 0).select(
        "run", end_step="step", end="score", last=pl.col("step").max().over("run")
    )
    return long.join(ends, on="run").filter(pl.col("step") < pl.col("end_step"))


def _terms(h: Floats, terms: Sequence[Floats]) -> Floats:
    """Return h and h² times 1 and each term, on a last axis of their own."""
    return np.stack([term * power for term in (np.ones_like(h), *terms) for power in (h, h * h)], axis=-1)


def _part(table: pl.DataFrame, *, with_k: bool) -> Part:
    x, y = (LOGIT.forward(table[name].to_numpy()) for name in ("score", "end"))
    h = 1.0 - np.sqrt((table["step"] / table["end_step"]).to_numpy())
    terms = [x, LOGIT.forward(table["at_k"].to_numpy()) - x] if with_k else [x]
    A, gain = _terms(h, terms), y - x
    names, base = np.unique(table["base"].to_numpy(), return_inverse=True)
    weight = 1.0 / np.sqrt(QUIET + FAR * h**2)
    size, at, mean, var = left_out_errors(table, h, A, gain, h, base, weight)
    own = growing(at, var, size)
    beyond = np.maximum(mean**2 - var / size, 0.0)
    shared = float((at**2 * beyond).sum() / (at**4).sum())
    # Few bases tell little of how far bases differ.
    return Part(ridge(A, gain, h, base, weight), own, shared * (1.0 + 2.0 / len(names)))


def left_out_errors(
    table: pl.DataFrame, h: Floats, A: Floats, gain: Floats, level: Floats, base: NDArray[np.intp], weight: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return what `ridge` misses on bases that it was not fitted on, of a base's runs of one length at one step.

    Four arrays: how many runs, `h` there, the mean of their errors, which they share, and the variance of what each has
    alone. `table` has ``base``, ``end_step`` and ``step`` of each row; steps with less than three runs are left out.
    """
    error = np.empty_like(gain)
    for number in range(int(base.max()) + 1):
        out = base == number
        parts = (values[~out] for values in (A, gain, level, base, weight))
        error[out] = gain[out] - A[out] @ ridge(*parts)
    groups = (
        table.with_columns(error=pl.Series(error), h=pl.Series(h))
        .group_by("base", "end_step", "step", maintain_order=True)
        .agg(pl.len(), pl.first("h"), pl.mean("error"), var=pl.var("error"))
        .filter(pl.col("len") > 2)
    )
    size, at, mean, var = (groups[name].to_numpy().astype(np.float64) for name in ("len", "h", "error", "var"))
    return size, at, mean, var


def ridge(A: Floats, gain: Floats, level: Floats, base: NDArray[np.intp], weight: Floats) -> Floats:
    """Return coefficients by ridge regression; each base also has one, of `level`, which is not returned."""
    levels = (base[:, None] == np.unique(base)) * level[:, None]
    X = np.hstack([A, levels]) * weight[:, None]
    penalty = np.diag([_RIDGE] * A.shape[1] + [_RIDGE_BASE] * levels.shape[1])
    return np.asarray(np.linalg.solve(X.T @ X + penalty, X.T @ (gain * weight))[: A.shape[1]], dtype=np.float64)


def growing(h: Floats, variance: Floats, size: Floats) -> Floats:
    """Return c0 and c1 of variance = c0 + c1 h², neither below a least value, by weighted least squares."""
    weight = np.sqrt(size) / (QUIET + FAR * h**2)
    X = np.column_stack([np.ones_like(h), h**2]) * weight[:, None]
    coefficients = np.linalg.lstsq(X, variance * weight, rcond=None)[0]
    if coefficients[0] < _LEAST:
        coefficients = np.array([_LEAST, (X[:, 1] @ (variance * weight)) / (X[:, 1] @ X[:, 1])])
    return np.asarray(np.maximum(coefficients, _LEAST), dtype=np.float64)


def _forecast(part: Part, h: Floats, terms: Sequence[Floats], x: Floats, responses: Floats) -> Forecast:
    gain = _terms(h, terms) @ part.coefficients
    # A run that has gained is taken to keep what it has; what it loses on the way is in the error.
    mean = x + np.maximum(gain, 0.0)
    size = 1.0 + h * part.coefficients[2] + h * h * part.coefficients[3]
    share = LOGIT.inverse(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.where(np.isfinite(responses), 1.0 / (responses * np.maximum(share * (1.0 - share), 1e-3)), 0.0)
    own = np.where(h > 0, part.own[0] + part.own[1] * h**2 + size**2 * noise, 0.0)
    return Forecast(mean, own, h * np.sqrt(part.shared))
