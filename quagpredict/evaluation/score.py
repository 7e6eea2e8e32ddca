"""Measure a checkpoint on a suite: draw what is missing, grade, count, and score the held-out solutions."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arguments import check_arguments
from quagpredict.checkpoint import checkpoint_folder, weights_digest
from quagpredict.corpus import assemble_row, write_corpus
from quagpredict.engines.contract import Engine
from quagpredict.engines.table import chosen_engine, engine_version, load_engine
from quagpredict.errors import UsageError
from quagpredict.evaluation.adaptive import FIRST, AdaptiveEstimate, sample_adaptively
from quagpredict.evaluation.against import read_others
from quagpredict.evaluation.drawing import draw, draw_of, problem_key
from quagpredict.evaluation.grading import check_grading, graded_samples
from quagpredict.evaluation.held_out import held_out_table, held_out_values
from quagpredict.evaluation.ordering import Comparison, adaptive_values, sample_for_order
from quagpredict.evaluation.overlap import Overlap, OverlapCheck, check_overlap
from quagpredict.evaluation.samples import SampleStore
from quagpredict.evaluation.sources import Problem
from quagpredict.evaluation.suite import Suite, read_suite
from quagpredict.evaluation.summary import summarise
from quagpredict.files import write_json
from quagpredict.metrics import MEASURED_KS, Measurement, measurement
from quagpredict.metrics.stopped_sampling import stopped_pass_at_k
from quagpredict.metrics.uncertainty import standard_error_of_mean
from quagpredict.parquet import write_parquet

_ORDER_PRECISION = 0.01  # half-width below which the order of candidates is by default not worth more samples
WRITTEN = ("grades.parquet", "problems.parquet", "summary.json", "candidate.parquet")


@dataclass(frozen=True, eq=False)
class Score:
    """What was measured. Tables are polars; each turns to pandas by ``.to_pandas()``.

    Attributes
    ----------
    eval_protocol_id : str
        Digest of how it was measured.
    draw_id : str
        Digest of what the samples are bound to: their folder below ``samples/``.
    measurement : dict
        Column suffix -> value; see `quagpredict.schema`.
    problems : polars.DataFrame
        One row a problem, with its counts.
    samples : polars.DataFrame
        One row a sample: verdict, answer, length, finish reason, seed; not its text.
    responses : polars.LazyFrame
        benchmark, problem_id, sample, response (the text), tokens (ids); read from disk when it is collected, if the
        measurement has a folder.
    held_out : polars.DataFrame
        One row a held-out solution: tokens, nats, bytes, whether it was cut.
    summary : polars.DataFrame
        Every statistic with its interval, for all problems, each benchmark, each level; see `summarise`.
    row : polars.DataFrame
        The candidate: one row of the table that `rank` reads.
    overlap : tuple of Overlap
        What the overlap check counted; empty if none was asked for.
    adaptive : AdaptiveEstimate or None
        With ``samples="auto"``: the estimate, the rule that was followed, and what it saved.
    order : tuple of Comparison
        With the target ``"order@K"``: this candidate against each of the others.
    drawn : int
        Samples that this call drew; the others were there.
    engine : str
        What drew and scored: its name and version.
    """

    eval_protocol_id: str
    draw_id: str
    measurement: dict[str, float | int | None]
    problems: pl.DataFrame
    samples: pl.DataFrame
    responses: pl.LazyFrame
    held_out: pl.DataFrame
    summary: pl.DataFrame
    row: pl.DataFrame
    overlap: tuple[Overlap, ...]
    adaptive: AdaptiveEstimate | None
    order: tuple[Comparison, ...]
    drawn: int
    engine: str

    def __repr__(self) -> str:
        """Return one line: the tables are in the attributes."""
        loss = self.measurement.get("held_out_loss_nats")
        held_out = "" if loss is None else f", held-out loss {loss:.3f} nats"
        return (
            f"Score('{self.row['candidate'].item()}' on {self.problems.height} problems: Pass@1 "
            f"{self.row['pre_pass_at_1'].item():.3f}{held_out}; see .summary, .row, .samples)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds: plain values, no NaN."""
        return {
            "candidate": self.row["candidate"].item(),
            "eval_protocol_id": self.eval_protocol_id,
            "draw_id": self.draw_id,
            "engine": self.engine,
            "measurement": dict(self.measurement),
            "parts": self.summary.to_dicts(),
            "overlap": [benchmark._asdict() | {"share": benchmark.share} for benchmark in self.overlap],
            "adaptive": None if self.adaptive is None else adaptive_values(self.adaptive, self.order),
        }


def score_checkpoint(
    checkpoint: str | Path,
    suite: Suite | str | Path,
    *,
    samples: int | Literal["auto"] = 256,
    precision: float | None = None,
    target: str = "pass@64",
    against: Sequence[str | Path] = (),
    engine: str = "auto",
    batch_size: int | None = None,
    workers: int = 1,
    engine_settings: Mapping[str, Any] | None = None,
    ray: str | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    base_model: str | None = None,
    no_sft: bool = False,
    overlap: OverlapCheck | None = None,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Score:
    """Measure a checkpoint on a suite.

    With `out`, what is drawn is kept there and used again: after a kill, for more samples, for another grading policy,
    for a shorter budget. Samples are bound to weights, template and sampling settings; where those differ nothing is
    reused, and nothing is deleted.

    Parameters
    ----------
    checkpoint : path or str
        A model folder, or a model of the Hugging Face hub: ``organisation/model`` or ``organisation/model@revision``.
    suite : Suite or path
        What is asked and how; a path is read with `read_suite`.
    samples : int or "auto"
        Samples of each problem, at least 1; "auto" draws in rounds until `target` is known to `precision`.
    precision : float, optional
        With "auto": half-width of the 90 % interval of Pass@K on these problems, a fraction. Wanted with the target
        ``"pass@K"``; with ``"order@K"`` the smallest that is worth its samples, 0.01 by default.
    target : str
        With "auto": ``"pass@K"``, or ``"order@K"`` (``"order"`` is ``"order@64"``): draw until Pass@K is told apart
        from that of each candidate in `against`.
    against : sequence of path or glob
        With "order@K": candidate files or run folders of the others, measured on the same suite. `out` itself is left
        out.
    engine : {"auto", "transformers", "vllm"}
        What draws and scores; see `quagpredict.engines.table.load_engine`. Not loaded if nothing is missing in `out`.
    batch_size : int, optional
        Samples drawn side by side: a matter of speed and memory, not of results. By default the engine's choice.
    workers : int
        Processes that share the work, each with GPUs of its own where there are any.
    engine_settings : mapping, optional
        Further settings of the engine, e.g. ``gpu_memory_utilization`` of vLLM.
    ray : str, optional
        Address of a Ray cluster, or ``"auto"``: the workers are actors there.
    out : path, optional
        Folder for ``samples/``, ``grades.parquet``, ``problems.parquet``, ``candidate.parquet``, ``summary.json``.
    name, base_model : str, optional
        Of the candidate; its name is by default the checkpoint's.
    no_sft : bool
        Whether the checkpoint is a base model, so that its RL is RL from the base.
    overlap : OverlapCheck, optional
        What to compare problems and held-out solutions with, before anything is drawn. Paths are relative to the
        current folder.
    progress : callable, optional
        Called with (samples there, samples wanted).
    say : callable, optional
        Gets lines about what is reused, kept or set aside.

    Returns
    -------
    Score

    Raises
    ------
    CheckpointError
        If the folder is not a loadable checkpoint.
    RecipeError
        If the suite is not valid.
    InvalidDataError
        If too many texts overlap, or a candidate in `against` was measured otherwise or without counts.
    UsageError
        If there is no such checkpoint; for an unknown engine, fewer than one sample, "auto" without a precision, or
        "order" without `against`.
    MissingExtraError
        If the engine is not installed.

    Examples
    --------
    >>> from quagpredict.shipped import shipped_path
    >>> base = shipped_path("datasets/lab-pilot/bases/weak")
    >>> score = score_checkpoint(base, shipped_path("collectors/suites/lab-pilot.yaml"), samples=2)
    >>> score.problems.height, score.samples.height, 0 < score.measurement["held_out_loss_nats"] < 2
    (160, 320, True)
    >>> score.row.select("candidate", "pre_samples_per_problem").to_pandas()
      candidate  pre_samples_per_problem
    0      weak                        2
    """
    check_arguments(score_checkpoint, locals())
    kind, k, precision = _checked_call(samples, precision, target, against)
    chosen = chosen_engine(engine)
    settings = dict(engine_settings or {})
    if batch_size is not None:
        settings["batch_size"] = batch_size
    checkpoint, called = checkpoint_folder(checkpoint)
    digest_of_weights = weights_digest(checkpoint)  # a wrong folder is said before a suite is read
    suite = suite if isinstance(suite, Suite) else read_suite(suite)
    note = say or (lambda _: None)
    for reason in (*suite.unreadable, *suite.skipped):
        note(f"dropped: {reason}")
    # All that is needed after the last sample is looked for before the first.
    drawn_by = f"{chosen} {engine_version(chosen)}"
    check_grading(suite)
    bound = draw_of(suite, digest_of_weights, chosen)
    if "dtype" in settings:  # the one setting that changes numbers, by rounding
        bound["dtype"] = settings["dtype"]
    others = read_others(against, suite, k, None if out is None else Path(out)) if kind == "order" else ()
    copied = () if overlap is None else check_overlap(suite, overlap, Path())
    with contextlib.ExitStack() as stack:

        @cache
        def loaded() -> Engine:
            made = load_engine(chosen, checkpoint, workers=workers, ray=ray, **settings)
            return stack.enter_context(contextlib.closing(made))

        folder = Path(out) if out is not None else Path(stack.enter_context(TemporaryDirectory()))
        if out is None:
            loaded()  # nothing can be there already: a wrong checkpoint is said at once
        store = stack.enter_context(SampleStore(folder / "samples", bound, note))
        for pattern in ("held_out/.*.aside", *(f".{name}.*.aside" for name in WRITTEN)):
            for left in folder.glob(pattern):  # half-written by a process that was killed
                left.unlink()
        store.adopt_longer(lambda tokens: loaded().decode(tokens))
        # First, because it is short: a solution that does not fit the context is said before anything is drawn.
        held_out = held_out_table(suite, loaded, bound, None if out is None else folder / "held_out")
        had = sum(map(int.bit_count, store.there().values()))
        adaptive: AdaptiveEstimate | None = None
        order: tuple[Comparison, ...] = ()
        if isinstance(samples, int):
            counts = dict.fromkeys(suite.problems, samples)
            draw(store, suite, loaded, counts, progress)
        else:
            counted_among = _Counted(store, suite, loaded, progress)
            if kind == "order":
                adaptive, order = sample_for_order(len(suite.problems), counted_among, others, k=k, precision=precision)
            else:
                adaptive = sample_adaptively(len(suite.problems), counted_among, k=k, precision=precision)
            counts = dict(zip(suite.problems, adaptive.n.tolist(), strict=True))
        graded = graded_samples(store, suite, counts)
        there = store.there()
        drawn = sum(map(int.bit_count, there.values())) - had
        if isinstance(samples, int):
            most = max(there.get(problem_key(problem), 0).bit_length() for problem in suite.problems)
            if most > samples:
                note(f"{folder}: up to {most} samples a problem are there, the first {samples} are measured")
        responses = store.scan().select("benchmark", "problem_id", "sample", "response", "tokens")
        if out is None:
            responses = responses.collect().lazy()
        draw_id = store.draw_id
    # What is not Pass@k has no unbiased estimate where results decide how many samples there are: it is measured on the
    # samples that every problem has.
    fixed = graded if adaptive is None else graded.filter(pl.col("sample") < FIRST)
    counted, values = _measured(fixed)
    problems = counted if adaptive is None else _measured(graded).problems
    passed = None if adaptive is None else _stopped(suite.problems, adaptive)
    if passed is not None:
        values |= _stopped_values(passed)
    values |= held_out_values(held_out)
    identity = {
        "candidate": name or called,
        "base_model": base_model,
        "recipe_scenario": "no-sft" if no_sft else None,
        "eval_protocol_id": suite.eval_protocol_id,
    }
    score = Score(
        eval_protocol_id=suite.eval_protocol_id,
        draw_id=draw_id,
        measurement=values,
        problems=problems,
        samples=graded,
        responses=responses,
        held_out=held_out,
        summary=summarise(counted, fixed, passed=passed),
        row=assemble_row(identity, values, counted),
        overlap=copied,
        adaptive=adaptive,
        order=order,
        drawn=drawn,
        engine=drawn_by,
    )
    if out is not None:
        _write(score, folder, {"suite": suite.name, "checkpoint": str(bound["checkpoint"]), "engine": score.engine})
    return score


def _checked_call(
    samples: int | str, precision: float | None, target: str, against: Sequence[str | Path]
) -> tuple[str, int, float]:
    """Return what the target is, its k, and the precision; NaN where a fixed number of samples needs none."""
    kind, _, k = ("order@64" if target == "order" else target).partition("@")
    if kind not in ("pass", "order") or not k.isdigit() or int(k) < 1:
        raise UsageError(f'target="{target}": expected pass@K or order@K, such as pass@64')
    if samples == "auto":
        if kind == "pass" and precision is None:
            raise UsageError(
                'samples="auto" needs a precision, the wanted half-width of the interval, such as precision=0.01'
            )
        if kind == "order" and not against:
            raise UsageError(
                f'target="{target}" needs the candidates to be told apart from: against=["runs/*/candidate.parquet"]'
            )
    elif not isinstance(samples, int) or samples < 1:
        raise UsageError(f"samples={samples}: expected a whole number of at least 1, or auto")
    elif precision is not None:
        raise UsageError('`precision` goes with samples="auto"; with a fixed number the interval is what it is')
    elif kind == "order":
        raise UsageError(f'target="{target}" goes with samples="auto", got {samples} samples')
    if against and kind != "order":
        raise UsageError(f'`against` goes with target="order", got target="{target}"')
    default = _ORDER_PRECISION if samples == "auto" else float("nan")
    return kind, int(k), default if precision is None else precision


class _Counted:
    """Draws what a number of samples of each problem needs, and counts the correct ones among the first so many."""

    def __init__(
        self,
        store: SampleStore,
        suite: Suite,
        engine: Callable[[], Engine],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._store, self._suite, self._engine, self._progress = store, suite, engine, progress
        self._correct = np.zeros((len(suite.problems), 0), dtype=np.int64)  # after 1, 2, ... samples

    def __call__(self, n: NDArray[np.int64]) -> NDArray[np.int64]:
        problems = self._suite.problems
        counts: dict[Problem, int] = dict(zip(problems, n.tolist(), strict=True))
        draw(self._store, self._suite, self._engine, counts, self._progress)
        graded = graded_samples(self._store, self._suite, counts)
        right = graded.group_by("benchmark", "problem_id").agg((pl.col("verdict") == "correct").sum().alias("c"))
        correct = {(benchmark, problem_id): c for benchmark, problem_id, c in right.rows()}
        return np.array([correct[problem.benchmark, problem.problem_id] for problem in problems], dtype=np.int64)


def _measured(graded: pl.DataFrame) -> Measurement:
    for column in ("log_prob_sum", "entropy_sum"):
        if graded[column].null_count():  # known for some samples only would speak of those alone
            graded = graded.with_columns(pl.lit(None, pl.Float64).alias(column))
    return measurement(graded)


def _stopped(problems: Sequence[Problem], estimate: AdaptiveEstimate) -> pl.DataFrame:
    """Return Pass@k of each problem under the rule that was followed, for each k that has an unbiased estimate."""
    columns = {
        "benchmark": [problem.benchmark for problem in problems],
        "problem_id": [problem.problem_id for problem in problems],
    }
    passed = {f"pass_at_{k}": stopped_pass_at_k(estimate.rule, estimate.n, estimate.c, k) for k in MEASURED_KS}
    return pl.DataFrame({**columns, **{name: values for name, values in passed.items() if np.isfinite(values).all()}})


def _stopped_values(passed: pl.DataFrame) -> dict[str, float | int | None]:
    """Return the flat values that all samples of a stopped measurement give; no number of samples is that of all."""
    values: dict[str, float | int | None] = {f"pass_at_{k}": None for k in MEASURED_KS}
    values |= {name: float(passed[name].to_numpy().mean()) for name in passed.columns if name.startswith("pass_at_")}
    values["pass_at_1_se"] = standard_error_of_mean(passed["pass_at_1"].to_numpy())
    return values | {"samples_per_problem": None}


def _write(score: Score, folder: Path, provenance: Mapping[str, str]) -> None:
    grades = score.samples.select("benchmark", "problem_id", "sample", "verdict", "answer")
    for name, table in (("grades", grades), ("problems", score.problems)):
        write_parquet(table, folder / f"{name}.parquet")
    write_json(folder / "summary.json", score.as_dict())
    write_corpus(score.row, folder / "candidate.parquet", {**provenance, "draw_id": score.draw_id})
