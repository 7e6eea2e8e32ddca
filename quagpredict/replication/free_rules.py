"""Rules that need no finished run, and models fitted on the others, judged within base models, beside each other."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.benchmarks import benchmark_scores, geometric_mean
from quagpredict.corpus.columns import column_of
from quagpredict.errors import CorpusError, InvalidDataError
from quagpredict.validation.predicting import predictions
from quagpredict.validation.splits import leave_one_group_out
from quagpredict.validation.task import complete_models, task_of
from quagpredict.validation.validating import MIN_CANDIDATES
from quagpredict.validation.within_base import WithinBase, within_base

Floats = NDArray[np.float64]

#: The rule that every other one is compared with.
BASELINE = "SFT Pass@1"
_COLUMNS = {BASELINE: "pre_pass_at_1", "Pass@64": "pre_pass_at_64", "held-out loss": "pre_held_out_loss_nats"}
_GEOMETRIC = "geometric mean over benchmarks"
#: The rules that need no fit.
FREE = (*_COLUMNS, _GEOMETRIC)
_SCHEMA = {
    **dict.fromkeys(("scenario", "rule", "metric"), pl.String),
    "candidates": pl.Int64,
    **dict.fromkeys(("value", "low", "high", "gain", "gain_low", "gain_high"), pl.Float64),
    "kind": pl.String,
    **dict.fromkeys(("value_without", "gain_without"), pl.Float64),
}


def free_rules(
    frame: pl.DataFrame,
    fitted: Sequence[str] = (),
    *,
    draws: int = 1000,
    seed: int = 0,
    source: str = "table",
) -> pl.DataFrame:
    """Judge the free rules on a table of finished runs.

    Parameters
    ----------
    frame : polars.DataFrame
        Finished runs with ``pre_*`` measurements, ``post_pass_at_1`` and ``base_model``; ``recipe_data_kind`` groups
        what is resampled where there are several, ``recipe_scenario`` splits the table too. A rule whose column is
        missing is left out.
    fitted : sequence of str
        Models to judge beside them in each ``recipe_scenario``, as `validate` reads them: by `left_out_order`. One that
        a scenario does not bear is left out.
    draws, seed : int
        Of the bootstrap over base models and, within each, kinds of data.
    source : str
        What to call the table in errors.

    Returns
    -------
    polars.DataFrame
        One row a scenario, rule and metric (``pairs``: share of a base model's pairs in order; ``regret``: of the first
        of a base model, a fraction): ``value`` with its 90 % interval, ``gain`` over SFT Pass@1 on the same draws; and
        ``kind``, without which the gain (for SFT Pass@1 itself the value) changes most, with what it is then.

    Raises
    ------
    CorpusError
        If a column is missing without which no rule can be judged.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> found = free_rules(synthetic_corpus(24, seed=1).frame, draws=20)
    >>> found["rule"].unique(maintain_order=True).to_list()[:2]
    ['SFT Pass@1', 'Pass@64']
    """
    for column in ("candidate", "post_pass_at_1"):
        if column not in frame.columns:
            raise CorpusError(f"{source}: column '{column}' is missing: rules are judged on the runs that have it")
    runs = frame.filter(pl.col("post_pass_at_1").is_not_null())
    truth = runs.group_by("candidate").agg(pl.col("post_pass_at_1").mean())
    candidates = (
        runs.unique("candidate", keep="first", maintain_order=True)
        .drop("post_pass_at_1")
        .join(truth, on="candidate", how="left", maintain_order="left")
    )
    parts = {"all": candidates}
    if "recipe_scenario" in candidates.columns:
        for scenario in ("dataset-level", "instance-level"):
            parts[scenario] = candidates.filter(recipe_scenario=scenario)
    rows = []
    for scenario, part in parts.items():
        orders = _orders(part)
        if scenario != "all" and part.height >= MIN_CANDIDATES:
            for model in fitted:
                with suppress(CorpusError):  # it lacks a measurement, or candidates
                    orders[model] = left_out_order(part, model)
        rows += _judged(scenario, part, orders, draws, seed)
    return pl.DataFrame(rows, schema=_SCHEMA)


def left_out_order(candidates: pl.DataFrame, model: str) -> Floats:
    """Return what a model says of the candidates of each base model that was fitted on those of the others.

    Of one base model all come from one fit. Were a random half predicted by a fit on the other, a good candidate would
    be missing exactly where it is judged, and a feature that says nothing would order the wrong way round.

    Parameters
    ----------
    candidates : polars.DataFrame
        One row each, finished, with ``base_model``.
    model : str
        As `validate` reads it.

    Raises
    ------
    CorpusError
        If a candidate lacks a measurement, there is but one base model, or the others are too few to fit.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> table = synthetic_corpus(24, seed=1).frame
    >>> order, loss = left_out_order(table, "linear:loss"), table["pre_held_out_loss_nats"].to_numpy()
    >>> bases = table["base_model"].to_numpy()
    >>> bool(np.corrcoef(order[bases == "base-0"], loss[bases == "base-0"])[0, 1] < -0.9)
    True
    """
    task = task_of(candidates, [model], "post_pass_at_1", split=None)
    chosen = next(model for model in task.models if model.name in task.surrogates)
    notes: list[str] = []
    if not complete_models([chosen], task.rows.frame, notes, model):
        raise CorpusError(notes[0])
    if len(set(task.rows.bases)) < 2:
        raise CorpusError(f"{model}: there is no other base model to fit it on")
    splits = leave_one_group_out(task.rows.bases)
    order = np.full(len(task.rows.y), np.nan)
    for split, mean in zip(splits, predictions(chosen, task.rows, splits, intervals=0).mean, strict=True):
        order[split.test] = mean[split.test]
    row_of = {name: row for row, name in enumerate(task.rows.frame["candidate"])}
    return order[[row_of[name] for name in candidates["candidate"]]]


def _judged(
    scenario: str, part: pl.DataFrame, rules: dict[str, Floats], draws: int, seed: int
) -> list[dict[str, object]]:
    if BASELINE not in rules or part.height < 2:
        return []
    bases = part["base_model"].fill_null("").to_numpy() if "base_model" in part.columns else np.full(part.height, "")
    # Of a single kind of data, drawn again and again, the interval would be a point: there candidates are drawn.
    grouped = "recipe_data_kind" in part.columns and part["recipe_data_kind"].n_unique() > 1
    kinds = part["recipe_data_kind"].fill_null("").to_numpy() if grouped else np.arange(part.height)
    y = part["post_pass_at_1"].to_numpy()
    try:
        whole = within_base(y, rules, bases, kinds, draws=draws, seed=seed)
    except InvalidDataError:  # no base model has two candidates of this scenario
        return []
    without = {}
    for kind in np.unique(kinds) if grouped else ():
        left = kinds != kind
        kept = {name: values[left] for name, values in rules.items()}
        try:
            without[str(kind)] = within_base(y[left], kept, bases[left], draws=0)
        except InvalidDataError:
            continue
    rows = []
    for rule, own in whole.items():
        for metric in ("pairs", "regret"):
            values = _metric(own, metric)
            row: dict[str, object] = {"scenario": scenario, "rule": rule, "metric": metric, "candidates": part.height}
            row |= {"value": values[0], **_ends("", values)}
            gains = _metric(own.less(whole[BASELINE]), metric)
            if rule != BASELINE:
                row |= {"gain": gains[0], **_ends("gain_", gains)}
            row |= _influence(rule, metric, whole, without)
            rows.append(row)
    return rows


def _orders(part: pl.DataFrame) -> dict[str, Floats]:
    rules = {}
    for rule, column in _COLUMNS.items():
        if column in part.columns and part[column].null_count() == 0:
            rules[rule] = column_of(column).sign * part[column].cast(pl.Float64).to_numpy()
    if "pre_problems" in part.columns and part["pre_problems"].null_count() == 0:
        geometric = geometric_mean(benchmark_scores(part))
        if np.isfinite(geometric).all():
            rules[_GEOMETRIC] = geometric
    return rules


def _influence(
    rule: str, metric: str, whole: dict[str, WithinBase], without: dict[str, dict[str, WithinBase]]
) -> dict[str, object]:
    """Return the kind of data without which a rule's gain (or its value) changes most, and what it is then."""

    def told(judged: dict[str, WithinBase]) -> float:
        own = judged[rule] if rule == BASELINE else judged[rule].less(judged[BASELINE])
        return float(_metric(own, metric)[0])

    if not without:
        return {}
    kind = max(without, key=lambda name: abs(told(without[name]) - told(whole)))
    row: dict[str, object] = {"kind": kind, "value_without": float(_metric(without[kind][rule], metric)[0])}
    return row if rule == BASELINE else row | {"gain_without": told(without[kind])}


def _metric(judged: WithinBase, metric: str) -> Floats:
    return judged.pairs if metric == "pairs" else judged.regret


def _ends(prefix: str, values: Floats) -> dict[str, float | None]:
    finite = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(finite, (0.05, 0.95)).tolist() if len(finite) else (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}
