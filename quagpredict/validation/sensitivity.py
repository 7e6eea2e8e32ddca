"""What k and n are worth: how well Pass@k predicts for each k, and from how many samples a problem."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.schema import PASS_K
from quagpredict.errors import CorpusError, UsageError
from quagpredict.metrics import pass_at_k
from quagpredict.validation.baselines import Model
from quagpredict.validation.judging import arrange, judge, metric_names, summarize
from quagpredict.validation.predicting import Rows, predictions
from quagpredict.validation.splits import random_halves
from quagpredict.validation.task import task_of
from quagpredict.validation.validating import MIN_CANDIDATES

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

LOSS = "pre_held_out_loss_nats"
SCHEMA = {
    "samples": pl.Int64,
    "k": pl.Int64,
    "model": pl.String,
    "metric": pl.String,
    **dict.fromkeys(("mean", "sd", "low", "high"), pl.Float64),
    "repeats": pl.Int64,
}
_HALVES = 10  # of each draw of samples


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How prediction depends on k and on the number of samples.

    Attributes
    ----------
    frame : polars.DataFrame
        One row for each number of ``samples`` a problem, ``k`` up to it, ``model`` and ``metric``: ``mean`` and ``sd``
        over repeats (draws of the samples, and random halves to fit on), and a 90 % interval. ``model`` is ``proxy``
        (Pass@k orders the candidates), ``linear`` (Pass@k on the logit scale, fitted) or ``linear with loss``.
    samples : int
        Samples a problem that the table holds; for this number nothing is drawn.
    candidates : int
    notes : tuple of str
    """

    frame: pl.DataFrame
    samples: int
    candidates: int
    notes: tuple[str, ...]


class _Counts(NamedTuple):
    """Counts of all problems of all candidates, one entry a problem."""

    row: NDArray[np.intp]
    n: Whole
    c: Whole


def sensitivity(
    frame: Any,
    target: str = "post_pass_at_1",
    *,
    ks: Sequence[int] | None = None,
    samples: Sequence[int] | None = None,
    draws: int = 20,
    seed: int = 0,
    top_m: int = 3,
    maximize: bool = True,
    split: str | None = "fit",
    source: str = "corpus",
) -> Sensitivity:
    """Judge Pass@k for each k, as if fewer samples had been drawn of each problem.

    From a problem's n samples with c correct, m are drawn without replacement, so that the number correct is
    hypergeometric: exactly what evaluating with m samples would have given. With all n samples nothing is drawn.
    Fits are on random halves, judged on the other half; intervals as in `validate`.

    Parameters
    ----------
    frame, target, seed, top_m, maximize, split, source
        As for `validate`; the counts ``pre_problems`` must be there.
    ks : sequence of int, optional
        1, 2, 4, ..., 256 as far as there are samples, by default.
    samples : sequence of int, optional
        8, 16, 32, ... and all, by default.
    draws : int
        Of the samples, for each number of them.

    Raises
    ------
    CorpusError
        If the table has no counts, or too few candidates.
    UsageError
        If a number of samples is not there, or a k is below 1.

    Examples
    --------
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> found = sensitivity(synthetic_corpus(40, seed=1).frame, ks=[1, 64], samples=[8, 128], draws=3)
    >>> found.frame.filter(model="proxy", metric="spearman").select("samples", "k").rows()
    [(8, 1), (128, 1), (128, 64)]
    """
    task = task_of(frame, [], target, split=split, source=source)
    rows = task.rows
    if len(rows.y) < MIN_CANDIDATES:
        raise CorpusError(f"{source}: {len(rows.y)} finished candidates are too few: at least {MIN_CANDIDATES}")
    counts = _counts(task.runs, rows.frame["candidate"].to_list(), source)
    most = int(counts.n.min())
    wanted = sorted({*(samples or (*(2**power for power in range(3, 13) if 2**power < most), most))})
    chosen = sorted({*(ks or PASS_K)})
    if wanted[0] < 1 or wanted[-1] > most:
        raise UsageError(f"samples must lie from 1 to {most}, the fewest that a problem has; got {wanted}")
    if chosen[0] < 1:
        raise UsageError(f"k must be at least 1, got {chosen[0]}")
    lines = []
    problems = round(len(counts.n) / len(rows.y))
    for number in wanted:
        whole = number == most and bool((counts.n == most).all())
        drawn = [None] * draws if whole else list(range(draws))
        ks_of = [k for k in chosen if k <= number]
        tables = [_scores(counts, number, ks_of, len(rows.y), seed, draw) for draw in drawn]
        lines += list(_judged(tables, number, ks_of, problems, rows, seed, top_m, maximize))
    return Sensitivity(pl.DataFrame(lines, schema=SCHEMA), most, len(rows.y), tuple(dict.fromkeys(task.notes)))


def _counts(runs: pl.DataFrame, candidates: list[str], source: str) -> _Counts:
    if "pre_problems" not in runs.columns or runs["pre_problems"].null_count():
        raise CorpusError(
            f"{source}: column 'pre_problems' is missing or has nulls: the counts of each problem are needed"
        )
    first = runs.unique("candidate", keep="first", maintain_order=True)
    place = {name: row for row, name in enumerate(candidates)}
    flat = first.select("candidate", "pre_problems").explode("pre_problems").unnest("pre_problems")
    row = np.array([place[name] for name in flat["candidate"]], dtype=np.intp)
    return _Counts(row, flat["n"].to_numpy().astype(np.int64), flat["c"].to_numpy().astype(np.int64))


def _scores(counts: _Counts, samples: int, ks: list[int], rows: int, seed: int, draw: int | None) -> Floats:
    """Return Pass@k of each candidate from a draw of the samples, (rows, ks); from all samples if draw is None."""
    n, c = counts.n, counts.c
    if draw is not None:
        c = np.random.default_rng([seed, samples, draw]).hypergeometric(c, n - c, samples)
        n = np.full_like(n, samples)
    values = pass_at_k(n, c, ks)
    totals = np.zeros((rows, len(ks)))
    np.add.at(totals, counts.row, values)
    return totals / np.bincount(counts.row, minlength=rows)[:, None]


def _judged(
    tables: list[Floats],
    samples: int,
    ks: list[int],
    problems: int,
    rows: Rows,
    seed: int,
    top_m: int,
    maximize: bool,
) -> Iterator[dict[str, object]]:
    bases = np.unique(np.array(rows.bases), return_inverse=True)[1].reshape(-1)
    loss = LOSS in rows.frame.columns and rows.frame[LOSS].null_count() == 0
    for place, k in enumerate(ks):
        column = f"pre_pass_at_{k}"
        models = [Model("proxy", "proxy", (column,)), Model("linear", "linear", (column,))]
        models += [Model("linear with loss", "linear", (LOSS, column))] if loss else []
        found: dict[tuple[str, str], list[Floats]] = {}
        share = 1.0
        for number, table in enumerate(tables):
            splits = random_halves(np.arange(len(rows.y)), _HALVES, seed + number)
            arrangement = arrange(splits, bootstrap=0, seed=seed)
            share = arrangement.share
            # As the in-fold logit does it: half a success in all disjoint groups of k samples keeps the ends finite.
            trials = float(max(samples // k, 1) * problems)
            rate = (table[:, place] * trials + 0.5) / (trials + 1.0)
            frame = pl.DataFrame({"candidate": rows.frame["candidate"], column: np.log(rate / (1 - rate))})
            if loss:
                frame = frame.with_columns(rows.frame[LOSS].log().alias(LOSS))
            for model in models:
                predicted = predictions(model, rows._replace(frame=frame), splits, seed=seed, intervals=0)
                merit = model.kind == "proxy"
                judged = judge(arrangement, rows.y, predicted, bases, maximize=maximize, merit=merit, top_m=top_m)
                for metric, values in judged.repeats.items():
                    found.setdefault((model.name, metric), []).append(values)
        for model in models:
            for metric in metric_names(top_m):
                parts = found.get((model.name, metric))
                line = summarize(np.concatenate(parts), None, share) if parts else None
                if parts and line is not None:
                    result = {"samples": samples, "k": k, "model": model.name, "metric": metric}
                    known = int(np.isfinite(np.concatenate(parts)).sum())
                    yield result | line._asdict() | {"repeats": known}
