"""The sentence in which a validation ends."""

import polars as pl
import pytest

from quagpredict.report.verdict import headline, verdict
from quagpredict.validation.report import OVER_COVERAGE, SCHEMA, ValidationReport

Scores = dict[str, tuple[float, float, float]]


FREE = {"proxy:pass_at_1": (0.65, -0.15, -0.05), "proxy:pass_at_64": (0.75, 0.0, 0.0)}


def report(pairs: dict[str, Scores], r2: dict[tuple[str, str], float] | None = None) -> ValidationReport:
    """A report with pairs in order, and ends of the difference from Pass@64, of each model under each protocol.

    R² is given by model and protocol; of left-out bases it is pooled.
    """
    lines: list[dict[str, object]] = []
    for protocol, models in pairs.items():
        free = models.get("proxy:pass_at_64", (None,))[0]
        for model, (mean, low, high) in models.items():
            lines.append({"protocol": protocol, "model": model, "metric": "pairwise_accuracy", "mean": mean})
            if free is not None and model != "proxy:pass_at_64":
                ends = {"mean": mean - free, "low": low, "high": high}
                lines.append({"protocol": protocol, "model": model, "metric": OVER_COVERAGE} | ends)
    for (model, protocol), mean in (r2 or {}).items():
        metric = "r2_pooled" if protocol.startswith("leave-one") else "r2"
        lines.append({"protocol": protocol, "model": model, "metric": metric, "mean": mean})
    frame = pl.DataFrame([{"scenario": "all", "candidates": 40, "repeats": 5} | line for line in lines], schema=SCHEMA)
    return ValidationReport(frame, (), "post_pass_at_1", "", "", 40, ("ridge", "mixed"), groups=3)


def test_what_beats_it_is_named_with_the_difference() -> None:
    found = verdict(report({"random-halves": {**FREE, "ridge": (0.8, 0.01, 0.09), "mixed": (0.7, -0.15, 0.05)}}))
    assert found == (
        "ridge beats sorting by Pass@64 here: 80 % of the pairs of a base in order, 5 points more than Pass@64 "
        "(+1 to +9); random-halves."
    )


def test_a_better_mean_is_not_yet_better() -> None:
    found = verdict(report({"random-halves": {**FREE, "ridge": (0.8, -0.02, 0.12)}}))
    assert found.startswith("Nothing here is shown to beat sorting by Pass@64: the best, ridge, has 80 % of the pairs")
    assert "5 points more than Pass@64 (-2 to +12)" in found


def test_the_protocol_that_asks_most_decides() -> None:
    easy = {**FREE, "ridge": (0.9, 0.1, 0.2)}
    hard = {**FREE, "ridge": (0.6, -0.25, -0.05)}
    for protocol in ("leave-one-base-out", "leave-one-kind-out"):
        found = verdict(report({"random-halves": easy, protocol: hard}))
        assert found.startswith("Nothing here is shown")
        assert "15 points less" in found
        assert protocol in found


def test_of_few_groups_the_interval_is_that_of_all_that_can_be() -> None:
    assert "(-100 to +100)" in verdict(report({"leave-one-base-out": {**FREE, "ridge": (0.9, -4.0, 5.0)}}))


@pytest.mark.parametrize(
    "models", [{}, {"ridge": (0.8, 0.0, 0.1)}, FREE, {"proxy:pass_at_1": (0.6, 0.0, 0.0), "ridge": (0.8, 0.1, 0.3)}]
)
def test_without_either_nothing_is_said(models: Scores) -> None:
    assert verdict(report({"random-halves": models})) == ""


PAIRS = {"random-halves": {**FREE, "ridge": (0.8, 0.01, 0.09)}}
HALVES = {("ridge", "random-halves"): 0.56, ("mixed", "random-halves"): 0.4}


def test_what_fails_when_bases_are_left_out_is_not_called_best() -> None:
    good = report(PAIRS, HALVES)
    assert headline(good)[0] == "Best of 2 surrogates by R²: ridge (all, random-halves)"
    fails = {("ridge", "leave-one-base-out"): -2.5}
    first, second, *others = headline(report(PAIRS, HALVES | fails | {("mixed", "leave-one-base-out"): -0.1}))
    assert first == "Highest R² of 2 surrogates: ridge (all, random-halves)"
    assert second == "With a base left out it fails: R² pooled -2.50"
    assert others[-1] == verdict(good)
    few = report(PAIRS, HALVES | {("ridge", "leave-one-kind-out"): -13.0})
    assert headline(few)[0].startswith("Best of 2 surrogates")  # R² of a few candidates each says nothing


def test_the_best_of_those_that_hold_is_named_where_there_is_one() -> None:
    left_out = {("ridge", "leave-one-base-out"): -2.5, ("mixed", "leave-one-base-out"): 0.2}
    first, second, third, *_ = headline(report(PAIRS, HALVES | left_out))
    assert first == "Best of 2 surrogates by R² that hold with a base left out: mixed (all, random-halves)"
    assert second == "Not ridge, with the highest R²: with a base left out it fails: R² pooled -2.50"
    assert third.startswith("R² 0.40")
