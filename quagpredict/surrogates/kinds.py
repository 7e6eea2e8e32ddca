"""The kinds of surrogates: what each needs of a table, and which columns it reads from it."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import polars as pl

from quagpredict.corpus.derived import LOGITS, curve_column, curve_k, is_derived, share_columns, with_derived
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import largest_pass_at, pass_at_columns, resolve_features

#: Kinds of surrogates that `fit` knows.
SURROGATES = (
    "auto",
    "average",
    "bayesian_ridge",
    "budget",
    "effective_k",
    "gaussian_process",
    "lightgbm",
    "linear",
    "mean",
    "mixed",
    "ridge",
    "sharpening",
)

#: Kinds that read columns of their own, whatever features are named.
OWN_COLUMNS = ("budget", "effective_k", "sharpening")

#: Distinct groups up to which `mixed` gives each an effect of its own.
MOST_GROUPS = 200

_PER_OCTAVE = 4
_LARGEST_K = 1024.0
_SIGNAL = "pre_zero_variance_share_g8"
_FEWEST = {"effective_k": 1, "sharpening": 1, "mean": 3, "budget": 4, "auto": 8, "lightgbm": 10}


def check_kind(surrogate: str) -> None:
    """Refuse a kind of surrogate that `fit` does not know."""
    if surrogate not in SURROGATES:
        raise UsageError(f"unknown surrogate '{surrogate}': expected one of {', '.join(SURROGATES)}")


def fewest_rows(surrogate: str, features: int) -> int:
    """Return how many candidates a fit of so many features needs; for most, two degrees of freedom for the residual.

    Examples
    --------
    >>> fewest_rows("linear", 2), fewest_rows("ridge", 2), fewest_rows("effective_k", 0)
    (5, 4, 1)
    """
    if surrogate in ("linear", "mixed"):
        return 3 + features
    return _FEWEST.get(surrogate, 4)


def kind_columns(
    kind: str, frame: pl.DataFrame, features: str | Sequence[str] = "both", groups: str | None = None
) -> tuple[str, ...]:
    """Return the columns, some of them derived, that a kind of surrogate reads from this table.

    Parameters
    ----------
    kind : str
        One of `SURROGATES`; ``auto`` reads what its choice reads, here the named features.
    frame : polars.DataFrame
    features : str or sequence of str
        See `resolve_features`; kinds in `OWN_COLUMNS` take their own instead.
    groups : str, optional
        Column of groups for ``mixed``; ``base_model`` by default, where it is there.

    Raises
    ------
    CorpusError
        If the table cannot give them.

    Examples
    --------
    >>> table = pl.DataFrame({"pre_pass_at_1": [0.2], "pre_pass_at_2": [0.3], "base_model": ["weak"]})
    >>> kind_columns("effective_k", table)[-2:]
    ('pre_problems.pass_at_1.6818', 'pre_problems.pass_at_2')
    >>> kind_columns("mixed", table, "pass_at_1")
    ('pre_pass_at_1', 'base_model=weak', 'base_model=*')
    """
    match kind:
        case "effective_k":
            return tuple(curve_column(k) for k in _curve_grid(frame))
        case "sharpening":
            if "pre_problems" not in frame.columns and share_columns()[0] not in frame.columns:
                raise CorpusError("column 'pre_problems' is missing: sharpening needs the counts of each problem")
            return share_columns()
        case "budget":
            return _budget_columns(frame)
        case "mixed":
            return (*resolve_features(features, frame), *_indicators(frame, groups))
    return resolve_features(features, frame)


def prepare(
    frame: pl.DataFrame,
    kinds: Sequence[str] = SURROGATES,
    *,
    features: str | Sequence[str] = "both",
    groups: str | None = None,
) -> pl.DataFrame:
    """Return the table with everything derived that these kinds read, and without its nested counts.

    Fitting many times on slices of a table is fast after this. Kinds that the table does not allow are passed over.

    Examples
    --------
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> prepared = prepare(synthetic_corpus(6, seed=1).frame)
    >>> "pre_problems" in prepared.columns
    False
    """
    wanted = dict.fromkeys((*kinds, *OWN_COLUMNS) if "auto" in kinds else kinds)
    names: dict[str, None] = {}
    for kind in wanted:
        with suppress(CorpusError):
            columns = kind_columns(kind, frame, features, groups)
            # Which groups there are differs from slice to slice; their columns are made when they are needed.
            names |= dict.fromkeys(name for name in columns if "=" not in name)
    return with_derived(frame, list(names), drop_nested=True)


def bins() -> list[float]:
    """Return the centres of the bins that `share_columns` stand for."""
    return [float(value) for value in LOGITS]


def _curve_grid(frame: pl.DataFrame) -> list[float]:
    """Return the ks of the curve: `_PER_OCTAVE` an octave, up to the smallest number of samples of any problem."""
    there = [name for name in frame.columns if curve_k(name) and name.startswith("pre_")]
    if there:
        ks = sorted(curve_k(name) for name in there if frame[name].null_count() == 0)
        if not ks:
            raise CorpusError(f"column '{there[0]}' lacks values: some candidate's counts were not measured")
        return ks
    limit = _smallest_n(frame)
    count = int(np.floor(np.log2(limit) * _PER_OCTAVE + 1e-9))
    return [2.0 ** (step / _PER_OCTAVE) for step in range(count + 1)]


def _smallest_n(frame: pl.DataFrame) -> float:
    if "pre_problems" in frame.columns and isinstance(frame["pre_problems"].dtype, pl.List):
        n = frame["pre_problems"].explode(empty_as_null=False, keep_nulls=False).struct.field("n").min()
        if isinstance(n, int) and n >= 1:
            return min(float(n), _LARGEST_K)
    complete = [name for name in pass_at_columns(frame) if frame[name].null_count() == 0]
    if not complete:
        raise CorpusError("neither 'pre_problems' nor a column pre_pass_at_K is complete: measure the candidates")
    return min(float(complete[-1].rpartition("_")[2]), _LARGEST_K)


def _budget_columns(frame: pl.DataFrame) -> tuple[str, ...]:
    if "rl_steps" not in frame.columns:
        raise CorpusError("column 'rl_steps' is missing: a curve in RL steps needs to know how many there were")
    along = any(
        name in frame.columns and frame[name].null_count() < frame.height for name in ("post_curve", "rl_curve")
    )
    if not along and frame["rl_steps"].drop_nulls().n_unique() < 2:
        raise CorpusError(
            "all runs have the same 'rl_steps' and no scores along the way (column 'post_curve'): nothing tells how "
            "the score goes with the steps"
        )
    columns = ["pre_pass_at_1", largest_pass_at(frame)]
    if _SIGNAL in frame.columns and frame[_SIGNAL].null_count() == 0:
        columns.append(_SIGNAL)
    return (*dict.fromkeys(columns), "rl_steps")


def _indicators(frame: pl.DataFrame, groups: str | None) -> tuple[str, ...]:
    column = groups or "base_model"
    if column not in frame.columns:
        if groups:
            raise CorpusError(f"column '{groups}' is missing, but it is to name the groups")
        return ()
    values = frame[column].cast(pl.String).drop_nulls().unique().sort().to_list()
    if len(values) > MOST_GROUPS:
        raise CorpusError(
            f"column '{column}' holds {len(values)} groups, too many for an effect each (at most {MOST_GROUPS})"
        )
    if "*" in values:
        raise CorpusError(f"column '{column}' holds the text '*', which stands for any other group: rename it")
    return tuple(f"{column}={value}" for value in values) + ((f"{column}=*",) if values else ())


def plain(columns: Sequence[str]) -> int:
    """Return how many of the columns are measurements, not derived."""
    return sum(not is_derived(name) for name in columns)
