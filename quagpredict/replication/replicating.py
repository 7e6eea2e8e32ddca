"""Hold the paper's table and claims against a corpus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from quagpredict.corpus import read_corpus
from quagpredict.quagmires import QuagmireAudit, audit
from quagpredict.replication.claims import PREDICTORS, Claim, claims_of
from quagpredict.validation import ValidationReport, validate
from quagpredict.validation.calibration_curve import CalibrationCurve, calibration_curve
from quagpredict.validation.sensitivity import sensitivity

MODELS = tuple(dict.fromkeys(model for models in PREDICTORS.values() for model in models))
#: Surrogates that are judged beside the paper's predictors.
OURS = ("average:pass_at_1+pass_at_64+loss:in-fold", "mixed:both:in-fold", "effective_k", "sharpening")

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Replication:
    """What a corpus says.

    Attributes
    ----------
    name : str
    frame : polars.DataFrame
        The finished runs.
    report : ValidationReport
        The paper's protocol for its predictors, for ours and for the baselines, with every scenario.
    found : QuagmireAudit
    by_k : polars.DataFrame
        Spearman's coefficient of Pass@k by ``k``, from all samples: ``mean``, ``low``, ``high``.
    by_step : polars.DataFrame
        The same protocol with the score after ``step`` steps of RL as the target: ``step``, ``model``, ``mean``,
        ``low``, ``high`` of Spearman's coefficient; empty where runs were not measured on the way.
    curve : CalibrationCurve
    claims : tuple of Claim
    """

    name: str
    frame: pl.DataFrame
    report: ValidationReport
    found: QuagmireAudit
    by_k: pl.DataFrame
    by_step: pl.DataFrame
    curve: CalibrationCurve
    claims: tuple[Claim, ...]


def replicate(
    corpus: Any,
    name: str = "corpus",
    *,
    surrogates: Sequence[str] = OURS,
    repeats: int = 100,
    seed: int = 0,
    say: Say | None = None,
) -> Replication:
    """Judge the paper's predictors and claims on a corpus of finished runs.

    Parameters
    ----------
    corpus : polars.DataFrame, or what `read_corpus` reads
        Runs of one eval protocol and one RL recipe; held-out rows count like all others, since nothing is chosen here.
    name : str
        What to call it.
    surrogates : sequence of str
        Models beside the paper's predictors, as `validate` reads them.
    repeats, seed : int
        Of the random halves.
    say : callable, optional
        Told what is being computed.

    Raises
    ------
    CorpusError, IncomparableError
        As `validate`.

    Examples
    --------
    >>> from quagpredict.validation.synthetic import synthetic_corpus
    >>> found = replicate(synthetic_corpus(40, seed=1).frame, "synthetic", surrogates=(), repeats=10)
    >>> [claim.verdict for claim in found.claims if claim.claim.startswith("A higher SFT score")]
    ['agrees']
    """
    tell = say or _quiet
    frame = corpus if isinstance(corpus, pl.DataFrame) else read_corpus(corpus)
    models = [*MODELS, *surrogates]
    tell(f"{name}: the paper's protocol")
    report = validate(
        frame, models, ("random-halves", "leave-one-base-out", "leave-one-kind-out"), repeats=repeats, seed=seed,
        split=None, source=name,
    )  # fmt: skip
    tell(f"{name}: quagmires")
    found = audit(frame, source=name)
    tell(f"{name}: which k")
    by_k = _by_k(frame, name, seed)
    tell(f"{name}: how many steps")
    by_step = _by_step(frame, repeats, seed, name)
    tell(f"{name}: how many finished runs")
    shown = [model for model in models if model.endswith("in-fold") or model in surrogates]
    curve = calibration_curve(frame, shown, designs="random", repeats=max(repeats // 2, 5), seed=seed, split=None)
    return Replication(name, frame, report, found, by_k, by_step, curve, tuple(claims_of(report, found, by_k)))


def _by_k(frame: pl.DataFrame, name: str, seed: int) -> pl.DataFrame:
    if "pre_problems" not in frame.columns:
        return pl.DataFrame(schema={"k": pl.Int64, "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64})
    most = frame["pre_problems"].list.eval(pl.element().struct.field("n").min()).list.first().min()
    found = sensitivity(frame, samples=[int(most)], seed=seed, split=None, source=name)  # type: ignore[arg-type]
    rows = found.frame.filter(model="proxy", metric="spearman").sort("k")
    return rows.select("k", "mean", "low", "high")


def _by_step(frame: pl.DataFrame, repeats: int, seed: int, name: str) -> pl.DataFrame:
    """Validate against the score after each step at which every run was measured."""
    schema = {"step": pl.Int64, "model": pl.String, "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    if "post_curve" not in frame.columns or frame["post_curve"].null_count():
        return pl.DataFrame(schema=schema)
    points = frame.select(pl.int_range(pl.len()).alias("row"), "post_curve").explode("post_curve").unnest("post_curve")
    points = points.filter(pl.col("step") > 0).select("row", "step", "pass_at_1")
    shared = points.group_by("step").len().filter(pl.col("len") == frame.height).sort("step")["step"].to_list()
    parts = []
    for step in shared:
        target = points.filter(pl.col("step") == step).sort("row")["pass_at_1"].alias("post_pass_at_1")
        # Counts, errors and curves are those of the last step: without them nothing can be mistaken for this step's.
        left_out = [column for column in frame.columns if column.startswith("post_") or column == "rl_curve"]
        report = validate(
            frame.drop(left_out).with_columns(target), list(MODELS), "random-halves", repeats=repeats, seed=seed,
            split=None, source=name,
        )  # fmt: skip
        rows = report.frame.filter(scenario="all", metric="spearman").filter(pl.col("model").is_in(MODELS))
        parts.append(rows.select(pl.lit(step).alias("step"), "model", "mean", "low", "high"))
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _quiet(_: str) -> None:
    """Say nothing."""
