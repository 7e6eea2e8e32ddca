"""What the guide says of the callback's choice is what the results say."""

import runpy

import polars as pl

from quagpredict.shipped import shipped_path


def test_the_guide_has_the_tables_of_the_results() -> None:
    root = shipped_path("datasets").parent
    program = runpy.run_path(str(root / "collectors" / "studies" / "checkpoint_for_rl.py"))
    lines = program["report"](pl.read_csv(root / "docs" / "checkpoint-for-rl.csv"))
    assert "\n".join(lines) in (root / "docs" / "checkpoint-for-rl.md").read_text("utf-8")


def test_a_rule_that_keeps_what_did_not_go_through_rl_yet_is_left_out() -> None:
    root = shipped_path("datasets").parent
    program = runpy.run_path(str(root / "collectors" / "studies" / "checkpoint_for_rl.py"))
    results = pl.read_csv(root / "docs" / "checkpoint-for-rl.csv")
    last = pl.col("candidate") == "short-256x16@128"
    lines = program["report"](results.with_columns(pl.when(~last).then("after_rl").alias("after_rl")))
    assert [line.split(" | ")[0] for line in lines[-3:]] == ["| the callback", "| lowest loss", "| highest Pass@1"]
