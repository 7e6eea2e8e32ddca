"""What an import says of a candidate beyond the table's columns: Pass@G of a GRPO group, coverage against the base."""

from typing import NamedTuple

import numpy as np
import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import pass_at_k
from quagpredict.metrics.uncertainty import bootstrap_means
from quagpredict.schema import PASS_K

GROUP_SIZE = 8  # TRL's default number of generations
_LEVEL = 0.9
_KEY = ["benchmark", "problem_id"]


class Statistic(NamedTuple):
    """A number with its 90 % interval, a percentile bootstrap over problems.

    Attributes
    ----------
    name : str
        "pass_at_group" or "coverage_ratio".
    k : int
        The k of Pass@k that it rests on.
    problems : int
        Over so many.
    """

    name: str
    k: int
    value: float
    low: float
    high: float
    problems: int


def pass_at_group(problems: pl.DataFrame, group_size: int = GROUP_SIZE) -> Statistic | None:
    """Return the chance that a group of GRPO holds a correct sample: Pass@G, mean over problems.

    Groups without one have equal rewards and teach nothing, as those without a wrong one do.

    Parameters
    ----------
    problems : polars.DataFrame
        Columns n and c.
    group_size : int
        G, samples of a prompt in a step.

    Returns
    -------
    Statistic or None
        None where a problem has fewer than G samples.

    Raises
    ------
    InvalidDataError
        If G is below 1.

    Examples
    --------
    >>> pass_at_group(pl.DataFrame({"n": [16, 16], "c": [8, 0]}), 1).value
    0.25
    """
    if group_size < 1:
        raise InvalidDataError(f"a group has at least one sample, got {group_size}")
    if problems["n"].min() < group_size:  # type: ignore[operator]
        return None
    kinds = problems.group_by("n", "c").len().sort("n", "c")
    values = pass_at_k(kinds["n"].to_numpy(), kinds["c"].to_numpy(), group_size)
    weight = kinds["len"].to_numpy()
    low, high = _interval(bootstrap_means(values[:, None], counts=weight)[:, 0])
    return Statistic("pass_at_group", group_size, float(np.average(values, weights=weight)), low, high, problems.height)


def coverage_ratio(problems: pl.DataFrame, base: pl.DataFrame) -> Statistic | None:
    """Return Pass@k of a candidate over that of its base, at the largest k that both have, on the problems of both.

    Below 1 fine-tuning has lost what the base could solve with many tries, which RL then cannot find.

    Parameters
    ----------
    problems, base : polars.DataFrame
        Columns benchmark, problem_id, n, c.

    Returns
    -------
    Statistic or None
        None where the base solves nothing. The interval draws problems, the same for both.

    Raises
    ------
    InvalidDataError
        If they have no problem in common.

    Examples
    --------
    >>> both = {"benchmark": ["b", "b"], "problem_id": ["p", "q"], "n": [4, 4]}
    >>> found = coverage_ratio(pl.DataFrame(both | {"c": [4, 0]}), pl.DataFrame(both | {"c": [1, 1]}))
    >>> found.k, found.value
    (4, 0.5)
    """
    both = problems.select(*_KEY, "n", "c").join(base.select(*_KEY, "n", "c"), on=_KEY, suffix="_base")
    if both.is_empty():
        raise InvalidDataError("the candidate and its base have no problem in common: measure both on the same")
    fewest = int(min(both["n"].min(), both["n_base"].min()))  # type: ignore[type-var, arg-type]
    k = max(size for size in PASS_K if size <= fewest)
    kinds = both.group_by("n", "c", "n_base", "c_base").len().sort(pl.all())
    values = np.column_stack(
        [pass_at_k(kinds[f"n{of}"].to_numpy(), kinds[f"c{of}"].to_numpy(), k) for of in ("", "_base")]
    )
    weight = kinds["len"].to_numpy()
    mean, of_base = np.average(values, weights=weight, axis=0)
    if of_base == 0:
        return None
    drawn = bootstrap_means(values, counts=weight)
    low, high = _interval(drawn[:, 0][drawn[:, 1] > 0] / drawn[:, 1][drawn[:, 1] > 0])
    return Statistic("coverage_ratio", k, float(mean / of_base), low, high, both.height)


def _interval(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
