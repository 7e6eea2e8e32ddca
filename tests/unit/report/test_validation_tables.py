"""What a validation says of itself in words."""

import polars as pl
import pytest

from quagpredict.report.verdict import headline
from quagpredict.validation.report import SCHEMA, ValidationReport


def _report(on_new_kinds: dict[str, float]) -> ValidationReport:
    """`flexible` has the better R² on random halves; what orders unseen kinds is given."""
    lines = [
        {"protocol": "random-halves", "model": model, "metric": "r2", "mean": r2, "low": r2 - 0.1, "high": r2 + 0.1}
        for model, r2 in {"flexible": 0.6, "plain": 0.5}.items()
    ]
    lines += [
        {
            "protocol": "leave-one-kind-out", "model": model, "metric": "pairwise_accuracy",
            "mean": pairs, "low": pairs - 0.2, "high": pairs + 0.1, "repeats": 7,
        }
        for model, pairs in on_new_kinds.items()
    ]  # fmt: skip
    frame = pl.DataFrame([{"scenario": "all", "candidates": 40} | line for line in lines], schema=SCHEMA)
    return ValidationReport(frame, (), "post_pass_at_1", "", "", 40, ("flexible", "plain"))


@pytest.mark.parametrize(
    ("on_new_kinds", "said"),
    [
        ({"flexible": 0.55, "plain": 0.85}, "0.55 [0.35, 0.65]; plain 0.85 [0.65, 0.95]"),
        ({"flexible": 0.85, "plain": 0.55}, "0.85 [0.65, 0.95]"),
        ({"plain": 0.85, "flexible": 0.85}, "0.85 [0.65, 0.95]"),
        (
            {"flexible": 0.95, "proxy:pass_at_1": 0.98},
            "0.95 [0.75, 1.00]; proxy:pass_at_1 0.98 [0.78, 1.00]",
        ),
    ],
)
def test_beside_the_best_on_random_halves_stands_who_orders_unseen_kinds_better(on_new_kinds, said) -> None:
    first, *lines = headline(_report(on_new_kinds))
    assert "flexible" in first
    assert f"Within each of 7 kinds of data that were left out, pairs of a base in order: {said}" in lines


def test_nothing_is_said_of_unseen_kinds_where_none_was_left_out() -> None:
    assert not any("left out" in line for line in headline(_report({})))
