"""Find the quagmires of a corpus: pairs of candidates, and respects of a recipe, whose order reverses after RL."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.arguments import check_arguments
from quagpredict.corpus.reading import checked_table, in_order
from quagpredict.errors import CorpusError, UsageError
from quagpredict.replication.differences import (
    Difference,
    benjamini_hochberg,
    mean_difference,
    pair_differences,
    reversal_p,
)
from quagpredict.replication.matched import KIND, Cells, comparisons, differing, recipe_cells
from quagpredict.replication.problem_scores import StageScores, stage_scores
from quagpredict.surrogates.training_rows import TrainingRows, training_rows
from quagpredict.validation.noise_ceiling import noise_ceiling

Floats = NDArray[np.float64]

BEFORE, AFTER = "pre_pass_at_1", "post_pass_at_1"
#: How the note begins that says how noisy runs are; without it that noise is left out.
SEED_NOISE = "RL seed noise, standard deviation in points"
# Degrees of freedom from which on a base model's own repeated runs say how noisy its runs are.
_FREEDOM = 4

_EFFECT = {"before": pl.Float64, "before_low": pl.Float64, "before_high": pl.Float64}
_EFFECT |= {name.replace("before", "after"): pl.Float64 for name in _EFFECT}
_TEST = {"p": pl.Float64, "q": pl.Float64}
#: Columns of `QuagmireAudit.pairs`, `by_factor` and `comparisons`.
PAIRS = dict.fromkeys(("base_model", "by_sft", "by_rl", "differs", "kind"), pl.String) | _EFFECT | _TEST
FACTORS = {"differs": pl.String, "tested": pl.Int64, "reversed_observed": pl.Int64, "reversed": pl.Int64}
COMPARISONS = (
    {"factor": pl.String, "first": pl.String, "second": pl.String, "base_model": pl.String, "pairs": pl.Int64}
    | _EFFECT
    | _TEST
    | {"verdict": pl.String}
    | {
        f"{part}_{of}": kind
        for part in ("before", "after")
        for of, kind in (("kind", pl.String), ("without", pl.Float64))
    }
)


@dataclass(frozen=True, eq=False)
class QuagmireAudit:
    """Where choosing by the score after SFT would have misled.

    Attributes
    ----------
    pairs : polars.DataFrame
        Pairs of candidates of one base model whose observed order reverses, the surest first. ``by_sft`` leads before
        RL by ``before``, ``by_rl`` after RL by ``-after``: both columns are the first less the second, as fractions,
        with a 90 % interval. ``differs`` names what differs in their recipes, ``kind`` the data of ``by_sft``. ``p``:
        of a reversal; ``q``: the same after Benjamini and Hochberg, over all pairs that were tested.
    by_factor : polars.DataFrame
        Pairs counted by what differs in their recipes: ``tested``, ``reversed_observed``, and ``reversed`` with q at
        most `level`.
    comparisons : polars.DataFrame
        Respects in which recipes differ, over matched ``pairs``, for each base model and for all together; effects are
        the first less the second. ``verdict``: ``reverses`` (q at most `level`), ``same order`` (both differences
        established, same sign), or ``unclear``. Intervals count base models and kinds of data, not pairs;
        ``before_kind`` and ``after_kind`` are those without which the effect changes most, ``before_without`` and
        ``after_without`` what it is then (null for a single one).
    tested : int
        Pairs compared: all pairs of candidates of one base model.
    reversed_observed, reversed_singly, reversed : int
        Pairs whose observed order reverses; with p at most `level`; with q at most `level`.
    reversed_under_any_dependence : int
        Pairs with q at most `level` where q holds however the tests depend on each other (Benjamini and Yekutieli).
    reversed_with_one_noise : int
        Pairs with q at most `level` where the RL seed's noise is taken to be the same for all base models. The truth
        lies between the smallest of the three counts and the largest.
    expected_false : float
        Pairs that would at most be listed with p at most `level` if no order reversed: ``level`` times `tested`.
    kind, share_without : str or None, float or None
        The kind of data without whose candidates the share of reversed pairs (q at most `level`) changes most, and what
        it is then; None for a single one.
    level : float
    candidates : int
    without_sft : tuple of str
        Candidates that stand for RL from the base.
    notes : tuple of str
        How the noise was estimated, and what it leaves out.
    """

    pairs: pl.DataFrame
    by_factor: pl.DataFrame
    comparisons: pl.DataFrame
    tested: int
    reversed_observed: int
    reversed_singly: int
    reversed: int
    reversed_under_any_dependence: int
    reversed_with_one_noise: int
    expected_false: float
    kind: str | None
    share_without: float | None
    level: float
    candidates: int
    without_sft: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return one line: the pairs are in `pairs`, matched recipes in `comparisons`."""
        return (
            f"QuagmireAudit({self.reversed} of {self.tested} pairs reversed, {self.candidates} candidates; see .pairs, "
            ".by_factor, .comparisons)"
        )

    def _repr_html_(self) -> str:
        """Return the pairs as notebooks show them."""
        return self.pairs._repr_html_()


def audit(frame: Any, *, level: float = 0.05, split: str | None = None, source: str = "corpus") -> QuagmireAudit:
    """List the pairs and the recipe factors where the order after SFT reverses after RL, beyond the noise of both.

    A pair counts as reversed if both differences, before and after RL, are established with opposite signs. Noise is
    that of the problems (each candidate's counts on the same problems, so that a hard problem is hard for both), and of
    the RL seed where candidates were run with several. Many pairs are tested, so some would reverse by chance: `q`
    bounds the share of those among the listed. Pairs share candidates and are not independent; Benjamini and Hochberg
    is known to hold for positive dependence, and is not proven for this one, so the count that holds under any
    dependence is given too.

    Parameters
    ----------
    frame : polars.DataFrame, or what `read_corpus` reads
        Finished runs of one protocol and one RL recipe, with ``pre_pass_at_1`` and ``post_pass_at_1``; with nested
        counts the comparison is paired over problems.
    level : float
        Largest q of a pair or comparison that is called reversed.
    split : str or None
        Only rows of this split; None takes all.
    source : str
        What to call the table in errors.

    Raises
    ------
    CorpusError, IncomparableError
        As `fit`; if no base model has two candidates.
    UsageError
        If `level` is not strictly between 0 and 1.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> found = audit(synthetic_corpus(20, seed=1).frame)
    >>> found.tested, bool(0 < found.reversed <= found.reversed_singly <= found.reversed_observed)
    (90, True)
    """
    check_arguments(audit, locals())
    if not 0.0 < level < 1.0:
        raise UsageError(f"level must lie strictly between 0 and 1, got {level}")
    frame = in_order(checked_table(frame, source))
    if BEFORE not in frame.columns:
        raise CorpusError(f"{source}: column '{BEFORE}' is missing, but it is the order to audit")
    rows = training_rows(frame.filter(pl.col(BEFORE).is_not_null()), AFTER, split=split, source=source)
    names = rows.frame["candidate"].to_list()
    cells = recipe_cells(rows.frame)
    of_cell = cells.weights.argmax(axis=0)
    bases = cells.frame["base_model"].to_numpy()[of_cell]
    noise, of_all, notes = _noise(rows, bases.tolist())
    before = stage_scores(rows.runs, names, "pre")
    after = stage_scores(rows.runs, names, "post", *noise)
    notes += _unpaired(before, after)
    firsts, seconds = [], []
    for base in np.unique(bases):
        members = np.flatnonzero(bases == base)
        sides = np.triu_indices(len(members), 1)
        firsts.append(members[sides[0]])
        seconds.append(members[sides[1]])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    if not len(first):
        raise CorpusError(f"{source}: no base model has two finished candidates, so there is no order to reverse")
    behind = before.mean[first] < before.mean[second]
    first, second = np.where(behind, second, first), np.where(behind, first, second)  # the better by SFT comes first
    of_before, of_after = (pair_differences(scores, first, second) for scores in (before, after))
    p = reversal_p(of_before, of_after)
    q = benjamini_hochberg(p)
    cautious = benjamini_hochberg(p, any_dependence=True)
    alike = pair_differences(stage_scores(rows.runs, names, "post", *of_all), first, second)
    with_one_noise = benjamini_hochberg(reversal_p(of_before, alike))
    tested = int(np.isfinite(p).sum())
    if tested < len(p):
        which, were = ("1 pair", "was") if len(p) - tested == 1 else (f"{len(p) - tested} pairs", "were")
        notes.append(f"{which} without standard errors (no counts, no {BEFORE}_se) {were} not tested")
    differs = np.array(differing(cells, of_cell[first], of_cell[second]))
    kinds = rows.frame[KIND].fill_null("").to_numpy() if KIND in rows.frame.columns else np.full(len(names), "")
    observed = of_before.mean * of_after.mean < 0
    at = np.flatnonzero(observed)
    columns = {"base_model": bases[first[at]], "differs": differs[at], "p": p[at], "q": q[at]}
    columns["kind"] = kinds[first[at]]
    columns |= {"by_sft": np.array(names)[first[at]], "by_rl": np.array(names)[second[at]]}
    columns |= _effects(of_before, of_after, at)
    pairs = pl.DataFrame({name: columns[name] for name in PAIRS}, schema=PAIRS, nan_to_null=True)
    lead = (pl.col("before") - pl.col("after")).abs()
    pairs = pairs.sort("q", "p", lead, descending=[False, False, True], nulls_last=True)
    by_factor = (
        pl.DataFrame({"differs": differs, "observed": observed, "beyond": q <= level, "tested": np.isfinite(p)})
        .group_by("differs")
        .agg(tested=pl.col("tested").sum(), reversed_observed=pl.col("observed").sum(), reversed=pl.col("beyond").sum())
        .sort("reversed", "tested", "differs", descending=[True, True, False])
    )
    kind, share_without = _without_a_kind(
        (q <= level)[np.isfinite(p)], *(kinds[of][np.isfinite(p)] for of in (first, second))
    )
    return QuagmireAudit(
        pairs=pairs,
        by_factor=pl.DataFrame(by_factor, schema_overrides=FACTORS),
        comparisons=_comparisons(cells, before, after, level),
        tested=tested,
        reversed_observed=pairs.height,
        reversed_singly=int((p <= level).sum()),
        reversed=int((q <= level).sum()),
        reversed_under_any_dependence=int((cautious <= level).sum()),
        reversed_with_one_noise=int((with_one_noise <= level).sum()),
        expected_false=level * tested,
        kind=kind,
        share_without=share_without,
        level=level,
        candidates=len(names),
        without_sft=tuple(np.array(names)[~cells.frame["sft"].to_numpy()[of_cell]].tolist()),
        notes=tuple(notes),
    )


class _SeedNoise(NamedTuple):
    """Variance of one run's score from the RL seed and its degrees of freedom, of each candidate."""

    variance: Floats
    freedom: Floats


def _noise(rows: TrainingRows, bases: list[str]) -> tuple[_SeedNoise, _SeedNoise, list[str]]:
    """Return the RL seed's noise by base model and that of all together, and what to say of it.

    Each candidate gets what the repeated runs of its own base model say, as if the table held that base alone: one base
    may be steady under RL and another not. A base with few repeated runs gets what all of them together say.
    """
    unknown = _SeedNoise(np.zeros(len(bases)), np.full(len(bases), np.inf))
    if rows.runs["candidate"].n_unique() == rows.runs.height:
        return *(unknown, unknown), [
            "no candidate was run with several RL seeds: that noise is left out, and too much may be listed"
        ]
    pooled, freedom = _seed_noise(rows.runs)
    if not np.isfinite(pooled):
        return *(unknown, unknown), [
            "RL seed noise cannot be estimated without counts or numbers of samples, and is left out"
        ]
    of_all = _SeedNoise(np.full(len(bases), pooled), np.full(len(bases), float(freedom)))
    own_noise = _SeedNoise(of_all.variance.copy(), of_all.freedom.copy())
    said = [f"all {_points(pooled)} ({freedom} degrees of freedom)"]
    base_of = dict(zip(rows.frame["candidate"], bases, strict=True))
    of_run = np.array([base_of[name] for name in rows.runs["candidate"]])
    several = np.unique(of_run)
    for base in several if len(several) > 1 else ():
        variance, freedom = _seed_noise(rows.runs.filter(of_run == base))
        if freedom >= _FREEDOM and np.isfinite(variance):
            own = np.array(bases) == base
            own_noise.variance[own], own_noise.freedom[own] = variance, float(freedom)
            said.append(f"{base} {_points(variance)} ({freedom})")
    return own_noise, of_all, [f"{SEED_NOISE}, from the repeated candidates: {', '.join(said)}"]


def _seed_noise(runs: pl.DataFrame) -> tuple[float, int]:
    ceiling = noise_ceiling(runs, AFTER, resamples=1)
    return ceiling.rl_seed_variance, runs.height - runs["candidate"].n_unique()


def _points(variance: float) -> str:
    return f"{100 * np.sqrt(variance):.1f}"


def _unpaired(before: StageScores, after: StageScores) -> list[str]:
    stages = [name for name, scores in (("before", before), ("after", after)) if scores.by_problem is None]
    if not stages:
        return [f"paired over {before.problems} problems before and {after.problems} after RL"]
    return [f"no counts of shared problems {' and '.join(stages)} RL: standard errors are added as if independent"]


def _effects(before: Difference, after: Difference, at: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, difference in (("before", before), ("after", after)):
        half = difference.half_width(0.9)
        columns |= {name: difference.mean[at], f"{name}_low": (difference.mean - half)[at]}
        columns |= {f"{name}_high": (difference.mean + half)[at]}
    return columns


def _without_a_kind(effects: Any, *kinds: NDArray[np.str_]) -> tuple[str | None, float | None]:
    """Return the kind of data without which the mean effect changes most, and that mean; of pairs, without either."""
    left = {}
    for kind in np.unique(np.concatenate(kinds)):
        kept = np.logical_and.reduce([of != kind for of in kinds])
        if kept.any():
            left[str(kind)] = float(effects[kept].mean())
    kind = max(left, key=lambda name: abs(left[name] - float(effects.mean())), default=None)
    return kind, None if kind is None else left[kind]


def _comparisons(cells: Cells, before: StageScores, after: StageScores, level: float) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    sure: list[bool] = []
    for comparison in comparisons(cells):
        bases, kinds, clusters = (np.array(of) for of in (comparison.bases, comparison.kinds, comparison.clusters))
        several = len(set(comparison.bases)) > 1
        for base in ["", *np.unique(bases)] if several else [comparison.bases[0]]:
            chosen = np.flatnonzero((bases == base) | (base == "" and several))
            weights = comparison.weights[:, chosen].reshape(2 * len(chosen), -1)
            first, second = np.arange(len(chosen)), np.arange(len(chosen), 2 * len(chosen))
            of_before, of_after = (
                mean_difference(scores.of(weights), first, second, clusters[chosen]) for scores in (before, after)
            )
            line: dict[str, Any] = {"factor": comparison.factor, "first": comparison.first, "second": comparison.second}
            line |= {"base_model": "all" if several and base == "" else str(base), "pairs": len(chosen)}
            line |= {key: float(value[0]) for key, value in _effects(of_before, of_after, [0]).items()}
            for part, scores in (("before", before), ("after", after)):
                means = scores.of(weights).mean
                left = _without_a_kind(means[: len(chosen)] - means[len(chosen) :], kinds[chosen])
                line |= dict(zip((f"{part}_kind", f"{part}_without"), left, strict=True))
            rows.append(line | {"p": float(reversal_p(of_before, of_after)[0])})
            agreeing = Difference(of_after.mean * -1, of_after.error, of_after.freedom)
            sure.append(bool(reversal_p(of_before, agreeing)[0] <= level))
    if not rows:
        return pl.DataFrame(schema=COMPARISONS)
    q = benjamini_hochberg(np.array([line["p"] for line in rows]))
    verdicts = [
        "reverses" if value <= level else "same order" if same else "unclear"
        for value, same in zip(q, sure, strict=True)
    ]
    lines = [
        line | {"q": float(value), "verdict": verdict} for line, value, verdict in zip(rows, q, verdicts, strict=True)
    ]
    return pl.DataFrame(lines, schema=COMPARISONS).fill_nan(None)
