"""A quagmire audit as tables for the terminal, CSV or JSON."""

from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.report.formats import UNKNOWN, number, plain, to_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from quagpredict.replication.auditing import QuagmireAudit


def audit_csv(audit: "QuagmireAudit") -> str:
    """Return the audit as CSV: pairs and comparisons, told apart by the column ``list``; effects as fractions."""
    pairs = audit.pairs.select(pl.lit("pair").alias("list"), pl.all().exclude("differs"), factor=pl.col("differs"))
    pairs = pairs.rename({"by_sft": "first", "by_rl": "second"})
    matched = audit.comparisons.select(pl.lit("comparison").alias("list"), pl.all())
    table = pl.concat([matched, pairs], how="diagonal")
    return table.write_csv()


def audit_json(audit: "QuagmireAudit") -> str:
    """Return everything that the audit holds as JSON; effects as fractions, unknown values null."""
    value: dict[str, Any] = {
        key: found.to_dicts() if isinstance(found, pl.DataFrame) else found for key, found in vars(audit).items()
    }
    return to_json(value)


def print_audit(audit: "QuagmireAudit", console: "Console", top: int = 10) -> None:
    """Print how many pairs reverse, the surest of them, and the matched comparisons.

    Parameters
    ----------
    audit : QuagmireAudit
    console : rich.console.Console
    top : int
        Pairs to show. Of the comparisons those are shown that are clear, and either reverse or are over all base
        models; CSV and JSON hold the rest.
    """
    from rich.text import Text

    share = f"{audit.level:.0%}".replace("%", " %")
    console.print(Text(f"{audit.tested:,} pairs of candidates of one base model", style="bold"))
    counts = {
        "change their order after RL": audit.reversed_observed,
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
        title = "Reversed pairs: lead of the first over the second, points ± 90 %"
        console.print(Text(f"\n{title}", style="bold"), end="\n\n")
        console.print(_pairs(shown.head(top)))
        if shown.height > top:
            console.print(f"... and {shown.height - top:,} more (--top, or --format csv)")
        console.print(Text("\nWhat differs in the recipes of reversed pairs", style="bold"), end="\n\n")
        console.print(_factors(audit))
    whole = audit.comparisons.filter((pl.col("verdict") == "reverses") | _whole(audit.comparisons))
    clear = whole.filter(pl.col("verdict") != "unclear")
    if clear.height:
        title = "Matched recipes, all else equal: first less second, points ± 90 %"
        console.print(Text(f"\n{title}", style="bold"), end="\n\n")
        console.print(_comparisons(clear))
    if whole.height > clear.height:
        text = "matched comparisons leave open whether the order stays (--format csv lists them)"
        console.print(f"{whole.height - clear.height} {text}")


def _whole(comparisons: pl.DataFrame) -> pl.Expr:
    """Return which rows stand for all base models that have the comparison."""
    several = comparisons.filter(pl.col("base_model") == "all").select("factor", "first", "second").unique()
    keys = pl.concat_str(["factor", "first", "second"], separator="\0")
    return (pl.col("base_model") == "all") | ~keys.is_in(several.select(keys).to_series().implode())


def _table(*headings: tuple[str, bool]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False, pad_edge=False)
    for name, is_number in headings:
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return table


def _pairs(pairs: pl.DataFrame) -> "Table":
    from rich.text import Text

    table = _table(("first", False), ("second", False), ("SFT", True), ("RL", True), ("q", True))
    for row in pairs.iter_rows(named=True):
        names = (Text(plain(row["by_sft"])), Text(plain(row["by_rl"])))
        table.add_row(*names, _effect(row, "before"), _effect(row, "after"), _probability(row["q"]))
    return table


def _factors(audit: "QuagmireAudit") -> "Table":
    from rich.text import Text

    table = _table(("what differs", False), ("pairs", True), ("reversed", True))
    for row in audit.by_factor.filter(pl.col("reversed") > 0).iter_rows(named=True):
        table.add_row(Text(plain(row["differs"])), f"{row['tested']:,}", f"{row['reversed']:,}")
    return table


def _comparisons(matched: pl.DataFrame) -> "Table":
    from rich.text import Text

    bases = matched["base_model"].n_unique() > 1
    columns = [("factor", False), ("first", False), ("second", False), *([("base", False)] if bases else [])]
    numbers = [(name, True) for name in ("pairs", "SFT", "RL")]
    table = _table(*columns, *numbers, ("verdict", False))
    for row in matched.iter_rows(named=True):
        names = [row["factor"], row["first"], row["second"], *([row["base_model"]] if bases else [])]
        effects = (str(row["pairs"]), _effect(row, "before"), _effect(row, "after"))
        style = "bold" if row["verdict"] == "reverses" else None
        table.add_row(*(Text(plain(name)) for name in names), *effects, row["verdict"], style=style)
    return table


def _effect(row: dict[str, Any], stage: str) -> str:
    value, high = row[stage], row[f"{stage}_high"]
    if value is None:
        return UNKNOWN
    text = f"{100.0 * value:+.1f}"
    return text if high is None else f"{text} ± {number(100.0 * (high - value), 1)}"


def _probability(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2g}" if value >= 1e-4 else "<1e-4"
