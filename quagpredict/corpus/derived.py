"""Columns derived from the nested counts and from names: what surrogates read besides the flat columns.

A derived column is known by its name alone, so that a stored surrogate can ask any table for it:

``pre_problems.pass_at_2.8284``
    Pass@k for a k that need not be whole, mean over problems.
``pre_problems.share_7``
    Share of problems whose success probability lies in bin 7 of `LOGITS`, cleaned of sampling noise.
``pre_problems.set``
    A number that is the same for candidates that were measured on the same problems.
``base_model=weak``, ``base_model=*``
    1 where the column holds that text; 1 where it holds none of the texts that were asked for together.

A table that already has a column of that name keeps it: derive once, then slice.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from quagpredict.corpus.schema import PROBLEM_COLUMNS
from quagpredict.errors import CorpusError, InvalidDataError

Floats = NDArray[np.float64]

#: Centres of the bins of success probability, on the logit scale; from 1 in 2981 to its complement.
LOGITS = np.linspace(-8.0, 8.0, 41)

#: Name of the column that tells sets of problems apart.
PROBLEM_SET = "pre_problems.set"

_CURVE = re.compile(r"(pre|post)_problems\.pass_at_([1-9][0-9]{0,6}(?:\.[0-9]{1,9})?)")
_SHARE = re.compile(rf"(pre|post)_problems\.share_({'|'.join(map(str, range(len(LOGITS))))})")
_NAMED = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_PROBLEMS_AT_ONCE = 2_000_000
_DECONVOLUTIONS = 8


def curve_column(k: float) -> str:
    """Return the name of the column of Pass@k before RL, for any k >= 1.

    Examples
    --------
    >>> curve_column(8), curve_column(2**1.5)
    ('pre_problems.pass_at_8', 'pre_problems.pass_at_2.8284')
    """
    return f"pre_problems.pass_at_{round(float(k), 4):.10g}"


def curve_k(name: str) -> float:
    """Return k of a column that `curve_column` names; 0 for any other column."""
    match = _CURVE.fullmatch(name)
    return float(match[2]) if match else 0.0


def share_columns() -> tuple[str, ...]:
    """Return the names of the columns with the shares of problems before RL in each bin of `LOGITS`."""
    return tuple(f"pre_problems.share_{index}" for index in range(len(LOGITS)))


def is_derived(name: str) -> bool:
    """Return whether a name is that of a derived column."""
    return bool(name == PROBLEM_SET or _CURVE.fullmatch(name) or _SHARE.fullmatch(name) or _NAMED.fullmatch(name))


def origin(name: str) -> str:
    """Return the column that a column is derived from; the column itself if it is not derived.

    Examples
    --------
    >>> origin("pre_problems.share_7"), origin("base_model=weak"), origin("pre_pass_at_1")
    ('pre_problems', 'base_model', 'pre_pass_at_1')
    """
    if name == PROBLEM_SET or _CURVE.fullmatch(name) or _SHARE.fullmatch(name):
        return name.partition(".")[0]
    match = _NAMED.fullmatch(name)
    return match[1] if match else name


def with_derived(
    frame: pl.DataFrame, names: Sequence[str], *, drop_nested: bool = False, source: str = "table"
) -> pl.DataFrame:
    """Return the table with the derived columns among `names` that it does not have yet.

    Parameters
    ----------
    frame : polars.DataFrame
        A table from `read_corpus`.
    names : sequence of str
        Names that are not derived ones are left to whoever reads them.
    drop_nested : bool
        Leave the nested counts out of the result.
    source : str
        What to call the table in errors.

    Returns
    -------
    polars.DataFrame
        A row without counts gets nulls. Pass@k is null where a problem has fewer than k samples. Without nested counts
        Pass@k is interpolated in log k between the flat columns of Pass@1, 2, 4, ...

    Raises
    ------
    CorpusError
        If the column that one is derived from is missing.

    Examples
    --------
    >>> problems = [{"n": 4, "c": 1}, {"n": 4, "c": 4}]
    >>> table = pl.DataFrame({"candidate": ["a"], "base_model": ["weak"], "pre_problems": [problems]})
    >>> with_derived(table, [curve_column(1), curve_column(1.5), "base_model=weak", "base_model=*"]).row(0)[3:]
    (0.625, 0.6875, 1.0, 0.0)
    """
    wanted = [name for name in dict.fromkeys(names) if name not in frame.columns and is_derived(name)]
    columns: dict[str, Floats] = {}
    for stage in ("pre", "post"):
        curves = [name for name in wanted if (match := _CURVE.fullmatch(name)) and match[1] == stage]
        shares = [name for name in wanted if (match := _SHARE.fullmatch(name)) and match[1] == stage]
        if not curves and not shares:
            continue
        nested = f"{stage}_problems"
        if nested in frame.columns and isinstance(frame[nested].dtype, pl.List):
            made = _from_counts(frame[nested], [curve_k(name) for name in curves], bool(shares))
            columns |= {name: made.curve[:, place] for place, name in enumerate(curves)}
            columns |= {name: made.shares[:, int(name.rpartition("_")[2])] for name in shares}
        elif shares:
            raise CorpusError(f"{source}: column '{nested}' is missing: the surrogate needs the counts of each problem")
        else:
            columns |= _interpolated(frame, stage, curves, source)
    if PROBLEM_SET in wanted and "pre_problems" in frame.columns:
        columns[PROBLEM_SET] = _problem_sets(frame["pre_problems"])
    named = [(name, match[1], match[2]) for name in wanted if name not in columns and (match := _NAMED.fullmatch(name))]
    for name, column, value in named:
        if column not in frame.columns:
            raise CorpusError(f"{source}: column '{column}' is missing, but the surrogate depends on it")
        texts = frame[column].cast(pl.String)
        others = [other[2] for other in map(_NAMED.fullmatch, names) if other and other[1] == column]
        hit = ~texts.is_in([other for other in others if other != "*"]) if value == "*" else texts == value
        columns[name] = hit.fill_null(value == "*").cast(pl.Float64).to_numpy()
    result = frame.with_columns(pl.Series(name, values, nan_to_null=True) for name, values in columns.items())
    if drop_nested:
        result = result.drop(name for name in PROBLEM_COLUMNS if name in result.columns)
    return result


def pass_at_any_k(n: int, k: ArrayLike) -> Floats:
    """Return the unbiased Pass@k of c = 0, 1, ..., n correct samples of n, shape (n + 1, ks), for any k >= 1.

    1 - Γ(n-c+1) Γ(n-k+1) / (Γ(n-c-k+1) Γ(n+1)), which is 1 minus the product of (n-k-i)/(n-i) over i < c: the estimator
    of Chen et al., arXiv 2107.03374, equation 1, continued from whole k to all; 1 once c >= n - k + 1. NaN for k > n.

    Examples
    --------
    >>> pass_at_any_k(4, [1, 1.5, 4]).round(4)[:, :2].tolist()
    [[0.0, 0.0], [0.25, 0.375], [0.5, 0.6875], [0.75, 0.9219], [1.0, 1.0]]
    """
    ks = np.atleast_1d(np.asarray(k, dtype=np.float64))
    if (ks < 1).any():
        raise InvalidDataError(f"k must be at least 1, got {ks.min():g}")
    i = np.arange(n, dtype=np.float64)[:, None]
    missed = np.cumprod(np.maximum(n - ks - i, 0.0) / (n - i), axis=0)
    # A ratio that is cut at 0 stays there; with c = n nothing can be missed.
    result = 1.0 - np.concatenate([np.ones((1, len(ks))), missed])
    result[n] = 1.0
    result[:, ks > n] = np.nan
    return result


def _problem_sets(problems: pl.Series) -> Floats:
    """Return a number for the set of problems of each row, whatever their order, (rows,); NaN without counts or names.

    The sum of the problems' hashes, of which a float holds 52 bits.
    """
    sets = np.full(len(problems), np.nan)
    start = 0
    sizes = problems.list.len().fill_null(0).to_numpy().astype(np.int64)
    ends = np.cumsum(sizes)
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PROBLEMS_AT_ONCE, side="right")))
        flat = problems[start:stop].explode(empty_as_null=False, keep_nulls=False)
        fields = [field.name for field in flat.dtype.fields] if isinstance(flat.dtype, pl.Struct) else []
        if len(flat) and "problem_id" in fields and not (names := flat.struct.field("problem_id")).null_count():
            keys = names.hash(0).to_numpy()
            if "benchmark" in fields:
                keys = keys + flat.struct.field("benchmark").fill_null("").hash(1).to_numpy() * np.uint64(3)
                keys ^= keys >> np.uint64(29)
                keys *= np.uint64(0x9E3779B97F4A7C15)
            measured = sizes[start:stop] > 0
            first = (ends - sizes)[start:stop][measured] - before
            sets[start:stop][measured] = (np.add.reduceat(keys, first) >> np.uint64(12)).astype(np.float64)
        start = stop
    return sets


class _Made(NamedTuple):
    curve: Floats
    shares: Floats


def _from_counts(problems: pl.Series, ks: list[float], shares: bool) -> _Made:
    """Return Pass@k (rows, ks) and the shares (rows, bins), some rows at a time."""
    sizes = problems.list.len().fill_null(0).to_numpy().astype(np.int64)
    ends = np.cumsum(sizes)
    curve = np.full((len(sizes), len(ks)), np.nan)
    mass = np.full((len(sizes), len(LOGITS) if shares else 0), np.nan)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PROBLEMS_AT_ONCE, side="right")))
        part = slice(start, stop)
        flat = problems[part].explode(empty_as_null=False, keep_nulls=False)
        if len(flat):
            n = flat.struct.field("n").to_numpy().astype(np.int64)
            c = flat.struct.field("c").to_numpy().astype(np.int64)
            rows = np.repeat(np.arange(stop - start), sizes[part])
            measured = sizes[part] > 0
            tables, counts = _histograms(rows, n, c, stop - start)
            if ks:
                curve[part][measured] = _mean_curve(tables, counts, np.asarray(ks))[measured]
            if shares:
                likelihood = np.concatenate([_binomial_shape(size) for size in tables])
                found = _deconvolved(np.concatenate(counts, axis=1)[measured], likelihood)
                mass[part][measured] = found
        start = stop
    return _Made(curve, mass)


def _mean_curve(sizes: list[int], counts: list[Floats], ks: Floats) -> Floats:
    """Return mean Pass@k over the problems of each row, (rows, ks); NaN if one has fewer than k samples."""
    total = np.zeros((len(counts[0]), len(ks)))
    for size, count in zip(sizes, counts, strict=True):
        total += count @ np.nan_to_num(pass_at_any_k(size, ks))
        total[np.ix_(count.any(axis=1), ks > size)] = np.nan
    problems = sum(count.sum(axis=1) for count in counts)
    return np.asarray(total / np.maximum(problems, 1)[:, None])


def _histograms(rows: NDArray[np.int64], n: NDArray[np.int64], c: NDArray[np.int64], height: int) -> "_Histograms":
    """Return each distinct n, and for it how many problems of each row have c = 0, ..., n correct: (rows, n + 1)."""
    distinct = np.unique(n).tolist()
    counts = []
    for size in distinct:
        here = n == size if len(distinct) > 1 else slice(None)
        cells = np.bincount(rows[here] * (size + 1) + c[here], minlength=height * (size + 1))
        counts.append(cells.reshape(height, size + 1).astype(np.float64))
    return _Histograms(distinct, counts)


class _Histograms(NamedTuple):
    sizes: list[int]
    counts: list[Floats]


def _binomial_shape(n: int) -> Floats:
    """Return the binomial likelihood of c = 0, ..., n at each bin of `LOGITS`, up to a factor for each c."""
    c = np.arange(n + 1, dtype=np.float64)[:, None]
    log = -c * np.log1p(np.exp(-LOGITS)) - (n - c) * np.log1p(np.exp(LOGITS))
    return np.asarray(np.exp(log - log.max(axis=1, keepdims=True)))


def _deconvolved(counts: Floats, likelihood: Floats) -> Floats:
    """Return the distribution of success probability over the bins, (rows, bins), that the counts of each row suggest.

    From the same mass in every bin, a few steps of expectation-maximisation towards the maximum likelihood mixture
    (Laird, JASA 73, 1978). One step is the mean posterior; few steps keep it smooth: the start is the prior that moves
    problems with no success, the more the fewer samples they had, off probability 0.
    """
    total = counts.sum(axis=1, keepdims=True)
    mass = np.full((len(counts), likelihood.shape[1]), 1.0 / likelihood.shape[1])
    seen = counts.sum(axis=0) > 0
    counts, likelihood = counts[:, seen], likelihood[seen]
    for _ in range(_DECONVOLUTIONS):
        expected = mass @ likelihood.T
        mass = mass * ((counts / expected) @ likelihood) / total
    return mass


def _interpolated(frame: pl.DataFrame, stage: str, names: list[str], source: str) -> dict[str, Floats]:
    """Return Pass@k between the flat columns of Pass@k, straight in log k."""
    measured: dict[int, Floats] = {}
    for column in frame.columns:
        match = re.fullmatch(rf"{stage}_pass_at_([0-9]+)", column)
        if match and frame[column].null_count() < frame.height:
            measured[int(match[1])] = frame[column].cast(pl.Float64).to_numpy()
    if 1 not in measured:
        raise CorpusError(
            f"{source}: neither '{stage}_problems' nor '{stage}_pass_at_1' is there: measure the candidates"
        )
    ks = sorted(measured)
    values = np.column_stack([measured[k] for k in ks])
    at: Callable[[float], Floats] = lambda k: _between(np.log(ks), values, np.log(k))  # noqa: E731
    return {name: at(curve_k(name)) for name in names}


def _between(places: Floats, values: Floats, at: float) -> Floats:
    """Return the columns' value at a place between their places, (rows,); NaN beyond the last."""
    if at > places[-1] + 1e-9:
        return np.full(len(values), np.nan)
    right = min(int(np.searchsorted(places, at)), len(places) - 1)
    if right == 0 or abs(places[right] - at) < 1e-4:
        return np.asarray(values[:, right])
    weight = (at - places[right - 1]) / (places[right] - places[right - 1])
    return np.asarray((1 - weight) * values[:, right - 1] + weight * values[:, right])
