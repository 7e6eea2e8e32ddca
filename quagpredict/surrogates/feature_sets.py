"""Names of features: the paper's sets, short names, or columns of any table; and which are weights of a mixture."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import column_of, is_derived, pass_at, pass_at_columns
from quagpredict.errors import CorpusError, UsageError
from quagpredict.schema import BY_NAME, Column
from quagpredict.surrogates.transforms import Transform, parse_transform

# Published tables round weights to three decimals: each may be half a thousandth off.
_ROUNDING = 0.6e-3
_SEPARATORS = "_.-:/ "

#: Trials that a share is taken to rest on where the table does not say how many problems and samples there were.
ASSUMED_TRIALS = 1000.0

_PATTERN = re.compile(r"[.*\[(^$|?]")

Transforms = Literal["identity", "log-logit"] | Mapping[str, str]

_AFTER_RL = frozenset({"rl_curve", "cost_rl_s", "cost_post_evaluation_s"})


def resolve_features(
    features: str | Sequence[str], frame: pl.DataFrame, *, exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the columns that `features` names.

    Parameters
    ----------
    features : str or sequence of str
        Names, or one text of names joined by ``+`` or commas. A name is ``loss`` (the held-out loss, nats per token),
        ``both`` (the loss and Pass@64, or Pass@k of the largest smaller k that the table holds), a measurement such as
        ``pass_at_8`` or ``length_mean`` (then the one before RL is taken), or a column of the table; ``all-numeric``
        takes every column of numbers that is complete, varies and is neither identity nor cost nor known only after RL.
        A column of that very name comes before all of these. What is no column but holds one of ``.*[(^$|?`` is a
        regular expression: every column of numbers that it matches whole, in the table's order.
    frame : polars.DataFrame
        The table; a column that holds only nulls counts as absent for ``both``.
    exclude : sequence of str
        Columns that ``all-numeric`` and regular expressions pass over: the target, the groups.

    Returns
    -------
    tuple of str
        Column names, each once, in the order asked for.

    Raises
    ------
    CorpusError
        If ``both`` is asked for and the table has no Pass@k, or nothing matches a regular expression or
        ``all-numeric``. An absent column is reported by whoever reads it.
    UsageError
        If nothing is named, or something that is known only after RL.

    Examples
    --------
    >>> table = pl.DataFrame({"pre_held_out_loss_nats": [0.3], "pre_pass_at_16": [0.5], "temperature": [1.0]})
    >>> resolve_features("both", table)
    ('pre_held_out_loss_nats', 'pre_pass_at_16')
    >>> resolve_features("pass_at_16+temperature", table)
    ('pre_pass_at_16', 'temperature')
    >>> resolve_features("pre_.*", table)
    ('pre_held_out_loss_nats', 'pre_pass_at_16')
    """
    named = re.split(r"[+,]", features) if isinstance(features, str) else list(features)
    columns: list[str] = []
    for name in (part.strip() for part in named):
        if name and name in frame.columns:
            columns.append(name)
        elif name == "loss":
            columns.append("pre_held_out_loss_nats")
        elif name == "both":
            columns += ["pre_held_out_loss_nats", largest_pass_at(frame)]
        elif name == "all-numeric":
            columns += _all_numeric(frame, exclude)
        elif name and name not in frame.columns and not is_derived(name) and _PATTERN.search(name):
            columns += _matching(name, frame, exclude)
        elif name and name not in frame.columns and (f"pre_{name}" in frame.columns or pass_at(name)):
            columns.append(name if name.startswith(("pre_", "post_")) else f"pre_{name}")
        elif name:
            columns.append(name)
    late = [name for name in columns if name.startswith("post_") or name in _AFTER_RL]
    if late:
        raise UsageError(f"'{late[0]}' is known only after RL, so nothing can be predicted from it")
    if not columns:
        raise UsageError("no feature was named: try both, loss, pass_at_64 or a column of the table")
    return tuple(dict.fromkeys(columns))


def _numeric(frame: pl.DataFrame, exclude: Sequence[str]) -> list[str]:
    """Return the columns of numbers that are known before RL."""
    columns = [name for name, dtype in frame.schema.items() if dtype.is_numeric() or dtype == pl.Boolean]
    return [
        name
        for name in columns
        if name not in exclude and not name.startswith("post_") and name not in _AFTER_RL and not is_derived(name)
    ]


def _all_numeric(frame: pl.DataFrame, exclude: Sequence[str]) -> list[str]:
    names = [
        name
        for name in _numeric(frame, exclude)
        if (name not in BY_NAME or BY_NAME[name].role == "feature")
        and frame[name].null_count() == 0
        and frame[name].n_unique() > 1
    ]
    if not names:
        raise CorpusError("the table has no column of numbers that is complete and varies, so 'all-numeric' is empty")
    return names


def _matching(pattern: str, frame: pl.DataFrame, exclude: Sequence[str]) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"feature '{pattern}' is no column and no regular expression: {error}") from None
    names = [name for name in _numeric(frame, exclude) if compiled.fullmatch(name)]
    if not names:
        raise CorpusError(f"no column of numbers matches '{pattern}'; the columns are {', '.join(frame.columns)[:200]}")
    return names


def largest_pass_at(frame: pl.DataFrame) -> str:
    """Return the column of Pass@k before RL with the largest k up to 64 that holds values.

    Raises
    ------
    CorpusError
        If there is none.
    """
    columns = [name for name in pass_at_columns(frame) if pass_at(name) <= 64]
    if not columns:
        raise CorpusError(
            "the table has no column pre_pass_at_K with K up to 64 that holds values: measure the candidates with more "
            "samples, or choose other features"
        )
    return columns[-1]


def resolve_transforms(transforms: Transforms, columns: Sequence[str], frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the name of the transform of each column.

    Parameters
    ----------
    transforms : "identity", "log-logit" or mapping
        ``identity`` leaves everything raw, as in the paper. ``log-logit`` takes each column to the scale on which it is
        modelled (`Column.scale`): the log of a held-out loss, the logit of a Pass@k. The trials of a logit are learnt
        from the rows of `frame` alone: problems times ``n // k``, the number of disjoint groups of k samples that the
        estimate rests on; `ASSUMED_TRIALS` where the table does not say. A mapping names a transform for some columns.
    frame : polars.DataFrame
        The training rows.

    Examples
    --------
    >>> table = pl.DataFrame({"pre_samples_per_problem": [128, 128], "pre_problems_count": [100, 100]})
    >>> resolve_transforms("log-logit", ["pre_pass_at_64", "pre_held_out_loss_nats", "recipe_epochs"], table)
    ('logit(200.0)', 'log', 'identity')
    """
    if isinstance(transforms, str):
        if transforms not in ("identity", "log-logit"):
            raise UsageError(f"transforms must be identity, log-logit or a mapping, got {transforms!r}")
        if transforms == "identity":
            return ("identity",) * len(columns)
        return tuple(_modelled(column, frame) for column in columns)
    for column in transforms:
        if column not in columns:
            raise UsageError(f"transforms name '{column}', which is none of {', '.join(columns)}")
    return tuple(str(parse_transform(transforms.get(column, "identity"))) for column in columns)


def _modelled(name: str, frame: pl.DataFrame) -> str:
    """Return the transform to the scale on which a column is modelled."""
    column = column_of(name)
    if column.scale != "logit":
        return column.scale
    return str(Transform("logit", _trials(column, name.partition("_")[0], frame)))


def _trials(column: Column, stage: str, frame: pl.DataFrame) -> float:
    counts = [f"{stage}_samples_per_problem", f"{stage}_problems_count"]
    if not set(counts) <= set(frame.columns):
        return ASSUMED_TRIALS
    samples, problems = (frame[name].cast(pl.Float64).to_numpy() for name in counts)
    groups = problems * column.part * np.maximum(samples // max(column.k, 1.0), 1)
    groups = groups[np.isfinite(groups)]
    return float(max(np.median(groups), 1.0)) if len(groups) else ASSUMED_TRIALS


def weight_columns(X: Floats, features: Sequence[str] | None = None) -> NDArray[np.bool_]:
    """Return which columns are weights on a simplex, (p,).

    Parameters
    ----------
    X : array (n, p)
        Finite.
    features : sequence of str, optional
        Names of the columns. Measurements of the schema are never weights.

    Returns
    -------
    array of bool
        Columns that are nowhere negative and add up to 1, or to 100, in every row, but for weights rounded to three
        digits: those whose names begin alike (``w_code``, ``w_math``), else all that lie between 0 and the total. At
        least two; none where nothing adds up.

    Examples
    --------
    >>> X = np.array([[0.5, 0.3, 0.2, 3.0], [0.1, 0.0, 0.9, 1.0]])
    >>> weight_columns(X)
    array([ True,  True,  True, False])
    >>> weight_columns(np.array([[0.5, 0.25, 0.5], [0.25, 0.75, 0.75]]), ["w_a", "dropout", "w_b"])
    array([ True, False,  True])
    """
    n, p = X.shape
    names = list(features) if features is not None else [""] * p
    low, high = X.min(axis=0, initial=np.inf), X.max(axis=0, initial=-np.inf)
    for total in (1.0, 100.0):
        within = (low >= 0.0) & (high <= total * (1.0 + _ROUNDING)) & np.array([name not in BY_NAME for name in names])
        for chosen in _groups(within, names):
            count = int(chosen.sum())
            off = np.abs(X[:, chosen].sum(axis=1) / total - 1.0)
            if count >= 2 and n and (off <= _ROUNDING * count).all():
                return chosen
    return np.zeros(p, dtype=bool)


def _groups(within: NDArray[np.bool_], names: Sequence[str]) -> Iterator[NDArray[np.bool_]]:
    """Yield the columns within bounds: those whose names begin alike, up to each name's last separator, then all."""
    stems = [name[: max(name.rfind(mark) for mark in _SEPARATORS) + 1] for name in names]
    for stem in dict.fromkeys(stem for stem in stems if stem):
        yield within & np.array([other_stem == stem for other_stem in stems])
    yield within
