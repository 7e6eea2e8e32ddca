"""Hold the paper's table and claims against a corpus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from quagpredict.corpus.columns import is_derived
from quagpredict.corpus.design import design_matrix
from quagpredict.corpus.reading import checked_table
from quagpredict.errors import CorpusError
from quagpredict.replication.auditing import QuagmireAudit, audit
from quagpredict.replication.checkpoints import checkpoint_choice
from quagpredict.replication.claims import MODELS, Claim, claims_of
from quagpredict.replication.free_rules import free_rules
from quagpredict.replication.targets import by_target
from quagpredict.validation import ValidationReport, validate
from quagpredict.validation.baselines import model_of
from quagpredict.validation.learning_curve import LearningCurve, learning_curve

#: Surrogates that are judged beside the paper's predictors.
OURS = ("average:pass_at_1+pass_at_64+loss:log-logit", "mixed:both:log-logit", "effective_k", "sharpening")

#: Rules that need no finished run; SFT Pass@1 is there by itself.
FREE = ("proxy:pass_at_64", "proxy:loss")

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
    audit : QuagmireAudit
    notes : tuple of str
        Models that the corpus does not allow.
    targets : polars.DataFrame
        What each score that could be the target says of the paper's predictors, as `by_target` returns it.
    checkpoints : polars.DataFrame
        What choosing among the checkpoints of an SFT run costs, as `checkpoint_choice` returns it.
    free_rules : polars.DataFrame
        The rules that need no finished run, as `free_rules` returns it.
    curve : LearningCurve
    claims : tuple of Claim
    """

    name: str
    frame: pl.DataFrame
    report: ValidationReport
    audit: QuagmireAudit
    targets: pl.DataFrame
    checkpoints: pl.DataFrame
    free_rules: pl.DataFrame
    curve: LearningCurve
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()


def replication_of(
    corpus: Any,
    name: str = "corpus",
    *,
    surrogates: Sequence[str] = OURS,
    repeats: int = 100,
    seed: int = 0,
    jobs: int = 1,
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
    jobs : int
        Processes for the models that take long to fit, as for `validate`.
    say : callable, optional
        Told what is being computed.

    Raises
    ------
    CorpusError, IncomparableError
        As `validate`. A model that the corpus does not allow (no held-out loss, no counts) is left out with a note, and
        claims about it read "not measured"; without post-SFT Pass@1 there is nothing to hold claims against.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> found = replication_of(synthetic_corpus(40, seed=1).frame, "synthetic", surrogates=(), repeats=10)
    >>> [claim.verdict for claim in found.claims if claim.claim.startswith("A higher SFT score")]
    ['agrees']
    """
    tell = say or (lambda _: None)
    frame = checked_table(corpus, name)
    if "post_pass_at_1" in frame.columns:
        frame = frame.filter(pl.col("post_pass_at_1").is_not_null() & pl.col("post_pass_at_1").is_not_nan())
    models, notes = _possible([*MODELS, *surrogates], frame)
    tell(f"{name}: the paper's protocol")
    report = validate(
        frame, models, ("random-halves", "leave-one-base-out", "leave-one-kind-out"), repeats=repeats, seed=seed,
        split=None, jobs=jobs, source=name,
    )  # fmt: skip
    tell(f"{name}: quagmires")
    audited = audit(frame, source=name)
    tell(f"{name}: which score")
    targets = by_target(frame, [model for model in MODELS if model in models], repeats=repeats, seed=seed, source=name)
    checkpoints = checkpoint_choice(frame, seed=seed)
    tell(f"{name}: how many finished runs")
    shown = [model for model in models if model.endswith("log-logit") or model in surrogates]
    shown += _possible(FREE, frame)[0]
    curve = learning_curve(frame, shown, designs="random", repeats=max(repeats // 2, 5), seed=seed, split=None)
    tell(f"{name}: the claims")
    orders = free_rules(frame, models, seed=seed)
    claims = tuple(claims_of(audited, orders, [model for model in models if model not in MODELS]))
    free = orders.filter(~pl.col("rule").is_in(models))
    return Replication(name, frame, report, audited, targets, checkpoints, free, curve, claims, notes)


def _possible(names: Sequence[str], frame: pl.DataFrame) -> tuple[list[str], tuple[str, ...]]:
    """Return the models that the corpus allows, and a note on each other one."""
    possible, notes = [], []
    for name in names:
        try:
            model = model_of(name, frame, exclude=("post_pass_at_1",))
            for column in model.features:
                if not is_derived(column):
                    design_matrix(frame, [column], allow_missing=True)
        except CorpusError as error:
            notes.append(f"{name} is left out: {error}")
        else:
            possible.append(name)
    return possible, tuple(notes)
