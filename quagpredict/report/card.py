"""The card of a fitted surrogate: what it was fitted on, for what it holds, how it was validated."""

from pathlib import Path
from typing import TYPE_CHECKING

from quagpredict.corpus.columns import origin
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
from quagpredict.surrogates.store import save_surrogate

if TYPE_CHECKING:
    from quagpredict.surrogates.fitted import FittedSurrogate
    from quagpredict.validation import ValidatedFit, ValidationReport


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
    return save_surrogate(made.surrogate, folder, surrogate_card(made.surrogate, made.report, made.name))


def surrogate_card(
    fitted: "FittedSurrogate", report: "ValidationReport | None" = None, model: str | None = None
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    fitted : FittedSurrogate
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
        told = ", ".join(f"{name} {weight:g}" for name, weight in fitted.weights.items())
        facts["weights of benchmarks"] = f"{told}; each other one 1"
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
