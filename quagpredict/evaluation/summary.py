"""What a measured checkpoint looks like: Pass@k with intervals, for each benchmark, each level and all together."""

import polars as pl

from quagpredict.metrics import MEASURED_KS, count_values, pass_at_k_curve

_SHARES = ("truncated_share", "no_answer_share", "distinct_answers_mean", "reward_variance", "zero_variance_share_g8")


def summarise(problems: pl.DataFrame, confidence: float = 0.9) -> pl.DataFrame:
    """Return one row for all problems, each benchmark and, where a benchmark has several, each of its levels.

    Parameters
    ----------
    problems : polars.DataFrame
        Columns benchmark, problem_id, level, n, c, truncated, no_answer, distinct_answers.
    confidence : float
        Coverage of the intervals; they are bootstrapped over problems.

    Returns
    -------
    polars.DataFrame
        Columns part, problems, samples, for each k up to the smallest n ``pass_at_k``, ``pass_at_k_low``,
        ``pass_at_k_high`` (fractions), and truncated_share, no_answer_share, distinct_answers_mean, reward_variance,
        zero_variance_share_g8 (null where there are fewer than 8 samples).

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
    parts = {"all": problems}
    for name in problems["benchmark"].unique(maintain_order=True).sort():
        of_benchmark = problems.filter(pl.col("benchmark") == name)
        parts[name] = of_benchmark
        levels = of_benchmark["level"].drop_nulls().unique().sort()
        if len(levels) > 1:
            parts |= {f"{name}, level {level}": of_benchmark.filter(pl.col("level") == level) for level in levels}
    smallest = problems["n"].min()
    ks = [k for k in MEASURED_KS if isinstance(smallest, int) and k <= smallest]
    return pl.DataFrame([_row(name, part, ks, confidence) for name, part in parts.items()], infer_schema_length=None)


def _row(name: str, part: pl.DataFrame, ks: list[int], confidence: float) -> dict[str, str | float | int | None]:
    values = count_values(part)
    curve = pass_at_k_curve(part["n"].to_numpy(), part["c"].to_numpy(), ks, confidence)
    row: dict[str, str | float | int | None] = {"part": name, "problems": part.height, "samples": int(part["n"].sum())}
    for position, k in enumerate(ks):
        row[f"pass_at_{k}"] = float(curve.mean[position])
        row[f"pass_at_{k}_low"] = float(curve.low[position])
        row[f"pass_at_{k}_high"] = float(curve.high[position])
    return row | {share: values[share] for share in _SHARES}
