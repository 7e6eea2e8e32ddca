"""The paper's claims one by one: what a corpus shows of each, with an interval and a plain verdict."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import polars as pl

from quagpredict.quagmires import QuagmireAudit
from quagpredict.validation import ValidationReport

Verdict = Literal["agrees", "disagrees", "cannot tell"]

#: The paper's predictors -> the models that stand for them: raw as in the paper, and on the scale that suits each.
PREDICTORS = {
    "SFT Pass@1": ("linear:pass_at_1", "linear:pass_at_1:in-fold"),
    "held-out loss": ("linear:loss", "linear:loss:in-fold"),
    "Pass@64": ("linear:pass_at_64", "linear:pass_at_64:in-fold"),
    "both": ("linear:both", "linear:both:in-fold"),
}
_POINTS = 100.0


class Claim(NamedTuple):
    """One claim of the paper, held against a corpus.

    Attributes
    ----------
    claim : str
        What the paper says.
    measured : str
        What the number is.
    effect, low, high : float or None
        Estimate and 90 % interval, in the unit that `measured` names; None where the corpus has nothing to compare.
    verdict : {"agrees", "disagrees", "cannot tell"}
        By the interval: on the side of the claim, on the other side, or across zero.
    """

    claim: str
    measured: str
    effect: float | None
    low: float | None
    high: float | None
    verdict: Verdict


def verdict_of(low: float | None, high: float | None) -> Verdict:
    """Return the verdict on a claim that an effect is above 0.

    Examples
    --------
    >>> verdict_of(0.1, 0.3), verdict_of(-0.3, -0.1), verdict_of(-0.1, 0.1), verdict_of(None, None)
    ('agrees', 'disagrees', 'cannot tell', 'cannot tell')
    """
    if low is None or high is None or low <= 0.0 <= high:
        return "cannot tell"
    return "agrees" if low > 0.0 else "disagrees"


def claims_of(report: ValidationReport, audit: QuagmireAudit, correlations: pl.DataFrame) -> Iterator[Claim]:
    """Yield every claim.

    Parameters
    ----------
    report : ValidationReport
        With the models of `PREDICTORS`.
    audit : QuagmireAudit
    correlations : polars.DataFrame
        Spearman's coefficient of Pass@k with the score after RL by ``k``: ``mean``, ``low``, ``high``.
    """
    yield _misleads(audit)
    for repeated in (2.0, 4.0, 16.0):
        first = f"1/{repeated:g} x {repeated:g} epochs"
        yield _matched(
            audit,
            f"At equal budget, 1/{repeated:g} of the examples for {repeated:g} epochs beats all of them once",
            *("repeated data", first, "all x 1"),
        )
    yield from _short(audit)
    yield _matched(audit, "RL after SFT ends above RL from the base", "SFT", "any SFT", "RL from the base")
    yield _below_the_base(audit)
    for scenario in ("dataset-level", "instance-level"):
        yield _regret(report, scenario)
    for name in ("held-out loss", "Pass@64", "both"):
        for scenario in ("dataset-level", "instance-level"):
            yield _better_predictor(report, name, scenario)
    yield _large_k(correlations)


def _misleads(audit: QuagmireAudit) -> Claim:
    share = _POINTS * audit.reversed / audit.tested
    verdict: Verdict = "agrees" if audit.reversed else "cannot tell"
    measured = (
        f"pairs of one base that reverse after RL beyond noise, % of {audit.tested:,} "
        f"(at most {audit.level:.0%} of those listed by chance)"
    )
    return Claim("A higher SFT score can mislead", measured, share, None, None, verdict)


def _row(audit: QuagmireAudit, factor: str, first: str, second: str) -> tuple[dict[str, float] | None, int]:
    """Return a matched comparison over all bases, as first less second, and its number of pairs."""
    for sign, names in ((1.0, (first, second)), (-1.0, (second, first))):
        rows = audit.comparisons.filter(factor=factor, first=names[0], second=names[1])
        whole = rows.filter(pl.col("base_model") == "all")
        chosen = whole if whole.height else rows
        if chosen.height:
            row = chosen.row(0, named=True)
            parts = ("before", "after")
            values = {part: sign * row[part] for part in parts}
            ends = {f"{part}_{end}": sign * row[f"{part}_{end}"] for part in parts for end in ("low", "high")}
            if sign < 0:
                for part in parts:
                    ends[f"{part}_low"], ends[f"{part}_high"] = ends[f"{part}_high"], ends[f"{part}_low"]
            return values | ends, int(row["pairs"])
    return None, 0


def _matched(audit: QuagmireAudit, claim: str, factor: str, first: str, second: str) -> Claim:
    row, pairs = _row(audit, factor, first, second)
    if row is None:
        return Claim(claim, "no matched pairs", None, None, None, "cannot tell")
    effect, low, high = (_POINTS * row[name] for name in ("after", "after_low", "after_high"))
    measured = f"Pass@1 after RL, points, {pairs} matched pairs (before RL: {_POINTS * row['before']:+.1f})"
    return Claim(claim, measured, effect, low, high, verdict_of(low, high))


def _short(audit: QuagmireAudit) -> Iterator[Claim]:
    row, pairs = _row(audit, "data kind", "short", "broad")
    for part, claim, sign in (
        ("before", "Short examples alone give a better SFT score than varied lengths", 1.0),
        ("after", "... and end worse after RL", -1.0),
    ):
        if row is None:
            yield Claim(claim, "no matched pairs", None, None, None, "cannot tell")
            continue
        effect, *ends = (_POINTS * row[name] for name in (part, f"{part}_low", f"{part}_high"))
        measured = f"Pass@1 {part} RL, short less varied, points, {pairs} matched pairs"
        yield Claim(claim, measured, effect, ends[0], ends[1], verdict_of(*sorted(sign * end for end in ends)))


def _below_the_base(audit: QuagmireAudit) -> Claim:
    """Count candidates that lead their base after SFT and fall behind RL from the base."""
    worse = audit.pairs.filter((pl.col("differs") == "SFT") & (pl.col("q") <= audit.level))
    led = worse.filter(~pl.col("by_sft").str.ends_with("no-sft"))
    against = audit.by_factor.filter(pl.col("differs") == "SFT")
    tested = int(against["tested"].sum())
    return Claim(
        "SFT that lifts the score can end below RL from the base",
        f"candidates above the base after SFT and below it after RL, beyond noise, of {tested}",
        float(led.height) if tested else None,
        None,
        None,
        "agrees" if led.height else "cannot tell",
    )


def _regret(report: ValidationReport, scenario: str) -> Claim:
    """Compare what choosing one candidate costs: by SFT Pass@1, and by loss and Pass@64 fitted together."""
    claim = f"Choosing by SFT Pass@1 costs more than by loss and Pass@64 ({scenario})"
    rows = report.frame.filter(
        scenario=scenario, protocol="random-halves", metric="regret_1", model=PREDICTORS["both"][1]
    )
    base = report.frame.filter(scenario=scenario, protocol="random-halves", metric="regret_1", model=report.baseline)
    if not rows.height or not base.height or rows["gain"][0] is None:
        return Claim(claim, "not measured", None, None, None, "cannot tell")
    row = rows.row(0, named=True)
    # A gain in regret is a loss: the sign is turned, so that above 0 both together are better.
    ends = sorted(-_POINTS * row[name] for name in ("gain_low", "gain_high") if row[name] is not None)
    low, high = ends if len(ends) == 2 else (None, None)
    measured = (
        f"regret, points: by SFT Pass@1 {_POINTS * base['mean'][0]:.1f}, by both {_POINTS * row['mean']:.1f}; "
        "the difference on the same halves"
    )
    return Claim(claim, measured, -_POINTS * row["gain"], low, high, verdict_of(low, high))


def _better_predictor(report: ValidationReport, name: str, scenario: str) -> Claim:
    """Compare the better of a predictor's two scales with the better scale of SFT Pass@1, by Spearman, within bases."""
    claim = f"{name} predicts the outcome better than SFT Pass@1 ({scenario})"
    rows = report.frame.filter(
        pl.col("model").is_in(PREDICTORS[name]), scenario=scenario, protocol="random-halves", metric="spearman"
    ).sort("mean", descending=True)
    rows = rows.filter(pl.col("gain").is_not_null())
    if not rows.height:
        return Claim(claim, "not measured", None, None, None, "cannot tell")
    row = rows.row(0, named=True)
    measured = f"Spearman, gain over SFT Pass@1 on the same halves ({row['model']}: {row['mean']:.2f})"
    return Claim(
        claim, measured, row["gain"], row["gain_low"], row["gain_high"], verdict_of(row["gain_low"], row["gain_high"])
    )


def _large_k(correlations: pl.DataFrame) -> Claim:
    claim = "Pass@k at large k orders candidates better than Pass@1"
    if correlations.height < 2:
        return Claim(claim, "not measured", None, None, None, "cannot tell")
    small = correlations.sort("k").row(0, named=True)
    best = correlations.sort("mean", descending=True).row(0, named=True)
    effect = best["mean"] - small["mean"]
    measured = f"Spearman at the best k ({best['k']}) less that at k = 1; intervals of the two must not meet"
    if None in (best["low"], best["high"], small["low"], small["high"]):
        return Claim(claim, measured, effect, None, None, "cannot tell")
    low, high = best["low"] - small["high"], best["high"] - small["low"]
    return Claim(claim, measured, effect, low, high, verdict_of(low, high))
