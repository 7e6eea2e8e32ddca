"""The card of a fitted surrogate: what it was fitted on, for what it holds, how it was validated."""

from typing import TYPE_CHECKING

from quagpredict.corpus.derived import origin
from quagpredict.report.validation_tables import METRICS, shown_metrics, validation_blocks, validation_rows

if TYPE_CHECKING:
    from quagpredict.surrogates.fitted import FittedSurrogate
    from quagpredict.validation import ValidationReport


def surrogate_card(fitted: "FittedSurrogate", report: "ValidationReport | None" = None) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    fitted : FittedSurrogate
    report : ValidationReport, optional
        The validation on the same rows; without it the card says that there is none.
    """
    across = "yes" if fitted.cross_base_validated else "no: it ranks only the base models above"
    facts = {
        "predicts": f"`{fitted.target}`",
        "from": ", ".join(f"`{name}`" for name in dict.fromkeys(map(origin, fitted.features))),
        "what the fit says": "; ".join(fitted.notes) or "nothing beyond its numbers",
        "fitted on": f"{fitted.training_rows} finished candidates (digest `{fitted.corpus_digest}`)",
        "eval protocol": f"`{fitted.eval_protocol_id or 'unknown'}`",
        "RL recipe": f"`{fitted.rl_recipe_id or 'unknown'}`",
        "base models": ", ".join(fitted.base_models) or "unknown",
        "validated on unseen base models": across,
        "made with": ", ".join(f"{name} {version}" for name, version in sorted(fitted.versions.items())) or "unknown",
    }
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
    lines += ["", "Mean ± deviation over the repeats; regret and width in points of the target."]
    metrics = shown_metrics(report, wide=True)
    for scenario, protocol, candidates in validation_blocks(report):
        lines += ["", f"### {scenario}, {protocol}, {candidates} candidates", ""]
        lines += ["| model | " + " | ".join(METRICS[metric] for metric in metrics) + " |"]
        lines += ["| --- |" + " ---: |" * len(metrics)]
        lines += ["| " + " | ".join(cells) + " |" for cells in validation_rows(report, scenario, protocol, metrics)]
    notes = [f"- {note}" for note in report.notes]
    return "\n".join([*lines, *(["", "Notes", "", *notes] if notes else []), ""])
