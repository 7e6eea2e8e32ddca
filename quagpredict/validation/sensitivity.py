"""What k, samples and problems are worth: how well Pass@k predicts for each k, from less than was measured."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arguments import check_arguments
from quagpredict.corpus.columns import minimized
from quagpredict.errors import CorpusError, UsageError
from quagpredict.metrics import pass_at_k
from quagpredict.schema import PASS_K
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
    "problems": pl.Int64,
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
    """How prediction depends on k, on the number of samples and on the number of problems.

    Attributes
    ----------
    frame : polars.DataFrame
        One row for each number of ``problems`` and ``samples`` of each, ``k`` up to it, ``model`` and ``metric``:
        ``mean`` and ``sd`` over repeats (draws of problems and samples, and random halves to fit on), and a 90 %
        interval. ``model`` is ``proxy`` (Pass@k orders the candidates) and, with all problems, ``linear`` (Pass@k on
        the logit scale, fitted) and ``linear with loss``.
    problems, samples : int
        Problems of the suite and samples of each that the table holds; for these numbers nothing is drawn.
    candidates : int
    notes : tuple of str
    """

    frame: pl.DataFrame
    problems: int
    samples: int
    candidates: int
    notes: tuple[str, ...]


class _Setting(NamedTuple):
    problems: int
    samples: int
    fitted: bool  # judge fits too, not Pass@k as it is alone


class _Counts(NamedTuple):
    """Counts of all problems of all candidates: one entry for each of both."""

    row: NDArray[np.intp]
    problem: NDArray[np.intp]
    n: Whole
    c: Whole


def sensitivity(
    frame: Any,
    target: str = "post_pass_at_1",
    *,
    ks: Sequence[int] | None = None,
    samples: Sequence[int] | None = None,
    problems: Sequence[int] | None = None,
    draws: int = 20,
    seed: int = 0,
    top_m: int = 3,
    minimize: bool | None = None,
    split: str | None = "fit",
    source: str = "corpus",
) -> Sensitivity:
    """Judge Pass@k for each k, as if fewer samples had been drawn of each problem, or of fewer problems.

    From a problem's n samples with c correct, m are drawn without replacement, so that the number correct is
    hypergeometric: exactly what evaluating with m samples would have given. With all n samples nothing is drawn.
    A smaller suite is drawn from the problems, the same for all candidates, as one suite is for a team; the score after
    RL stays that of the whole. Fits are on random halves, judged on the other half; intervals as in `validate`.

    Parameters
    ----------
    frame, target, seed, top_m, minimize, split, source
        As for `validate`; the counts ``pre_problems`` must be there.
    ks : sequence of int, optional
        1, 2, 4, ..., 256 as far as there are samples, by default.
    samples : sequence of int, optional
        8, 16, 32, ... and all, by default.
    problems : sequence of int, optional
        An eighth, a quarter, half and all of them, by default; all alone where candidates differ in their problems.
    draws : int
        Of the problems and samples, for each number of them.

    Raises
    ------
    CorpusError
        If the table has no counts, or too few candidates.
    UsageError
        If a number of samples or problems is not there, or a k is below 1.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> found = sensitivity(synthetic_corpus(40, seed=1).frame, ks=[1, 64], samples=[8, 128], draws=3)
    >>> order = found.frame.filter(model="proxy", metric="spearman")
    >>> order.filter(problems=found.problems).select("samples", "k").rows()
    [(8, 1), (128, 1), (128, 64)]
    """
    check_arguments(sensitivity, locals())
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
    whole = len(np.unique(counts.problem))
    notes = list(task.notes)
    if len(counts.n) != whole * len(rows.y):
        notes.append("candidates differ in their problems: smaller suites are not judged")
        suites = [whole]
    else:
        suites = sorted({*(problems or (whole // 8, whole // 4, whole // 2, whole))} - {0})
    if not suites or suites[0] < 1 or suites[-1] > whole:
        raise UsageError(f"problems must lie from 1 to {whole}, as many as the suite has; got {suites}")
    lines: list[dict[str, object]] = []
    for suite, number in itertools.product(suites, wanted):
        chance = suite < whole or number < most or bool((counts.n > most).any())
        ks_of = [k for k in chosen if k <= number]
        if chance:
            tables = [_scores(counts, number, ks_of, suite, seed, draw) for draw in range(draws)]
        else:
            tables = [_scores(counts, number, ks_of, suite, seed, None)] * draws
        setting = _Setting(suite, number, fitted=suite == whole)
        lines += _judged(tables, setting, ks_of, rows, seed, top_m, minimized(target, minimize))
    return Sensitivity(pl.DataFrame(lines, schema=SCHEMA), whole, most, len(rows.y), tuple(dict.fromkeys(notes)))


def _counts(runs: pl.DataFrame, candidates: list[str], source: str) -> _Counts:
    if "pre_problems" not in runs.columns or runs["pre_problems"].null_count():
        raise CorpusError(
            f"{source}: column 'pre_problems' is missing or has nulls: the counts of each problem are needed"
        )
    first = runs.unique("candidate", keep="first", maintain_order=True)
    row_of = {name: row for row, name in enumerate(candidates)}
    flat = first.select("candidate", "pre_problems").explode("pre_problems").unnest("pre_problems")
    row = np.array([row_of[name] for name in flat["candidate"]], dtype=np.intp)
    problem = flat.select(pl.struct("benchmark", "problem_id").rank("dense") - 1).to_series()
    n, c = (flat[name].to_numpy().astype(np.int64) for name in ("n", "c"))
    return _Counts(row, problem.to_numpy().astype(np.intp), n, c)


def _scores(counts: _Counts, samples: int, ks: list[int], problems: int, seed: int, draw: int | None) -> Floats:
    """Return Pass@k of each candidate from a draw of problems and samples, (rows, ks); from all if draw is None."""
    row, problem, n, c = counts
    rows, whole = int(row.max()) + 1, int(problem.max()) + 1
    if draw is not None and problems < whole:
        drawn = np.random.default_rng([seed, samples, draw, problems]).permutation(whole)[:problems]
        there = np.isin(problem, drawn)
        row, n, c = row[there], n[there], c[there]
    if draw is not None:
        c = np.random.default_rng([seed, samples, draw]).hypergeometric(c, n - c, samples)
        n = np.full_like(n, samples)
    values = pass_at_k(n, c, ks)
    totals = np.zeros((rows, len(ks)))
    np.add.at(totals, row, values)
    return totals / np.bincount(row, minlength=rows)[:, None]


def _judged(
    tables: list[Floats],
    setting: _Setting,
    ks: list[int],
    rows: Rows,
    seed: int,
    top_m: int,
    minimize: bool,
) -> Iterator[dict[str, object]]:
    bases = np.unique(np.array(rows.bases), return_inverse=True)[1].reshape(-1)
    loss = LOSS in rows.frame.columns and rows.frame[LOSS].null_count() == 0
    for at, k in enumerate(ks):
        column = f"pre_pass_at_{k}"
        models = [Model("proxy", "proxy", (column,))]
        models += [Model("linear", "linear", (column,))] if setting.fitted else []
        models += [Model("linear with loss", "linear", (LOSS, column))] if setting.fitted and loss else []
        values_of: dict[tuple[str, str], list[Floats]] = {}
        share = 1.0
        for number, table in enumerate(tables):
            splits = random_halves(np.arange(len(rows.y)), _HALVES, seed + number)
            arrangement = arrange(splits, bootstrap=0, seed=seed)
            share = arrangement.share
            # As a logit of Pass@k does it: half a success in all disjoint groups of k samples keeps the ends finite.
            trials = float(max(setting.samples // k, 1) * setting.problems)
            rate = (table[:, at] * trials + 0.5) / (trials + 1.0)
            frame = pl.DataFrame({"candidate": rows.frame["candidate"], column: np.log(rate / (1 - rate))})
            if loss:
                frame = frame.with_columns(rows.frame[LOSS].log().alias(LOSS))
            for model in models:
                predicted = predictions(model, rows._replace(frame=frame), splits, seed=seed, intervals=0)
                merit = model.kind == "proxy"
                judged = judge(arrangement, rows.y, predicted, bases, minimize=minimize, merit=merit, top_m=top_m)
                for metric, values in judged.repeats.items():
                    values_of.setdefault((model.name, metric), []).append(values)
        for model in models:
            for metric in metric_names(top_m):
                parts = values_of.get((model.name, metric))
                line = summarize(np.concatenate(parts), None, share) if parts else None
                if parts and line is not None:
                    result = {
                        "problems": setting.problems,
                        "samples": setting.samples,
                        "k": k,
                        "model": model.name,
                        "metric": metric,
                    }
                    repeats_judged = int(np.isfinite(np.concatenate(parts)).sum())
                    yield result | line._asdict() | {"repeats": repeats_judged}
