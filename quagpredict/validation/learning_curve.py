"""How many finished RL runs a surrogate needs: its accuracy against the number of runs that it was fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arguments import check_arguments
from quagpredict.corpus.columns import minimized
from quagpredict.corpus.design import design_matrix
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import resolve_features, resolve_transforms
from quagpredict.surrogates.fitted import transform_columns
from quagpredict.surrogates.kinds import kind_of
from quagpredict.validation.baselines import BASELINE, Model
from quagpredict.validation.judging import arrange, judge, metric_names
from quagpredict.validation.lines import judged_lines
from quagpredict.validation.predicting import Rows, predictions
from quagpredict.validation.run_designs import DESIGNS, choose
from quagpredict.validation.splits import Split, random_halves
from quagpredict.validation.task import complete_models, task_of
from quagpredict.validation.validating import MIN_CANDIDATES, Progress, check_baseline

Floats = NDArray[np.float64]

SCHEMA = {
    "design": pl.String,
    "runs": pl.Int64,
    "model": pl.String,
    "metric": pl.String,
    **dict.fromkeys(("mean", "sd", "low", "high", "gain", "gain_low", "gain_high"), pl.Float64),
    "repeats": pl.Int64,
}

_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)
_TEST_SHARE = 1 / 3


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Accuracy against the number of finished RL runs.

    Attributes
    ----------
    frame : polars.DataFrame
        One row for each ``design``, number of ``runs``, ``model`` and ``metric``: ``mean`` and ``sd`` over repeats, a
        90 % interval, and the ``gain`` over post-SFT Pass@1 as in `ValidationReport`. A model is judged from the number
        of runs on that it can be fitted on; a proxy needs none and is there for every number.
    candidates, test : int
        Candidates in all, and those left out of every fit in each repeat.
    target : str
    baseline : str
    notes : tuple of str
    """

    frame: pl.DataFrame
    candidates: int
    test: int
    target: str
    baseline: str
    notes: tuple[str, ...]

    def runs_needed(
        self, model: str, metric: str = "spearman", *, share: float = 0.95, design: str = "random"
    ) -> int | None:
        """Return the fewest runs from which on the mean metric stays at `share` of its value at the most runs.

        For a metric where higher is better. None where the model was not judged, or ends at or below 0.
        """
        rows = self.frame.filter(design=design, model=model, metric=metric).sort("runs")
        if not rows.height or rows["mean"][-1] <= 0:
            return None
        below = rows.filter(pl.col("mean") < share * rows["mean"][-1])
        later = rows if not below.height else rows.filter(pl.col("runs") > below["runs"].max())
        return int(later["runs"][0])


def learning_curve(
    frame: Any,
    surrogates: str | Sequence[str] | None = None,
    target: str = "post_pass_at_1",
    *,
    sizes: Sequence[int] | None = None,
    designs: str | Sequence[str] = ("random", "max-min"),
    design_features: str | Sequence[str] | None = None,
    features: str | Sequence[str] | None = None,
    groups: str | None = None,
    baseline: str = BASELINE,
    repeats: int = 50,
    seed: int = 0,
    top_m: int = 3,
    minimize: bool | None = None,
    split: str | None = "fit",
    weights: Mapping[str, float] | None = None,
    source: str = "corpus",
    progress: Progress | None = None,
) -> LearningCurve:
    """Fit on 1, 2, 3, ... finished runs, and judge on candidates that were never among them.

    In each repeat a third of the candidates is left out at random; the others are put in the order in which they would
    get RL, and each model is fitted on the first of them. The same repeats serve every design and model. Repeats share
    candidates, so the interval of a mean uses the standard error of Nadeau and Bengio, with a third for the share.

    Parameters
    ----------
    frame, surrogates, target, features, groups, baseline, seed, top_m, minimize, split, weights, source, progress
        As for `validate`; of the baselines, the mean, post-SFT Pass@1 (fitted, and as a proxy) and short RL runs are
        judged.
    sizes : sequence of int, optional
        Numbers of runs; 1, 2, 3, ... in growing steps to all by default.
    designs : str or sequence of str
        How runs are chosen, see `choose`: ``random``, ``max-min``, ``d-optimal``.
    design_features : str or sequence of str, optional
        What a design looks at; the loss and Pass@k (``both``) on the log and logit scale where they are there, or
        `features`.
    repeats : int

    Raises
    ------
    CorpusError, IncomparableError
        As `validate`.
    UsageError
        If a design or model is unknown, or a size is below 1.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> curve = learning_curve(synthetic_corpus(45, seed=1).frame, ["linear:both"], sizes=[5, 30], repeats=10)
    >>> few, many = curve.frame.filter(design="random", model="linear:both", metric="r2").sort("runs")["mean"]
    >>> curve.test, bool(few < many)
    (15, True)
    """
    check_arguments(learning_curve, locals())
    designs = (designs,) if isinstance(designs, str) else tuple(designs)
    for design in designs:
        if design not in DESIGNS:
            raise UsageError(f"unknown design '{design}': expected one of {', '.join(DESIGNS)}")
    metric_names(top_m)  # a wrong number is said before anything is fitted
    task = task_of(
        frame, surrogates, target, features=features, groups=groups, split=split, weights=weights, source=source
    )
    check_baseline(baseline, task.models)
    rows, notes = task.rows, task.notes
    n = len(rows.y)
    if n < MIN_CANDIDATES:
        raise CorpusError(f"{source}: {n} finished candidates are too few for a curve: at least {MIN_CANDIDATES}")
    kept = {*task.surrogates, "mean", baseline, "proxy:pass_at_1"}
    models = [model for model in task.models if model.name in kept or "probe_" in model.name]
    models = complete_models(models, rows.frame, notes, "all")
    Z = _design_table(rows, features if design_features is None else design_features)
    halves = random_halves(np.arange(n), repeats, seed, share=1 - _TEST_SHARE)
    pool = len(halves[0].train)
    wanted = sorted({size for size in (sizes or (*_SIZES, pool)) if size <= pool})
    if not wanted or wanted[0] < 1:
        raise UsageError(f"sizes must lie from 1 to {pool}, the candidates that are not left out")
    low, parts = minimized(target, minimize), []
    for at, design in enumerate(designs):
        orders = _orders(design, Z, halves, seed)
        for number, size in enumerate(wanted):
            if progress is not None:
                progress(at * len(wanted) + number, len(designs) * len(wanted))
            splits = [
                Split(np.sort(order[:size]), half.test, half.repeat) for order, half in zip(orders, halves, strict=True)
            ]
            parts.append(_judged(design, size, splits, models, rows, baseline, seed, top_m, low))
    return LearningCurve(pl.concat(parts), n, n - pool, target, baseline, tuple(dict.fromkeys(notes)))


def _design_table(rows: Rows, features: str | Sequence[str] | None) -> Floats:
    try:
        columns = resolve_features("both" if features is None else features, rows.frame)
        X = design_matrix(rows.frame, columns)
    except CorpusError:
        if features is not None:
            raise
        columns = resolve_features("pass_at_1", rows.frame)
        X = design_matrix(rows.frame, columns)
    # Features alone are known of all candidates before any RL, so the whole table may set the transforms.
    Z = transform_columns(X, resolve_transforms("log-logit", columns, rows.frame))
    return np.where(np.isfinite(Z), Z, X)


def _orders(design: str, Z: Floats, halves: Sequence[Split], seed: int) -> list[NDArray[np.intp]]:
    orders = []
    for half in halves:
        rng = np.random.default_rng([seed, half.repeat])
        orders.append(half.train[choose(design, Z[half.train], rng)])
    return orders


def _judged(
    design: str,
    size: int,
    splits: list[Split],
    models: Sequence[Model],
    rows: Rows,
    baseline: str,
    seed: int,
    top_m: int,
    minimize: bool,
) -> pl.DataFrame:
    arrangement = arrange(splits, bootstrap=0, seed=seed, share=_TEST_SHARE / (1 - _TEST_SHARE))
    bases = np.unique(np.array(rows.bases), return_inverse=True)[1].reshape(-1)
    judged = {}
    for model in models:
        if not model.is_surrogate or size >= kind_of(model.kind).fewest_rows(len(model.features)):
            predicted = predictions(model, rows, splits, seed=seed, intervals=0)
            judged[model.name] = judge(
                arrangement, rows.y, predicted, bases, minimize=minimize, merit=model.kind == "proxy", top_m=top_m
            )
    lines = list(judged_lines(judged, dict.fromkeys(judged, ""), arrangement, baseline, top_m))
    return pl.DataFrame([{"design": design, "runs": size} | line for line in lines], schema=SCHEMA)
