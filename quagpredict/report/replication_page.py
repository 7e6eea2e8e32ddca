"""A replication as one Markdown page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from quagpredict.replication.claims import PREDICTORS
from quagpredict.replication.published import PUBLISHED
from quagpredict.replication.replicating import OURS

if TYPE_CHECKING:
    from quagpredict.replication import Replication

_HOURS = 3600.0
_TITLES = {
    "before-and-after": "Before RL against after it",
    "which-k": "Pairs of a base model that Pass@k puts in order, by k, 90 % interval",
    "which-step": "Pairs of a base model in order, by the RL steps after which the score counts, 90 % interval",
    "regret": "Regret of choosing one candidate of a base from a random half, 90 % interval",
    "finished-runs": "Accuracy by the number of finished RL runs that a model was fitted on",
}
#: Scenarios of all base models together, and the models that the page shows; the tables beside it hold the rest.
_SHOWN_SCENARIOS = ("all", "dataset-level", "instance-level")
_SHOWN = tuple(dict.fromkeys([*(models[-1] for models in PREDICTORS.values()), *OURS, "mean", "noise ceiling"]))
_METRICS = ("spearman", "r2", "pairwise_accuracy", "regret_1_in_base")
_CARRIED = ("linear:pass_at_64", "linear:both", *OURS)


def page_of(
    replications: "Sequence[Replication]",
    figures: Mapping[str, Mapping[str, Path]],
    page: Path,
    command: str,
    carried: pl.DataFrame | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    replications : sequence of Replication
    figures : mapping
        Name of a corpus -> its figures.
    page : path
        Where the page will lie; figures are linked from there.
    command : str
        The command that makes it.
    carried : polars.DataFrame, optional
        What `quagpredict.replication.transfer` found, of any number of pairs of corpora.
    """
    lines = [
        "# What the corpora say about the paper's claims",
        "",
        "Made by the command below; nothing on this page was written by hand. Scores are Pass@1, differences are in "
        "points, intervals are 90 %. A verdict follows from the interval alone: *agrees* if it lies on the claim's "
        "side of zero, *disagrees* on the other, else *cannot tell*; a count without an interval agrees as soon as "
        "there is one case. Of so many claims some will fall on one side by chance.",
        "",
        f"```bash\n{command}\n```",
    ]
    for replication in replications:
        lines += ["", f"## {replication.name}", *_summary(replication)]
        lines += ["", "### The claims", "", *_claims(replication)]
        if replication.free_rules.height:
            lines += ["", "### Rules that need no finished run", "", *_free_rules(replication.free_rules)]
        lines += ["", "### Predictors, the paper's and here", "", *_predictors(replication, page)]
        lines += ["", "### A base model that was left out", "", *_left_out(replication)]
        if replication.targets.height:
            lines += ["", "### Which score after RL", "", *_targets(replication)]
        if replication.checkpoints.height:
            lines += ["", "### Which checkpoint of an SFT run", "", *_checkpoints(replication)]
        lines += ["", "### Figures"]
        for name, path in figures.get(replication.name, {}).items():
            lines += ["", f"![{_TITLES[name]}]({_relative(path, page)})", "", f"*{_TITLES[name]}.*"]
        lines += _notes(replication)
    if carried is not None and carried.height:
        lines += ["", "## From one corpus to another", "", *_carried(carried, page)]
    return "\n".join(lines) + "\n"


def tables_of(replications: "Sequence[Replication]", carried: pl.DataFrame | None = None) -> dict[str, pl.DataFrame]:
    """Return the tables that lie beside the page, by file name: every model and scenario that was judged on halves."""
    tables = {
        f"{one.name}.csv": one.report.frame.filter(pl.col("metric").is_in(_METRICS), protocol="random-halves").drop(
            "protocol", "features"
        )
        for one in replications
    }
    if carried is not None and carried.height:
        tables["carried.csv"] = carried
    return tables


def _beside(name: str, page: Path) -> str:
    return f"[{name}]({page.stem}/{name})"


def _notes(replication: "Replication") -> Iterator[str]:
    notes = [*replication.notes, *replication.found.notes]
    notes += [note for note in replication.report.notes if "ceiling" in note]
    if notes:
        yield from ("", "### Notes", "", *(f"- {note}" for note in dict.fromkeys(notes)))


def _relative(path: Path, page: Path) -> str:
    import os

    return Path(os.path.relpath(path, page.parent)).as_posix()


def _summary(replication: "Replication") -> Iterator[str]:
    frame = replication.frame
    bases = frame["base_model"].n_unique() if "base_model" in frame.columns else 1
    yield ""
    yield (
        f"{frame.height} finished runs of {frame['candidate'].n_unique()} candidates on {bases} base models; eval "
        f"protocol `{replication.report.eval_protocol_id}`, RL recipe `{replication.report.rl_recipe_id}`."
    )
    costs = [name for name in frame.columns if name.startswith("cost_") and frame[name].null_count() < frame.height]
    if costs:
        # A checkpoint shares its SFT run, and RL seeds share what came before.
        hours = {name: float(frame[name].sum()) / _HOURS for name in costs}
        text = ", ".join(f"{name[5:-2].replace('_', ' ')} {value:.1f}" for name, value in hours.items())
        yield ""
        yield f"Core-hours by stage, summed over rows: {text}."


def _claims(replication: "Replication") -> Iterator[str]:
    yield "| claim | measured | effect | 90 % interval | verdict | without the kind of data that matters most |"
    yield "| --- | --- | ---: | ---: | --- | --- |"
    for claim in replication.claims:
        effect = "" if claim.effect is None else f"{claim.effect:.2f}"
        interval = "" if claim.low is None or claim.high is None else f"{claim.low:.2f} to {claim.high:.2f}"
        cells = (claim.claim, claim.measured, effect, interval, claim.verdict, claim.without)
        yield f"| {' | '.join(cells)} |"


def _free_rules(found: pl.DataFrame) -> Iterator[str]:
    yield (
        "Within a base model, on the mean over RL seeds; intervals resample base models and, of each, kinds of data. "
        "Differences are from SFT Pass@1 on the same draws. *Without* is the difference (for SFT Pass@1 the value) "
        "without the kind of data that changes it most."
    )
    yield ""
    yield "| scenario | rule | pairs in order, % | difference | without | regret, points | difference | without |"
    yield "| --- | --- | ---: | ---: | --- | ---: | ---: | --- |"
    for (scenario, rule), rows in found.group_by("scenario", "rule", maintain_order=True):
        cells = []
        for row in rows.iter_rows(named=True):
            cells.append(_ranged(row, "value", "low", "high"))
            cells.append("" if row["gain"] is None else _ranged(row, "gain", "gain_low", "gain_high", signed=True))
            kept = row["value_without"] if row["gain"] is None else row["gain_without"]
            sign = "" if row["gain"] is None else "+"
            cells.append("" if kept is None else f"{100 * kept:{sign}.1f} ({row['kind']})")
        yield f"| {scenario} | {rule} | {' | '.join(cells)} |"


def _ranged(row: Mapping[str, Any], value: str, low: str, high: str, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    ends = "" if row[low] is None else f" ({100 * row[low]:{sign}.1f} to {100 * row[high]:{sign}.1f})"
    return f"{100 * row[value]:{sign}.1f}{ends}"


def _predictors(replication: "Replication", page: Path) -> Iterator[str]:
    """Yield the paper's table beside ours: a row a scenario and predictor."""
    yield "Paper (Kang et al., arXiv 2510.01624, from notes on it):"
    yield ""
    yield "| scenario | model | predictor | Spearman | R² |"
    yield "| --- | --- | --- | ---: | ---: |"
    for row in PUBLISHED.iter_rows(named=True):
        yield (
            f"| {row['scenario']} | {row['model']} | {row['metric']} | {row['spearman']:.2f} | "
            f"{row['r2']:.2f} ± {row['r2_sd']:.2f} |"
        )
    yield ""
    yield (
        "Here, by the same protocol (fit on a random half, judged on the other; mean ± deviation over repeats; gain: "
        "over SFT Pass@1 on the same halves, with its 90 % interval). Spearman and R² are over all base models of the "
        "scenario; pairs and regret are of candidates of one base model, as a team has them that chooses. Every model, "
        f"each base model: {_beside(f'{replication.name}.csv', page)}."
    )
    yield ""
    frame = replication.report.frame.filter(protocol="random-halves")
    scenarios = [name for name in _SHOWN_SCENARIOS if (frame["scenario"] == name).any()]
    yield "| scenario | model | Spearman | gain | R² | pairs | gain | regret, points |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    probes = [name for name in frame["model"].unique(maintain_order=True) if name.startswith("linear:probe_pass_at")]
    for scenario in scenarios:
        for model in dict.fromkeys([*_SHOWN, *probes[:1]]):
            cells = {row["metric"]: row for row in frame.filter(scenario=scenario, model=model).iter_rows(named=True)}
            if cells:
                spearman, r2, pairs, regret = (cells.get(name) for name in _METRICS)
                yield (
                    f"| {scenario} | {model} | {_value(spearman)} | {_gain(spearman)} | {_r2(r2)} | {_value(pairs)} | "
                    f"{_gain(pairs)} | {_value(regret, 100.0, 1)} |"
                )


def _targets(replication: "Replication") -> Iterator[str]:
    yield (
        "Pairs of a base model in order, by the paper's protocol, for each score that could be predicted: mean and its "
        "90 % interval."
    )
    yield ""
    shown = {model: name for name, models in PREDICTORS.items() for model in models[-1:]}
    yield f"| Pass@1 | candidates | {' | '.join(shown.values())} |"
    yield f"| --- | ---: |{' ---: |' * len(shown)}"
    for (target,), rows in replication.targets.group_by(["target"], maintain_order=True):
        cells = {row["model"]: row for row in rows.iter_rows(named=True)}
        texts = (_interval(cells.get(model)) for model in shown)
        yield f"| {target} | {rows['candidates'][0]} | {' | '.join(texts)} |"


def _checkpoints(replication: "Replication") -> Iterator[str]:
    rows = replication.checkpoints
    yield (
        f"Of {rows['sft_runs'][0]} SFT runs several checkpoints went through RL. Regret of taking one of them, "
        "against the one that ended best, with a 90 % bootstrap interval over SFT runs:"
    )
    yield ""
    yield "| chosen | regret, points | 90 % interval |"
    yield "| --- | ---: | ---: |"
    for row in rows.iter_rows(named=True):
        ends = "" if row["low"] is None else f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
        yield f"| {row['rule']} | {100 * row['regret']:.1f} | {ends} |"


def _left_out(replication: "Replication") -> Iterator[str]:
    rows = replication.report.frame.filter(scenario="all", protocol="leave-one-base-out")
    if not rows.height:
        yield "Not judged: it takes two base models with some candidates each."
        return
    yield "Each base model is predicted by a fit on the others:"
    yield ""
    yield "| model | R² | Spearman | pairs of a base in order | regret, points |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    # A base model that is left out is one group, so its regret is that in a base.
    for model in rows["model"].unique(maintain_order=True):
        if model in _SHOWN or model in ("proxy:pass_at_1", "proxy:pass_at_64", "proxy:held_out_loss_nats"):
            cells = {row["metric"]: row for row in rows.filter(model=model).iter_rows(named=True)}
            yield (
                f"| {model} | {_r2(cells.get('r2'))} | {_value(cells.get('spearman'))} | "
                f"{_value(cells.get('pairwise_accuracy'))} | {_value(cells.get('regret_1'), 100.0, 1)} |"
            )


def _carried(carried: pl.DataFrame, page: Path) -> Iterator[str]:
    yield (
        "Fitted on all runs of one corpus, judged on all of the other; intervals are of a bootstrap over the judged "
        "candidates, gains are over SFT Pass@1 on the same resamples. Which candidate is best is asked of all base "
        f"models together. Every model: {_beside('carried.csv', page)}."
    )
    yield ""
    yield "| fitted on | judged on | model | Spearman | gain | R² | pairs of a base in order | regret, points |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for (fitted_on, judged_on, model), rows in carried.group_by("fitted_on", "judged_on", "model", maintain_order=True):
        if model not in _CARRIED:
            continue
        cells = {row["metric"]: row for row in rows.iter_rows(named=True)}
        order, value, pairs = (_resampled(cells[name]) for name in ("spearman", "r2", "pairwise_accuracy"))
        regret = _resampled(cells["regret_1"], 100.0, 1)
        gain = _gain(cells["spearman"])
        yield f"| {fitted_on} | {judged_on} | {model} | {order} | {gain} | {value} | {pairs} | {regret} |"


def _resampled(row: Mapping[str, Any], scale: float = 1.0, digits: int = 2) -> str:
    if row["value"] is None:
        return ""
    ends = ""
    if row["low"] is not None:
        ends = f" ({scale * row['low']:.{digits}f} to {scale * row['high']:.{digits}f})"
    return f"{scale * row['value']:.{digits}f}{ends}"


def _value(row: Mapping[str, Any] | None, scale: float = 1.0, digits: int = 2) -> str:
    if row is None or row["mean"] is None:
        return ""
    spread = "" if row["sd"] is None else f" ± {scale * row['sd']:.{digits}f}"
    return f"{scale * row['mean']:.{digits}f}{spread}"


def _r2(row: Mapping[str, Any] | None) -> str:
    """Return R² with its deviation; below -1 its size says nothing but that the model is useless there."""
    if row is None or row["mean"] is None or row["mean"] >= -1.0:
        return _value(row)
    return "below -1"


def _interval(row: Mapping[str, Any] | None) -> str:
    if row is None or row["mean"] is None:
        return ""
    # A share lies between 0 and 1, whatever Student's t says of few candidates.
    ends = "" if row["low"] is None else f" ({max(row['low'], 0.0):.2f} to {min(row['high'], 1.0):.2f})"
    return f"{row['mean']:.2f}{ends}"


def _gain(row: Mapping[str, Any] | None) -> str:
    if row is None or row["gain"] is None:
        return ""
    ends = "" if row["gain_low"] is None else f" ({row['gain_low']:+.2f} to {row['gain_high']:+.2f})"
    return f"{row['gain']:+.2f}{ends}"


def claims_table(replications: "Sequence[Replication]") -> pl.DataFrame:
    """Return every claim of every corpus as a table."""
    rows = [{"corpus": one.name, **claim._asdict()} for one in replications for claim in one.claims]
    return pl.DataFrame(rows)
