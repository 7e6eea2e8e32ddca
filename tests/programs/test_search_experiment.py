"""The experiment's report says what the results allow, from files as searches leave them."""

import importlib.util
import json
import sys

import polars as pl
import pytest

from quagpredict.shipped import shipped_path


@pytest.fixture(scope="module")
def experiment():
    spec = importlib.util.spec_from_file_location(
        "search_experiment", shipped_path("collectors/studies/search_experiment.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def finished(out, method, seed, scores):
    folder = out / f"{method}-s{seed}"
    folder.mkdir(parents=True)
    chosen = {"recipe_id": "r1", "prediction": 0.7, "shares": {"plain": 0.25, "times": 0.75}}
    trials = [{"state": "complete"}, {"state": "pruned"}, {"state": "fail"}]
    (folder / "result.json").write_text(json.dumps({"chosen": chosen, "trials": trials}))
    rows = [{"recipe_id": "r1", "pre_pass_at_1": 0.4, "post_pass_at_1": score} for score in scores]
    pl.DataFrame([*rows, {"recipe_id": "r2", "pre_pass_at_1": 0.9, "post_pass_at_1": None}]).write_parquet(
        folder / "corpus.parquet"
    )


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((0.1, 0.11, 0.12), "is ahead of search by SFT Pass@1"),
        ((-0.1, -0.11, -0.12), "is **behind** search by SFT Pass@1"),
        ((-0.1, 0.0, 0.12), "neither search by the surrogate nor by SFT Pass@1 is ahead"),
        ((0.1,), "With one seed there is no interval; the difference is 10.0 points"),
    ],
)
def test_the_verdict_follows_from_paired_differences(experiment, tmp_path, gains, said):
    for seed, gain in enumerate(gains):
        finished(tmp_path / "out", "surrogate", seed, [0.5 + gain + 0.02, 0.5 + gain - 0.02])
        finished(tmp_path / "out", "sft-pass-at-1", seed, [0.5])
    page = tmp_path / "page.md"
    seeds = [str(seed) for seed in range(len(gains))]
    words = ["--out", str(tmp_path / "out"), "--report", str(page), "--report-only", "--seeds", *seeds]
    assert experiment.main(words) == 0
    text = page.read_text()
    assert said in text
    assert f"| surrogate | {len(gains)} | 40.0" in text
    assert "times 75 %, plain 25 %" in text


def test_searches_that_are_not_done_are_no_rows(experiment, tmp_path):
    page = tmp_path / "page.md"
    assert experiment.main(["--out", str(tmp_path), "--report", str(page), "--report-only"]) == 0
    assert "no seed in common yet" in page.read_text()


def test_kept_results_make_the_same_page_elsewhere(experiment, tmp_path):
    for seed in (0, 1):
        finished(tmp_path / "out", "surrogate", seed, [0.6, 0.7])
        finished(tmp_path / "out", "sft-pass-at-1", seed, [0.5])
    page, kept = tmp_path / "page.md", tmp_path / "kept" / "winners.json"
    words = ["--results", str(kept), "--report", str(page), "--report-only", "--out"]
    assert experiment.main([*words, str(tmp_path / "out")]) == 0
    first = page.read_text()
    assert "Spearman" not in first  # no random search is among them
    assert experiment.main([*words, str(tmp_path / "nowhere")]) == 0
    assert page.read_text() == first
    assert "| surrogate | 2 | 40.0" in first

    finished(tmp_path / "more", "surrogate", 2, [0.9])  # what is found later is added, nothing kept is lost
    assert experiment.main([*words, str(tmp_path / "more")]) == 0
    assert "| surrogate | 3 | 40.0" in page.read_text()


def test_how_far_the_two_goals_agree_is_told_from_the_random_search(experiment, tmp_path):
    finished(tmp_path, "random", 0, [0.6])
    trials = {"pre_pass_at_1": [0.1, 0.2, 0.3, None], "prediction": [0.5, 0.7, 0.6, 0.1]}
    pl.DataFrame(trials).write_csv(tmp_path / "random-s0" / "trials.csv")
    page = tmp_path / "page.md"
    assert experiment.main(["--out", str(tmp_path), "--report", str(page), "--report-only", "--seeds", "0"]) == 0
    assert "a Spearman coefficient of 0.50." in page.read_text()


def test_differences_are_paired_by_space_and_seed(experiment, tmp_path):
    for space, level in (("one", 0.3), ("two", 0.6)):
        finished(tmp_path / "out" / space, "surrogate", 0, [level + 0.1])
        finished(tmp_path / "out" / space, "sft-pass-at-1", 0, [level])
        finished(tmp_path / "out" / space, "pass-at-64", 0, [level + 0.11])
    finished(tmp_path / "out" / "two", "surrogate", 1, [0.99])  # without a partner: in its own mean alone
    page = tmp_path / "page.md"
    words = ["--out", str(tmp_path / "out"), "--report", str(page), "--report-only", "--seeds", "0", "1"]
    words += ["--space", "one.yaml", "two.yaml", "--methods", "surrogate", "sft-pass-at-1", "pass-at-64"]
    assert experiment.main(words) == 0
    text = page.read_text()
    assert "paired by space and seed" in text
    row = next(line for line in text.splitlines() if line.startswith("| surrogate | 3"))
    assert row.endswith("| 10.0 ± 0.0 | -1.0 ± 0.0 |")
    assert "ahead of search by SFT Pass@1" in text
    assert "**behind** search by Pass@64" in text
    assert "| two | surrogate | 1 |" in text
