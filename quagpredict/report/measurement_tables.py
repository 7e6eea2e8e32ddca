"""What a checkpoint measured, as a table for the terminal, CSV or JSON."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.report.formats import number, percent, plain

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN_KS = (1, 4, 16, 64, 256)
# Width in characters that a part's name and the shares take, and that each k takes.
_BESIDES, _PER_K = 40, 15


def measurement_csv(summary: pl.DataFrame) -> str:
    """Return the summary as CSV: one line a part, scores as fractions."""
    return summary.write_csv()


def measurement_json(name: str, protocol: str, measurement: Mapping[str, Any], summary: pl.DataFrame) -> str:
    """Return everything that was measured as JSON; scores as fractions, unknown values null."""
    value = {
        "candidate": name,
        "eval_protocol_id": protocol,
        "measurement": dict(measurement),
        "parts": summary.to_dicts(),
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def print_measurement(name: str, measurement: Mapping[str, Any], summary: pl.DataFrame, console: "Console") -> None:
    """Print Pass@k of every part with its interval, and below it what is measured over all samples.

    Parameters
    ----------
    name : str
        The candidate's name.
    measurement : mapping
        Column suffix -> value; see `quagpredict.corpus.schema`.
    summary : polars.DataFrame
        As `quagpredict.evaluation.summarise` makes it.
    console : rich.console.Console
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    ks = [k for k in _SHOWN_KS if f"pass_at_{k}" in summary.columns]
    while len(ks) > 2 and _BESIDES + _PER_K * len(ks) > console.width:
        del ks[1]  # the first and the largest k say most
    console.print(
        Text(f"{plain(name)}: Pass@k in per cent, with 90 % intervals over problems", style="bold"), end="\n\n"
    )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    table.add_column("part", overflow="fold", min_width=8)
    for heading in ("problems", *(f"Pass@{k}" for k in ks), "cut", "none"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in summary.iter_rows(named=True):
        curve = [_estimate(row, f"pass_at_{k}") for k in ks]
        shares = [percent(row["truncated_share"]), percent(row["no_answer_share"])]
        table.add_row(plain(row["part"]), f"{row['problems']:,}", *curve, *shares)
    console.print(table)
    console.print(Text("cut: share of samples that reached the budget; none: share without an answer", style="dim"))
    loss = number(measurement["held_out_loss_nats"], 4)
    error = number(measurement["held_out_loss_se"], 4)
    lines = [
        f"held-out loss {loss} ± {error} nats/token, {number(measurement['held_out_bits_per_byte'], 4)} bits/byte",
        f"length {number(measurement['length_mean'], 1)} tokens on average, 95th percentile "
        f"{number(measurement['length_p95'], 0)}; correct {number(measurement['length_correct_mean'], 1)}, "
        f"wrong {number(measurement['length_wrong_mean'], 1)}",
        f"entropy {number(measurement['token_entropy_nats'], 3)} nats/token, "
        f"{number(measurement['distinct_answers_mean'], 1)} distinct answers a problem, the most common one in "
        f"{percent(measurement['agreement_mean'])} % of samples",
        f"GRPO groups of 8 without a signal: {percent(measurement['zero_variance_share_g8'])} %; of 16: "
        f"{percent(measurement['zero_variance_share_g16'])} %",
    ]
    for line in lines:
        console.print(Text(line))


def _estimate(row: Mapping[str, Any], name: str) -> str:
    return f"{percent(row[name])} ({percent(row[f'{name}_low'], 0)}-{percent(row[f'{name}_high'], 0)})"
