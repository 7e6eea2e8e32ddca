"""The cards of a surrogate and of a corpus, and the folders of them that the Hugging Face hub takes."""

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import yaml

from quagpredict.arguments import check_arguments
from quagpredict.corpus import read_corpus, write_corpus
from quagpredict.corpus.columns import origin
from quagpredict.errors import UsageError
from quagpredict.files import written_aside
from quagpredict.report.validation_tables import (
    block_title,
    headings,
    legend,
    shown_metrics,
    single_headings,
    single_rows,
    validation_blocks,
    validation_rows,
)
from quagpredict.report.verdict import headline
from quagpredict.shipped import shipped_or_given
from quagpredict.surrogates.store import CARD, FILE, load_surrogate, save_surrogate

if TYPE_CHECKING:
    from quagpredict.surrogates.fitted import FittedSurrogate
    from quagpredict.validation import ValidatedFit, ValidationReport

_TABLE = "corpus.parquet"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)[^)]*\)")


def save_validated(made: "ValidatedFit", folder: str | Path) -> Path:
    """Store what `fit_validated` made, with a card that says for what it holds and how it was validated.

    Parameters
    ----------
    made : ValidatedFit
    folder : path
        As for `save_surrogate`.

    Returns
    -------
    Path
        The file that was written; the card lies beside it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import quagpredict as qp
    >>> made = qp.fit_validated("datasets/lab-pilot/corpus.parquet", "mean", repeats=2)
    >>> with TemporaryDirectory() as folder:
    ...     sorted(path.name for path in save_validated(made, folder).parent.iterdir())
    ['card.md', 'surrogate.json']
    """
    check_arguments(save_validated, locals())
    return save_surrogate(made.surrogate, folder, surrogate_card(made.surrogate, made.report, made.name))


def surrogate_card(
    fitted: "FittedSurrogate", report: "ValidationReport | None" = None, model: str | None = None
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    report : ValidationReport, optional
        The validation on the same rows; without it the card says that there is none.
    model : str, optional
        How the report calls this surrogate.
    """
    across = "yes" if fitted.cross_base_validated else "no: it ranks only the base models above"
    facts = {
        "predicts": f"`{fitted.target}`",
        "from": ", ".join(f"`{name}`" for name in dict.fromkeys(map(origin, fitted.features)))
        or "nothing (the training mean)",
        "what the fit says": "; ".join(fitted.notes) or "nothing beyond its numbers",
        "fitted on": f"{fitted.training_rows} finished candidates (digest `{fitted.corpus_digest}`)",
        "eval protocol": f"`{fitted.eval_protocol_id or 'unknown'}`",
        "RL recipe": f"`{fitted.rl_recipe_id or 'unknown'}`",
        "base models": ", ".join(fitted.base_models) or "unknown",
        "validated on unseen base models": across,
        "made with": ", ".join(f"{name} {version}" for name, version in sorted(fitted.versions.items())) or "unknown",
    }
    if fitted.weights:
        weights = ", ".join(f"{name} {weight:g}" for name, weight in fitted.weights.items())
        facts["weights of benchmarks"] = f"{weights}; each other one 1"
    learnt = fitted.calibration
    if learnt is not None:
        of = f", {len(learnt.by_group)} base models on their own" if learnt.by_group else ""
        factor = f"{learnt.quantile:.2f} predicted deviations{of}; not below {learnt.floor:.4g}"
        facts["90 % intervals"] = f"{learnt.method}, {learnt.rows} runs: ± {factor}"
    lines = [f"# Surrogate: {fitted.name}", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += [
        "",
        "Its predictions hold for this eval protocol and this RL recipe, and for no other.",
        "",
        "## Validation",
    ]
    if report is None:
        return "\n".join([*lines, "", "None was made.", ""])
    for text in (headline(report, model) if model else [], headline(report)):
        if text:
            lines += ["", *[f"- {part}" for part in text]]
    explained = legend(report)
    lines += ["", f"{explained[0].upper()}{explained[1:]}."]
    for number, (scenario, protocol, candidates) in enumerate(validation_blocks(report)):
        names, metrics = headings(report, protocol), shown_metrics(report, protocol, wide=True)
        lines += ["", f"### {block_title(report, scenario, protocol, candidates)}", ""]
        lines += _markdown(
            ["model", *(names[m] for m in metrics)], validation_rows(report, scenario, protocol, metrics)
        )
        singles = [] if number else single_rows(report, scenario, protocol)
        if singles:
            lines += ["", *_markdown(["one rule alone", *single_headings(report).values()], singles)]
    notes = [f"- {note}" for note in report.notes]
    return "\n".join([*lines, *(["", "Notes", "", *notes] if notes else []), ""])


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return lines + ["| " + " | ".join(cells) + " |" for cells in rows]


class HubFolder(NamedTuple):
    """A folder that the hub takes.

    Attributes
    ----------
    path : Path
    kind : {"dataset", "model"}
    upload : str
        The command line that would send it.
    """

    path: Path
    kind: str
    upload: str


def write_hub_folder(
    source: str | Path, out: str | Path, *, repo: str | None = None, license: str | None = None
) -> HubFolder:
    """Write a corpus or a surrogate as a folder with the card that the hub wants, and say how it is sent there.

    Parameters
    ----------
    source : path
        A folder that `fit` made becomes a model; a table, or a folder with ``corpus.parquet``, a dataset. All files of
        a folder come along.
    out : path
        The folder to write; it must not be there.
    repo : str, optional
        ``owner/name`` on the hub, by default ``OWNER/`` and the name of `out`.
    license : str, optional
        As the hub names it, such as ``apache-2.0``; the card says nothing of it by default.

    Returns
    -------
    HubFolder

    Raises
    ------
    UsageError
        If `out` is there already, `repo` is no ``owner/name``, or there is no such source.
    CorpusError, SurrogateError
        If the source cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     made = write_hub_folder("models/lab", Path(folder) / "lab", repo="me/lab-mixed")
    ...     made.kind, sorted(path.name for path in made.path.iterdir()), made.upload.split()[:3]
    ('model', ['README.md', 'surrogate.json'], ['hf', 'upload', 'me/lab-mixed'])
    """
    check_arguments(write_hub_folder, locals())
    target = Path(out)
    own_name = re.sub(r"[^\w.-]+", "-", target.resolve().name)
    named = repo or f"OWNER/{own_name}"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", named):
        raise UsageError(f"repo: expected owner/name, got '{named}'")
    if target.exists():
        raise UsageError(f"{out}: is there already; name a new folder")
    given = shipped_or_given(source)
    if given.resolve() in target.resolve().parents:
        raise UsageError(f"{out}: lies in {source}, which is copied; name a folder outside of it")
    kind = "model" if (given / FILE).is_file() else "dataset"
    about, body = _of_surrogate(given) if kind == "model" else _of_corpus(given)
    if given.is_dir():
        shutil.copytree(given, target, ignore=shutil.ignore_patterns(CARD, ".*", "__pycache__"))
    else:
        write_corpus(read_corpus(given, allow_mixed_protocols=True), target / _TABLE)
    about = about if license is None else {"license": license, **about}
    front = yaml.safe_dump(about, sort_keys=False, allow_unicode=True)
    with written_aside(target / "README.md") as aside:
        aside.write_text(f"---\n{front}---\n{_LINK.sub(lambda match: match[2], body)}", encoding="utf-8")
    of = " --repo-type dataset" if kind == "dataset" else ""
    return HubFolder(target, kind, f"hf upload {named} {shlex.quote(str(target))} .{of}")


def _of_surrogate(folder: Path) -> tuple[dict[str, Any], str]:
    """Return what the head of a card says of a surrogate, and the card."""
    fitted = load_surrogate(folder)
    about = {
        "library_name": "quagpredict",
        "pipeline_tag": "tabular-regression",
        "tags": ["quagpredict", "sft", "grpo", fitted.name],
    }
    card = folder / CARD
    return about, card.read_text("utf-8") if card.is_file() else surrogate_card(fitted)


def _of_corpus(source: Path) -> tuple[dict[str, Any], str]:
    """Return what the head of a card says of a corpus, and the card."""
    frame = read_corpus(source / _TABLE if source.is_dir() else source, nested=False, allow_mixed_protocols=True)
    after = frame["post_pass_at_1"] if "post_pass_at_1" in frame.columns else pl.Series([None])
    finished = after.drop_nulls().len()
    name = source.resolve().name if source.is_dir() else source.stem
    about = {
        "pretty_name": f"{name}: {frame.height} SFT candidates, {finished} of them taken through RL",
        "task_categories": ["tabular-regression"],
        "tags": ["quagpredict", "sft", "grpo"],
        "size_categories": [_size(frame.height)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": _TABLE}]}],
    }
    card = source / CARD
    if card.is_file():
        return about, card.read_text("utf-8")
    lines = [
        f"# {about['pretty_name']}",
        "",
        "One row is one candidate: what was measured before RL (`pre_*`) and after",
    ]
    lines += ["it (`post_*`), scores as fractions, losses in nats per token.", "", "| | |", "| --- | --- |"]
    for column in ("base_model", "eval_protocol_id", "rl_recipe_id"):
        if column in frame.columns:
            values = frame[column].drop_nulls().unique(maintain_order=True).to_list()
            lines.append(f"| `{column}` | {', '.join(map(str, values[:8]))}{', ...' if len(values) > 8 else ''} |")
    return about, "\n".join([*lines, ""])


def _size(rows: int) -> str:
    """Return the hub's name for a number of rows."""
    return "n<1K" if rows < 1_000 else "1K<n<10K" if rows < 10_000 else "10K<n<100K" if rows < 100_000 else "100K<n<1M"
