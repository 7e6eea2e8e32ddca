"""A ranking as one HTML page that needs no network: the decision, the candidates, figures, where the numbers come from.

Decision, tables and notes are there without the script. It sorts, filters, and draws the figures with Observable Plot,
which is inlined; `docs/decisions/022-the-page.md` says why.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import polars as pl

from quagpredict.racing import Race
from quagpredict.ranking import Ranking
from quagpredict.ranking.flags import KINDS
from quagpredict.report.candidate_rows import FIRST_ROWS, bases_of, candidate_table, values_of
from quagpredict.report.decision import Decision, chosen, unmarked
from quagpredict.report.formats import heading, is_share, percent, plain, score
from quagpredict.report.markup import breakable, facts, section, sentence, table, text
from quagpredict.report.page_data import MOST, Measured
from quagpredict.report.page_figures import coverage, curves, pairs, race_part, race_values
from quagpredict.report.page_rules import rules, within_bases
from quagpredict.report.race_tables import decision_of, runs_to_pay, taken_now
from quagpredict.version import own_version

_SCRIPTS = ("d3.min.js", "plot.umd.min.js", "figures.js", "page.js")
# Refuses whatever is not in the file itself, should anything ever ask for it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
# Candidates named for one kind of flag before the rest is only counted.
_NAMED = 5
# Tables that are listed at once.
_FILES = 3


def page(
    ranking: Ranking,
    measurements: Measured,
    *,
    race: Race | None = None,
    title: str = "",
    gpu_hours_per_run: float | None = None,
    made: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page; the parameters are those of `write_report`, `made` says when and by which command."""
    decision = decision_of(ranking, race, gpu_hours_per_run)
    values = values_of(ranking, measurements, MOST, taken_now(ranking, race))
    data = {
        "candidates": values,
        "bases": bases_of(ranking),
        "large_k": measurements.large_k,
        "share": is_share(ranking.target),
        "unit": ", %" if is_share(ranking.target) else "",
        "first_rows": FIRST_ROWS,
        "race": None if race is None else race_values(race, values),
    }
    parts = [
        _head(ranking, decision, title),
        _facts(ranking, gpu_hours_per_run, race),
        _candidates(ranking, measurements, values),
        rules(ranking, gpu_hours_per_run),
        within_bases(ranking),
        curves(values),
        pairs(ranking, values),
        "" if race is None else race_part(race),
        _trust(ranking, race),
        _provenance(ranking, measurements, made),
    ]
    name_of = title or unmarked(decision.sentence)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(name_of)}</title>\n<style>\n{_asset('page.css')}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + f'\n</main>\n<script type="application/json" id="data">{_embedded(data)}</script>\n'
        + "".join(f"<script>\n{_asset(script)}</script>\n" for script in _SCRIPTS)
        + "</body>\n</html>\n"
    )


def _asset(file: str) -> str:
    return (files("quagpredict.report") / "assets" / file).read_text(encoding="utf-8")


def _embedded(value: Any) -> str:
    """Return JSON that no browser takes for the end of its script."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _head(ranking: Ranking, decision: Decision, title: str) -> str:
    bases = [base for base in bases_of(ranking) if base]
    of = f"{ranking.frame.height:,} candidates" + (f" of {len(bases):,} base models" if len(bases) > 1 else "")
    by = (
        f"predicted by '{ranking.surrogate}'"
        if ranking.surrogate
        else "by the paper's screening, no score is predicted"
    )
    kicker = f"{text(title)} · " if title else ""
    # What RL gave and what runs cost stand in the numbers and tables below.
    reasons = "".join(f"<p>{sentence(reason)}</p>" for reason in (decision.doubt, decision.free) if reason)
    return (
        f'<header>\n<p class="kicker">{kicker}{of}, {text(by)}</p>\n<h1>{sentence(decision.sentence)}</h1>\n'
        f'<div class="lead">{reasons}</div>\n</header>'
    )


def _facts(ranking: Ranking, hours: float | None, race: Race | None) -> str:
    """Return the few numbers that a reader looks for first."""
    finished = ranking.frame["actual"].drop_nulls().len() if "actual" in ranking.frame.columns else 0
    pairs = [("candidates", f"{ranking.frame.height:,}"), ("score after RL known of", f"{finished:,}")]
    # What is decided is what is told of.
    best = ranking.frame["candidate"][0]
    decided = next(iter(chosen(ranking)), best) if race is None else race.choice
    told = (ranking if race is None else race).frame.filter(pl.col("candidate") == pl.lit(decided))
    first = told.row(0, named=True) if told.height and (ranking.surrogate or race) else None
    which = "first" if race is None and decided == best else "one to take now"
    if first is not None:
        unit = " <small>points</small>" if is_share(ranking.target) else ""
        pairs.append((f"chance that the {which} is best", f"{percent(first['p_best'], 0)} <small>%</small>"))
        pairs.append(("regret of taking it alone", f"{score(ranking.target, first['expected_regret'])}{unit}"))
    inside = coverage(ranking)
    if inside is not None:
        pairs.append(("results within 90 % intervals", f"{inside[0]} <small>of {inside[1]}</small>"))
    if hours is not None:
        taken, (now, every) = len(taken_now(ranking, race)), runs_to_pay(ranking, race)
        which = {0: "none", 1: "the one taken"}.get(taken, f"the {taken:,} taken")
        every_run = f"all {every:.0f}" if race is None else "all to the end"
        cost = f"{now * hours:,.0f} <small>GPU-hours, saves {(every - now) * hours:,.0f} against {every_run}</small>"
        pairs.append((f"RL {'now' if race is not None else f'for {which}'}", cost))
    tiles = "".join(f"<div><dt>{term}</dt><dd>{value}</dd></div>" for term, value in pairs)
    return f'<dl class="facts">{tiles}</dl>'


def _candidates(ranking: Ranking, measurements: Measured, values: list[dict[str, Any]]) -> str:
    target = ranking.target
    what = f"{heading(target)} after RL" if target.startswith("post_") else plain(target)
    if ranking.surrogate is None:
        about = "In the order of the screening: low Pass@1 with high loss goes last, then Pass@k. Scores in per cent."
    else:
        unit = " in per cent, regret in points" if is_share(target) else ""
        about = f"Predicted {text(what)}{unit}. The dot is the prediction, the bar its 90 % interval"
        diamond = any(value["actual"] is not None for value in values)
        about += ", the diamond what RL gave." if diamond else "."
    drives = "" if ranking.surrogate is None else "what drives it, "
    about += f" A row unfolds: {drives}its measurements, reasons to distrust it."
    rest = f'<p class="rest"><button>Show all {len(values):,}</button></p>' if len(values) > FIRST_ROWS else ""
    beyond = ranking.frame.height - len(values)
    rest += f'<p class="small">{beyond:,} more are not on this page: a CSV has them all.</p>' if beyond else ""
    return section(
        "Candidates",
        about,
        f'<div class="controls">{_filters(ranking)}</div>\n{candidate_table(ranking, measurements, values)}\n'
        f'<p id="none" class="small" hidden>No candidate fits these filters.</p>{rest}',
    )


def _filters(ranking: Ranking) -> str:
    """Return a button a base model, where there are several, and the search."""
    bases = list(enumerate(bases_of(ranking)))
    buttons = '<button aria-pressed="true" data-base="">All bases</button>' if len(bases) > 1 else ""
    for number, base in bases if len(bases) > 1 else ():
        label = text(base) if base else "unknown base"
        dot = f'<span class="dot b{min(number, 5)}"></span>'
        buttons += f'<button aria-pressed="false" data-base="{number}">{dot}{label}</button>'
    return buttons + '<input id="search" type="search" placeholder="Find a candidate" aria-label="Find a candidate">'


def _trust(ranking: Ranking, race: Race | None) -> str:
    race_notes = race.notes if race is not None else ()
    notes = [*ranking.notes, *(note for note in race_notes if not note.startswith(ranking.notes))]
    items = [text(note) + "." for note in notes]
    for kind, meaning in KINDS.items():
        flags = [flag for flag in ranking.flags if flag.kind == kind]
        if not flags:
            continue
        details = {flag.detail for flag in flags}
        if len(details) == 1 and len(flags) > 1:  # said once
            named, rest = text(flags[0].detail), ""
        else:
            named = "; ".join(f"{breakable(flag.candidate)} ({text(flag.detail)})" for flag in flags[:_NAMED])
            rest = f"; and {len(flags) - _NAMED:,} more" if len(flags) > _NAMED else ""
        of = f"{len(flags):,} of {ranking.frame.height:,}"
        items.append(f"<b>{text(kind.replace('-', ' '))}</b>, {of}: {text(meaning)}. {named}{rest}")
    return section("How far to trust it", "", f'<ul class="notes">{"".join(f"<li>{item}</li>" for item in items)}</ul>')


def _provenance(ranking: Ranking, measurements: Measured, made: Sequence[tuple[str, str]]) -> str:
    pairs = [("quagpredict", text(own_version())), ("predicted", f"<code>{text(ranking.target)}</code>")]
    pairs += [
        (text(label), ", ".join(f"<code>{breakable(identity)}</code>" for identity in ids))
        for label, ids in measurements.ids.items()
    ]
    pairs += [(text(label), f"<code>{text(value)}</code>") for label, value in made]
    return section("Where the numbers come from", "", facts(pairs, "facts-list") + _files(measurements))


def _files(measurements: Measured) -> str:
    """Return the tables that were read with their digests, folded where there are many."""
    if not measurements.files:
        return ""
    rows = [
        [f"<code>{breakable(file)}</code>", f"<code>{digest or 'no file'}</code>"]
        for file, digest in measurements.files
    ]
    shown = table(["table that was read", "SHA-256"], rows, 2, kind="files")
    if len(rows) <= _FILES:
        return shown
    return f"<details><summary>{len(rows):,} tables that were read, with their digests</summary>{shown}</details>"
