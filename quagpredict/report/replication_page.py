"""Replications as tables of numbers, and one Markdown page of what matters of them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import selectors

from quagpredict.replication.claims import PREDICTORS
from quagpredict.replication.published import PUBLISHED
from quagpredict.replication.replicating import OURS

if TYPE_CHECKING:
    from quagpredict.replication.replicating import Replication

_HOURS = 3600.0
_TITLES = {
    "before-and-after": "Before RL against after it",
    "which-k": "Pairs of a base model that Pass@k puts in order, by k, 90 % interval",
    "which-step": "Pairs of a base model in order, by the RL steps after which the score counts, 90 % interval",
    "regret": "Regret of choosing one candidate of a base from a random half, 90 % interval",
    "finished-runs": "Accuracy by the number of finished RL runs that a model was fitted on",
}
_SHOWN = tuple(dict.fromkeys([*(models[-1] for models in PREDICTORS.values()), *OURS, "mean"]))
_PROXIES = ("proxy:pass_at_1", "proxy:pass_at_64", "proxy:held_out_loss_nats")
_METRICS = ("spearman", "r2", "pairwise_accuracy", "regret_1_in_base")
_CARRIED = ("linear:pass_at_64", "linear:both", *OURS)

Tables = Mapping[str, pl.DataFrame]


def replication_tables(replications: "Sequence[Replication]", carried: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return everything that was computed, as the tables that lie beside the page, by file name; none is empty.

    Parameters
    ----------
    carried : polars.DataFrame
        What `quagpredict.replication.transfer` gave, of any number of pairs of corpora.
    """
    left_out = {"scenario": "all", "protocol": "leave-one-base-out"}
    tables = {
        "corpora.csv": pl.concat([_corpus(each) for each in replications], how="diagonal"),
        "claims.csv": claims_table(replications),
        "free-rules.csv": _together({each.name: each.free_rules for each in replications}),
        "left-out.csv": _together({each.name: each.report.frame.filter(**left_out) for each in replications}),
        "targets.csv": _together({each.name: each.targets for each in replications}),
        "checkpoints.csv": _together({each.name: each.checkpoints for each in replications}),
        "carried.csv": carried,
    }
    halves = {
        f"{each.name}.csv": each.report.frame.filter(pl.col("metric").is_in(_METRICS), protocol="random-halves").drop(
            "protocol", "features"
        )
        for each in replications
    }
    # Rounded here, so that a page made of the files is the page made of the tables.
    rounded = {name: table.with_columns(selectors.float().round(4)) for name, table in (tables | halves).items()}
    return {name: table for name, table in rounded.items() if table.height}


def claims_table(replications: "Sequence[Replication]") -> pl.DataFrame:
    """Return every claim of every corpus as a table."""
    rows = [{"corpus": each.name, **claim._asdict()} for each in replications for claim in each.claims]
    return pl.DataFrame(rows)


def replication_page(
    tables: Tables,
    notes: Mapping[str, Sequence[str]],
    figures: Mapping[str, Mapping[str, Path]],
    page: Path,
    command: str,
) -> str:
    """Return the page: the claims, what decides most of them, figures and notes. All else is in the tables.

    Parameters
    ----------
    tables : mapping
        As `replication_tables` returns them, or as they were read from their files.
    notes : mapping
        Name of a corpus -> what was left out of it, and why.
    figures : mapping
        Name of a corpus -> its figures.
    page : path
        Where the page will lie; figures and tables are linked from there.
    command : str
        The command that makes it.
    """
    corpora = tables["corpora.csv"]["corpus"].to_list()
    parts = {
        "The corpora": _corpora(tables["corpora.csv"]),
        "The claims": _claims(tables["claims.csv"], corpora, page),
        "Rules that need no finished run": _free_rules(tables, page),
        "Predictors, beside the paper's": _beside_the_paper(tables, corpora),
        "Choosing within a base model": _within_a_base(tables, corpora, page),
        "A base model that was left out": _left_out(tables, corpora, page),
        "Which score after RL": _targets(tables, page),
        "Which checkpoint of an SFT run": _checkpoints(tables),
        "From one corpus to another": _carried(tables, page),
    }
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
    for title, part in parts.items():
        text = list(part)
        lines += ["", f"## {title}", "", *text] if text else []
    for corpus in corpora:
        lines += ["", f"## Figures and notes: {corpus}"]
        for name, path in figures.get(corpus, {}).items():
            where = Path(os.path.relpath(path, page.parent)).as_posix()
            lines += ["", f"![{_TITLES[name]}]({where})", "", f"*{_TITLES[name]}.*"]
        lines += ["", *(f"- {note}" for note in dict.fromkeys(notes.get(corpus, ())))]
    return "\n".join(lines).rstrip("\n") + "\n"


def notes_of(replication: "Replication") -> list[str]:
    """Return what the reader of a page has to know of a corpus: what was left out, and why."""
    ceiling = [note for note in replication.report.notes if "ceiling" in note]
    return [*replication.notes, *replication.audit.notes, *ceiling]


def _corpus(replication: "Replication") -> pl.DataFrame:
    frame = replication.frame
    # A checkpoint shares its SFT run, and RL seeds share what came before: hours are summed over rows.
    costs = [name for name in frame.columns if name.startswith("cost_") and frame[name].null_count() < frame.height]
    hours = {
        f"{name.removeprefix('cost_').removesuffix('_s')}_hours": float(frame[name].sum()) / _HOURS for name in costs
    }
    return pl.DataFrame(
        {
            "corpus": replication.name,
            "finished_runs": frame.height,
            "candidates": frame["candidate"].n_unique(),
            "base_models": frame["base_model"].n_unique() if "base_model" in frame.columns else 1,
            "eval_protocol_id": replication.report.eval_protocol_id,
            "rl_recipe_id": replication.report.rl_recipe_id,
            **hours,
        }
    )


def _together(tables: Tables) -> pl.DataFrame:
    return pl.concat([table.select(pl.lit(name).alias("corpus"), pl.all()) for name, table in tables.items()])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> Iterator[str]:
    """Yield the lines of a Markdown table, of which the first columns are texts and the others numbers."""
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' if column < texts else '---:' for column in range(len(heads)))} |"
    yield from (f"| {' | '.join(cells)} |" for cells in rows)


def _link(name: str, page: Path) -> str:
    return f"[{name}]({page.stem}/{name})"


def _corpora(table: pl.DataFrame) -> Iterator[str]:
    heads = [name.removesuffix("_id").replace("_", " ") for name in table.columns]
    rows = ([_plain(cell) for cell in row] for row in table.iter_rows())
    yield from _table(heads, rows)


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def _claims(table: pl.DataFrame, corpora: Sequence[str], page: Path) -> Iterator[str]:
    cells = {(row["claim"], row["corpus"]): f"{row['verdict']}{_effect(row)}" for row in table.iter_rows(named=True)}
    yield (
        "Effects are in points, but for the first (% of the pairs) and for the number of candidates that end below RL "
        "from the base. A model that is fitted orders the candidates of each base by a fit on the other bases. "
        "Intervals count bases and kinds of data, and with two bases are rather too narrow. What each number "
        "is, and what it is without the kind of data that matters most: "
        f"{_link('claims.csv', page)}."
    )
    yield ""
    claims = table["claim"].unique(maintain_order=True)
    rows = ([claim, *(cells.get((claim, corpus), "") for corpus in corpora)] for claim in claims)
    yield from _table(["claim", *corpora], rows, texts=1 + len(corpora))


def _effect(row: Mapping[str, Any]) -> str:
    ends = "" if row["low"] is None or row["high"] is None else f" ({row['low']:.1f} to {row['high']:.1f})"
    return "" if row["effect"] is None else f": {row['effect']:.1f}{ends}"


def _free_rules(tables: Tables, page: Path) -> Iterator[str]:
    if "free-rules.csv" not in tables:
        return
    yield (
        "Within a base model, on the mean over RL seeds; intervals resample base models and, of each, kinds of data. "
        "Differences are from SFT Pass@1 on the same draws. Each scenario, and what each is without the kind of data "
        f"that changes it most: {_link('free-rules.csv', page)}."
    )
    yield ""
    rows = []
    whole = tables["free-rules.csv"].filter(scenario="all")
    for (corpus, rule), metrics in whole.group_by("corpus", "rule", maintain_order=True):
        cells = [str(corpus), str(rule)]
        for row in metrics.iter_rows(named=True):
            cells.append(_ranged(row, "value", "low", "high"))
            cells.append(_ranged(row, "gain", "gain_low", "gain_high", sign="+"))
        rows.append(cells)
    heads = ["corpus", "rule", "pairs in order, %", "difference", "regret, points", "difference"]
    yield from _table(heads, rows, texts=2)


def _ranged(row: Mapping[str, Any], value: str, low: str, high: str, sign: str = "") -> str:
    if row[value] is None:
        return ""
    ends = "" if row[low] is None else f" ({100 * row[low]:{sign}.1f} to {100 * row[high]:{sign}.1f})"
    return f"{100 * row[value]:{sign}.1f}{ends}"


def _beside_the_paper(tables: Tables, corpora: Sequence[str]) -> Iterator[str]:
    yield (
        "Spearman and R² by the paper's protocol: a line fitted on a random half, judged on the other, mean ± "
        "deviation over repeats. The paper's (Kang et al., arXiv 2510.01624, from notes on it) are of one base model "
        "each, ours over all base models of a scenario."
    )
    yield ""
    models = PUBLISHED["model"].unique(maintain_order=True).to_list()
    rows = []
    for scenario in PUBLISHED["scenario"].unique(maintain_order=True):
        for predictor, (raw, *_) in PREDICTORS.items():
            paper = [_published(PUBLISHED.filter(scenario=scenario, metric=predictor, model=name)) for name in models]
            ours = []
            for corpus in corpora:
                cells = _cells(tables, f"{corpus}.csv", scenario=scenario, model=raw)
                order = _value(cells.get("spearman"), deviation=False)
                ours.append(f"{order} / {_value(cells.get('r2'), at_least=-1.0)}" if order else "")
            rows.append([scenario, predictor, *paper, *ours])
    yield from _table(["scenario", "predictor", *models, *corpora], rows, texts=2)


def _published(row: pl.DataFrame) -> str:
    return "" if not row.height else f"{row['spearman'][0]:.2f} / {row['r2'][0]:.2f} ± {row['r2_sd'][0]:.2f}"


def _within_a_base(tables: Tables, corpora: Sequence[str], page: Path) -> Iterator[str]:
    links = ", ".join(_link(f"{corpus}.csv", page) for corpus in corpora if f"{corpus}.csv" in tables)
    yield (
        "By the same protocol, of candidates of one base model, as a team has them that chooses: the share of pairs "
        "that is put in order, and the regret of the first, in points. Every model, scenario and base model, with "
        f"gains over SFT Pass@1 on the same halves: {links}."
    )
    yield ""
    halves = (tables[f"{corpus}.csv"]["model"].unique(maintain_order=True) for corpus in corpora)
    probes = [name for models in halves for name in models if name.startswith("linear:probe_pass_at")]
    wanted = [*_SHOWN, *probes[:1]]
    files = {corpus: f"{corpus}.csv" for corpus in corpora}
    yield from _models(tables, files, wanted, ("pairwise_accuracy", "regret_1_in_base"), scenario="all")


def _left_out(tables: Tables, corpora: Sequence[str], page: Path) -> Iterator[str]:
    if "left-out.csv" not in tables:
        yield "Not judged: it takes two base models with some candidates each."
        return
    yield (
        "Each base model is predicted by a fit on the others. Every model, with Spearman and R²: "
        f"{_link('left-out.csv', page)}."
    )
    yield ""
    files = dict.fromkeys(corpora, "left-out.csv")
    # A base model that is left out is one group, so its regret is that in a base.
    yield from _models(tables, files, [*_SHOWN, *_PROXIES], ("pairwise_accuracy", "regret_1"))


def _models(
    tables: Tables, files: Mapping[str, str], models: Sequence[str], metrics: tuple[str, str], **where: str
) -> Iterator[str]:
    """Yield a table with a row a model, and for each corpus a share of pairs and a regret."""
    rows = []
    for model in models:
        cells = []
        for corpus, file in files.items():
            of_file = {"corpus": corpus} if "corpus" in tables[file].columns else {}
            values = _cells(tables, file, model=model, **of_file, **where)
            cells += [_value(values.get(metrics[0])), _value(values.get(metrics[1]), 100.0, 1)]
        if any(cells):
            rows.append([model, *cells])
    yield from _table(["model", *(f"{corpus}: {what}" for corpus in files for what in ("pairs", "regret"))], rows)


def _cells(tables: Tables, file: str, **where: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a table that are of one model, by metric."""
    rows = tables[file].filter(**where) if file in tables else pl.DataFrame()
    return {row["metric"]: row for row in rows.iter_rows(named=True)}


def _value(
    row: Mapping[str, Any] | None,
    scale: float = 1.0,
    digits: int = 2,
    *,
    deviation: bool = True,
    at_least: float | None = None,
) -> str:
    """Return a mean and its deviation; what lies below `at_least` says nothing but that the model is useless there."""
    if row is None or row["mean"] is None:
        return ""
    if at_least is not None and row["mean"] < at_least:
        return f"below {at_least:g}"
    spread = f" ± {scale * row['sd']:.{digits}f}" if deviation and row["sd"] is not None else ""
    return f"{scale * row['mean']:.{digits}f}{spread}"


def _targets(tables: Tables, page: Path) -> Iterator[str]:
    if "targets.csv" in tables:
        yield (
            "Pairs of a base model in order, by the paper's protocol, for each score that could be predicted (after "
            f"each number of RL steps, the mean of the last two, the highest): {_link('targets.csv', page)}."
        )


def _checkpoints(tables: Tables) -> Iterator[str]:
    if "checkpoints.csv" not in tables:
        return
    yield (
        "Regret, in points, of taking one checkpoint of an SFT run through RL, against the one that ended best; "
        "intervals are of a bootstrap over SFT runs."
    )
    yield ""
    lines = tables["checkpoints.csv"].iter_rows(named=True)
    rows = ([row["corpus"], row["rule"], str(row["sft_runs"]), _ranged(row, "regret", "low", "high")] for row in lines)
    yield from _table(["corpus", "chosen", "SFT runs", "regret"], rows, texts=2)


def _carried(tables: Tables, page: Path) -> Iterator[str]:
    if "carried.csv" not in tables:
        return
    yield (
        "Fitted on all runs of one corpus, judged on all of the other: pairs of a base in order, %, with the interval "
        "of a bootstrap over the judged candidates. Every model, with Spearman, R², regret and gains over SFT Pass@1: "
        f"{_link('carried.csv', page)}."
    )
    yield ""
    order = tables["carried.csv"].filter(pl.col("model").is_in(_CARRIED), metric="pairwise_accuracy")
    rows = []
    for (fitted_on, judged_on), part in order.group_by("fitted_on", "judged_on", maintain_order=True):
        pairs = {row["model"]: _ranged(row, "value", "low", "high") for row in part.iter_rows(named=True)}
        rows.append([f"{fitted_on} to {judged_on}", *(pairs.get(model, "") for model in _CARRIED)])
    yield from _table(["corpora", *_CARRIED], rows)
