"""What ships is what its cards say: measured by the shipped plan and suite, the surrogate fitted on the fit rows."""

import csv
import io

import numpy as np
import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.collection.stages import rows_of
from quagpredict.corpus import read_corpus
from quagpredict.evaluation import read_suite
from quagpredict.metrics import pass_at_k
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit
from quagpredict.surrogates.store import load_surrogate
from quagpredict.validation.conformal import with_calibration

CANDIDATES = "datasets/lab-pilot/candidates/*.parquet"


@pytest.fixture(scope="module")
def corpus() -> pl.DataFrame:
    return read_corpus(shipped_path("datasets/lab-pilot/corpus.parquet"))


@pytest.fixture(scope="module")
def surrogate():
    return load_surrogate(shipped_path("models/lab-pilot"))


def test_the_corpus_is_what_the_plan_says(corpus):
    plan = Plan.from_yaml(shipped_path("collectors/plans/lab-pilot.yaml"))
    rows = rows_of(plan)
    assert corpus.height >= 48
    assert corpus["candidate"].to_list() == [row.candidate.name for row in rows]
    assert corpus["rl_recipe_id"].unique().to_list() == list({row.rl_recipe_id for row in rows})
    assert corpus.filter(pl.col("recipe_scenario") == "no-sft")["base_model"].n_unique() == 2
    assert corpus["post_pass_at_1"].null_count() == 0


def test_it_was_measured_under_the_shipped_suite(corpus):
    suite = read_suite(shipped_path("collectors/suites/lab-pilot.yaml"))
    assert corpus["eval_protocol_id"].unique().to_list() == [suite.eval_protocol_id]
    asked = sorted(problem.problem_id for problem in suite.problems)
    assert all(sorted(one["problem_id"] for one in problems) == asked for problems in corpus["pre_problems"].to_list())


def test_the_flat_scores_are_those_of_the_nested_counts(corpus):
    for when, samples in (("pre", 128), ("post", 64)):
        for row in corpus.iter_rows(named=True):
            counts = pl.DataFrame(row[f"{when}_problems"])
            assert counts["n"].unique().to_list() == [samples]
            for k in (1, 16, 64):
                passed = pass_at_k(counts["n"].to_numpy(), counts["c"].to_numpy(), k)
                assert row[f"{when}_pass_at_{k}"] == pytest.approx(np.mean(passed), abs=1e-12)


def test_the_runs_differ_enough_to_be_ranked(corpus):
    """Scores off both ends, coverage with room, differences beyond noise, and RL that raised every score."""
    after = corpus["post_pass_at_1"]
    assert after.min() > 0.05
    assert after.std() > 3 * corpus["post_pass_at_1_se"].mean() / 2
    assert (corpus["pre_pass_at_64"] < 0.9).sum() >= 20
    assert (after > corpus["pre_pass_at_1"]).all()


def test_the_demo_candidates_are_the_held_out_rows_before_rl(corpus, surrogate):
    held_out = corpus.filter(pl.col("split") == "held_out")
    candidates = read_corpus([str(path) for path in sorted(shipped_path("datasets/lab-pilot/candidates").iterdir())])
    assert candidates.height == held_out.height >= 10
    assert set(candidates["candidate"]) == set(held_out["candidate"])
    assert not [name for name in candidates.columns if name.startswith(("post_", "rl_"))] or all(
        candidates[name].null_count() == candidates.height
        for name in candidates.columns
        if name.startswith(("post_", "rl_"))
    )
    outcomes = read_corpus(shipped_path("datasets/lab-pilot/outcomes.parquet"))
    joined = outcomes.join(held_out, on="candidate", suffix="_corpus")
    assert joined.height == held_out.height
    assert (joined["post_pass_at_1"] == joined["post_pass_at_1_corpus"]).all()
    assert surrogate.training_rows == corpus.height - held_out.height


@pytest.mark.parametrize("name", ["lab", "lab-2", "lab-pilot"])
def test_a_shipped_surrogate_is_the_fit_of_the_fit_rows(name):
    runs = read_corpus(shipped_path(f"datasets/{name}/corpus.parquet"))
    shipped = load_surrogate(shipped_path(f"models/{name}"))
    measured = [feature for feature in shipped.features if feature.startswith("pre_")]
    again = fit(runs, shipped.name.partition(":")[0], features=measured, transforms="log-logit")
    ours, theirs = shipped.predict_frame(runs), again.predict_frame(runs)
    np.testing.assert_allclose(ours.mean, theirs.mean, atol=1e-9)
    np.testing.assert_allclose(ours.std, theirs.std, atol=1e-9)
    calibrated = with_calibration(again, runs, features=measured, transforms="log-logit").calibration
    assert shipped.calibration is not None
    assert calibrated is not None
    assert shipped.calibration.rows == calibrated.rows
    assert shipped.calibration.quantile == pytest.approx(calibrated.quantile, abs=1e-6)
    assert shipped.calibration.by_group == pytest.approx(calibrated.by_group, abs=1e-6)
    assert shipped.training_rows == runs.filter(pl.col("split") == "fit")["candidate"].n_unique()


def test_the_demo_ranks_them_beside_what_rl_gave(capsys, monkeypatch):
    monkeypatch.chdir(shipped_path("datasets/lab-pilot").parents[1])
    words = ["rank", "--candidates", CANDIDATES, "--truth", "datasets/lab-pilot/outcomes.parquet"]
    assert main([*words, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) >= 10
    predicted = [float(row["prediction"]) for row in rows]
    assert predicted == sorted(predicted, reverse=True)
    assert all(0 < float(row["actual"]) < 1 for row in rows)
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "regret" in shown
    assert "post-SFT Pass@1" in shown
