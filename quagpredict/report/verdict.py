"""What a validation says about the rule that costs nothing: in one plain sentence."""

from typing import TYPE_CHECKING

import polars as pl

from quagpredict.report.formats import plain

if TYPE_CHECKING:
    from quagpredict.validation import ValidationReport

#: Protocols that ask most first: one base is all that is judged where bases are left out, so its level counts for
#: nothing; halves drawn at random show a model every kind of data.
_HARDEST = ("leave-one-base-out", "leave-one-kind-out")
_PAIRS = "pairwise_accuracy"


def verdict(report: "ValidationReport") -> str:
    """Return whether anything orders better than sorting by Pass@k does, by how much, or that nothing does.

    A surrogate beats it if the lower end of its 90 % interval of the pairs in order lies above what Pass@k reaches,
    under the protocol that asks most. Empty where Pass@k was not judged as it is, or no surrogate was.
    """
    scenario = report.frame["scenario"][0] if report.frame.height else ""
    rows = report.frame.filter(scenario=scenario, metric=_PAIRS).drop_nulls("mean")
    there = rows["protocol"].unique(maintain_order=True).to_list()
    protocol = next((name for name in (*_HARDEST, *there) if name in there), "")
    rows = rows.filter(protocol=protocol)
    free = rows.filter(pl.col("model").str.contains(r"^proxy:pass_at_([2-9]|[1-9][0-9]+)$"))
    own = rows.filter(pl.col("model").is_in(report.surrogates)).sort("mean", descending=True)
    if not free.height or not own.height:
        return ""
    rule = free.sort(pl.col("model").str.extract(r"([0-9]+)$").cast(pl.Int64)).row(-1, named=True)
    name = f"Pass@{rule['model'].rpartition('_')[2]}"
    best = own.row(0, named=True)
    how = protocol.replace("-", " ")
    reached = f"{100 * best['mean']:.0f} %"
    if best["low"] is not None:
        reached += f" ({100 * max(best['low'], 0.0):.0f} to {100 * min(best['high'], 1.0):.0f})"
    by = f"{reached} of the pairs in order, {name} {100 * rule['mean']:.0f} % ({how})"
    least = best["mean"] if best["low"] is None else best["low"]
    if least > rule["mean"]:
        return f"{plain(best['model'])} beats sorting by {name} here: {by}."
    return f"Nothing here is shown to beat sorting by {name}: the best, {plain(best['model'])}, has {by}."


def left_out(report: "ValidationReport", scenario: str, model: str) -> str:
    """Return where a surrogate fails once bases are left out, by its R²; empty where it does not, or was not asked.

    What fails there is not called best, whatever it reaches on halves drawn at random.
    """
    # Of kinds of data, with a few candidates each, an R² says nothing.
    rows = report.frame.filter(scenario=scenario, protocol="leave-one-base-out", metric="r2", model=model)
    failed = rows.filter(pl.col("mean") <= 0)
    if not failed.height:
        return ""
    return f"With bases left out it fails: R² {failed['mean'][0]:.2f} (leave one base out)"
