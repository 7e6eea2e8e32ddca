"""Scores measured along RL, as one long table whatever they came as."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from quagpredict.corpus.foreign import NAMES, meaning_of
from quagpredict.corpus.reading import read_raw
from quagpredict.errors import CorpusError, UsageError

_PASS_AT = re.compile(r"(?:pre_)?pass_at_([1-9][0-9]*)")
COLUMNS = ("candidate", "step", "pass_at_1", "pass_at_k", "responses", "reward")
#: The k that curves are learnt with; a curve with another is brought to it.
USUAL_K = 16


class Curves(NamedTuple):
    """Measurements along RL."""

    #: ``candidate``, ``step``, ``pass_at_1``, ``pass_at_k``, ``responses`` and ``reward`` (null where not known), by
    #: candidate and step. Step 0 is before RL. A row without ``pass_at_1`` has a training reward: the last one of a
    #: run that was not measured since its RL began.
    frame: pl.DataFrame
    k: int  #: Of ``pass_at_k``; 0 if no measurement has one.


def read_curves(
    source: Any,
    candidates: pl.DataFrame,
    *,
    percent: bool = False,
    left_out: Collection[str] = (),
) -> Curves:
    """Return the scores along RL of some candidates, checked, with their scores before RL as step 0.

    Parameters
    ----------
    source : path, polars.DataFrame, pandas.DataFrame or None
        Either a long table, one row a measurement: ``candidate``, ``step`` (RL steps done), ``pass_at_1``, and where
        known ``pass_at_K`` (such as ``pass_at_16``) and ``n``, the responses that were drawn in all, problems times
        samples; ``reward``, the mean training reward of the last steps, where the suite was not measured. Or a table
        of candidates with the nested column ``post_curve``. None takes ``post_curve`` of `candidates`, if there is one.
    candidates : polars.DataFrame
        Where a candidate has no step 0, its ``pre_pass_at_1`` is one.
    percent : bool
        Whether the scores of a long table are in per cent.
    left_out : collection of str
        Names that are known and are no candidates here: their rows are passed over.

    Returns
    -------
    Curves
        Only of candidates that are in `candidates`, which is all: an unknown name is an error.

    Raises
    ------
    CorpusError
        If a column is missing or a value is not what it must be; the message names the candidate and the column.

    Examples
    --------
    >>> who = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.1, 0.2]})
    >>> along = pl.DataFrame({"candidate": ["a"], "step": [50], "pass_at_1": [0.3], "pass_at_8": [0.5]})
    >>> curves = read_curves(along, who)
    >>> curves.k, curves.frame.select("candidate", "step", "pass_at_1").rows()
    (8, [('a', 0, 0.1), ('a', 50, 0.3), ('b', 0, 0.2)])
    """
    if source is None:
        label, table = "candidates", candidates
    else:
        label = str(source) if isinstance(source, (str, Path)) else "curves"
        table = long_table(plain_table(source, label), label, percent=percent)
    long = _nested(table, label) if "post_curve" in table.columns else table if source is not None else None
    measured = _before(candidates, 0).clear() if long is None else _without_old_rewards(_checked(long, label))
    k = 0 if long is None else _k_of(long.columns, label)
    k = k or _k_of([name for name in candidates.columns if name.startswith("pre_")], label)
    measured = measured.filter(~pl.col("candidate").is_in(list(left_out)))
    strangers = measured.join(candidates, on="candidate", how="anti")
    if strangers.height:
        raise CorpusError(
            f"{label}: '{strangers['candidate'][0]}' is none of the {candidates.height} candidates; name it as in "
            "their table, or leave its rows out"
        )
    started = measured.filter(pl.col("step") == 0, pl.col("pass_at_1").is_not_null())
    before = _before(candidates, k).join(started, on="candidate", how="anti")
    return Curves(pl.concat([before, measured]).sort("candidate", "step"), k)


def long_table(table: pl.DataFrame, label: str = "curves", *, percent: bool = False) -> pl.DataFrame:
    """Return a long table with headers that can mean but one thing under our names, and its scores as fractions.

    Raises
    ------
    CorpusError
        If they are said to be in per cent, and none is above 1: a table of fractions beside one in per cent.

    Examples
    --------
    >>> long_table(pl.DataFrame({"run": ["a"], "step": [50], "pass@1": [31.0]}), percent=True).row(0, named=True)
    {'candidate': 'a', 'step': 50, 'pass_at_1': 0.31}
    """
    if "post_curve" in table.columns:
        return table
    renamed: dict[str, str] = {}
    for header in table.columns:
        name = (meaning_of(header) or "").removeprefix("pre_").removeprefix("post_")
        if _PASS_AT.fullmatch(name) and name not in (*table.columns, *renamed.values()):
            renamed[header] = name
    if "candidate" not in table.columns:
        called = next((name for name in NAMES if name in table.columns), None)
        renamed |= {} if called is None else {called: "candidate"}
    table = table.rename(renamed)
    scores = [name for name in table.columns if _PASS_AT.fullmatch(name) and table[name].dtype.is_numeric()]
    if not percent:
        return table
    values = table.select(pl.col(scores).cast(pl.Float64).fill_nan(None))
    most = max((value for row in values.iter_rows() for value in row if value is not None), default=0.0)
    if 0.0 < most <= 1.0:
        raise CorpusError(
            f"{label}: no score is above 1, so they look like fractions, and are said to be in per cent; give them in "
            "the unit of the candidates"
        )
    return table.with_columns(pl.col(name).cast(pl.Float64) / 100.0 for name in scores)


def plain_table(source: Any, label: str) -> pl.DataFrame:
    """Return one table from files, globs, folders or frames, with its columns as they are.

    Raises
    ------
    QuagpredictError
        If there is none, a file cannot be read, or it is none of these.

    Examples
    --------
    >>> plain_table(pl.DataFrame({"a": [1]}), "curves").height
    1
    """
    frames = read_raw(source)
    if not frames:
        raise UsageError(f"{label}: no table was found")
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")


def _nested(table: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return ``post_curve`` as a long table, with the responses of a measurement where they are known."""
    points = table.schema["post_curve"]
    inner = points.inner if isinstance(points, pl.List) else None
    fields = {field.name for field in inner.fields} if isinstance(inner, pl.Struct) else set()
    if not {"step", "pass_at_1"} <= fields:
        raise CorpusError(f"{label}: column 'post_curve' must be a list of points with 'step' and 'pass_at_1'")
    if "candidate" not in table.columns:
        raise CorpusError(f"{label}: column 'candidate' is missing")
    sizes = [name for name in ("post_problems_count", "pre_problems_count") if name in table.columns]
    problems = pl.coalesce(*sizes).cast(pl.Float64, strict=False) if sizes else pl.lit(None, dtype=pl.Float64)
    fields = {name for name in fields if _PASS_AT.fullmatch(name) or name in ("step", "samples_per_problem")}
    long = (
        table.select("candidate", points="post_curve", problems=problems)
        .explode("points", empty_as_null=False, keep_nulls=False)
        .select("candidate", "problems", *(pl.col("points").struct.field(name) for name in sorted(fields)))
    )
    counted = "samples_per_problem" in fields
    each = (pl.col("samples_per_problem") if counted else pl.lit(None)).cast(pl.Float64, strict=False)
    # Where no point has a Pass@k, the column says nothing.
    ks = [
        name for name in fields if _PASS_AT.fullmatch(name) and (name == "pass_at_1" or long[name].is_not_null().any())
    ]
    return long.select("candidate", "step", *ks, n=each * pl.col("problems"))


def _k_of(columns: list[str], label: str) -> int:
    """Return the k of the Pass@k that is used: the one nearest to `USUAL_K` by ratio; 0 without one."""
    if "pass_at_k" in columns:
        raise CorpusError(f"{label}: name the column 'pass_at_k' by its k, such as pass_at_16")
    matches = [_PASS_AT.fullmatch(name) for name in columns]
    ks = [int(match[1]) for match in matches if match and int(match[1]) > 1]
    return min(ks, key=lambda k: abs(np.log(k / USUAL_K)), default=0)


def _before(candidates: pl.DataFrame, k: int) -> pl.DataFrame:
    """Return the scores before RL as measurements at step 0."""

    def column(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Float64) if name in candidates.columns else pl.lit(None, dtype=pl.Float64)

    return candidates.select(
        pl.col("candidate").cast(pl.String),
        step=pl.lit(0, dtype=pl.Int64),
        pass_at_1=column("pre_pass_at_1"),
        pass_at_k=column(f"pre_pass_at_{k}"),
        responses=column("pre_samples_per_problem") * column("pre_problems_count"),
        reward=pl.lit(None, dtype=pl.Float64),
    ).filter(pl.col("pass_at_1").is_not_null())


def _checked(long: pl.DataFrame, label: str) -> pl.DataFrame:
    missing = [name for name in ("candidate", "step", "pass_at_1") if name not in long.columns]
    if missing == ["pass_at_1"] and "reward" in long.columns:
        long, missing = long.with_columns(pass_at_1=pl.lit(None, dtype=pl.Float64)), []
    if missing:
        raise CorpusError(
            f"{label}: column '{missing[0]}' is missing; it has {', '.join(long.columns[:8]) or 'none'}; expected one "
            "row a measurement with candidate, step, pass_at_1 and, where known, pass_at_16 and n; or, where nothing "
            "was measured, reward"
        )
    k = _k_of(long.columns, label)
    for name in ("candidate", "step", "pass_at_1", f"pass_at_{k}", "n", "reward"):
        dtype = long.schema.get(name, pl.Null())
        if not (dtype.is_numeric() or dtype in (pl.String, pl.Null, pl.Categorical, pl.Enum)):
            expected = "names" if name == "candidate" else "numbers"
            raise CorpusError(f"{label}: column '{name}' must hold {expected}, not {dtype}")
    named: Mapping[str, str] = {
        "step": "step",
        "pass_at_1": "pass_at_1",
        "pass_at_k": f"pass_at_{k}",
        "responses": "n",
        "reward": "reward",
    }
    columns = {
        name: long[header].cast(pl.Float64, strict=False) if header in long.columns else pl.Series([None] * long.height)
        for name, header in named.items()
    }
    frame = pl.DataFrame(
        {"candidate": long["candidate"].cast(pl.String), **{name: columns[name].cast(pl.Float64) for name in named}}
    )
    for name, header in named.items():
        lost = frame[name].is_null() & long[header].is_not_null() if header in long.columns else None
        if lost is not None and lost.any():
            raise _wrong(
                label, frame, int(lost.arg_true()[0]), header, "a number", long[header][int(lost.arg_true()[0])]
            )
    share = "a fraction from 0 to 1"
    step, score, at_k, n, reward = (frame[name] for name in named)
    reward = reward.fill_nan(None)
    for bad, header, expected in (
        (frame["candidate"].is_null(), "candidate", "a name"),
        (
            ~((step >= 0) & (step == step.floor()) & step.is_finite()).fill_null(False),
            "step",
            "a whole number, 0 or more",
        ),
        (~((reward >= 0) & (reward <= 1)).fill_null(True), "reward", f"{share}, the share of responses that are right"),
        (~((score >= 0) & (score <= 1)).fill_null(reward.is_not_null()), "pass_at_1", share),
        (~((at_k >= 0) & (at_k <= 1)).fill_null(True), f"pass_at_{k}", share),
        ((at_k < score - 1e-9).fill_null(False), f"pass_at_{k}", "at least pass_at_1, which one set of samples gives"),
        (~((n >= 1) & n.is_finite()).fill_null(True), "n", "the responses drawn in all, 1 or more"),
    ):
        if bad.any():
            row = int(bad.arg_true()[0])
            raise _wrong(label, frame, row, header, expected, long[header][row])
    twice = frame.filter(frame.select("candidate", "step").is_duplicated())
    if twice.height:
        raise CorpusError(
            f"{label}: '{twice['candidate'][0]}' has two measurements at step {twice['step'][0]:g}; keep one"
        )
    return frame.with_columns(pl.col("step").cast(pl.Int64), reward=reward)


def _without_old_rewards(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out rewards of runs that were measured since RL began, and all but the last of other runs."""
    scored = pl.col("pass_at_1").is_not_null()
    measured = (scored & (pl.col("step") > 0)).any().over("candidate")
    last = pl.col("step") == pl.col("step").max().over("candidate")
    kept = frame.filter(scored | (~measured & last & (pl.col("step") > 0)))
    return kept.with_columns(reward=pl.when(pl.col("pass_at_1").is_null()).then("reward"))


def _wrong(label: str, frame: pl.DataFrame, row: int, column: str, expected: str, got: Any) -> CorpusError:
    step = frame["step"][row]
    at = "" if step is None or not np.isfinite(step) else f" at step {step:g}"
    name = frame["candidate"][row]
    return CorpusError(f"{label}: '{column}' of '{name}'{at} must be {expected}, got {got}")
