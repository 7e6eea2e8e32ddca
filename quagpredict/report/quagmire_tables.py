"""A quagmire audit as tables for the terminal, CSV or JSON."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.report.formats import UNKNOWN, number, plain, print_title, table_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from quagpredict.replication.auditing import QuagmireAudit


def audit_table(audit: "QuagmireAudit") -> pl.DataFrame:
    """Return the audit as one table: pairs and comparisons, told apart by the column ``list``; effects as fractions."""
    pairs = audit.pairs.select(pl.lit("pair").alias("list"), pl.all().exclude("differs"), factor=pl.col("differs"))
    pairs = pairs.rename({"by_sft": "first", "by_rl": "second"})
    matched = audit.comparisons.select(pl.lit("comparison").alias("list"), pl.all())
    return pl.concat([matched, pairs], how="diagonal")


def print_audit(audit: "QuagmireAudit", console: "Console", top: int = 10) -> None:
    """Print how many pairs reverse, the surest of them, and the matched comparisons.

    Parameters
    ----------
    top : int
        Pairs to show. Of the comparisons those are shown that are clear, and either reverse or are over all base
        models; CSV and JSON hold the rest.
    """
    from rich.text import Text

    share = f"{audit.level:.0%}".replace("%", " %")
    console.print(Text(f"{audit.tested:,} tested pairs of candidates of one base model", style="bold"))
    untested = audit.pairs.height - audit.pairs["p"].fill_nan(None).count()
    counts = {
        f"change their order after RL{f', {untested:,} of them untested' if untested else ''}": audit.reversed_observed,
        f"beyond the noise of both, each taken alone (p <= {audit.level:g})": audit.reversed_singly,
        f"at most expected among these if none did ({share} of all)": round(audit.expected_false),
        f"beyond the noise, at most {share} of these by chance (q <= {audit.level:g})": audit.reversed,
        "the same, however the pairs depend on each other": audit.reversed_under_any_dependence,
        "the same, with one RL seed noise for all base models": audit.reversed_with_one_noise,
    }
    for text, count in counts.items():
        console.print(f"{count:>7,} {text}")
    shown = audit.pairs.filter(pl.col("q") <= audit.level)
    if shown.height:
        print_title(console, "\nReversed pairs: lead of the first over the second, points ± 90 %")
        console.print(_pairs(shown.head(top)))
        if shown.height > top:
            console.print(f"... and {shown.height - top:,} more (--top, or --format csv)")
        print_title(console, "\nWhat differs in the recipes of reversed pairs")
        console.print(_factors(audit.by_factor.filter(pl.col("reversed") > 0)))
    whole = audit.comparisons.filter((pl.col("verdict") == "reverses") | _whole(audit.comparisons))
    clear = whole.filter(pl.col("verdict") != "unclear")
    if clear.height:
        print_title(console, "\nMatched recipes, all else equal: first less second, points ± 90 %")
        console.print(_comparisons(clear))
    if whole.height > clear.height:
        text = "matched comparisons leave open whether the order stays (--format csv lists them)"
        console.print(f"{whole.height - clear.height} {text}")


def _whole(comparisons: pl.DataFrame) -> pl.Expr:
    """Return which rows stand for all base models that have the comparison."""
    several = comparisons.filter(pl.col("base_model") == "all").select("factor", "first", "second").unique()
    keys = pl.concat_str(["factor", "first", "second"], separator="\0")
    return (pl.col("base_model") == "all") | ~keys.is_in(several.select(keys).to_series().implode())


def _pairs(pairs: pl.DataFrame) -> "Table":
    columns = {
        **_texts(pairs, {"first": "by_sft", "second": "by_rl"}),
        **_effects(pairs),
        "q": list(map(_probability, pairs["q"])),
    }
    return table_of(columns, {"first": None, "second": None})


def _factors(factors: pl.DataFrame) -> "Table":
    counts = {name: [f"{count:,}" for count in factors[of]] for name, of in (("pairs", "tested"), ("reversed",) * 2)}
    return table_of({**_texts(factors, {"what differs": "differs"}), **counts}, {"what differs": None})


def _comparisons(matched: pl.DataFrame) -> "Table":
    texts = {"factor": "factor", "first": "first", "second": "second"}
    texts |= {"base": "base_model"} if matched["base_model"].n_unique() > 1 else {}
    columns = {
        **_texts(matched, texts),
        "pairs": list(map(str, matched["pairs"])),
        **_effects(matched),
        "verdict": matched["verdict"].to_list(),
    }
    styles = ["bold" if verdict == "reverses" else None for verdict in matched["verdict"]]
    return table_of(columns, dict.fromkeys((*texts, "verdict")), styles=styles)


def _texts(table: pl.DataFrame, columns: Mapping[str, str]) -> dict[str, list[str]]:
    return {head: list(map(plain, table[name])) for head, name in columns.items()}


def _effects(table: pl.DataFrame) -> dict[str, list[str]]:
    stages = {"SFT": "before", "RL": "after"}
    return {head: [_effect(row, name) for row in table.iter_rows(named=True)] for head, name in stages.items()}


def _effect(row: dict[str, Any], stage: str) -> str:
    value, high = row[stage], row[f"{stage}_high"]
    if value is None:
        return UNKNOWN
    text = f"{100.0 * value:+.1f}"
    return text if high is None else f"{text} ± {number(100.0 * (high - value), 1)}"


def _probability(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2g}" if value >= 1e-4 else "<1e-4"
