"""What a column means, by its name: a column of the schema, one derived from nested counts or names, or anyone's.

A derived column is known by its name alone, so that a stored surrogate can ask any table for it:

``pre_problems.pass_at_2.8284``
    Pass@k for a k that need not be whole, mean over problems.
``pre_problems[gsm8k].pass_at_8``, ``pre_problems[gsm8k].share_7``
    The same over the problems of one benchmark.
``pre_problems[gsm8k].weight``
    How much that benchmark counts in an overall score: its problems, unless the user gave weights
    (`quagpredict.corpus.weights`).
``pre_problems[gsm8k].finished``
    Share of its responses that were not cut by the token budget.
``pre_problems[gsm8k].problems``, ``pre_problems[gsm8k].samples``
    How many problems and samples of that benchmark there are.
``pre_problems.share_7``
    Share of problems whose success probability lies in bin 7 of `LOGITS`, cleaned of sampling noise.
``pre_problems.set``
    A number that is the same for candidates that were measured on the same problems.
``base_model=weak``, ``base_model=*``
    1 where the column holds that text; 1 where it holds none of the texts that were asked for together.
"""

import re
from collections.abc import Collection
from functools import cache
from typing import Literal, NamedTuple, cast

import numpy as np
import polars as pl

from quagpredict.column import Column, pass_at_column
from quagpredict.schema import BY_NAME, MEASURES

#: Centres of the bins of success probability, on the logit scale; from 1 in 2981 to its complement.
LOGITS = np.linspace(-8.0, 8.0, 41)

#: k of the Pass@k by benchmark that says most of what RL makes of a candidate.
TRIES = 4

#: Name of the column that tells sets of problems apart.
PROBLEM_SET = "pre_problems.set"

_COUNTED = re.compile(
    r"(?P<nested>(?:pre|post)_problems)(?:\[(?P<benchmark>.+)\])?"
    r"\.(?:pass_at_(?P<k>[1-9][0-9]{0,6}(?:\.[0-9]{1,9})?)"
    rf"|share_(?P<bin>{'|'.join(map(str, range(len(LOGITS))))})|(?P<count>problems|samples|weight|finished))",
    re.DOTALL,
)
_Kind = Literal["pass_at", "share", "problems", "samples", "weight", "finished", "set", "is"]
_NAMED = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_PASS_AT = re.compile(r"(?:pre_|post_)?pass_at_([1-9][0-9]{0,8})")
_MEASURE = {column.name: column for column in MEASURES}


class Derived(NamedTuple):
    """What the name of a derived column says.

    Attributes
    ----------
    origin : str
        Column that it is derived from.
    benchmark : str or None
        Benchmark whose problems count; None for all.
    k : float
        Of ``pass_at``; otherwise 0.
    bin : int
        Of ``share``; otherwise -1.
    value : str
        Of ``is``: the text, or ``*`` for any other; otherwise empty.
    """

    origin: str
    kind: _Kind
    benchmark: str | None = None
    k: float = 0.0
    bin: int = -1
    value: str = ""


@cache
def derived_of(name: str) -> Derived | None:
    """Return what the name of a derived column says; None for any other column. Each name is read once.

    Examples
    --------
    >>> derived_of("pre_problems[gsm8k].pass_at_8")
    Derived(origin='pre_problems', kind='pass_at', benchmark='gsm8k', k=8.0, bin=-1, value='')
    >>> derived_of("base_model=weak").value, derived_of("pre_pass_at_8")
    ('weak', None)
    """
    if name == PROBLEM_SET:
        return Derived("pre_problems", "set")
    match = _COUNTED.fullmatch(name)
    if match and match["k"]:
        return Derived(match["nested"], "pass_at", match["benchmark"], k=float(match["k"]))
    if match and match["bin"]:
        return Derived(match["nested"], "share", match["benchmark"], bin=int(match["bin"]))
    if match and match["benchmark"]:
        return Derived(match["nested"], cast(_Kind, match["count"]), match["benchmark"])
    match = _NAMED.fullmatch(name)
    return Derived(match[1], "is", value=match[2]) if match else None


def curve_column(k: float, benchmark: str | None = None) -> str:
    """Return the name of the column of Pass@k before RL, for any k >= 1, over all problems or those of one benchmark.

    Examples
    --------
    >>> curve_column(8), curve_column(2**1.5), curve_column(1, "gsm8k")
    ('pre_problems.pass_at_8', 'pre_problems.pass_at_2.8284', 'pre_problems[gsm8k].pass_at_1')
    """
    return f"pre_problems{_of(benchmark)}.pass_at_{round(float(k), 4):.10g}"


def curve_k(name: str) -> float:
    """Return k of a column that `curve_column` names; 0 for any other column."""
    return derived.k if (derived := derived_of(name)) else 0.0


def share_columns(benchmark: str | None = None) -> tuple[str, ...]:
    """Return the names of the columns with the shares of problems before RL in each bin of `LOGITS`."""
    return tuple(f"pre_problems{_of(benchmark)}.share_{index}" for index in range(len(LOGITS)))


def benchmark_column(benchmark: str, field: str = "pass_at_1", stage: str = "pre") -> str:
    """Return the name of a benchmark's column ``pass_at_1``, ``finished``, ``weight``, ``problems`` or ``samples``.

    Examples
    --------
    >>> benchmark_column("math"), benchmark_column("math", "samples", "post")
    ('pre_problems[math].pass_at_1', 'post_problems[math].samples')
    """
    return f"{stage}_problems[{benchmark}].{field}"


def _of(benchmark: str | None) -> str:
    return "" if benchmark is None else f"[{benchmark}]"


def is_derived(name: str) -> bool:
    """Return whether a name is that of a derived column."""
    return derived_of(name) is not None


def is_indicator(name: str) -> bool:
    """Return whether a name is that of a derived column which says whether another holds a text."""
    return (derived := derived_of(name)) is not None and derived.kind == "is"


def origin(name: str) -> str:
    """Return the column that a column is derived from; the column itself if it is not derived.

    Examples
    --------
    >>> origin("pre_problems.share_7"), origin("base_model=weak"), origin("pre_pass_at_1")
    ('pre_problems', 'base_model', 'pre_pass_at_1')
    """
    return derived.origin if (derived := derived_of(name)) else name


def measurement_of(name: str, features: Collection[str]) -> str:
    """Return the measurement that a feature is of: its origin, but for Pass@k alone of all that the counts can give.

    Examples
    --------
    >>> one, two = "pre_problems.pass_at_64", "pre_problems.pass_at_4"
    >>> measurement_of(one, [one, "pre_held_out_loss_nats"]), measurement_of(one, [one, two])
    ('pre_pass_at_64', 'pre_problems')
    """
    flat = name.replace("_problems.", "_")
    alone = sum(origin(other) == origin(name) for other in features) == 1
    return flat if flat != name and alone and pass_at(flat) else origin(name)


@cache
def column_of(name: str) -> Column:
    """Return what a column means. Each name is read once; nothing else in the package reads meaning out of a name.

    Parameters
    ----------
    name : str
        A column of the schema; a measurement without ``pre_`` or ``post_``; Pass@k at any k; a derived column; or any
        other name, of which nothing is known: it is modelled as it is, and no value of it is better.

    Examples
    --------
    >>> bits, hard = column_of("pre_held_out_bits_per_byte"), column_of("pre_pass_at_1_hard")
    >>> (bits.better, bits.scale, bits.heading), (hard.better, hard.scale, hard.heading)
    (('lower', 'log', 'bits/byte'), ('higher', 'logit', 'Pass@1 hard'))
    >>> column_of("pre_problems.pass_at_2.8284").heading, column_of("web_share").better
    ('Pass@2.8284', None)
    """
    if name in BY_NAME:
        return BY_NAME[name]
    if name in _MEASURE:
        return _MEASURE[name]
    if match := _PASS_AT.fullmatch(name):
        return pass_at_column(name, int(match[1]), "")
    derived = derived_of(name)
    if derived is not None and derived.kind == "pass_at":
        of = "" if derived.benchmark is None else f" of {derived.benchmark}"
        return pass_at_column(name, derived.k, "", heading=f"Pass@{derived.k:g}{of}")
    return Column(name, pl.Float64(), "", None, None, "feature", "")


def minimized(target: str, minimize: bool | None = None) -> bool:
    """Return whether the lowest target is best: as the caller says, else as the schema says of its losses.

    Examples
    --------
    >>> minimized("post_held_out_loss_nats"), minimized("post_pass_at_1"), minimized("my_loss", True)
    (True, False, True)
    """
    return column_of(target).better == "lower" if minimize is None else minimize


@cache
def pass_at(name: str) -> int:
    """Return k of a flat column of Pass@k over all problems; 0 for any other column.

    Examples
    --------
    >>> pass_at("post_pass_at_8"), pass_at("pre_pass_at_1_se"), pass_at("pre_problems.pass_at_8")
    (8, 0, 0)
    """
    return int(column_of(name).k) if _PASS_AT.fullmatch(name) else 0


def pass_at_columns(frame: pl.DataFrame, stage: Literal["pre", "post"] = "pre") -> list[str]:
    """Return the flat columns of Pass@k before or after RL that hold values, by k."""
    columns = [name for name in frame.columns if name.startswith(f"{stage}_") and pass_at(name)]
    return sorted((name for name in columns if frame[name].null_count() < frame.height), key=pass_at)
