"""Every score along RL is a target of its own, and only runs that were measured there are judged by it."""

import polars as pl

from quagpredict.replication.targets import FEWEST_FURTHER, by_target
from quagpredict.testing.synthetic import synthetic_corpus

FRAME = synthetic_corpus(40, seed=1).frame
AFTER = FRAME["post_pass_at_1"].to_list()


def with_curves(curves: list[list[dict[str, float]]]) -> pl.DataFrame:
    return FRAME.with_columns(post_curve=pl.Series(curves))


def test_each_step_is_judged_by_its_own_score() -> None:
    """At 50 steps the outcome is noise, at 100 it is the corpus's own: only there is anything to be predicted."""
    noise = FRAME.select(pl.col("post_pass_at_1").shuffle(seed=3)).to_series().to_list()
    curves = [
        [{"step": 0, "pass_at_1": 0.1}, {"step": 50, "pass_at_1": early}, {"step": 100, "pass_at_1": late}]
        for early, late in zip(noise, AFTER, strict=True)
    ]
    found = by_target(with_curves(curves), ["linear:loss"], repeats=20)
    assert found["target"].to_list() == [
        "after 50 steps", "after 100 steps", "mean after 50 and 100 steps", "highest on the way",
    ]  # fmt: skip
    assert found["candidates"].to_list() == [40] * 4
    early, late, mean, _ = found["mean"]
    assert early < 0.65 < late
    assert early < mean < late
    assert (found["low"] <= found["mean"]).all()


def test_the_highest_on_the_way_is_the_highest() -> None:
    """A score that was reached and lost again counts."""
    curves = [[{"step": 50, "pass_at_1": value}, {"step": 100, "pass_at_1": 0.001 * value}] for value in AFTER]
    found = by_target(with_curves(curves), ["linear:loss"], repeats=5)
    means = dict(found.select("target", "mean").rows())
    assert means["highest on the way"] == means["after 50 steps"]


def test_runs_that_were_taken_further_are_judged_among_themselves() -> None:
    def curves(further: int) -> list[list[dict[str, float]]]:
        short = [[{"step": 100, "pass_at_1": value}] for value in AFTER]
        return [
            curve + [{"step": step, "pass_at_1": 0.5 * value} for step in (200, 300)] * (place < further)
            for place, (curve, value) in enumerate(zip(short, AFTER, strict=True))
        ]

    found = by_target(with_curves(curves(16)), ["linear:loss"], repeats=5)
    assert found.select("target", "step", "candidates").rows() == [
        ("after 100 steps", 100, 40),
        ("after 100 steps, those taken further", 100, 16),
        ("after 200 steps, those taken further", 200, 16),
        ("after 300 steps, those taken further", 300, 16),
    ]
    few = by_target(with_curves(curves(FEWEST_FURTHER - 1)), ["linear:loss"], repeats=5)
    assert few["target"].to_list() == ["after 100 steps"]


def test_a_run_without_a_curve_leaves_nothing_to_judge() -> None:
    assert by_target(FRAME, ["linear:loss"]).height == 0
    curves = [None, *([{"step": 50, "pass_at_1": value}] for value in AFTER[1:])]
    assert by_target(with_curves(curves), ["linear:loss"]).height == 0
