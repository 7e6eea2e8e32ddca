"""Surrogates that read the counts of each problem: derived while reading, from files, folders and frames alike."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quagpredict.corpus import read_corpus, write_corpus
from quagpredict.corpus.columns import curve_column
from quagpredict.corpus.derived import with_derived
from quagpredict.ranking import rank, why_not_applicable
from quagpredict.surrogates.effective_k import fit_effective_k
from quagpredict.testing.synthetic import synthetic_corpus

KS = (1, 2, 4, 8, 16, 32)
CURVE = [curve_column(k) for k in KS]


@pytest.fixture(scope="module")
def runs():
    return synthetic_corpus(20, seed=4, problems=30, samples_before=32, bases=1).frame


@pytest.fixture(scope="module")
def surrogate(runs):
    from dataclasses import replace

    table = with_derived(runs[:8], CURVE)
    fitted = fit_effective_k(
        table.select(CURVE).to_numpy(),
        table["post_pass_at_1"].to_numpy(),
        ks=KS,
        features=CURVE,
        target="post_pass_at_1",
    )
    ids = {name: runs[name][0] for name in ("eval_protocol_id", "rl_recipe_id")}
    return replace(fitted, base_models=("base-0",), **ids)


@pytest.fixture(scope="module")
def fresh(runs):
    return runs[8:].drop("post_pass_at_1", "post_problems", "rl_recipe_id", "rl_seed")


def test_derived_columns_are_the_same_however_they_are_read(fresh, tmp_path, monkeypatch):
    write_corpus(fresh, tmp_path / "all.parquet")
    for row in fresh.iter_slices(1):
        write_corpus(row, tmp_path / "one" / f"{row['candidate'].item()}.parquet")
    expected = with_derived(fresh, CURVE).select(CURVE)
    monkeypatch.setattr("quagpredict.corpus.files._ROWS_AT_ONCE", 5)
    for source in (fresh, tmp_path / "all.parquet", tmp_path / "one", fresh.to_pandas()):
        table = read_corpus(source, nested=False, derived=[*CURVE, "pre_pass_at_1", "base_model=base-0"])
        assert_frame_equal(table.select(CURVE), expected, rel_tol=1e-12)
        assert not {"pre_problems", "base_model=base-0"} & set(table.columns)
        assert table.columns.count("pre_pass_at_1") == 1


def test_it_ranks_from_files_as_from_frames(fresh, surrogate, tmp_path):
    write_corpus(fresh, tmp_path / "all.parquet")
    ranking = rank(tmp_path / "all.parquet", surrogate, budget=2, next_run=True)
    predicted = dict(zip(fresh["candidate"], surrogate.predict_frame(fresh).mean, strict=True))
    assert dict(ranking.frame.select("candidate", "prediction").iter_rows()) == pytest.approx(predicted)
    assert_frame_equal(ranking.frame, rank(fresh, surrogate, budget=2, next_run=True).frame, abs_tol=1e-9)
    assert not [name for name in ranking.frame.columns if "pre_problems" in name]


def test_the_counts_are_one_driver(fresh, surrogate):
    ranking = rank(fresh, surrogate)
    assert ranking.contributions.columns == ["candidate", "pre_problems"]
    moved = ranking.contributions["pre_problems"]
    assert (moved - ranking.frame["prediction"]).std() == pytest.approx(0.0, abs=1e-9)


def test_candidates_without_counts_have_no_rank(fresh, surrogate):
    here = pl.int_range(pl.len()) == 3
    gap = fresh.with_columns(pre_problems=pl.when(~here).then("pre_problems"))
    ranking = rank(gap, surrogate)
    last = ranking.frame.row(-1, named=True)
    assert (last["candidate"], last["rank"]) == (fresh["candidate"][3], None)
    details = [flag.detail for flag in ranking.flags if flag.kind == "missing-feature"]
    assert details == ["pre_problems"]


def test_flat_curves_will_do(fresh, surrogate):
    flat = fresh.drop("pre_problems")
    assert why_not_applicable(flat, surrogate) == ""
    assert rank(flat, surrogate).frame["prediction"].null_count() == 0
    nothing = flat.select("candidate", "base_model", "eval_protocol_id", "pre_held_out_loss_nats")
    assert why_not_applicable(nothing, surrogate) == "pre_problems is missing"
