"""The paper's claims one by one: what a corpus shows of each, with an interval and a plain verdict."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import polars as pl

from quagpredict.replication.auditing import SEED_NOISE, QuagmireAudit
from quagpredict.replication.free_rules import FREE

Verdict = Literal["agrees", "disagrees", "cannot tell"]

#: The paper's predictors -> the models that stand for them: raw as in the paper, and on the scale that suits each.
PREDICTORS = {
    "SFT Pass@1": ("linear:pass_at_1", "linear:pass_at_1:log-logit"),
    "held-out loss": ("linear:loss", "linear:loss:log-logit"),
    "Pass@64": ("linear:pass_at_64", "linear:pass_at_64:log-logit"),
    "both": ("linear:both", "linear:both:log-logit"),
}
#: All of these.
MODELS = tuple(dict.fromkeys(model for models in PREDICTORS.values() for model in models))
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
        Estimate and 90 % interval, in the unit that `measured` names; None where the corpus has nothing to compare. Of
        reversed pairs the range of the audit's three counts.
    verdict : {"agrees", "disagrees", "cannot tell"}
        By the interval: on the side of the claim, on the other side, or across zero.
    without : str
        What the effect is without the kind of data that changes it most; empty where there is but one.
    """

    claim: str
    measured: str
    effect: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    without: str = ""


def verdict_of(low: float | None, high: float | None) -> Verdict:
    """Return the verdict on a claim that an effect is above 0.

    Examples
    --------
    >>> verdict_of(0.1, 0.3), verdict_of(-0.3, -0.1), verdict_of(-0.1, 0.1), verdict_of(None, None)
    ('agrees', 'disagrees', 'cannot tell', 'cannot tell')
    >>> verdict_of(float("nan"), float("nan"))
    'cannot tell'
    """
    if low is None or high is None or not (low > 0.0 or high < 0.0):
        return "cannot tell"
    return "agrees" if low > 0.0 else "disagrees"


def claims_of(audit: QuagmireAudit, orders: pl.DataFrame, surrogates: Sequence[str] = ()) -> Iterator[Claim]:
    """Yield every claim.

    Parameters
    ----------
    audit : QuagmireAudit
    orders : polars.DataFrame
        Of `quagpredict.replication.free_rules.free_rules`, with the models of `PREDICTORS` and of `surrogates`.
    surrogates : sequence of str
        Models that are claimed to choose better, beside the paper's.
    """
    yield _misleads(audit)
    yield from _twofold(
        audit,
        "More epochs of the same examples give a better SFT score",
        "More epochs of the same examples end worse after RL",
        *("epochs", "the most", "the fewest"),
        "most epochs less fewest",
    )
    for repeated in (2.0, 4.0, 16.0):
        first = f"1/{repeated:g} x {repeated:g} epochs"
        yield _matched(
            audit,
            f"At equal budget, 1/{repeated:g} of the examples for {repeated:g} epochs beats all of them once",
            *("repeated data", first, "all x 1"),
        )
    yield from _twofold(
        audit,
        "Short examples alone give a better SFT score than varied lengths",
        "Short examples alone end worse after RL than varied lengths",
        *("data kind", "short", "broad"),
        "short less varied",
    )
    yield _matched(audit, "RL after SFT ends above RL from the base", "SFT", "any SFT", "RL from the base")
    yield _below_the_base(audit)
    choosers = {PREDICTORS["both"][1]: "loss and Pass@64, fitted"} | {name: name for name in surrogates}
    for model, name in choosers.items():
        for scenario in ("dataset-level", "instance-level"):
            claim = f"Choosing by SFT Pass@1 costs more than by {name} ({scenario})"
            yield _over_sft(orders, claim, [model], scenario, "regret")
    for name in ("held-out loss", "Pass@64", "both"):
        for scenario in ("dataset-level", "instance-level"):
            claim = f"{name} predicts the outcome better than SFT Pass@1 ({scenario})"
            yield _over_sft(orders, claim, PREDICTORS[name], scenario, "pairs")
    for scenario in ("all", "dataset-level", "instance-level"):
        where = "" if scenario == "all" else f" ({scenario})"
        claim = f"Pass@k at large k orders candidates better than Pass@1{where}"
        yield _over_sft(orders, claim, ["Pass@64"], scenario, "pairs")


def _misleads(audit: QuagmireAudit) -> Claim:
    if not audit.tested:
        return Claim("A higher SFT score can mislead", "no pair has standard errors", None, None, None, "cannot tell")
    share = _POINTS * audit.reversed / audit.tested
    counts = (audit.reversed, audit.reversed_under_any_dependence, audit.reversed_with_one_noise)
    low, high = (_POINTS * end / audit.tested for end in (min(counts), max(counts)))
    # Without replicates the audit's note says that RL seeds' noise is left out.
    noise = "noise" if any(note.startswith(SEED_NOISE) for note in audit.notes) else "evaluation noise alone"
    measured = (
        f"pairs of one base that reverse after RL beyond {noise}, % of {audit.tested:,} "
        f"(at most {audit.level:.0%} of those listed by chance); the range is over how pairs may depend on each other, "
        "and over one RL seed noise for all bases"
    )
    without = _without(1.0, audit.share_without, audit.kind)
    return Claim("A higher SFT score can mislead", measured, share, low, high, verdict_of(low, high), without)


class _Row(NamedTuple):
    """A matched comparison over all bases, as first less second; its pairs; and its effects without a kind of data."""

    effects: dict[str, float]
    pairs: int
    without: dict[str, str]


def _row(audit: QuagmireAudit, factor: str, first: str, second: str) -> _Row | None:
    """Return a matched comparison over all bases; None if there is none, or none with an interval."""
    for sign, names in ((1.0, (first, second)), (-1.0, (second, first))):
        rows = audit.comparisons.filter(factor=factor, first=names[0], second=names[1])
        whole = rows.filter(pl.col("base_model") == "all")
        chosen = whole if whole.height else rows
        if chosen.height:
            row = chosen.row(0, named=True)
            parts = ("before", "after")
            columns = [f"{part}{end}" for part in parts for end in ("", "_low", "_high")]
            if any(row[name] is None for name in columns):
                return None  # no standard errors, no interval
            if sign < 0:
                for part in parts:
                    row[f"{part}_low"], row[f"{part}_high"] = row[f"{part}_high"], row[f"{part}_low"]
            told = {part: _without(sign, row[f"{part}_without"], row[f"{part}_kind"]) for part in parts}
            return _Row({name: sign * row[name] for name in columns}, int(row["pairs"]), told)
    return None


def _without(sign: float, effect: float | None, kind: str | None) -> str:
    """Return an effect without a kind of data, in points; empty where there is none."""
    return "" if effect is None else f"{sign * _POINTS * effect + 0.0:.2f} ({kind or 'no shared kind'})"


def _matched(audit: QuagmireAudit, claim: str, factor: str, first: str, second: str) -> Claim:
    row = _row(audit, factor, first, second)
    if row is None:
        return Claim(claim, "no matched pairs", None, None, None, "cannot tell")
    effect, low, high = (_POINTS * row.effects[name] for name in ("after", "after_low", "after_high"))
    before = _POINTS * row.effects["before"]
    measured = f"Pass@1 after RL, points, {row.pairs} matched pairs (before RL: {before:+.1f})"
    return Claim(claim, measured, effect, low, high, verdict_of(low, high), row.without["after"])


def _twofold(
    audit: QuagmireAudit, leads: str, ends_behind: str, factor: str, first: str, second: str, difference: str
) -> Iterator[Claim]:
    """Yield a claim that the first leads after SFT, and that it ends behind after RL."""
    row = _row(audit, factor, first, second)
    for part, text, sign in (("before", leads, 1.0), ("after", ends_behind, -1.0)):
        if row is None:
            yield Claim(text, "no matched pairs", None, None, None, "cannot tell")
            continue
        effect, *ends = (_POINTS * row.effects[name] for name in (part, f"{part}_low", f"{part}_high"))
        measured = f"Pass@1 {part} RL, {difference}, points, {row.pairs} matched pairs"
        verdict = verdict_of(*sorted(sign * end for end in ends))
        yield Claim(text, measured, effect, ends[0], ends[1], verdict, row.without[part])


def _below_the_base(audit: QuagmireAudit) -> Claim:
    """Count candidates that lead their base after SFT and fall behind RL from the base."""
    worse = audit.pairs.filter((pl.col("differs") == "SFT") & (pl.col("q") <= audit.level))
    led = worse.filter(~pl.col("by_sft").is_in(audit.without_sft))
    against = audit.by_factor.filter(pl.col("differs") == "SFT")
    tested = int(against["tested"].sum())
    most = led.group_by("kind").len().sort("len", "kind", descending=[True, False])
    kind, count = most.row(0) if most.height else ("", 0)
    return Claim(
        "SFT that lifts the score can end below RL from the base",
        f"candidates above the base after SFT and below it after RL, beyond noise, of {tested}",
        float(led.height) if tested else None,
        None,
        None,
        "agrees" if led.height else "cannot tell",
        f"{led.height - count} ({kind or 'no known kind'})" if count else "",
    )


def _over_sft(orders: pl.DataFrame, claim: str, rules: Sequence[str], scenario: str, metric: str) -> Claim:
    """Compare a rule, the best of several, with SFT Pass@1; intervals count base models and kinds of data."""
    rows = orders.filter(
        pl.col("rule").is_in(rules), pl.col("gain_low").is_not_null(), scenario=scenario, metric=metric
    )
    if not rows.height:
        return Claim(claim, "not measured", None, None, None, "cannot tell")
    row = rows.sort("value", descending=metric == "pairs", maintain_order=True).row(0, named=True)
    how = row["rule"] if row["rule"] in FREE else f"{row['rule']}, fitted on the other bases"
    if metric == "pairs":
        sign, measured = (
            _POINTS,
            f"pairs of a base in order, points over SFT Pass@1 ({how}: {_POINTS * row['value']:.0f} %)",
        )
    else:  # a gain in regret is a loss
        sign = -_POINTS
        costs = f"by SFT Pass@1 {_POINTS * (row['value'] - row['gain']):.1f}, by {how} {_POINTS * row['value']:.1f}"
        measured = f"regret in a base, points: {costs}; of all candidates of the base"
    low, high = sorted(sign * row[key] + 0.0 for key in ("gain_low", "gain_high"))
    without = _without(sign / _POINTS, row["gain_without"], row["kind"])
    return Claim(claim, measured, sign * row["gain"] + 0.0, low, high, verdict_of(low, high), without)
