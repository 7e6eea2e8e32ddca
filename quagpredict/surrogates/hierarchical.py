"""The hierarchical surrogate: a prior learnt on other corpora, and the user's results by benchmark on top."""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.benchmarks import PARTS, benchmark_names, benchmark_scores, measured_parts
from quagpredict.corpus.columns import TRIES, benchmark_column, curve_column, derived_of, pass_at
from quagpredict.corpus.derived import with_derived
from quagpredict.corpus.design import design_matrix
from quagpredict.errors import CorpusError
from quagpredict.surrogates.bayesian_ridge import fit_bayesian_ridge
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import TrainingDomain, training_domain
from quagpredict.surrogates.hierarchical_form import HierarchicalForm, named_benchmarks, read_form, to_cells
from quagpredict.surrogates.hierarchy import Prior, design, weights_prior
from quagpredict.surrogates.hierarchy_fit import posterior
from quagpredict.surrogates.hierarchy_tables import CUT, term_columns
from quagpredict.surrogates.kind import FitTask, Kind
from quagpredict.surrogates.mixed import group_columns
from quagpredict.surrogates.stored_prior import LEVELS, StoredPrior, shipped_prior
from quagpredict.surrogates.training_tables import t_factor

Floats = NDArray[np.float64]

TARGET = "post_pass_at_1"
_SCORE = re.compile(r"post_(?:pass|maj)_at_[1-9][0-9]*(?:_[a-z]+)?")
#: How far the level of another score after RL than Pass@1 may lie from the prior's, in logits.
_OTHER_SCORE = 1.5
#: Derived columns by which a table without its nested counts still tells scores by benchmark.
BY_BENCHMARK = (
    benchmark_column("*"),
    curve_column(TRIES, "*"),
    benchmark_column("*", "samples"),
    benchmark_column("*", "weight"),
    CUT,
    benchmark_column("*", "pass_at_1", "post"),
)
#: A map of Pass@1 on one benchmark alone would order by SFT Pass@1.
_FEWEST_BENCHMARKS = 2
#: Factor of the noise from which on it is said.
_LOUDER = 1.2
#: How far candidates usually lie from their centre: logits of Pass@k by benchmark, and terms.
_USUAL_LOGIT, _USUAL_TERM = 3.0, 1.0
#: How far the weighted results by benchmark may lie from the target: apart, they are of other runs than it.
_SAME = 1e-6


def level_of(frame: pl.DataFrame, among: Collection[str] = LEVELS) -> str:
    """Return for which level of information, of these, a table has what is needed; empty for none.

    Examples
    --------
    >>> level_of(pl.DataFrame({"pre_pass_at_1": [0.1], "pre_pass_at_64": [0.5], "pre_held_out_loss_nats": [0.7]}))
    'Pass@64 and loss'
    >>> level_of(pl.DataFrame({"pre_pass_at_1": [0.1]}))
    ''
    """
    benchmarks = _benchmarks(frame)
    for level in (name for name in LEVELS if name in among):
        names = benchmarks if LEVELS[level].knots else ()
        if LEVELS[level].knots and len(names) < _FEWEST_BENCHMARKS:
            continue
        with suppress(CorpusError):
            columns = _read_by(level, names)
            table = with_derived(frame, columns)
            if all(name in table.columns and table[name].null_count() == 0 for name in columns):
                return level
    return ""


def predicts(target: str) -> bool:
    """Return whether the model may predict a column: Pass@k or maj@k after RL, over all problems or a part of them.

    Examples
    --------
    >>> predicts("post_pass_at_8"), predicts("post_maj_at_16"), predicts("post_length_mean"), predicts("pre_pass_at_1")
    (True, True, False, False)
    """
    return _SCORE.fullmatch(target) is not None


def knows_benchmarks(frame: pl.DataFrame) -> bool:
    """Return whether a table has what is needed for predictions by benchmark."""
    level = level_of(frame)
    return bool(level and LEVELS[level].knots)


def prior_surrogate(frame: pl.DataFrame, prior: StoredPrior | None = None) -> FittedSurrogate:
    """Return what the prior alone says of these candidates' scores after RL: a surrogate without training rows.

    Parameters
    ----------
    frame : polars.DataFrame
        The candidates, from `read_corpus`; their benchmarks and what is measured choose the level.
    prior : StoredPrior, optional
        The shipped one by default.

    Raises
    ------
    CorpusError
        If the candidates lack what every level needs.
    """
    stored = prior or shipped_prior()
    return _fitted(frame, np.zeros(0), _columns(frame, "both", None, stored.levels), TARGET, stored)


def _benchmarks(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the benchmarks on which every candidate was measured before RL; parts by difficulty where too few."""
    whole, every = _counted_benchmarks(frame)
    if len(whole) >= _FEWEST_BENCHMARKS:
        return whole
    parts = measured_parts(frame)
    return parts if len(parts) >= _FEWEST_BENCHMARKS and not {*parts} & {*every} else whole


def _counted_benchmarks(frame: pl.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the benchmarks of which there are counts of every candidate, and those of which there are of any."""
    made = [name for name in named_benchmarks(frame.columns) if not _is_part(name, frame)]
    if made:
        shares = {name: {benchmark_column(name), curve_column(TRIES, name)} & {*frame.columns} for name in made}
        whole = sorted(name for name in made if any(not frame[column].null_count() for column in shares[name]))
        return tuple(whole), tuple(made)
    with suppress(CorpusError):
        scores = benchmark_scores(frame)
        there = np.asarray(np.isfinite(scores.share).all(axis=0))
        return tuple(name for name, is_whole in zip(scores.names, there, strict=True) if is_whole), scores.names
    return (), ()


def _is_part(name: str, frame: pl.DataFrame) -> bool:
    """Return whether derived columns are of a part by difficulty, of which nothing but Pass@1 is ever known."""
    return name in PARTS and curve_column(TRIES, name) not in frame.columns


def _columns(
    frame: pl.DataFrame, _features: str | Sequence[str], groups: str | None, among: Collection[str] = LEVELS
) -> tuple[str, ...]:
    level = level_of(frame, among)
    if not level:
        raise CorpusError(
            "the hierarchical surrogate needs the counts of each problem of two or more benchmarks ('pre_problems'), "
            "Pass@1 of parts ('pre_pass_at_1_easy', ...), or Pass@1 and Pass@64 or Pass@16: measure them, or name "
            "another kind"
        )
    names = _benchmarks(frame) if LEVELS[level].knots else ()
    samples = [benchmark_column(name, "samples") for name in names]
    terms = _term_columns(LEVELS[level].terms, names)
    return (*_map_columns(level, names), *samples, *terms, *group_columns(frame, groups))


def _map_columns(level: str, benchmarks: Sequence[str]) -> list[str]:
    """Return the columns of the map: Pass@k by benchmark."""
    return [curve_column(LEVELS[level].tries, name) for name in benchmarks]


def _read_by(level: str, benchmarks: Sequence[str]) -> list[str]:
    return [*_map_columns(level, benchmarks), *_term_columns(LEVELS[level].terms, benchmarks)]


def _term_columns(terms: Sequence[str], benchmarks: Sequence[str]) -> list[str]:
    return [column for name in terms for column in term_columns(name, benchmarks)]


def _teaching(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the columns that a fit reads beside the features: weights and results by benchmark."""
    names = _benchmarks(frame)
    after = [benchmark_column(name, "pass_at_1", "post") for name in names if "post_problems" in frame.columns]
    return (*(benchmark_column(name, "weight") for name in names), *after)


def _fit(task: FitTask) -> FittedSurrogate:
    if not predicts(task.target):
        raise CorpusError(
            f"{task.source}: the hierarchical surrogate predicts Pass@k or maj@k after RL ('{TARGET}', "
            f"'post_maj_at_16'), not '{task.target}'"
        )
    if (task.y < 0).any() or (task.y > 1).any():
        raise CorpusError(f"{task.source}: '{task.target}' must be a fraction from 0 to 1")
    return _fitted(task.frame, task.y, task.table().columns, task.target, shipped_prior(), source=task.source)


def _fitted(
    frame: pl.DataFrame,
    y: Floats,
    columns: tuple[str, ...],
    target: str,
    stored: StoredPrior,
    source: str = "candidates",
) -> FittedSurrogate:
    """Return the surrogate of the rows of a table with their scores y; without scores, of the prior alone."""
    names = named_benchmarks(columns)
    # The first that finds what it reads: levels of more come first.
    fitting = (name for name, level in LEVELS.items() if bool(level.knots) == bool(names))
    level = next(name for name in fitting if {*_read_by(name, names)} <= {*columns})
    _, terms, tries = LEVELS[level]
    prior = stored.levels[level] if target == TARGET else _of_another_score(stored.levels[level])
    frame = with_derived(frame, columns, source=source)
    Z = design_matrix(frame, columns, allow_missing=not len(y), source=source)
    weights = _weights(frame, names)
    cells = to_cells(Z, len(names), terms, tries)
    mean, covariance = weights_prior(prior, len(weights), cells.member.shape[1])
    spreads, after = prior.spreads, np.full((len(y), len(weights)), np.nan)
    said: tuple[str, ...] = ()
    if len(y):
        if names:
            after = _after(frame, names, target)
            apart = np.abs(after @ weights - y) > _SAME
            after[apart | ~np.isfinite(after).all(axis=1)] = np.nan
        else:
            after = y[:, None]
        fit = posterior(design(cells, prior.knots), prior, after, y, weights)
        mean, covariance, spreads = fit.mean, fit.covariance, fit.spreads
        if fit.factor > _LOUDER:
            said = (f"these runs scatter {fit.factor:.1f} times as much as those that the prior was learnt on",)
        said += _only_after(frame, names)
        if target != TARGET:
            said += (f"the prior is of Pass@1 after RL: the level of '{target}' is learnt from these results alone",)
    df = float(max(stored.bases + len(y) - 1, 4))
    form = HierarchicalForm(prior.knots, weights, terms, mean, covariance, np.array(spreads), df, t_factor(df), tries)
    return FittedSurrogate(
        name="hierarchical",
        features=columns,
        target=target,
        feature_transforms=("identity",) * len(columns),
        target_transform="identity",
        form=form,
        domain=_domain(form.seen(Z), len(names)),
        cross_base_validated=True,
        training_rows=len(y),
        notes=(*_about(_in_words(level, names, frame), stored, frame), *said),
    )


def _in_words(level: str, names: tuple[str, ...], frame: pl.DataFrame) -> str:
    """Return what is known of the candidates."""
    if not _are_parts(names, frame):
        return level
    return level.replace("benchmarks", "parts by difficulty in place of benchmarks")


def _are_parts(names: tuple[str, ...], frame: pl.DataFrame) -> bool:
    """Return whether these stand for benchmarks, and are none."""
    return bool(names) and {*names} <= {*PARTS} and not {*names} & {*_counted_benchmarks(frame)[1]}


def _weights(frame: pl.DataFrame, names: tuple[str, ...]) -> Floats:
    """Return the share of each benchmark in the overall score, (B,): by problems, unless the table has weights."""
    if not names:
        return np.ones(1)
    columns = [benchmark_column(name, "weight") for name in names]
    weights = with_derived(frame, columns).select(pl.col(columns).max()).to_numpy()[0].astype(np.float64)
    return np.asarray(weights / weights.sum())


def _of_another_score(prior: Prior) -> Prior:
    """Return the prior of a score after RL that is not Pass@1: its slopes, and a level that is hardly known."""
    covariance = prior.covariance.copy()
    covariance[0, 0] += _OTHER_SCORE**2
    return replace(prior, covariance=covariance)


def _after(frame: pl.DataFrame, names: tuple[str, ...], target: str) -> Floats:
    """Return the scores after RL by benchmark, (n, B); NaN where they were not measured, or counts do not tell them."""
    unknown = np.full((frame.height, len(names)), np.nan)
    if not pass_at(target):
        return unknown
    columns = [benchmark_column(name, f"pass_at_{pass_at(target)}", "post") for name in names]
    try:
        return design_matrix(with_derived(frame, columns), columns, allow_missing=True)
    except CorpusError:
        return unknown


def _only_after(frame: pl.DataFrame, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return a sentence on the benchmarks that were measured after RL alone: nothing predicts them."""
    made = [derived for name in frame.columns if (derived := derived_of(name)) and derived.origin == "post_problems"]
    there = {derived.benchmark for derived in made if derived.benchmark is not None}
    if "post_problems" in frame.columns and isinstance(frame["post_problems"].dtype, pl.List):
        there |= set(benchmark_names(frame["post_problems"]))
    only = sorted(str(name) for name in there - set(names)) if names and not _are_parts(names, frame) else []
    if not only:
        return ()
    return (f"measured after RL and not before, so not predicted by benchmark: {', '.join(only)}",)


def _domain(seen: Floats, benchmarks: int) -> TrainingDomain:
    """Return the domain of the rows seen, and of what the prior takes as usual around their centre.

    A few finished runs do not say how far others may lie: one row each way along each feature does.
    """
    seen = seen[np.isfinite(seen).all(axis=1)]
    centre = seen.mean(axis=0) if len(seen) else np.zeros(seen.shape[1])
    usual = np.diag(np.where(np.arange(seen.shape[1]) < benchmarks, _USUAL_LOGIT, _USUAL_TERM))
    return training_domain(np.concatenate([seen, centre + usual, centre - usual]))


def _about(level: str, stored: StoredPrior, frame: pl.DataFrame) -> tuple[str, ...]:
    """Return what a reader should know of the prior, and of how these runs differ from those it was learnt on."""
    low, high = stored.rl_steps[0], stored.rl_steps[-1]
    said = [
        f"the prior reads {level}, and was learnt on {stored.bases} other bases ({', '.join(stored.corpora)}; {low:g} "
        f"to {high:g} RL steps)"
    ]
    column = frame["rl_steps"].drop_nulls().cast(pl.Float64).to_list() if "rl_steps" in frame.columns else []
    if column and (max(column) > 2 * high or min(column) < low / 2):
        said.append(
            f"these runs have {min(column):g} to {max(column):g} RL steps, far from the prior's: trust it the less, "
            "the fewer results there are"
        )
    return tuple(said)


def _fit_matrix(X: Floats, y: Floats, **settings: Any) -> FittedSurrogate:
    """Fit to columns of which nothing is known: no prior speaks of them, so this is a Bayesian ridge."""
    return replace(fit_bayesian_ridge(X, y, **settings), name="hierarchical")


KIND = Kind(
    fit_matrix=_fit_matrix,
    fit=_fit,
    columns=_columns,
    teaching=_teaching,
    reads="own",
    fewest=1,
    form=HierarchicalForm,
    read=read_form,
    tried_from=None,
    raw_and_transformed=False,
)
