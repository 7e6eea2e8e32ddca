"""What a checkpoint measured, as tables for the terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quagpredict.report.formats import UNKNOWN, fitting, number, percent, plain, print_title, table_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Heading -> what a part shows in that column.
Shown = Callable[[Mapping[str, Any]], str]
Columns = Mapping[str, Shown]

_SHOWN_KS = (1, 4, 16, 64, 256)
# With fewer problems than this, which rule is followed depends on single problems too much.
_FEW_PROBLEMS = 50
# Width in characters that a part's name and the counts take, and that each estimate takes.
_BESIDES, _PER_ESTIMATE = 22, 15
# Characters of a part's name that are shown in one line before a column has to go.
_NAME = 16


def print_measurement(values: Mapping[str, Any], console: "Console") -> None:
    """Print what was measured: scores, responses and learning signal of every part, then what is one line each.

    Parameters
    ----------
    values : mapping
        As `Score.as_dict` makes it.
    console : rich.console.Console
        Tables keep to its width: where it is narrow, fewer k are shown.
    """
    from rich.text import Text

    parts: Sequence[Mapping[str, Any]] = values["parts"]
    print_title(console, f"{plain(values['candidate'])}: scores in per cent, with 90 % intervals over problems")
    console.print(_table(parts, _scores(parts[0], console.width)))
    print_title(console, "\nResponses: mean length in tokens; shares in per cent")
    console.print(_table(parts, _RESPONSES, console.width))
    note = "fin.: those that ended themselves; cut: reached the budget; none: no answer; agree: share of the top answer"
    console.print(Text(note, style="dim"), end="\n\n")
    print_title(console, "Signal for GRPO: groups of equal rewards in per cent; variance of the reward")
    console.print(_table(parts, _SIGNAL, console.width))
    console.print()
    for line in (
        *_loss_lines(values["measurement"]),
        *_adaptive_lines(values["adaptive"]),
        *_overlap_lines(values["overlap"]),
    ):
        console.print(Text(line))


def _scores(whole: Mapping[str, Any], width: int) -> Columns:
    """Return the columns of scores that the whole suite has and that fit."""
    ks = [k for k in _SHOWN_KS[1:] if whole.get(f"pass_at_{k}") is not None]
    votes = [k for k in _SHOWN_KS[1:] if whole.get(f"maj_at_{k}") is not None]
    shown = [("avg@n", "avg_at_n"), *((f"Pass@{k}", f"pass_at_{k}") for k in ks)]
    shown += [(f"maj@{k}", f"maj_at_{k}") for k in votes[-1:]]
    while len(shown) > 2 and _BESIDES + _PER_ESTIMATE * len(shown) > width:
        del shown[1 if len(ks) > 1 else -1]  # the mean, the largest k and the vote say most
        ks = ks[1:]
    return {"problems": lambda row: f"{row['problems']:,}", **{heading: _estimate_of(name) for heading, name in shown}}


def _table(parts: Sequence[Mapping[str, Any]], columns: Columns, width: int | None = None) -> "Table":
    """Return a row a part; of the columns those that fit beside the parts' names where there is a width."""
    names = [plain(row["part"]) for row in parts]
    texts = {heading: [show(row) for row in parts] for heading, show in columns.items()}
    if width is not None:
        kept = fitting(texts, width - min(max(8, *map(len, names)), _NAME), gap=3)
        texts = {heading: texts[heading] for heading in kept}
    return table_of({"part": names, **texts}, {"part": 8}, gap=1)


def _estimate_of(name: str) -> Shown:
    def show(row: Mapping[str, Any]) -> str:
        if row.get(name) is None:
            return UNKNOWN
        return f"{percent(row[name])} ({percent(row[f'{name}_low'], 0)}-{percent(row[f'{name}_high'], 0)})"

    return show


def _number_of(name: str, digits: int) -> Shown:
    return lambda row: number(row.get(name), digits)


def _percent_of(name: str) -> Shown:
    return lambda row: percent(row.get(name))


_RESPONSES: Columns = {
    "all": _number_of("length_mean", 0),
    "fin.": _number_of("length_finished_mean", 0),
    "right": _number_of("length_correct_mean", 0),
    "wrong": _number_of("length_wrong_mean", 0),
    "cut": _percent_of("truncated_share"),
    "none": _percent_of("no_answer_share"),
    "answers": _number_of("distinct_answers_mean", 1),
    "agree": _percent_of("agreement_mean"),
    "entropy": _number_of("token_entropy_nats", 3),
}
_SIGNAL: Columns = {
    "of 8": _estimate_of("zero_variance_share_g8"),
    "of 16": _estimate_of("zero_variance_share_g16"),
    "variance": _number_of("reward_variance", 3),
}


def _loss_lines(measurement: Mapping[str, Any]) -> list[str]:
    if measurement["held_out_loss_nats"] is None:
        return []
    cut = measurement["held_out_truncated_share"]
    return [
        f"held-out loss {number(measurement['held_out_loss_nats'], 4)} ± {number(measurement['held_out_loss_se'], 4)} "
        f"nats/token, {number(measurement['held_out_bits_per_byte'], 4)} bits/byte"
        + (f"; {percent(cut)} % of solutions cut" if cut else "")
    ]


def _adaptive_lines(adaptive: Mapping[str, Any] | None) -> list[str]:
    if adaptive is None:
        return []
    k = adaptive["k"]
    lines = [
        f"Pass@{k} on these problems: {percent(adaptive['value'], 2)} ± {percent(adaptive['half_width'], 2)} (90 %, "
        f"sampling alone), from {number(adaptive['samples_mean'], 1)} samples a problem"
    ]
    if adaptive["saved"] is not None:
        lines.append(
            f"as precise with a fixed number: {adaptive['fixed_samples_for_the_same_precision']} samples a problem; "
            f"saved {percent(adaptive['saved'], 0)} % of them"
        )
    lines += _order_lines(adaptive["against"])
    if not adaptive["reached"]:
        lines.append("the wanted precision was not reached with 1024 samples a problem")
    if adaptive["problems"] < _FEW_PROBLEMS:
        lines.append(
            f"fewer than {_FEW_PROBLEMS} problems: stopping early biases Pass@k, in simulation by up to -0.3 points"
        )
    lines.append("what is not Pass@k is measured on the first 16 samples of every problem")
    return lines


def _order_lines(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which candidates this one is told apart from, best first, and where more samples of it would not help."""
    lines = ["against the others (difference ± what sampling both leaves open, 90 % each):"] if comparisons else []
    for comparison in sorted(comparisons, key=lambda comparison: float(comparison["difference"])):
        verdict = "not told apart from"
        if comparison["apart"]:
            verdict = "better than" if comparison["difference"] > 0 else "worse than"
        difference, half_width = (percent(comparison[key], 2) for key in ("difference", "half_width"))
        line = f"  {verdict} {plain(comparison['name'])}: {difference} ± {half_width}"
        if not comparison["apart"] and abs(comparison["difference"]) <= comparison["other_half_width"]:
            line += (
                f"; its own error alone is ± {percent(comparison['other_half_width'], 2)}: measure it with more samples"
            )
        lines.append(line)
    return lines


def _overlap_lines(overlaps: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        f"overlap: {overlap['copied']} of {overlap['documents']:,} texts of {plain(overlap['of'])} also stand in "
        f"{plain(overlap['against'])} ({overlap['with_answer']} with the answer; {overlap['touched']} share a phrase)"
        for overlap in overlaps
        if overlap["touched"]
    ]
    if overlaps and not lines:
        lines = [f"overlap: none in {len(overlaps)} comparisons"]
    return lines
