"""``quagpredict fit``: intervals, groups, any table."""

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.surrogates.store import load_surrogate


def fitted(*words):
    assert main(["fit", *words, "--out", "mine", "--repeats", "0"]) == 0
    return load_surrogate("mine")


def test_intervals_are_conformal_unless_the_model_is_asked_for(workplace):
    learnt = fitted("corpus.parquet").calibration
    assert learnt.rows == 30
    assert learnt.method.startswith("conformal")
    assert learnt.floor > 0  # the evaluation noise of the target, from its counts
    assert fitted("corpus.parquet", "--intervals", "model").calibration is None


def test_calibrated_intervals_are_those_that_rank_shows(workplace, capsys):
    surrogate = fitted("corpus.parquet")
    assert main(["rank", "--candidates", "runs", "--surrogate", "mine", "--format", "csv"]) == 0
    shown = pl.read_csv(capsys.readouterr().out.encode()).sort("candidate")
    runs = pl.concat([pl.read_parquet(f"runs/c000{number}.parquet") for number in range(6)])
    ends = surrogate.interval(surrogate.design(runs), groups=runs["base_model"].to_list())
    assert shown["low"].to_list() == pytest.approx(ends.low.clip(min=0).tolist())
    assert shown["high"].to_list() == pytest.approx(ends.high.clip(max=1).tolist())


def test_a_kind_of_nested_counts(workplace, capsys):
    surrogate = fitted("corpus.parquet", "--surrogate", "effective_k")
    assert "fitted 'effective_k' of pre_problems on 30 candidates" in capsys.readouterr().err
    assert surrogate.calibration.rows == 30
    assert main(["rank", "--candidates", "runs", "--surrogate", "mine"]) == 0
    assert "surrogate 'effective_k' of counts of each problem, fitted on" in capsys.readouterr().err


def test_any_table_with_groups_of_its_own(workplace, capsys):
    rows = [(f"mix-{i}", i / 12, "ab"[i % 2], 2.0 + 0.1 * i / 12 + 0.5 * (i % 2)) for i in range(24)]
    pl.DataFrame(rows, schema=["candidate", "web", "scale", "loss"], orient="row").write_csv("mixtures.csv")
    words = ("mixtures.csv", "--surrogate", "mixed", "--features", "web", "--groups", "scale", "--target", "loss")
    surrogate = fitted(*words, "--seed", "3")
    assert {"scale=a", "scale=b", "scale=*"} <= set(surrogate.features)
    assert main(["rank", "--candidates", "mixtures.csv", "--surrogate", "mine", "--minimize", "--format", "csv"]) == 0
    table = pl.read_csv(capsys.readouterr().out.encode())
    assert set(table["candidate"].head(12)) == {f"mix-{i}" for i in range(0, 24, 2)}
