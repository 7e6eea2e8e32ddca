"""The rules that need no finished run, judged within base models on the truth averaged over RL seeds."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.benchmarks import benchmark_scores, geometric_mean
from quagpredict.corpus.columns import column_of
from quagpredict.errors import CorpusError, InvalidDataError
from quagpredict.validation.within_base import WithinBase, within_base

Floats = NDArray[np.float64]

#: The rule that every other one is compared with.
BASELINE = "SFT Pass@1"
_COLUMNS = {BASELINE: "pre_pass_at_1", "Pass@64": "pre_pass_at_64", "held-out loss": "pre_held_out_loss_nats"}
_GEOMETRIC = "geometric mean over benchmarks"
_SCHEMA = {
    **dict.fromkeys(("scenario", "rule", "metric"), pl.String),
    "candidates": pl.Int64,
    **dict.fromkeys(("value", "low", "high", "gain", "gain_low", "gain_high"), pl.Float64),
    "kind": pl.String,
    **dict.fromkeys(("value_without", "gain_without"), pl.Float64),
}


def free_rules(frame: pl.DataFrame, *, draws: int = 1000, seed: int = 0, source: str = "table") -> pl.DataFrame:
    """Judge the free rules on a table of finished runs.

    Parameters
    ----------
    frame : polars.DataFrame
        Finished runs with ``pre_*`` measurements, ``post_pass_at_1`` and ``base_model``; ``recipe_data_kind`` groups
        what is resampled where there are several, ``recipe_scenario`` splits the table too. A rule whose column is
        missing is left out.
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
    truth = runs.group_by("candidate").agg(pl.col("post_pass_at_1").mean().alias("_truth"))
    candidates = runs.unique("candidate", keep="first", maintain_order=True).join(
        truth, on="candidate", how="left", maintain_order="left"
    )
    parts = {"all": candidates}
    if "recipe_scenario" in candidates.columns:
        for scenario in ("dataset-level", "instance-level"):
            parts[scenario] = candidates.filter(recipe_scenario=scenario)
    rows = [row for scenario, part in parts.items() for row in _judged(scenario, part, draws, seed)]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _judged(scenario: str, part: pl.DataFrame, draws: int, seed: int) -> list[dict[str, object]]:
    rules = _orders(part)
    if BASELINE not in rules or part.height < 2:
        return []
    bases = part["base_model"].fill_null("").to_numpy() if "base_model" in part.columns else np.full(part.height, "")
    # Of a single kind of data, drawn again and again, the interval would be a point: there candidates are drawn.
    grouped = "recipe_data_kind" in part.columns and part["recipe_data_kind"].n_unique() > 1
    kinds = part["recipe_data_kind"].fill_null("").to_numpy() if grouped else np.arange(part.height)
    y = part["_truth"].to_numpy()
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
