"""What a newcomer types, with every default, on the shipped corpus."""

import polars as pl
import pytest

import quagpredict as qp
from quagpredict.cli import main
from quagpredict.collection.collecting import collect
from quagpredict.engines import table
from quagpredict.errors import MissingExtraError, UsageError
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

CORPUS = "datasets/lab-pilot/corpus.parquet"


@pytest.mark.parametrize("words", [[], ["--split", "all"]])
def test_validate_with_its_defaults(words, capsys, monkeypatch):
    monkeypatch.chdir(shipped_path("datasets").parent)
    assert main(["validate", CORPUS, "--repeats", "20", *words]) == 0
    shown = capsys.readouterr().out
    assert "leave-one-kind-out" in shown
    assert "noise ceiling" in shown


def test_fit_takes_a_path_pandas_and_polars_alike():
    path = shipped_path(CORPUS)
    of_path, of_pandas, of_polars = (
        qp.fit(given) for given in (path, pl.read_parquet(path).to_pandas(), qp.read_corpus(path))
    )
    assert of_path.corpus_digest == of_pandas.corpus_digest == of_polars.corpus_digest


def test_rank_without_surrogate_by_name():
    candidates = shipped_path("datasets/lab-pilot/candidates")
    assert qp.rank(candidates, "none").surrogate is None


@pytest.mark.parametrize("feature", ["post_pass_at_8", "cost_rl_s", "rl_curve"])
def test_what_is_known_only_after_rl_is_no_feature(feature):
    with pytest.raises(UsageError, match="known only after RL"):
        qp.fit(shipped_path(CORPUS), features=feature)


def test_another_base_model_is_refused_by_a_surrogate_that_saw_two(tmp_path, capsys):
    candidates = qp.read_corpus(shipped_path("datasets/lab-pilot/candidates"))
    file = tmp_path / "other.parquet"
    qp.write_corpus(candidates.with_columns(base_model=pl.lit("other")), file)
    assert main(["rank", "--candidates", str(file), "--surrogate", "models/lab-pilot"]) == 3
    assert "base model other" in capsys.readouterr().err


def test_a_few_finished_runs_are_fitted_and_the_missing_validation_said(tmp_path, capsys):
    few = qp.read_corpus(shipped_path(CORPUS)).head(8)
    qp.write_corpus(few.with_columns(split=pl.lit("fit")), tmp_path / "few.parquet")
    assert (
        main(["fit", str(tmp_path / "few.parquet"), "--features", "pass_at_64", "--out", str(tmp_path / "model")]) == 0
    )
    assert "not validated: 8 finished candidates" in capsys.readouterr().err
    assert "None was made." in (tmp_path / "model" / "card.md").read_text()


def test_a_split_that_is_not_there_ranks_nothing(capsys):
    candidates = str(shipped_path("datasets/lab-pilot/candidates"))
    assert main(["rank", "--candidates", candidates, "--split", "fit"]) == 4
    assert "no candidate has the split" in capsys.readouterr().err


def test_a_plan_whose_engine_is_not_installed_is_refused_before_its_first_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "is_installed", lambda name: False)
    plan = Plan.from_yaml(shipped_path("collectors/plans/paper-qwen3-4b.yaml"))
    with pytest.raises(MissingExtraError, match=r"evaluation.engine: .* pip install \"quagpredict\[vllm\]\""):
        collect(plan, tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "words", [["validate", CORPUS, "--repeats", "0"], ["rank", "--candidates", "x", "--top", "-3"]]
)
def test_a_count_that_makes_no_sense_is_a_wrong_call(words, capsys):
    assert main(words) == 2
    assert "whole number of at least 1" in capsys.readouterr().err


def test_a_folder_of_run_folders_is_ranked(tmp_path, capsys):
    candidates = sorted(shipped_path("datasets/lab-pilot/candidates").glob("weak.*"))
    for file in candidates:
        (tmp_path / "runs" / file.stem).mkdir(parents=True)
        (tmp_path / "runs" / file.stem / "candidate.parquet").write_bytes(file.read_bytes())
    assert main(["rank", "--candidates", str(tmp_path / "runs"), "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(candidates)


def test_an_option_that_is_given_twice_adds_to_itself(capsys):
    first, second, *_ = map(str, sorted(shipped_path("datasets/lab-pilot/candidates").glob("weak.*")))
    assert main(["rank", "--candidates", first, "--candidates", second, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "counts.csv").write_text("id,n,c\np,8,4\nq,8,2\n")
    (tmp_path / "file").write_text("")
    words = ["import", "counts", str(tmp_path / "counts.csv"), "--candidate", "a"]
    assert main([*words, "--out", str(tmp_path / "file" / "a.parquet")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said
