"""The candidates of a ranking as rows of a page: numbers, interval bars, and what stands behind each."""

from collections.abc import Collection, Mapping
from math import ceil, floor, log10
from typing import Any

from quagpredict.ranking import Ranking
from quagpredict.ranking.flags import KINDS
from quagpredict.report.decision import first_by, rule_in_words, with_unit
from quagpredict.report.formats import UNKNOWN, heading, is_share, measured, number, percent, plain, score
from quagpredict.report.markup import breakable, facts, name, text
from quagpredict.report.page_data import LOSS, Measured
from quagpredict.schema import BY_NAME

#: Candidates in the table before the others are asked for.
FIRST_ROWS = 30
# Columns of the ranking that are no measurement.
_OWN = ("rank", "candidate", "base_model", "prediction", "low", "high", "expected_regret", "distance", "drivers")


def bases_of(ranking: Ranking) -> list[str]:
    """Return the base models, those with most candidates first; an empty name where none is known."""
    if "base_model" not in ranking.frame.columns:
        return [""]
    counted = (
        ranking.frame["base_model"].fill_null("").value_counts().sort(["count", "base_model"], descending=[True, False])
    )
    return counted["base_model"].to_list()


def values_of(ranking: Ranking, measurements: Measured, most: int, taken: Collection[str]) -> list[dict[str, Any]]:
    """Return what figures and sorting need of each candidate; shares in per cent, unknown values None."""
    scale = 100.0 if is_share(ranking.target) else 1.0
    bases, firsts = bases_of(ranking), first_by(ranking)
    finished = set(ranking.finished)
    rows = ranking.frame.head(most).join(measurements.table, on="candidate", how="left", maintain_order="left")
    values = []
    for row in rows.iter_rows(named=True):
        candidate = row["candidate"]
        values.append(
            {
                "name": plain(candidate),
                "rank": row["rank"],
                "base": bases.index(row.get("base_model") or ""),
                "base_name": plain(row.get("base_model") or ""),
                "predicted": times(row.get("prediction"), scale),
                "low": times(row.get("low"), scale),
                "high": times(row.get("high"), scale),
                "p_best": times(row.get("p_best"), 100.0),
                "regret": times(row.get("expected_regret"), scale),
                "p_clear": times(row.get("p_clear"), 100.0),
                "teaches": times(row.get("regret_reduction"), scale),
                "sft": times(row["sft"], 100.0),
                "large": times(row["large"], 100.0),
                "loss": times(row["loss"], 1.0),
                "actual": times(row.get("actual"), scale),
                "finished": candidate in finished,
                "taken": candidate in taken,
                "first": list(map(rule_in_words, firsts.get(candidate, []))),
                "curve": [
                    [k, *(times(value, 100.0) for value in rest)] for k, *rest in measurements.curves.get(candidate, ())
                ],
            }
        )
    return values


def times(value: float | None, scale: float) -> float | None:
    """Return `scale` times a value as a figure needs it: six digits tell apart whatever a screen can."""
    return None if value is None or value != value else float(f"{scale * value:.6g}")


def candidate_table(ranking: Ranking, measurements: Measured, values: list[dict[str, Any]]) -> str:
    """Return the table of the candidates as HTML, each with a row that unfolds."""
    columns = _columns(ranking, measurements, values)
    low, high = _scale(ranking, values)
    heads = [
        '<th class="r"><button data-key="rank">#</button></th>',
        '<th class="who"><button data-key="name">candidate</button></th>',
    ]
    for key, head, kind, _ in columns:
        if key == "range":
            unit = "%" if is_share(ranking.target) else ""
            ends = f'<span class="scale"><span>{low:g}</span><span>{high:g} {unit}</span></span>'
            heads.append(f'<th class="range">{head}{ends}</th>')
        else:
            down = "" if key in ("loss", "regret") else ' data-down="1"'
            heads.append(f'<th class="r {kind}"><button data-key="{key}"{down}>{head}</button></th>')
    digits = {key: _digits(values, key) for key, *_ in columns if key != "range"}
    details = _details(ranking)
    bodies = [
        _body(at, value, row, columns, digits, (low, high), details.get(row["candidate"], []))
        for at, (value, row) in enumerate(zip(values, ranking.frame.iter_rows(named=True), strict=False))
    ]
    return f'<table class="candidates"><thead><tr>{"".join(heads)}</tr></thead>{"".join(bodies)}</table>'


def _columns(ranking: Ranking, measurements: Measured, values: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return key, heading, how soon it goes on a narrow screen (p1 last), and the column that names its unit."""
    target = ranking.target
    columns = []
    if ranking.surrogate is not None:
        columns += [("predicted", "predicted", "", target), ("range", "90 % interval", "", target)]
        columns.append(("p_best", "P(best)", "", "percent"))
        columns.append(("regret", "regret", "p2", target))
        columns += [("p_clear", "P(gate)", "p1", "percent")] * (ranking.gate is not None)
        columns += [("teaches", "teaches", "p1", target)] * (ranking.next_run is not None)
    # A screening has nothing but its measurements: they stay.
    goes = ("p3", "p2", "p3") if columns else ("p1", "", "")
    columns += [
        ("sft", "SFT Pass@1", goes[0], "pre_pass_at_1"),
        ("large", f"Pass@{measurements.large_k}", goes[1], "pre_pass_at_1"),
    ]
    columns.append(("loss", "loss", goes[2], LOSS))
    columns.append(("actual", "after RL" if target.startswith("post_") else "actual", "p1", target))
    return [
        column for column in columns if column[0] == "range" or any(value[column[0]] is not None for value in values)
    ]


def _scale(ranking: Ranking, values: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the ends of the interval column: of all intervals and results, rounded outward."""
    ends = [value[key] for value in values for key in ("low", "high", "actual") if value[key] is not None]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    if is_share(ranking.target):
        return max(0.0, 10.0 * floor(low / 10.0)), min(100.0, 10.0 * ceil(high / 10.0))
    room = 0.02 * (high - low) or 1.0
    return float(f"{low - room:.3g}"), float(f"{high + room:.3g}")


def interval_bar(
    low: float | None, mid: float | None, high: float | None, actual: float | None, scale: tuple[float, float]
) -> str:
    """Return an interval as a bar on `scale`, its middle as a dot, what RL gave as a diamond; all in one unit.

    Examples
    --------
    >>> interval_bar(40.0, 50.0, 60.0, None, (0.0, 100.0))[:79]
    '<span class="span"><span class="band" style="left:40.0%;width:20.0%"></span><sp'
    """
    width = (scale[1] - scale[0]) or 1.0
    at = {
        key: 100.0 * min(max((value - scale[0]) / width, 0.0), 1.0)
        for key, value in (("low", low), ("mid", mid), ("high", high), ("is", actual))
        if value is not None
    }
    bar = ""
    if {"low", "high"} <= at.keys():
        bar += f'<span class="band" style="left:{at["low"]:.1f}%;width:{at["high"] - at["low"]:.1f}%"></span>'
    bar += "".join(f'<span class="{key}" style="left:{at[key]:.1f}%"></span>' for key in ("mid", "is") if key in at)
    return f'<span class="span">{bar}</span>'


def _body(
    at: int,
    value: Mapping[str, Any],
    row: Mapping[str, Any],
    columns: list[tuple[str, str, str, str]],
    digits: Mapping[str, int],
    scale: tuple[float, float],
    details: list[tuple[str, str]],
) -> str:
    kinds = " ".join(kind for kind, holds in (("taken", value["taken"]), ("unranked", value["rank"] is None)) if holds)
    cells = [f'<td class="r">{value["rank"] or UNKNOWN}</td>', f'<td class="who">{_who(value, row["flags"])}</td>']
    for key, _, kind, unit in columns:
        if key == "range":
            # A result needs no interval: it is shown as what RL gave.
            has_result = value["finished"] and value["low"] == value["high"]
            low, middle, high = (None,) * 3 if has_result else (value["low"], value["predicted"], value["high"])
            cells.append(f'<td class="range">{interval_bar(low, middle, high, value["actual"], scale)}</td>')
        else:
            cells.append(f'<td class="r {kind}">{_shown(key, value[key], unit, digits[key])}</td>')
    more = facts(details, "more-facts") if details else "Nothing more is known of it."
    return (
        f'<tbody class="{kinds}" data-at="{at}"><tr class="row">{"".join(cells)}</tr>'
        f'<tr class="more" hidden><td colspan="{len(cells)}">{more}</td></tr></tbody>'
    )


def _digits(values: list[dict[str, Any]], key: str) -> int:
    """Return how many digits behind the point give four that say something, the same for a whole column."""
    largest = max((abs(value[key]) for value in values if value[key] is not None), default=0.0)
    return max(0, 3 - floor(log10(largest))) if largest > 0.0 else 3


def _shown(key: str, value: float | None, unit: str, digits: int) -> str:
    if value is None:
        return UNKNOWN
    if unit == "percent":
        return f"{value:.0f}"
    if is_share(unit):
        return number(value, 2 if key == "teaches" else 1)
    return measured(unit, value) if unit in BY_NAME else number(value, digits)


def _who(value: Mapping[str, Any], flags: list[str]) -> str:
    swatch = (
        f'<span class="dot b{min(value["base"], 5)}" title="{text(value["base_name"])}"></span>'
        if value["base_name"]
        else ""
    )
    tags = [text(value["base_name"])] if value["base_name"] else []
    if value["finished"]:
        tags.append("has its result")
    if value["first"]:
        tags.append(f"first by {text(', '.join(value['first']))}")
    tags += [f'<span class="warn">{text(kind.replace("-", " "))}</span>' for kind in flags]
    shown = f'<button aria-expanded="false">{name(value["name"])}</button>'
    return f'<span class="line">{swatch}<span>{shown}<span class="tags">{" · ".join(tags)}</span></span></span>'


def _details(ranking: Ranking) -> dict[str, list[tuple[str, str]]]:
    """Return of each candidate what unfolds: what drives it, its measurements, its flags, its benchmarks."""
    signed = 1.0 if is_share(ranking.target) else None
    lines_of: dict[str, list[tuple[str, str]]] = {}
    for row in ranking.frame.iter_rows(named=True):
        lines = []
        drivers = [driver for driver in row.get("drivers") or [] if driver["contribution"] is not None]
        if drivers:
            moves = ", ".join(
                f"{text(heading(driver['feature']))} {'+' if driver['contribution'] >= 0 else '−'}"
                f"{score(ranking.target, abs(driver['contribution']))}"
                for driver in drivers
            )
            lines.append(
                ("driven by", moves + (" points against the average candidate" if signed else " against the average"))
            )
        chances = [
            f"{text(key.replace('p_top_', 'top '))} {percent(row[key], 0)} %"
            for key in row
            if key.startswith("p_top_") and row[key] is not None
        ]
        lines += [("chance of the", ", ".join(chances))] if chances else []
        taken = [
            f"{text(heading(key))} {measured(key, row[key])}{' %' if is_share(key) else ''}"
            for key in row
            if key.startswith("pre_") and row[key] is not None
        ]
        lines += [("measured", ", ".join(taken))] if taken else []
        if row.get("distance") is not None:
            lines.append(("distance", f"{number(row['distance'], 1)} from the training runs (1 is their edge)"))
        lines_of[row["candidate"]] = lines
    for flag in ranking.flags:
        lines_of[flag.candidate].append(
            (
                f'<span class="warn">{text(flag.kind.replace("-", " "))}</span>',
                f"{text(KINDS[flag.kind])} ({text(flag.detail)})",
            )
        )
    if ranking.by_benchmark is not None:
        for row in ranking.by_benchmark.drop_nulls().iter_rows(named=True):
            ends = f"{score(ranking.target, row['low'], 0)} to {with_unit(ranking, row['high'], 0)}"
            scores = (
                f"{percent(row['before'], 0)} before RL, {with_unit(ranking, row['prediction'], 0)} predicted ({ends})"
            )
            lines_of[row["candidate"]].append((breakable(row["benchmark"]), scores))
    return lines_of
