"""The section ``evaluation`` of a plan: how candidates are measured, and how many samples that takes."""

from collections.abc import Mapping

from quagpredict.plans.parts import AutoSamples, Evaluation
from quagpredict.plans.section import Section


def evaluation_of(section: Section) -> Evaluation:
    """Read the section ``evaluation`` of a plan.

    Raises
    ------
    RecipeError
        If it is wrong; the message names the key.
    """
    engine_keys = ("engine", "batch_size", "workers", "engine_settings")
    section.only("suite", "samples_before", "samples_after", "samples_along", "overlap", *engine_keys)
    overlap = section.section("overlap", {})
    overlap.only("against", "ngram", "max_share")
    if overlap.content and not isinstance(overlap.content.get("against"), list):
        raise overlap.error("against", "expected a list of sources, each with path, hub or lab")
    auto = _auto_samples(section)
    if auto is not None and "samples_after" not in section.content:
        raise section.error("samples_after", "this key is missing; samples_before does not say how many they are")
    before = section.whole("samples_before", 1) if auto is None else auto.first
    after = section.whole("samples_after", 1, before)
    return Evaluation(
        suite=section.recipe("suite"),
        samples_before=before,
        samples_after=after,
        samples_along=section.whole("samples_along", 1, after),
        engine=section.text("engine", "transformers"),
        batch_size=section.whole("batch_size", 1) if "batch_size" in section.content else None,
        workers=section.whole("workers", 1) if "workers" in section.content else None,
        engine_settings=dict(section.section("engine_settings", {}).content),
        overlap=dict(overlap.content),
        auto=auto,
    )


def _auto_samples(section: Section) -> AutoSamples | None:
    """Return the rule that decides how many samples there are before RL; None where the plan gives a number."""
    value = section.content.get("samples_before")
    if value == "auto":
        return AutoSamples()
    if not isinstance(value, Mapping):
        return None
    rule, default = section.section("samples_before"), AutoSamples()
    rule.only("first", "most", "top", "tolerance")
    first = rule.whole("first", 1, default.first)
    return AutoSamples(
        first=first,
        most=rule.whole("most", first, max(default.most, first)),
        top=rule.whole("top", 1, default.top),
        tolerance=rule.number("tolerance", 0, 1, default.tolerance),
    )
