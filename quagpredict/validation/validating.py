"""Judge surrogates and baselines on runs that they were not fitted on."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from quagpredict.arguments import check_arguments
from quagpredict.corpus.columns import minimized
from quagpredict.errors import CorpusError, UsageError, argument
from quagpredict.surrogates.kinds import kind_of
from quagpredict.validation.baselines import BASELINE, OF_BASES, Model
from quagpredict.validation.judging import Judged, arrange, judge, metric_names
from quagpredict.validation.lines import judged_lines
from quagpredict.validation.noise_ceiling import NoiseCeiling, noise_ceiling
from quagpredict.validation.over_groups import r2_over_groups
from quagpredict.validation.predicting import predictions_of
from quagpredict.validation.report import CEILING, SCHEMA, ValidationReport
from quagpredict.validation.splits import Split, leave_one_group_out, random_halves, repeated_k_fold
from quagpredict.validation.task import Task, complete_models, names_of, shown_features, task_of

PROTOCOLS = ("random-halves", "k-fold", "leave-one-base-out", "leave-one-kind-out")

#: Fewer candidates than this are not split: halves of five decide nothing.
MIN_CANDIDATES = 12
_MIN_GROUP = 4  # fewer rows of a left-out group have no order to speak of

Progress = Callable[[int, int], None]


class Scenario(NamedTuple):
    """Rows that are judged together."""

    name: str
    rows: NDArray[np.intp]


def validate(
    frame: Any,
    surrogates: str | Sequence[str] | None = None,
    protocol: str | Sequence[str] = PROTOCOLS,
    target: str = "post_pass_at_1",
    *,
    scenarios: Sequence[str] | None = None,
    features: str | Sequence[str] | None = None,
    groups: str | None = None,
    baseline: str = BASELINE,
    repeats: int = 100,
    seed: int = 0,
    top_m: int = 3,
    minimize: bool | None = None,
    split: str | None = "fit",
    weights: Mapping[str, float] | None = None,
    jobs: int = 1,
    source: str = "corpus",
    progress: Progress | None = None,
) -> ValidationReport:
    """Judge surrogates beside the baselines, on splits in which everything is fitted on the training rows alone.

    Parameters
    ----------
    frame : polars.DataFrame or source
        A table from `read_corpus`, or anything that `read_corpus` reads.
    surrogates : str or sequence of str, optional
        Names as `model_of` reads them, e.g. ``["linear:both", "linear:both:log-logit"]``; the paper's by default, and
        ``"all"`` for one model of every kind. The baselines are always judged too: the training mean; post-SFT Pass@1
        fitted as a line; each measurement of known direction, fitted as a line, and as a proxy that orders the
        candidates without any fit; the geometric mean over benchmarks and the paper's screening, as they are; the mean
        of each base, alone and with a slope on Pass@1 or Pass@64; a short RL run where that was recorded.
    protocol : str or sequence of str
        ``random-halves``: the paper's, fitted on a random half and judged on the other, `repeats` times; R² is
        against the held-out half's own mean, and negative where the mean would have done better. ``k-fold``: 5 folds,
        20 times, judged on all rows together. ``leave-one-base-out``, ``leave-one-kind-out``: each base model, or kind
        of SFT data, is predicted from the others, and R² over these groups is also given as their median and pooled.
    target : str
    scenarios : sequence of str, optional
        Names of those to judge, see Returns; all that the table has by default.
    features : str or sequence of str, optional
        Columns of anyone's table to predict from. Surrogates are then named by their kind alone, every kind that reads
        plain columns by default, and the baselines are the mean and each feature fitted as a line (up to 20).
    groups : str, optional
        Column that takes the place of ``base_model``: pairs are counted within, and each is left out, its groups.
    baseline : str
        Model that every gain is measured from. Of the default, post-SFT Pass@1, it is the fitted line for errors and
        intervals, and the score as it is for what depends on the order alone.
    repeats, seed : int
        Of the random halves; the same seed gives the same report.
    top_m : int
        How many candidates would get RL, for regret and recall.
    minimize : bool, optional
        Whether the lowest target is best; by default for losses of the schema.
    split : str or None
        Only rows of this split are used, so that held-out candidates stay unseen; None uses all.
    weights : mapping of benchmark to float, optional
        How much each benchmark counts in every score, as for `quagpredict.fit`.
    jobs : int
        Processes for the kinds that take long to fit; the result does not depend on it. They are spawned, so a program
        that uses this must guard its entry (``if __name__ == "__main__"``).
    source : str
        What to call the table in errors.
    progress : callable, optional
        Called with (models judged, models in all).

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
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> report = validate(synthetic_corpus(30, seed=1).frame, ["linear:both"], "random-halves", repeats=20)
    >>> table = report.table(metrics=("r2",)).filter(pl.col("model").is_in(["linear:both", "linear:pass_at_1"]))
    >>> table["model"].to_list(), bool(table["r2"][0] > table["r2"][1])
    (['linear:both', 'linear:pass_at_1'], True)
    """
    check_arguments(validate, locals())
    protocols = (protocol,) if isinstance(protocol, str) else tuple(protocol)
    for name in protocols:
        if name not in PROTOCOLS:
            raise UsageError(f"unknown protocol '{name}': expected one of {', '.join(PROTOCOLS)}")
    metric_names(top_m)  # a wrong number is said before anything is judged
    task = task_of(
        frame, surrogates, target, features=features, groups=groups, split=split, weights=weights, source=source
    )
    check_baseline(baseline, task.models)
    parts: list[pl.DataFrame] = []
    there = list(_scenarios(task.rows.frame))
    unknown = sorted({*(scenarios or ())} - {scenario.name for scenario in there})
    if unknown:
        names = ", ".join(scenario.name for scenario in there)
        raise UsageError(f"unknown scenario '{unknown[0]}': the table has {names}")
    chosen = []
    for scenario in there:
        if scenarios is not None and scenario.name not in scenarios:
            continue
        if len(scenario.rows) < MIN_CANDIDATES:
            count = f"{len(scenario.rows)} candidates, fewer than {MIN_CANDIDATES}"
            task.notes.append(f"{scenario.name}: {count}: not judged")
        else:
            chosen.append(scenario)
    with process_pool(jobs) as pool:
        of_seeds = noise_ceiling(task.runs, task.rows.target, resamples=1).rl_seed_variance
        judging = _Judging(
            task, protocols, baseline, repeats, seed, top_m, minimized(target, minimize), progress, pool, of_seeds, {}
        )
        for number, scenario in enumerate(chosen):
            parts += judging.scenario(scenario, number, len(chosen))
    task.notes.extend(_ceiling_notes(judging.ceilings))
    if not parts:
        few = len(task.rows.y) < MIN_CANDIDATES
        why = f"are too few to validate anything: at least {MIN_CANDIDATES}" if few else "cannot be validated"
        said = "" if few else f": {'; '.join(task.notes[:3])}"
        raise CorpusError(f"{source}: {len(task.rows.y)} finished candidates {why}{said}")
    return ValidationReport(
        frame=pl.concat(parts),
        notes=tuple(dict.fromkeys(task.notes)),
        target=target,
        eval_protocol_id=task.eval_protocol_id,
        rl_recipe_id=task.rl_recipe_id,
        candidates=len(task.rows.y),
        surrogates=task.surrogates,
        baseline=baseline,
        top_m=top_m,
        grouped_by=task.grouped_by,
        groups=len(set(task.rows.bases)),
    )


def check_baseline(baseline: str, models: Sequence[Model]) -> None:
    """Refuse a baseline that is not judged; the default is left out where SFT Pass@1 was not measured."""
    names = [model.name for model in models]
    if baseline != BASELINE and baseline not in names:
        raise UsageError(f"baseline '{baseline}' is not among the models that are judged: {', '.join(names)}")


def _scenarios(frame: pl.DataFrame) -> Iterator[Scenario]:
    yield Scenario("all", np.arange(frame.height))
    bases = names_of(frame, "base_model")
    several = len(np.unique(bases)) > 1
    if several:
        for base in np.unique(bases):
            yield Scenario(f"base:{base}", np.flatnonzero(bases == base))
    levels = names_of(frame, "recipe_scenario")
    for level in ("dataset-level", "instance-level"):
        inside = levels == level
        if not inside.any():
            continue
        yield Scenario(level, np.flatnonzero(inside))
        for base in np.unique(bases[inside]) if several else ():
            yield Scenario(f"{level}:{base}", np.flatnonzero(inside & (bases == base)))


class _Judging(NamedTuple):
    """One call of `validate`."""

    task: Task
    protocols: Sequence[str]
    baseline: str
    repeats: int
    seed: int
    top_m: int
    minimize: bool
    progress: Progress | None
    pool: Executor | None
    rl_seed_variance: float
    ceilings: dict[str, NoiseCeiling]

    def scenario(self, scenario: Scenario, at: int, scenarios: int) -> Iterator[pl.DataFrame]:
        """Judge every model under every protocol on the rows of a scenario."""
        rows, notes = self.task.rows.take(scenario.rows), self.task.notes
        if np.ptp(rows.y) == 0:
            notes.append(f"{scenario.name}: every candidate has the same {rows.target}: not judged")
            return
        bases = np.unique(np.array(rows.bases), return_inverse=True)[1].reshape(-1)
        complete = complete_models(self.task.models, rows.frame, notes, scenario.name)
        if not bases.any():  # of one base there is but one mean
            complete = [model for model in complete if model.kind != OF_BASES]
        runs = self.task.runs.filter(pl.col("candidate").is_in(rows.frame["candidate"].to_list()))
        ceiling = noise_ceiling(runs, rows.target, rl_seed_variance=self.rl_seed_variance)
        self.ceilings[scenario.name] = ceiling
        total = scenarios * len(self.protocols) * len(complete)
        for number, protocol in enumerate(self.protocols):
            splits = _splits(protocol, rows.frame, self.repeats, self.seed, scenario.name, notes)
            if not splits:
                continue
            arrangement = arrange(splits, bootstrap=200 if protocol == "k-fold" else 0, seed=self.seed)
            fewest = min(len(split.train) for split in splits)
            judged: dict[str, Judged] = {}
            features: dict[str, str] = {}
            fitting = [
                model
                for model in complete
                if not model.is_surrogate or fewest >= kind_of(model.kind).fewest_rows(len(model.features))
            ]
            if len(fitting) < len(complete):
                names = [model.name for model in complete if model not in fitting]
                count = f"{len(names)} models are left out, too few rows to fit them on ({fewest})"
                notes.append(f"{scenario.name}, {protocol}: {count}: {', '.join(names)}")
            outcomes = predictions_of(fitting, rows, splits, seed=self.seed, pool=self.pool)
            for done, (model, predicted) in enumerate(outcomes):
                if self.progress is not None:
                    self.progress((at * len(self.protocols) + number) * len(complete) + done, total)
                if isinstance(predicted, CorpusError):
                    notes.append(f"{scenario.name}, {protocol}: {model.name} is left out: {predicted}")
                    continue
                judged[model.name] = judge(
                    arrangement,
                    rows.y,
                    predicted,
                    bases,
                    minimize=self.minimize,
                    merit=model.kind == "proxy",
                    top_m=self.top_m,
                )
                features[model.name] = shown_features(model.features)
            lines = list(judged_lines(judged, features, arrangement, self.baseline, self.top_m))
            if protocol.startswith("leave-one"):
                lines += r2_over_groups(judged, arrangement, rows.y, features, self.seed)
            # Left-out groups are judged one by one, and the noise of all rows together says nothing of one group.
            for metric in () if protocol.startswith("leave-one") else ("r2", "spearman"):
                value, low, high = (getattr(ceiling, f"{metric}{end}") for end in ("", "_low", "_high"))
                if np.isfinite(value):
                    lines.append(
                        {"model": CEILING, "features": "", "metric": metric} | {"mean": value, "low": low, "high": high}
                    )
            shared = {"scenario": scenario.name, "protocol": protocol, "candidates": len(rows.y)}
            yield pl.DataFrame([shared | line for line in lines], schema=SCHEMA)


# R² by which the ceiling must rise without the candidate whose RL seeds differ most, for it to be said.
_DECIDED_BY_ONE = 0.02


def _ceiling_notes(ceilings: dict[str, NoiseCeiling]) -> Iterator[str]:
    """Say once how each noise ceiling was estimated, and of which scenarios."""
    ways: dict[str, list[str]] = {}
    for name, ceiling in ceilings.items():
        ways.setdefault(ceiling.note, []).append(name)
    for note, names in ways.items():
        yield f"noise ceiling ({', '.join(names)}): {note}"
    # One candidate of a few can decide what the seed's noise is taken to be.
    apart = {name: noise for name, noise in ceilings.items() if noise.r2_without_largest - noise.r2 > _DECIDED_BY_ONE}
    for candidate in dict.fromkeys(noise.largest for noise in apart.values()):
        told = ", ".join(
            f"{name} {noise.r2:.2f}, {noise.r2_without_largest:.2f} without it"
            for name, noise in apart.items()
            if noise.largest == candidate
        )
        count = max(noise.replicated for noise in apart.values() if noise.largest == candidate)
        yield (
            f"of {count} candidates with several RL seeds, those of '{candidate}' differ most, and the R² ceiling "
            f"rests on them: {told}"
        )
    ceilings_known = {name: noise.recipe_r2 for name, noise in ceilings.items() if np.isfinite(noise.recipe_r2)}
    if ceilings_known:
        told = ", ".join(f"{name} {r2:.2f}" for name, r2 in ceilings_known.items())
        yield f"the SFT seed is noise to who sees the recipe and not the checkpoint; its R² is at most: {told}"


def _splits(
    protocol: str, frame: pl.DataFrame, repeats: int, seed: int, scenario: str, notes: list[str]
) -> list[Split]:
    """Return the splits of a protocol; none, with a note, where the rows do not allow it."""
    if protocol == "random-halves":
        return random_halves(np.arange(frame.height), repeats, seed)
    if protocol == "k-fold":
        return repeated_k_fold(np.arange(frame.height), seed=seed)
    column = "base_model" if protocol == "leave-one-base-out" else "recipe_data_kind"
    groups = names_of(frame, column)
    if len(np.unique(groups)) < 2:
        if scenario == "all":
            notes.append(f"{scenario}, {protocol}: not judged, the column {column} holds fewer than two values")
        return []
    splits = [split for split in leave_one_group_out(groups) if len(split.test) >= _MIN_GROUP]
    left_out = len(np.unique(groups)) - len(splits)
    if left_out:
        notes.append(f"{scenario}, {protocol}: {left_out} groups of fewer than {_MIN_GROUP} candidates are not judged")
    return splits


@contextmanager
def process_pool(jobs: int) -> Iterator[Executor | None]:
    """Yield a pool of that many processes, which start without what this one has loaded; None for one job.

    Linear algebra is given one thread in each of them, and here meanwhile: the matrices are small, and two processes
    that each start a thread for every core spend their time waiting for each other (measured: fifteen times slower).
    """
    if jobs < 1:
        raise UsageError(f"{argument('jobs', jobs)}: expected a whole number of at least 1")
    if jobs == 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    with (
        threadpool_limits(1),
        ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool,
    ):
        yield pool


def _one_thread() -> None:
    threadpool_limits(1)  # by name from this module, so that a fresh process has loaded numpy before it is limited
