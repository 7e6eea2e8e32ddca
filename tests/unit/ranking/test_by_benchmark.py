"""The default where scores by benchmark are known: from no finished run on, one model."""

import json
from io import StringIO
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from quagpredict.corpus import read_corpus
from quagpredict.corpus.benchmarks import benchmark_scores, geometric_mean
from quagpredict.ranking import rank
from quagpredict.ranking.flags import range_flags
from quagpredict.ranking.free_choices import about_free_order
from quagpredict.report.formats import to_json
from quagpredict.report.tables import print_ranking, ranking_values
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit


@pytest.fixture(scope="module")
def runs() -> pl.DataFrame:
    """One base of the second lab, as if another team had measured it."""
    table = read_corpus(shipped_path("datasets/lab-2/corpus.parquet")).filter(pl.col("base_model") == "able")
    return table.unique("candidate", keep="first", maintain_order=True).with_columns(eval_protocol_id=pl.lit("mine"))


def with_results(runs: pl.DataFrame, count: int) -> pl.DataFrame:
    done = pl.int_range(pl.len()) < count
    after = [name for name in runs.columns if name.startswith("post_") or name == "rl_recipe_id"]
    return runs.with_columns(pl.when(done).then(name).alias(name) for name in after)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_one_model_ranks_with_no_result_and_with_many(runs: pl.DataFrame, count: int) -> None:
    ranking = rank(with_results(runs, count))
    assert ranking.surrogate == "hierarchical"
    assert ranking.frame["prediction"].null_count() == 0
    said = " ".join(ranking.notes)
    assert ("with no result" if count == 0 else f"fitted on the {count} with a result") in said
    assert "14 other bases (lab, lab-2, lab-3, lab-pilot, lab-search; 200 to 400 RL steps)" in said


@pytest.mark.parametrize("loss", [0.5, 8.0])
@pytest.mark.parametrize("cut", [0.0, 0.5, 0.99])
def test_a_model_that_answers_nothing_is_promised_no_more_than_a_sound_one(
    runs: pl.DataFrame, cut: float, loss: float
) -> None:
    sound = with_results(runs, 0)
    row = sound.row(0, named=True)
    spoilt = {
        "candidate": "spoilt",
        "pre_held_out_loss_nats": loss,
        "pre_truncated_share": cut,
        "pre_problems": [one | {"c": 0, "truncated": int(cut * one["n"])} for one in row["pre_problems"]],
        **{name: 0.0 for name in row if name.startswith("pre_pass_at_")},
    }
    table = pl.concat([sound, pl.DataFrame([row | spoilt], schema=sound.schema)])
    predictions = dict(rank(table).frame.select("candidate", "prediction").iter_rows())
    assert predictions["spoilt"] < np.median([predictions[name] for name in sound["candidate"]])


def test_results_narrow_the_intervals(runs: pl.DataFrame) -> None:
    widths = []
    for count in (0, 1, 12):
        table = rank(with_results(runs, count)).frame.filter(
            pl.col("candidate").is_in(runs["candidate"][12:].implode())
        )
        widths.append(float((table["high"] - table["low"]).mean()))  # type: ignore[arg-type]
    assert widths[0] > widths[1] > widths[2]


def test_rank_and_fit_agree_and_count_results_once(runs: pl.DataFrame) -> None:
    table = with_results(runs, 8)
    fitted = fit(runs[:8], "hierarchical", split=None)
    ranking = rank(table)
    wanted = dict(zip(table["candidate"], fitted.predict_frame(table).mean, strict=True))
    others = ranking.frame.filter(pl.col("candidate").is_in(table["candidate"][8:].implode()))
    np.testing.assert_allclose(others["prediction"], [wanted[name] for name in others["candidate"]], rtol=1e-9)
    again = rank(table, fitted)
    assert again.frame.equals(ranking.frame)
    assert any("fitted on the 8 with a result" in note for note in again.notes)
    done = ranking.frame.filter(pl.col("candidate").is_in(table["candidate"][:8].implode()))
    assert done.sort("candidate")["prediction"].equals(runs[:8].sort("candidate")["post_pass_at_1"])


def test_a_table_read_from_a_file_ranks_as_the_table_itself(runs: pl.DataFrame, tmp_path: Any) -> None:
    table = with_results(runs, 5)
    table.write_parquet(tmp_path / "mine.parquet")
    assert rank(tmp_path / "mine.parquet").frame.equals(rank(table).frame)


def test_parts_by_difficulty_stand_for_benchmarks_where_there_are_no_counts(runs: pl.DataFrame) -> None:
    flat = runs.drop("pre_problems", "post_problems")
    for count in (0, 3):
        ranking = rank(with_results(flat, count), truth=runs if count == 0 else None)
        assert ranking.surrogate == "hierarchical"
        assert any("parts by difficulty in place of benchmarks" in note for note in ranking.notes)
        assert not any("measured after RL and not before" in note for note in ranking.notes)
        assert ranking.by_benchmark is not None
        assert set(ranking.by_benchmark["benchmark"]) == {"easy", "medium", "hard"}
    first = ranking.by_benchmark.filter(benchmark="easy").join(flat, on="candidate")
    np.testing.assert_array_equal(first["before"], first["pre_pass_at_1_easy"])
    # Counts of benchmarks come before parts, and one part is none.
    assert set(rank(with_results(runs, 3)).by_benchmark["benchmark"]) & {"easy", "hard"} == set()  # type: ignore[index]
    assert rank(with_results(flat.drop("pre_pass_at_1_easy", "pre_pass_at_1_hard"), 0)).surrogate is None


def test_without_counts_it_screens_until_enough_are_finished(runs: pl.DataFrame) -> None:
    flat = runs.drop("pre_problems", "post_problems")
    flat = flat.drop(name for name in flat.columns if name.endswith(("_easy", "_medium", "_hard")))
    assert rank(with_results(flat, 4)).surrogate is None
    ranking = rank(with_results(flat, 5))
    assert ranking.surrogate == "hierarchical"
    assert "of Pass@" in ranking.notes[0]
    assert "counts of each problem" not in ranking.notes[0]
    alone = flat.drop(name for name in flat.columns if name.startswith("pre_pass_at_") and name != "pre_pass_at_1")
    ranking = rank(with_results(alone, 0))
    assert ranking.surrogate is None
    assert any("Pass@1 is all that is common" in note for note in ranking.notes)


def test_where_the_prediction_overturns_the_screening_it_says_so_and_why(runs: pl.DataFrame) -> None:
    ranking = rank(with_results(runs, 0))
    first = rank(with_results(runs, 0), None).frame["candidate"][0]
    assert ranking.frame["candidate"][0] != first
    (said,) = [note for note in ranking.notes if note.startswith("the screening would take")]
    place = ranking.frame["candidate"].to_list().index(first) + 1
    assert f"'{first}' first, here {place} of {runs.height}: predicted " in said
    assert "of them by pre_" in said
    merits = -np.arange(2.0)
    table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.8, 0.7]})
    assert about_free_order(table, merits, [], np.zeros((2, 0))) == []


def test_a_measurement_outside_what_the_finished_had_is_flagged_on_its_own() -> None:
    X = np.array([[0.1, 5.0], [0.2, 6.0], [0.3, 7.0], [0.305, 6.0], [0.4, 6.0], [np.nan, 20.0]])
    done = np.array([True, True, True, False, False, False])
    (first, second) = range_flags(list("abcdef"), ["pre_pass_at_64", "other"], X, done)
    assert (first.candidate, first.detail) == ("e", "Pass@64 is 40.0 %, finished runs had 10.0 % to 30.0 %")
    assert (second.candidate, second.detail) == ("f", "other is 20, finished runs had 5 to 7")
    assert not list(range_flags(list("abcdef"), ["pre_pass_at_64", "other"], X, done & (X[:, 0] < 0.25)))


def test_the_rules_that_cost_nothing_stand_beside_the_prediction(runs: pl.DataFrame) -> None:
    found = rank(with_results(runs, 0), truth=runs).outcome
    assert found is not None
    choices = {choice.rule: choice for choice in found.choices}
    free = ["pre_pass_at_1", "pre_pass_at_64", "pre_held_out_loss_nats", "geometric mean", "screening"]
    assert list(choices) == ["prediction", *free]
    y = runs["post_pass_at_1"].to_numpy()
    x = runs["pre_pass_at_64"].to_numpy()
    first, second = np.triu_indices(len(y), 1)
    order = np.sign(x[first] - x[second]) * np.sign(y[first] - y[second])
    assert choices["pre_pass_at_64"].pairs_within == pytest.approx(((order > 0) + 0.5 * (order == 0)).mean(), abs=0.01)
    # One base: what holds within it holds over all.
    for choice in found.choices:
        assert choice.spearman_within == pytest.approx(choice.spearman)
        assert choice.regret_within == pytest.approx(choice.regret, abs=1e-9)
    scores = benchmark_scores(runs)
    assert choices["geometric mean"].candidate == runs["candidate"][int(np.argmax(geometric_mean(scores)))]


def test_within_a_base_its_level_counts_for_nothing(runs: pl.DataFrame) -> None:
    lifted = runs.with_columns(
        base_model=pl.lit("other"),
        candidate="other-" + pl.col("candidate"),
        post_pass_at_1=pl.col("post_pass_at_1") * 0.5,
        pre_pass_at_64=pl.col("pre_pass_at_64") * 0.5,
    )
    both = pl.concat([runs, lifted])
    found = rank(both.drop("post_pass_at_1"), None, truth=both).outcome
    alone = rank(runs.drop("post_pass_at_1"), None, truth=runs).outcome
    assert found is not None
    assert alone is not None
    for two, one in zip(found.choices, alone.choices, strict=True):
        assert two.pairs_within == pytest.approx(one.pairs_within)
    (over_all,) = [choice for choice in found.choices if choice.rule == "pre_pass_at_64"]
    assert over_all.spearman > over_all.spearman_within + 0.1


def test_scores_are_predicted_by_benchmark_and_add_up(runs: pl.DataFrame) -> None:
    ranking = rank(with_results(runs, 6))
    table = ranking.by_benchmark
    assert table is not None
    assert table["candidate"].unique(maintain_order=True).to_list() == ranking.frame["candidate"].to_list()
    assert ((table["low"] < table["prediction"]) & (table["prediction"] < table["high"])).all()
    scores = benchmark_scores(runs)
    weights = pl.DataFrame({"benchmark": scores.names, "weight": scores.weights})
    whole = (
        table.join(weights, on="benchmark")
        .group_by("candidate", maintain_order=True)
        .agg((pl.col("prediction") * pl.col("weight")).sum())
    )
    open_ = ranking.frame.join(whole, on="candidate", suffix="_by_benchmark").filter(pl.col("low") < pl.col("high"))
    np.testing.assert_allclose(open_["prediction"], open_["prediction_by_benchmark"])
    assert rank(with_results(runs, 0), None).by_benchmark is None
    console = Console(file=StringIO(), width=200)
    print_ranking(ranking, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "By benchmark, the first 3: before RL, predicted, 90 % interval in per cent" in printed
    assert f"{ranking.frame['candidate'][0]}: fill " in printed
    assert json.loads(to_json(ranking_values(ranking)))["by_benchmark"][0]["benchmark"] == "fill"


def test_the_one_pass_at_k_that_was_read_is_shown_and_named_as_a_driver() -> None:
    pass_at_1, loss = [0.2 + 0.02 * i for i in range(8)], [0.9 - 0.03 * (i * 5 % 8) for i in range(8)]
    flat = pl.DataFrame(
        {
            "candidate": list("abcdefgh"),
            "pre_pass_at_1": pass_at_1,
            "pre_pass_at_64": [0.5 + 0.03 * (i * 3 % 8) for i in range(8)],
            "pre_held_out_loss_nats": loss,
            "post_pass_at_1": [0.4 + 0.02 * (i * 3 % 8) if i < 6 else None for i in range(8)],
        }
    )
    ranking = rank(flat)
    assert ranking.surrogate == "hierarchical"
    assert "pre_pass_at_64" in ranking.frame.columns
    assert ranking.contributions is not None
    assert ranking.contributions.columns == ["candidate", "pre_pass_at_64", "pre_held_out_loss_nats"]
