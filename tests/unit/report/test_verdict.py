"""The sentence in which a validation ends."""

import polars as pl
import pytest

from quagpredict.report.validation_tables import headline
from quagpredict.report.verdict import verdict
from quagpredict.validation.report import SCHEMA, ValidationReport

Scores = dict[str, tuple[float, float, float]]


def report(pairs: dict[str, Scores], r2: dict[str, float] | None = None) -> ValidationReport:
    """A report with pairs in order (mean, low, high) of each model under each protocol, and R² under others."""
    lines: list[dict[str, object]] = [
        {"protocol": protocol, "model": model, "metric": "pairwise_accuracy", "mean": mean, "low": low, "high": high}
        for protocol, models in pairs.items()
        for model, (mean, low, high) in models.items()
    ]
    lines += [
        {"protocol": protocol, "model": "ridge", "metric": "r2", "mean": mean} for protocol, mean in (r2 or {}).items()
    ]
    frame = pl.DataFrame([{"scenario": "all", "candidates": 40, "repeats": 5} | line for line in lines], schema=SCHEMA)
    return ValidationReport(frame, (), "post_pass_at_1", "", "", 40, ("ridge", "mixed"))


FREE = {"proxy:pass_at_1": (0.65, 0.6, 0.7), "proxy:pass_at_64": (0.75, 0.7, 0.8)}


def test_what_beats_it_is_named_with_both_figures() -> None:
    found = verdict(report({"random-halves": {**FREE, "ridge": (0.8, 0.76, 0.84), "mixed": (0.7, 0.6, 0.8)}}))
    assert found == (
        "ridge beats sorting by Pass@64 here: 80 % (76 to 84) of the pairs in order, Pass@64 75 % (random halves)."
    )


def test_a_better_mean_is_not_yet_better() -> None:
    found = verdict(report({"random-halves": {**FREE, "ridge": (0.8, 0.74, 0.86)}}))
    assert found.startswith("Nothing here is shown to beat sorting by Pass@64: the best, ridge, has 80 % (74 to 86)")


def test_the_protocol_that_asks_most_decides() -> None:
    easy = {**FREE, "ridge": (0.9, 0.88, 0.92)}
    hard = {**FREE, "ridge": (0.6, 0.5, 0.7)}
    for protocol in ("leave-one-base-out", "leave-one-kind-out"):
        found = verdict(report({"random-halves": easy, protocol: hard}))
        assert found.startswith("Nothing here is shown")
        assert protocol.replace("-", " ") in found


@pytest.mark.parametrize(
    "models", [{}, {"ridge": (0.8, 0.76, 0.84)}, FREE, {"proxy:pass_at_1": (0.6, 0.5, 0.7), "ridge": (0.8, 0.7, 0.9)}]
)
def test_without_either_nothing_is_said(models: Scores) -> None:
    assert verdict(report({"random-halves": models})) == ""


def test_what_fails_when_bases_are_left_out_is_not_called_best() -> None:
    pairs = {"random-halves": {**FREE, "ridge": (0.8, 0.76, 0.84)}}
    good, bad = (
        report(pairs, {"random-halves": 0.56}),
        report(pairs, {"random-halves": 0.56, "leave-one-base-out": -2.5}),
    )
    assert headline(good)[0].startswith("Best of 2 surrogates by R²: ridge")
    first, second, *others = headline(bad)
    assert first.startswith("Highest R² of 2 surrogates: ridge")
    assert second == "With bases left out it fails: R² -2.50 (leave one base out)"
    assert others[-1] == verdict(bad)
    few = report(pairs, {"random-halves": 0.56, "leave-one-kind-out": -13.0})
    assert headline(few)[0].startswith("Best of 2 surrogates")  # R² of a few candidates each says nothing
