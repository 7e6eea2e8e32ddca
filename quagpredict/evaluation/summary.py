"""What a measured checkpoint looks like: every statistic with an interval, by benchmark and level."""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import MEASURED_KS, maj_at_k, pass_at_k
from quagpredict.metrics.majority_vote import answer_table
from quagpredict.metrics.statistics import LENGTHS, OF_PROBLEMS, PER_TOKEN

_PROBLEM = ("benchmark", "problem_id")
_RESAMPLES = 2000


def summarise(
    problems: pl.DataFrame,
    samples: pl.DataFrame | None = None,
    *,
    passed: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one row for all problems, each benchmark and, where a benchmark has several, each of its levels.

    Parameters
    ----------
    problems : polars.DataFrame
        Columns benchmark, level, n, c; optional problem_id, truncated, no_answer, distinct_answers.
    samples : polars.DataFrame, optional
        The graded samples that the problems were counted from, as `Score.samples`. Without them there is no maj@k,
        no length, agreement, entropy or log-probability.
    passed : polars.DataFrame, optional
        Columns benchmark, problem_id, ``pass_at_k`` ...: Pass@k of each problem where its number of samples was not
        fixed, instead of what n and c would give.

    Returns
    -------
    polars.DataFrame
        Columns part, benchmark, level (null: all), problems, samples (how many), and for each statistic its value,
        ``_low`` and ``_high``; null where there is none. The interval of 90 % is a percentile bootstrap over problems:
        all samples of a problem move together, and the same resamples of the problems serve every statistic.

        ``avg_at_n`` is the mean share of correct samples (equal to Pass@1); ``pass_at_k`` and ``maj_at_k`` are there
        for each k up to the smallest n; scores and shares are means over problems; lengths (tokens; all, finished,
        correct, wrong) and per-token values are pooled, as sums over the part's samples.

    Raises
    ------
    InvalidDataError
        If there is no problem, or counts are impossible.

    Examples
    --------
    >>> problems = pl.DataFrame({"benchmark": ["a", "b"], "level": [1, 1], "n": [4, 4], "c": [1, 4]})
    >>> summarise(problems).select("part", "problems", "pass_at_1", "pass_at_4").rows()
    [('all', 2, 0.625, 1.0), ('a', 1, 0.25, 1.0), ('b', 1, 1.0, 1.0)]
    """
    if problems.height == 0:
        raise InvalidDataError("there is no problem to summarise: the table of problems is empty")
    top, bottom = _sums(problems, samples, passed)
    rows = []
    for part, benchmark, level, chosen in _parts(problems):
        row: dict[str, str | float | int | None] = {"part": part, "benchmark": benchmark, "level": level}
        row |= {"problems": int(chosen.sum()), "samples": int(problems["n"].filter(pl.Series(chosen)).sum())}
        values, low, high = _intervals(
            {name: column[chosen] for name, column in top.items()},
            {name: column[chosen] for name, column in bottom.items()},
        )
        for at, name in enumerate(top):
            row |= {name: _number(values[at]), f"{name}_low": _number(low[at]), f"{name}_high": _number(high[at])}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def _parts(problems: pl.DataFrame) -> Iterator[tuple[str, str | None, int | None, NDArray[np.bool_]]]:
    benchmark = problems["benchmark"]
    yield "all", None, None, np.ones(problems.height, dtype=bool)
    for name in benchmark.unique().sort():
        of_benchmark = (benchmark == name).to_numpy()
        yield name, name, None, of_benchmark
        levels = problems["level"].filter(pl.Series(of_benchmark)).drop_nulls().unique().sort()
        if len(levels) > 1:
            for level in levels:
                at_level = (problems["level"] == level).fill_null(False).to_numpy()
                yield f"{name}, level {level}", name, level, of_benchmark & at_level


def _sums(
    problems: pl.DataFrame, samples: pl.DataFrame | None, stopped: pl.DataFrame | None
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return numerators and denominators of every statistic for each problem; a value is sum / sum over problems."""
    n, c = problems["n"].to_numpy(), problems["c"].to_numpy()
    ks = [k for k in MEASURED_KS if k <= int(n.min())]
    passed = pass_at_k(n, c, np.array(ks, dtype=np.int64)) if ks else np.empty((n.size, 0))
    top: dict[str, NDArray[np.float64]] = {"avg_at_n": c / np.maximum(n, 1)}
    top |= {f"pass_at_{k}": passed[:, at] for at, k in enumerate(ks)}
    if stopped is not None:
        ordered = problems.select(_PROBLEM).join(stopped, on=_PROBLEM, how="left", maintain_order="left")
        top |= {name: ordered[name].to_numpy() for name in ordered.columns if name.startswith("pass_at_")}
    if samples is not None:
        votes = samples.select(pl.concat_str(*_PROBLEM, separator="\0").alias("problem"), "answer", "verdict")
        labels, voted = maj_at_k(votes["problem"], votes["answer"], votes["verdict"] == "correct", ks)
        named = problems.select(pl.concat_str(*_PROBLEM, separator="\0").alias("problem")).to_series().to_numpy()
        order = np.searchsorted(labels, named)
        top |= {f"maj_at_{k}": voted[order, at] for at, k in enumerate(ks)}
    for name, of_problems in OF_PROBLEMS.items():
        if (value := of_problems(problems)) is not None:
            top[name] = value
    bottom = {name: np.ones(n.size) for name in top}
    if samples is not None:
        frame = _of_samples(problems, samples)
        for name in ("agreement_mean", *LENGTHS, *PER_TOKEN):
            top[name] = frame[name].to_numpy()
            bottom[name] = frame[f"{name}_of"].to_numpy()
    return top, bottom


def _of_samples(problems: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Return sums over each problem's samples, in the order of `problems`."""
    tokens = pl.col("length").cast(pl.Float64)
    length = pl.col("length").sum().cast(pl.Float64)
    counted = (
        samples.lazy()
        .group_by(_PROBLEM)
        .agg(
            *(tokens.filter(group).sum().alias(name) for name, group in LENGTHS.items()),
            *(group.sum().cast(pl.Float64).alias(f"{name}_of") for name, group in list(LENGTHS.items())[1:]),
            pl.len().cast(pl.Float64).alias("length_mean_of"),
            # Known for some samples only would speak of those alone: then it is not known.
            *(
                pl.when(pl.col(column).is_null().sum() == 0).then(length).otherwise(None).alias(f"{name}_of")
                for name, column in PER_TOKEN.items()
            ),
        )
        .collect(engine="streaming")  # else the whole table is copied; whole numbers add up alike in any order
    )
    summed = (
        samples.select(*_PROBLEM, *PER_TOKEN.values())
        .group_by(_PROBLEM)
        .agg(pl.col(column).sum().cast(pl.Float64).alias(name) for name, column in PER_TOKEN.items())
    )
    agreement = answer_table(samples.select(*_PROBLEM, "answer"), list(_PROBLEM))
    joined = problems.select(_PROBLEM).join(counted, on=_PROBLEM, how="left", maintain_order="left")
    joined = joined.join(summed, on=_PROBLEM, how="left", maintain_order="left")
    joined = joined.join(agreement, on=_PROBLEM, how="left", maintain_order="left")
    return joined.with_columns(pl.col("agreement").alias("agreement_mean"), pl.lit(1.0).alias("agreement_mean_of"))


def _intervals(
    top: Mapping[str, NDArray[np.float64]],
    bottom: Mapping[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return value, low and high of every statistic; NaN where a sum or its denominator is not known."""
    numerator, denominator = np.stack(list(top.values()), axis=1), np.stack(list(bottom.values()), axis=1)
    problems = numerator.shape[0]
    random = np.random.default_rng(0)
    drawn = []
    block = max(1, 4_000_000 // problems)
    with np.errstate(invalid="ignore", divide="ignore"):
        for start in range(0, _RESAMPLES, block):
            weights = random.multinomial(problems, np.full(problems, 1 / problems), size=min(block, _RESAMPLES - start))
            drawn.append((weights @ numerator) / (weights @ denominator))
        values = numerator.sum(0) / denominator.sum(0)
    means = np.concatenate(drawn)
    means[~np.isfinite(means)] = np.nan
    low, high = np.full_like(values, np.nan), np.full_like(values, np.nan)
    for at in range(values.size):
        kept = means[~np.isnan(means[:, at]), at]
        if kept.size and np.isfinite(values[at]):
            low[at], high[at] = np.quantile(kept, [(1 - 0.9) / 2, (1 + 0.9) / 2])
    return values, low, high


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
