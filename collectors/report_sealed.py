"""Hold sealed predictions against what happened, and write the page.

    python collectors/report_sealed.py datasets/lab-3/sealed-*.csv --corpus datasets/lab-3/corpus.parquet \
        --records datasets/lab-3/records-*.parquet --page docs/sealed-lab-3.md

Every rule that `collectors/seal_predictions.py` wrote down is judged on the candidates that are finished: within a base
model first, over all second. Intervals resample base models, and within each its candidates; differences from Pass@64
and from the screening are taken on the same draws. A seal whose file was changed, whose candidates were measured again,
or that was written after its first RL run had begun, is refused.

``--with FOLDER`` judges the default on another corpus' seals too, over the bases of both, which is refused unless the
default was the same in each.

Where the candidates are the trials of a search (``--trials 1 2 5 10 30``), a table says what each rule loses as a
search makes fewer of them.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from seal_predictions import TARGET, measurement_digest

from quagpredict.corpus import read_corpus
from quagpredict.errors import CorpusError, InvalidDataError
from quagpredict.files import file_digest, written_aside
from quagpredict.program import run_program
from quagpredict.validation.noise_ceiling import noise_ceiling
from quagpredict.validation.scores import interval_coverage, r2, regret_of_search
from quagpredict.validation.within_base import WithinBase, within_base

Floats = NDArray[np.float64]
DRAWS = 2000
NUMBERS = ("score", "predicted", "low", "high")
YARDSTICKS = ("Pass@64", "screening")
DESIGN = Path("docs/decisions/017-lab-3-design.md")


class Wave(NamedTuple):
    """One seal: its name, what it says of itself, and its rows with what happened."""

    name: str
    manifest: dict[str, Any]
    frame: pl.DataFrame
    first_run: str


def waves_of(seals: list[Path], corpus: pl.DataFrame, started: pl.DataFrame) -> Iterator[Wave]:
    """Yield the seals, checked, with the mean score after RL of each candidate that is finished."""
    runs = corpus.filter(pl.col(TARGET).is_not_null())
    actual = runs.group_by("candidate").agg(pl.col(TARGET).mean().alias("actual"), pl.len().alias("seeds"))
    measured = {row["candidate"]: row for row in corpus.unique("candidate", keep="first").iter_rows(named=True)}
    for path in seals:
        manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if file_digest(path) != manifest["sha256"]:
            raise InvalidDataError(f"{path}: is not the file that was sealed (SHA-256 {manifest['sha256']})")
        for name, known in manifest["measurements"].items():
            if name in measured and measurement_digest(measured[name]) != known:
                raise InvalidDataError(f"{path}: '{name}' was measured again since it was sealed")
        own = started.filter(pl.col("candidate").is_in(list(manifest["measurements"])))
        first = str(own["started"].min() or "")
        if first and datetime.fromisoformat(first) < datetime.fromisoformat(manifest["sealed_at"]):
            raise InvalidDataError(f"{path}: sealed at {manifest['sealed_at']}, after its first RL run at {first}")
        sealed = pl.read_csv(path, schema_overrides=dict.fromkeys(NUMBERS, pl.Float64)).join(
            actual, on="candidate", how="inner"
        )
        if sealed.is_empty():
            continue
        yield Wave(path.stem, manifest, sealed, first)


def starts_of(records: list[Path]) -> pl.DataFrame:
    """Return candidate and start (UTC, ISO 8601) of every RL run in archives."""
    rows = []
    for path in records:
        for attempt in pl.read_parquet(path, columns=["attempt"])["attempt"]:
            line = json.loads(attempt)
            if line["stage"].startswith("grpo/"):
                rows.append((line["stage"][5:].rpartition(".rl-s")[0], line["started"]))
    return pl.DataFrame(rows, schema={"candidate": pl.String, "started": pl.String}, orient="row")


def judge(frame: pl.DataFrame) -> dict[str, WithinBase]:
    """Return the scores within base models of every rule, the same draws for all.

    Parameters
    ----------
    frame : polars.DataFrame
        ``rule``, ``candidate``, ``base_model``, ``score``, ``actual``.
    """
    rules = {str(rule): part.sort("candidate") for (rule,), part in frame.group_by("rule", maintain_order=True)}
    first = next(iter(rules.values()))
    scores = {rule: part["score"].to_numpy() for rule, part in rules.items()}
    return within_base(first["actual"].to_numpy(), scores, first["base_model"].to_numpy(), draws=DRAWS)


def waves_in(folder: Path) -> list[Wave]:
    """Return the seals of a published corpus, held against its runs."""
    corpus, records = read_corpus(folder / "corpus.parquet"), sorted(folder.glob("records-*.parquet"))
    return list(waves_of(sorted(folder.glob("sealed*.csv")), corpus, starts_of(records)))


def pooled(own: list[Wave], others: dict[Path, list[Wave]]) -> list[str]:
    """Judge the default over the bases of several corpora, in whose seals it must have been the same."""
    frames = [wave.frame for wave in own]
    for folder, waves in others.items():
        for wave in waves:
            if wave.manifest["prior"] != own[0].manifest["prior"]:
                raise InvalidDataError(f"{folder}: its default had another prior (SHA-256 {wave.manifest['prior']})")
            frames.append(wave.frame.with_columns(base_model=pl.format("{} {}", pl.lit(folder.name), "base_model")))
    return _primary(pl.concat(frames))


def page(waves: list[Wave], corpus: pl.DataFrame, given: argparse.Namespace, command: str) -> str:
    """Return the page."""
    folder, design = (os.path.relpath(path, given.page.parent) for path in (given.corpus.parent, given.design))
    lines = [
        "# What was said before RL, and what happened",
        "",
        f"Predictions of [`datasets/{given.corpus.parent.name}`]({folder}/card.md) that were written down and "
        f"committed before the first RL run of their candidates began ([the design]({design})). This page is made by",
        "",
        "```bash",
        command,
        "```",
        "",
        "It refuses a seal that was changed or that is younger than its first run.",
        "",
        "| seal | sealed (UTC) | first RL run | candidates | finished | SHA-256 |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for wave in waves:
        done = wave.frame["candidate"].n_unique()
        lines.append(
            f"| {wave.name} | {wave.manifest['sealed_at'][:16]} | {wave.first_run[:16]} | "
            f"{wave.manifest['candidates']} | {done} | `{wave.manifest['sha256'][:16]}` |"
        )
    for wave in waves:
        lines += ["", f"## {wave.name}", "", *_primary(wave.frame)]
        lines += [*_tables(wave.frame), *_searches(wave.frame, given.trials)]
    if len(waves) > 1:
        lines += ["", "## All seals together", "", *_together(waves)]
    if given.others:
        names = " and ".join(folder.name for folder in given.others)
        bases = pl.concat([wave.frame for wave in waves])["base_model"].n_unique()
        others = {folder: waves_in(folder) for folder in given.others}
        bases += sum(wave.frame["base_model"].n_unique() for sealed in others.values() for wave in sealed)
        lines += ["", f"## With {names}: {bases} bases, the same default", "", *pooled(waves, others)[:-1]]
    lines += ["", *_ceiling(corpus)]
    return "\n".join(lines) + "\n"


def _primary(frame: pl.DataFrame, rule: str = "default") -> list[str]:
    """Say what the design fixed in advance: the default of `rank` against each yardstick."""
    judged = judge(frame.filter(pl.col("rule").is_in([rule, *YARDSTICKS])))
    if not {rule, *YARDSTICKS} <= set(judged):
        return []
    lines = ["The comparisons that were fixed in advance, within a base, 90 % intervals:", ""]
    for name in YARDSTICKS:
        less = judged[rule].less(judged[name])
        regret, pairs = (_with_interval(100 * values, 1) for values in (less.regret, less.pairs))
        said = (
            f"regret {regret} points: {_verdict(-less.regret)}; pairs in order {pairs} points: {_verdict(less.pairs)}"
        )
        lines.append(f"- **{rule} against {name}**: {said}.")
    return [*lines, ""]


def _verdict(gain: Floats) -> str:
    """Return what the interval of a gain, the draws behind its own value, allows to say."""
    low, high = np.nanquantile(gain[1:], (0.05, 0.95))
    return "better" if low > 0 else "worse" if high < 0 else "no difference is established"


def _together(waves: list[Wave]) -> list[str]:
    """Judge the rules that stand in every seal, over all bases; the default is another in each."""
    shared = set.intersection(*(set(wave.frame["rule"]) for wave in waves)) - {"default"}
    frame = pl.concat([wave.frame for wave in waves]).filter(pl.col("rule").is_in(shared))
    told = "Rules that stand in every seal; what a name stood for may have changed between them, see the design."
    return [f"{told} Exploratory.", "", *_table(frame)]


def _tables(frame: pl.DataFrame) -> list[str]:
    lines = _table(frame)
    lines += ["", "### Levels, over all bases", "", "| rule | R² | bias, points | 90 % interval holds |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for (rule,), part in frame.filter(pl.col("predicted").is_not_null()).group_by("rule", maintain_order=True):
        y, mean = part["actual"].to_numpy(), part["predicted"].to_numpy()
        held = float(interval_coverage(y, part["low"].to_numpy(), part["high"].to_numpy()))
        share = f"{100 * held:.0f} %" if np.isfinite(held) else ""
        lines.append(f"| {rule} | {float(r2(y, mean)):.2f} | {100 * float(np.mean(mean - y)):+.1f} | {share} |")
    return [*lines, *_chosen(frame), *_misses(frame)]


def _table(frame: pl.DataFrame) -> list[str]:
    judged = judge(frame)
    counted = frame.group_by("base_model", maintain_order=True).agg(pl.col("candidate").n_unique())
    bases = ", ".join(f"{base} ({count})" for base, count in counted.rows())
    lines = [
        f"Finished candidates by base: {bases}. Within a base, mean over bases; 90 % intervals resample bases and "
        "candidates. Differences are of regret, in points, on the same draws; below 0 the rule chooses better.",
        "",
        "| rule | pairs in order, % | Spearman | regret of the first | less Pass@64's | less the screening's |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rule, own in sorted(judged.items(), key=lambda item: -item[1].pairs[0]):
        over = [_with_interval(100 * own.less(judged[name]).regret, 1) for name in YARDSTICKS if name in judged]
        over = ["" if rule == name else text for name, text in zip(YARDSTICKS, over, strict=False)]
        cells = [
            _with_interval(100 * own.pairs, 0),
            _with_interval(own.spearman, 2),
            _with_interval(100 * own.regret, 1),
        ]
        lines.append(f"| {' | '.join([rule, *cells, *over])} |")
    return lines


def _chosen(frame: pl.DataFrame) -> list[str]:
    lines = ["", "### Whom each rule chose", "", "| rule | " + " | ".join(sorted(frame["base_model"].unique())) + " |"]
    lines.append("| --- |" + " --- |" * frame["base_model"].n_unique())
    cells = []
    for base in sorted(frame["base_model"].unique()):
        best = frame.filter(base_model=base).sort("actual", descending=True).row(0, named=True)
        cells.append(f"{_short(best)} {100 * best['actual']:.1f} %")
    lines.append("| (the best) | " + " | ".join(cells) + " |")
    for (rule,), part in frame.group_by("rule", maintain_order=True):
        cells = []
        for base in sorted(frame["base_model"].unique()):
            first = part.filter(base_model=base).sort("score", descending=True).row(0, named=True)
            cells.append(f"{_short(first)} {100 * first['actual']:.1f} %")
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return lines


def _searches(frame: pl.DataFrame, trials: list[int]) -> list[str]:
    """Say what each rule loses where a search makes so many trials, against the best of all of them."""
    sizes = [size for size in trials if size <= int(frame.group_by("rule", "base_model").len()["len"].min() or 0)]  # type: ignore[call-overload]
    if not sizes:
        return []
    lines = ["", "### With fewer trials", ""]
    lines += [
        "Regret in points against the best of all, the mean over every subset of so many trials and over bases.",
        "",
    ]
    lines += ["| chosen by | " + " | ".join(map(str, sizes)) + " |", "| --- |" + " ---: |" * len(sizes)]
    rows = []
    for (rule,), own in frame.group_by("rule", maintain_order=True):
        parts = [(part["actual"], part["score"]) for _, part in own.group_by("base_model")]
        rows.append((rule, [100 * float(np.mean([regret_of_search(*part, size) for part in parts])) for size in sizes]))
    lines += [
        f"| {rule} | {' | '.join(f'{value:.1f}' for value in values)} |" for rule, values in sorted(rows, key=_last)
    ]
    return lines


def _last(row: tuple[Any, list[float]]) -> float:
    return row[1][-1]


def _misses(frame: pl.DataFrame, rule: str = "default", shown: int = 8) -> list[str]:
    """List the candidates that a rule put farthest from where they ended."""
    own = frame.filter(rule=rule)
    if own.is_empty():
        return []
    ranks = own.with_columns(
        pl.len().over("base_model").alias("of"),
        pl.col("score").rank("ordinal", descending=True).over("base_model").alias("said"),
        pl.col("actual").rank("ordinal", descending=True).over("base_model").alias("ended"),
    ).with_columns(missed=(pl.col("said").cast(pl.Int64) - pl.col("ended").cast(pl.Int64)).abs())
    lines = [
        "",
        f"### Where the {rule} was most wrong",
        "",
        "| candidate | its place before RL | after RL | score after RL, % |",
    ]
    lines.append("| --- | ---: | ---: | ---: |")
    for row in ranks.sort("missed", "candidate", descending=[True, False]).head(shown).iter_rows(named=True):
        name = f"{row['base_model']}, {_short(row)}"
        lines.append(f"| {name} | {row['said']} of {row['of']} | {row['ended']} | {100 * row['actual']:.1f} |")
    return lines


def _ceiling(corpus: pl.DataFrame) -> list[str]:
    runs = corpus.filter(pl.col(TARGET).is_not_null())
    lines = ["## What noise allows", ""]
    for (base,), part in sorted(runs.group_by("base_model")):
        several = part.filter(pl.len().over("candidate") > 1)
        if part["candidate"].n_unique() < 4:
            continue
        ceiling = noise_ceiling(part)
        spread = several.group_by("candidate").agg(pl.col(TARGET).std().alias("sd")).sort("sd")["sd"].to_list()
        seeds = ", ".join(f"{100 * value:.1f}" for value in spread) or "none"
        lines.append(
            f"- `{base}`: R² at most {ceiling.r2:.2f} ({ceiling.r2_low:.2f} to {ceiling.r2_high:.2f}), Spearman "
            f"{ceiling.spearman:.2f}; standard deviation between RL seeds of one candidate, in points: {seeds}"
        )
    return lines


def _short(row: dict[str, Any]) -> str:
    return str(row["candidate"]).partition(".")[2].partition("-")[0]


def _with_interval(draws: Floats, digits: int) -> str:
    finite = draws[1:][np.isfinite(draws[1:])]
    low, high = np.quantile(finite, (0.05, 0.95)) if len(finite) else (np.nan, np.nan)
    return f"{draws[0]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main(arguments: list[str]) -> None:
    """Check the seals, judge them, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seals", nargs="+", type=Path, help="files that seal_predictions.py wrote (.csv)")
    parser.add_argument("--corpus", type=Path, required=True, help="table of the runs")
    parser.add_argument("--records", nargs="+", type=Path, required=True, help="archives, for when RL began")
    parser.add_argument("--page", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--design", type=Path, default=DESIGN, help="page that fixed the questions in advance")
    parser.add_argument(
        "--trials", nargs="+", type=int, default=[], help="numbers of trials of a search, if they are that"
    )
    parser.add_argument(
        "--with",
        dest="others",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="other sealed corpora, to judge the same default on the bases of all",
    )
    given = parser.parse_args(arguments)
    corpus = read_corpus(given.corpus)
    waves = list(waves_of(sorted(given.seals), corpus, starts_of(given.records)))
    if not waves:
        raise CorpusError(f"{given.corpus}: no candidate of {given.seals[0]} is finished yet")
    folder = given.corpus.parent.as_posix()
    command = (
        f"python collectors/report_sealed.py {folder}/sealed*.csv --corpus {given.corpus.as_posix()} \\\n"
        f"    --records {folder}/records-*.parquet --page {given.page.as_posix()}"
    )
    command += "" if given.design == DESIGN else f" \\\n    --design {given.design.as_posix()}"
    command += f" --trials {' '.join(map(str, given.trials))}" if given.trials else ""
    command += f" \\\n    --with {' '.join(path.as_posix() for path in given.others)}" if given.others else ""
    with written_aside(given.page) as aside:
        aside.write_text(page(waves, corpus, given, command), encoding="utf-8")
    print(
        f"{given.page}: {sum(wave.frame['candidate'].n_unique() for wave in waves)} candidates judged", file=sys.stderr
    )


if __name__ == "__main__":
    sys.exit(run_program(main))
