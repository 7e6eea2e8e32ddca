"""Judge surrogates and baselines on runs that they were not fitted on."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.design import design_matrix
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import resolve_transforms
from quagpredict.surrogates.fitting import fewest_rows, fit_tables
from quagpredict.surrogates.training_rows import TrainingRows, training_rows
from quagpredict.validation.baselines import BASELINE, Model, baseline_names, default_surrogates, models_of
from quagpredict.validation.batched_least_squares import predict_splits
from quagpredict.validation.judging import METRICS, Arrangement, Judged, arrange, judge, summarize
from quagpredict.validation.noise_ceiling import noise_ceiling
from quagpredict.validation.report import CEILING, SCHEMA, ValidationReport
from quagpredict.validation.splits import Split, leave_one_group_out, random_halves, repeated_k_fold

Floats = NDArray[np.float64]

PROTOCOLS = ("random-halves", "k-fold", "leave-one-base-out", "leave-one-kind-out")

#: Fewer candidates than this are not split: halves of five decide nothing.
MIN_CANDIDATES = 12
_MIN_GROUP = 4  # fewer rows of a left-out group have no order to speak of


class Scenario(NamedTuple):
    """Rows that are judged together."""

    name: str
    rows: NDArray[np.intp]


def validate(
    frame: Any,
    surrogates: Sequence[str] | None = None,
    protocol: str | Sequence[str] = PROTOCOLS,
    target: str = "post_pass_at_1",
    *,
    repeats: int = 100,
    seed: int = 0,
    maximize: bool = True,
    split: str | None = "fit",
    source: str = "corpus",
) -> ValidationReport:
    """Judge surrogates beside the baselines, on splits in which everything is fitted on the training rows alone.

    Parameters
    ----------
    frame : polars.DataFrame or source
        A table from `read_corpus`, or anything that `read_corpus` reads.
    surrogates : sequence of str, optional
        Names as `model_of` reads them, e.g. ``["linear:both", "linear:both:in-fold"]``; the paper's by default. The
        baselines are always judged too: the training mean, post-SFT Pass@1 fitted as a line, and each measurement of
        known direction as a proxy that orders the candidates without any fit.
    protocol : str or sequence of str
        ``random-halves``: the paper's, fitted on a random half and judged on the other, `repeats` times; R² is
        against the held-out half's own mean, and negative where the mean would have done better. ``k-fold``: 5 folds,
        20 times, judged on all rows together. ``leave-one-base-out``, ``leave-one-kind-out``: each base model, or kind
        of SFT data, is predicted from the others.
    target : str
    repeats, seed : int
        Of the random halves; the same seed gives the same report.
    maximize : bool
        Whether a higher target is better.
    split : str or None
        Only rows of this split are used, so that held-out candidates stay unseen; None uses all.
    source : str
        What to call the table in errors.

    Returns
    -------
    ValidationReport
        For the scenario ``all``, each base model (``base:NAME``), ``dataset-level``, ``instance-level``, and each of
        these two within each base model (``dataset-level:NAME``). A scenario of fewer than 12 candidates, and a model
        that lacks a measurement, is skipped with a note.

    Raises
    ------
    CorpusError, IncomparableError
        As `fit`.
    UsageError
        If a model or protocol is unknown.

    References
    ----------
    Kang et al., arXiv 2510.01624: fit on half of the models, 100 repeats, mean and deviation of R², Spearman.

    Examples
    --------
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> report = validate(synthetic_corpus(30, seed=1).frame, ["linear:both"], "random-halves", repeats=20)
    >>> table = report.table(metrics=("r2",)).filter(pl.col("model").is_in(["linear:both", "linear:pass_at_1"]))
    >>> table["model"].to_list(), bool(table["r2"][0] > table["r2"][1])
    (['linear:both', 'linear:pass_at_1'], True)
    """
    if not isinstance(frame, pl.DataFrame):
        from quagpredict.corpus import read_corpus

        frame = read_corpus(frame)
    protocols = (protocol,) if isinstance(protocol, str) else tuple(protocol)
    for name in protocols:
        if name not in PROTOCOLS:
            raise UsageError(f"unknown protocol '{name}': expected one of {', '.join(PROTOCOLS)}")
    rows = training_rows(frame, target, split=split, source=source)
    wanted = default_surrogates(rows.frame) if surrogates is None else tuple(surrogates)
    models = models_of((*wanted, *baseline_names(rows.frame)), rows.frame)
    for column in sorted({column for model in models for column in model.features}):
        if column == target:
            raise UsageError(f"'{target}' is the target and cannot be a feature too")
        design_matrix(rows.frame, [column], allow_missing=True, source=source)  # a missing column is an error by name
    notes: list[str] = []
    if rows.dropped_rows:
        notes.append(f"{rows.dropped_rows} rows without {target} were left out")
    parts: list[pl.DataFrame] = []
    for scenario in _scenarios(rows.frame):
        if len(scenario.rows) < MIN_CANDIDATES:
            notes.append(f"{scenario.name}: {len(scenario.rows)} candidates, fewer than {MIN_CANDIDATES}: not judged")
            continue
        parts += _judge_scenario(scenario, rows, target, models, protocols, repeats, seed, maximize, notes)
    if not parts:
        raise CorpusError(
            f"{source}: {len(rows.y)} finished candidates are too few to validate anything: at least {MIN_CANDIDATES}"
        )
    return ValidationReport(
        frame=pl.concat(parts),
        notes=tuple(dict.fromkeys(notes)),
        target=target,
        eval_protocol_id=rows.eval_protocol_id,
        rl_recipe_id=rows.rl_recipe_id,
        candidates=len(rows.y),
    )


def _scenarios(frame: pl.DataFrame) -> Iterator[Scenario]:
    yield Scenario("all", np.arange(frame.height))
    bases = _names(frame, "base_model")
    several = len(np.unique(bases)) > 1
    if several:
        for base in np.unique(bases):
            yield Scenario(f"base:{base}", np.flatnonzero(bases == base))
    levels = _names(frame, "recipe_scenario")
    for level in ("dataset-level", "instance-level"):
        inside = levels == level
        if not inside.any():
            continue
        yield Scenario(level, np.flatnonzero(inside))
        for base in np.unique(bases[inside]) if several else ():
            yield Scenario(f"{level}:{base}", np.flatnonzero(inside & (bases == base)))


def _judge_scenario(
    scenario: Scenario,
    rows: TrainingRows,
    target: str,
    models: Sequence[Model],
    protocols: Sequence[str],
    repeats: int,
    seed: int,
    maximize: bool,
    notes: list[str],
) -> Iterator[pl.DataFrame]:
    frame = rows.frame[scenario.rows]
    y = rows.y[scenario.rows]
    if np.ptp(y) == 0:
        notes.append(f"{scenario.name}: every candidate has the same {target}: not judged")
        return
    bases = np.unique(_names(frame, "base_model"), return_inverse=True)[1].reshape(-1)
    complete = []
    for model in models:
        design = design_matrix(frame, model.features, allow_missing=True) if model.features else None
        missing = [] if design is None else np.flatnonzero(design.missing.any(axis=1)).tolist()
        if missing:
            notes.append(
                f"{scenario.name}: {model.name} is left out, {len(missing)} candidates lack a measurement, "
                f"e.g. '{frame['candidate'][missing[0]]}'"
            )
        else:
            complete.append((model, np.empty((len(y), 0)) if design is None else design.X))
    ceiling = noise_ceiling(rows.runs.filter(pl.col("candidate").is_in(frame["candidate"].to_list())), target)
    notes.append(f"noise ceiling: {ceiling.note}")
    for protocol in protocols:
        splits = _splits(protocol, frame, repeats, seed, scenario.name, notes)
        if not splits:
            continue
        arrangement = arrange(splits, bootstrap=0 if protocol == "random-halves" else 200, seed=seed)
        fewest = min(len(split.train) for split in splits)
        judged: dict[str, Judged] = {}
        features: dict[str, str] = {}
        for model, X in complete:
            if model.kind != "proxy" and fewest < fewest_rows(model.kind, len(model.features)):
                notes.append(
                    f"{scenario.name}, {protocol}: {model.name} is left out, it would be fitted on {fewest} rows"
                )
                continue
            mean, std = _predictions(model, X, y, splits, frame, target)
            judged[model.name] = judge(
                arrangement, y, mean, std, bases, maximize=maximize, ordered=model.kind != "mean"
            )
            features[model.name] = ",".join(model.features)
        lines = list(_lines(judged, features, arrangement))
        for metric in ("r2", "spearman"):
            value, low, high = (getattr(ceiling, f"{metric}{end}") for end in ("", "_low", "_high"))
            if np.isfinite(value):
                lines.append(
                    {"model": CEILING, "features": "", "metric": metric} | {"mean": value, "low": low, "high": high}
                )
        shared = {"scenario": scenario.name, "protocol": protocol, "candidates": len(y)}
        yield pl.DataFrame([shared | line for line in lines], schema=SCHEMA)


def _splits(
    protocol: str, frame: pl.DataFrame, repeats: int, seed: int, scenario: str, notes: list[str]
) -> list[Split]:
    """Return the splits of a protocol; none, with a note, where the rows do not allow it."""
    if protocol == "random-halves":
        return random_halves(np.arange(frame.height), repeats, seed)
    if protocol == "k-fold":
        return repeated_k_fold(np.arange(frame.height), seed=seed)
    column = "base_model" if protocol == "leave-one-base-out" else "recipe_data_kind"
    groups = _names(frame, column)
    if len(np.unique(groups)) < 2:
        if scenario == "all":
            notes.append(f"{scenario}, {protocol}: not judged, the column {column} holds fewer than two values")
        return []
    splits = [split for split in leave_one_group_out(groups) if len(split.test) >= _MIN_GROUP]
    left_out = len(np.unique(groups)) - len(splits)
    if left_out:
        notes.append(f"{scenario}, {protocol}: {left_out} groups of fewer than {_MIN_GROUP} candidates are not judged")
    return splits


def _predictions(
    model: Model, X: Floats, y: Floats, splits: Sequence[Split], frame: pl.DataFrame, target: str
) -> tuple[Floats, Floats | None]:
    """Return mean and deviation, each (splits, n), of every row by every split's fit."""
    if model.kind == "proxy":
        return np.broadcast_to(model.sign * X[:, 0], (len(splits), len(y))), None
    if model.transforms == "identity" and model.kind in ("linear", "mean"):
        return predict_splits(X, y, splits)
    means, stds = [], []
    for split in splits:
        training = frame[split.train]
        (of_target,) = resolve_transforms(model.transforms, [target], training)
        fitted = fit_tables(
            model.kind,
            X[split.train],
            y[split.train],
            features=model.features,
            feature_transforms=resolve_transforms(model.transforms, model.features, training),
            target_transform=of_target,
        )
        prediction = fitted.predict(X)
        means.append(prediction.mean)
        stds.append(prediction.std)
    return np.stack(means), np.stack(stds)


def _lines(
    judged: dict[str, Judged], features: dict[str, str], arrangement: Arrangement
) -> Iterator[dict[str, object]]:
    base = judged.get(BASELINE)
    for name, own in judged.items():
        for metric in (metric for metric in METRICS if metric in own.repeats):
            line = summarize(own.repeats[metric], own.draws.get(metric), arrangement.spread)
            if line is None:
                continue
            known = int(np.isfinite(own.repeats[metric]).sum())
            result = {"model": name, "features": features[name], "metric": metric, "repeats": known}
            result |= {key: _or_null(value) for key, value in line._asdict().items()}
            if base is not None and name != BASELINE and metric in base.repeats:
                draws = own.draws[metric] - base.draws[metric] if metric in own.draws else None
                gain = summarize(own.repeats[metric] - base.repeats[metric], draws, arrangement.spread)
                if gain is not None:
                    result |= {"gain": gain.mean, "gain_low": _or_null(gain.low), "gain_high": _or_null(gain.high)}
            yield result


def _or_null(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _names(frame: pl.DataFrame, column: str) -> NDArray[np.str_]:
    """Return a column of names as text, empty where unknown."""
    if column not in frame.columns:
        return np.full(frame.height, "", dtype=np.str_)
    return np.asarray(frame[column].cast(pl.String).fill_null("").to_list(), dtype=np.str_)
