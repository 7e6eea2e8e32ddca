"""Ranking: with a surrogate, by screening, its flags, its refusals, and the outcome beside it."""

import math

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError, IncomparableError, NothingToRankError, SurrogateError, UsageError
from quagpredict.ranking import rank, why_not_applicable
from quagpredict.ranking.finished import why_not_fitted
from quagpredict.ranking.flags import KINDS
from quagpredict.surrogates import fit
from quagpredict.surrogates.store import save_surrogate
from quagpredict.testing.synthetic import synthetic_corpus


@pytest.fixture(scope="module")
def runs():
    return synthetic_corpus(40, seed=1, nested=False).frame


@pytest.fixture(scope="module")
def fitted(runs):
    return fit(runs[:24])


@pytest.fixture(scope="module")
def fresh(runs):
    """Candidates that RL has not seen."""
    return runs[24:].drop("post_pass_at_1", "rl_recipe_id", "rl_seed")


def kinds(ranking, candidate):
    return {flag.kind for flag in ranking.flags if flag.candidate == candidate}


def changed(frame, row, **values):
    """The frame with some values of one row replaced."""
    here = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(name) if name in frame.columns else None).alias(name)
        for name, value in values.items()
    )


def test_the_order_is_that_of_the_predictions(fresh, fitted):
    frame = rank(fresh, fitted).frame
    predicted = fitted.predict(fresh.select(fitted.features).to_numpy()).mean
    assert frame["candidate"].to_list() == fresh["candidate"].gather(np.argsort(-predicted)).to_list()
    assert frame["rank"].to_list() == list(range(1, 17))
    assert frame["prediction"].is_sorted(descending=True)
    assert (frame["low"] < frame["prediction"]).all()
    assert (frame["prediction"] < frame["high"]).all()
    assert frame["p_best"].sum() == pytest.approx(1.0)
    assert "actual" not in frame.columns


def test_the_order_of_the_rows_does_not_matter(fresh, fitted):
    asked = {"budget": 3, "next_run": True, "gate": 0.5}
    one, other = rank(fresh, fitted, **asked), rank(fresh.reverse(), fitted, **asked)
    assert one.frame.equals(other.frame)
    assert (one.budget, one.gate, one.next_run) == (other.budget, other.gate, other.next_run)


def test_pandas_files_and_stored_surrogates_rank_the_same(fresh, fitted, tmp_path):
    expected = rank(fresh, fitted).frame
    fresh.write_parquet(tmp_path / "a.parquet")
    save_surrogate(fitted, tmp_path / "model", "# card")
    assert rank(fresh.to_pandas(), fitted).frame.equals(expected)
    assert rank(str(tmp_path / "*.parquet"), tmp_path / "model").frame.equals(expected)


def test_equal_candidates_share_the_better_rank(fresh, fitted):
    twins = pl.concat([fresh[0], fresh[0].with_columns(candidate=pl.lit("twin")), fresh[1]])
    assert sorted(rank(twins, fitted).frame["rank"].to_list()) in ([1, 1, 3], [1, 2, 2])


def test_a_missing_measurement_costs_the_rank_and_nothing_else(fresh, fitted):
    gap = changed(fresh, 3, pre_held_out_loss_nats=None)
    ranking = rank(gap, fitted)
    name = fresh["candidate"][3]
    last = ranking.frame.row(-1, named=True)
    assert (last["candidate"], last["rank"], last["prediction"], last["p_best"]) == (name, None, None, None)
    assert "missing-feature" in kinds(ranking, name)
    assert any("1 of 16 candidates lack" in note for note in ranking.notes)
    others = rank(fresh.filter(pl.col("candidate") != name), fitted).frame
    assert ranking.frame[:-1]["prediction"].to_list() == others["prediction"].to_list()


def test_without_any_measurement_there_is_nothing_to_rank(fresh, fitted):
    with pytest.raises(NothingToRankError, match="no candidate has every measurement"):
        rank(fresh.with_columns(pre_pass_at_64=pl.lit(None, pl.Float64)), fitted)
    with pytest.raises(CorpusError, match="column 'pre_pass_at_64' is missing"):
        rank(fresh.drop("pre_pass_at_64"), fitted)


def test_flags_name_what_is_wrong(fresh, fitted):
    names = fresh["candidate"].to_list()
    odd = changed(fresh, 0, pre_held_out_loss_nats=25.0)
    odd = changed(odd, 1, pre_pass_at_64=0.999)
    odd = changed(odd, 2, pre_truncated_share=0.4)
    odd = changed(odd, 4, pre_samples_per_problem=32)
    ranking = rank(odd, fitted)
    assert {"outside-domain", "off-scale"} <= kinds(ranking, names[0])
    assert "saturated" in kinds(ranking, names[1])
    assert "truncated" in kinds(ranking, names[2])
    assert "few-samples" in kinds(ranking, names[4])
    assert {flag.kind for flag in ranking.flags} <= set(KINDS)
    in_frame = dict(zip(ranking.frame["candidate"], ranking.frame["flags"].to_list(), strict=True))
    assert all(set(in_frame[name]) == kinds(ranking, name) for name in names)


def test_conflicting_metrics_are_flagged_within_a_base_model():
    frame = pl.DataFrame(
        {
            "candidate": list("abcdefgh"),
            "base_model": ["x"] * 4 + ["y"] * 4,
            "pre_held_out_loss_nats": [0.1, 0.2, 0.3, 0.4, 9.1, 9.2, 9.3, 9.4],
            "pre_pass_at_64": [0.2, 0.8, 0.7, 0.6, 0.9, 0.8, 0.7, 0.6],
        }
    )
    ranking = rank(frame, "none")
    assert [flag.candidate for flag in ranking.flags if flag.kind == "conflict"] == ["a"]


def test_another_protocol_is_refused_unless_allowed(fresh, fitted):
    other = fresh.with_columns(eval_protocol_id=pl.lit("other"))
    with pytest.raises(IncomparableError, match="eval protocol other, but the surrogate was fitted on"):
        rank(other, fitted)
    ranking = rank(other, fitted, allow_mixed_protocols=True)
    assert all("other-protocol" in found for found in ranking.frame["flags"])
    assert "eval protocol other" in why_not_applicable(other, fitted)
    with pytest.raises(IncomparableError, match="eval protocol unknown"):
        rank(fresh.drop("eval_protocol_id"), fitted)


def test_another_rl_recipe_is_refused_unless_allowed(runs, fitted):
    other = runs.with_columns(rl_recipe_id=pl.lit("other"))
    with pytest.raises(IncomparableError, match="RL recipe other"):
        rank(other, fitted)
    assert rank(other, fitted, allow_mixed_protocols=True).frame.height == 40


def test_an_unseen_base_model_is_refused_unless_allowed_or_validated(fresh, fitted):
    from dataclasses import replace

    other = fresh.with_columns(base_model=pl.lit("new"))
    with pytest.raises(IncomparableError, match=r"base model new, but .* allow_unvalidated_base=True"):
        rank(other, fitted)
    assert "unseen-base" in rank(other, fitted, allow_unvalidated_base=True).frame["flags"][0]
    assert (
        rank(other, replace(fitted, cross_base_validated=True)).frame["flags"].explode().to_list().count("unseen-base")
        == 0
    )


def test_mixed_protocols_and_recipes_among_candidates_are_refused(runs):
    with pytest.raises(IncomparableError, match="2 protocols"):
        rank(changed(runs, 0, eval_protocol_id="other"))
    mixed = changed(runs, 0, rl_recipe_id="other")
    with pytest.raises(IncomparableError, match="comes from 2 RL recipes"):
        rank(mixed)
    assert rank(mixed, allow_mixed_protocols=True).frame.height == 40


def test_what_rl_gave_is_shown_and_never_used(runs, fresh, fitted):
    with_actual, without = rank(runs[24:], fitted), rank(fresh, fitted)
    shared = [name for name in without.frame.columns if name != "actual"]
    assert with_actual.frame.select(shared).equals(without.frame)
    assert without.outcome is None
    found = with_actual.outcome
    actual = dict(zip(runs["candidate"], runs["post_pass_at_1"], strict=True))
    here = {name: actual[name] for name in fresh["candidate"]}
    assert found.best_actual == max(here.values())
    by_prediction, by_score, *free = found.choices
    assert [choice.rule for choice in free] == ["pre_pass_at_64", "pre_held_out_loss_nats", "screening"]
    assert by_prediction.candidate == with_actual.frame["candidate"][0]
    assert by_prediction.regret == pytest.approx(max(here.values()) - here[by_prediction.candidate])
    top = fresh.sort("pre_pass_at_1", descending=True)["candidate"][0]
    assert (by_score.rule, by_score.candidate) == ("pre_pass_at_1", top)
    assert by_score.regret == pytest.approx(max(here.values()) - here[top])


def test_truth_from_another_table(runs, fresh, fitted):
    expected = rank(runs[24:], fitted)
    ranking = rank(fresh, fitted, truth=runs)
    assert ranking.outcome == expected.outcome
    assert ranking.frame["actual"].to_list() == expected.frame["actual"].to_list()
    some = rank(fresh, fitted, truth=runs[24:26])
    assert some.outcome.finished == 2
    assert some.frame["actual"].null_count() == 14
    with pytest.raises(CorpusError, match="for none of the candidates"):
        rank(fresh, fitted, truth=runs[:24])
    with pytest.raises(CorpusError, match="`truth`: column 'post_pass_at_1' is missing"):
        rank(fresh, fitted, truth=fresh)
    with pytest.raises(IncomparableError, match="`truth`: eval protocol other"):
        rank(fresh, fitted, truth=runs.with_columns(eval_protocol_id=pl.lit("other")))


def test_equally_good_choices_count_by_their_mean():
    frame = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.5], "post_pass_at_1": [0.6, 0.8]})
    choice, *_ = rank(frame, None).outcome.choices
    assert choice.actual == pytest.approx(0.7)
    assert choice.regret == pytest.approx(0.1)
    assert math.isnan(choice.spearman)


def test_rl_seeds_of_a_candidate_are_one_candidate(fitted):
    seeds = synthetic_corpus(12, seed=3, rl_seeds=3, nested=False).frame
    ranking = rank(seeds, fitted)
    assert ranking.frame.height == 12
    name = ranking.frame["candidate"][0]
    assert ranking.frame["actual"][0] == pytest.approx(seeds.filter(candidate=name)["post_pass_at_1"].mean())


def test_wrong_calls(fresh, fitted, tmp_path):
    with pytest.raises(UsageError, match="target=\"post_pass_at_8\": the surrogate predicts 'post_pass_at_1'"):
        rank(fresh, fitted, target="post_pass_at_8")
    with pytest.raises(SurrogateError):
        rank(fresh, tmp_path)
    with pytest.raises(NothingToRankError):
        rank(fresh.clear(), fitted)


def test_a_candidate_with_and_without_its_result_is_one(runs, fitted):
    before = runs[24:].drop("post_pass_at_1", "rl_recipe_id", "rl_seed")
    ranking = rank([before, runs[24:28]], fitted)
    assert ranking.frame.height == 16
    assert ranking.frame["actual"].null_count() == 12
    assert ranking.frame.equals(rank([runs[24:28], before], fitted).frame)


def test_a_surrogate_fitted_on_the_spot_keeps_to_what_it_saw(runs):
    done = pl.int_range(pl.len()) < 30
    table = runs.with_columns(
        pl.when(done).then("post_pass_at_1").alias("post_pass_at_1"),
        base_model=pl.when(done).then("base_model").otherwise(pl.lit("new")),
    )
    with pytest.raises(IncomparableError, match="base model new, but"):
        rank(table, "average")
    assert rank(table, "average", allow_unvalidated_base=True).frame.height == 40
    assert rank(table, "fit").frame["prediction"].null_count() == 0  # its prior speaks of any base
    assert why_not_fitted(table)
    assert not why_not_fitted(table.with_columns(base_model=pl.lit("one")))
    mixed = runs.with_columns(
        pl.when(done).then("post_pass_at_1").alias("post_pass_at_1"),
        rl_recipe_id=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("other")).otherwise("rl_recipe_id"),
    )
    with pytest.raises(IncomparableError, match="2 RL recipes"):
        rank(mixed, "fit")
    assert why_not_fitted(mixed)


def test_steps_that_the_surrogate_does_not_know_are_said(fresh, fitted):
    assert any("does not depend on RL steps" in note for note in rank(fresh, fitted, rl_steps=200).notes)
    with pytest.raises(UsageError, match="rl_steps=0: expected a number above 0"):
        rank(fresh, fitted, rl_steps=0)
    with pytest.raises(UsageError, match="rl_steps=200 needs predicted scores"):
        rank(fresh, "none", rl_steps=200)


def test_a_screening_with_a_budget_takes_the_first_without_result(runs):
    table = runs.with_columns(pl.when(pl.int_range(pl.len()) % 2 == 0).then("post_pass_at_1").alias("post_pass_at_1"))
    ranking = rank(table, "none", budget=3)
    odd = set(table.filter(pl.col("post_pass_at_1").is_null())["candidate"])
    assert ranking.budget.candidates == tuple(name for name in ranking.frame["candidate"] if name in odd)[:3]
    assert ranking.budget.expected_best is None


def test_errors_that_are_taken_as_independent_are_said(runs, fresh, monkeypatch):
    process = fit(runs[:24], "gaussian_process")
    assert not any("as independent" in note for note in rank(fresh, process).notes)
    monkeypatch.setattr("quagpredict.surrogates.gaussian_process_form._JOINT_ROWS", 10)
    assert any("as independent" in note for note in rank(fresh, process).notes)


def test_training_rows_are_known_again_in_any_order_and_company(runs, fresh):
    """What was fitted on is no test, whichever of it is there and however it is sorted."""
    table = runs.with_columns(base_model=pl.lit("b"))
    new = fresh.head(4).with_columns(candidate=pl.col("candidate") + "-new", base_model=pl.lit("b"))
    fitted = fit(table, split=None)
    for rows in (table, table.reverse(), table.sample(20, seed=1)):
        ranking = rank(pl.concat([rows, new], how="diagonal"), fitted)
        known = "fitted on the 40 with" if rows.height == 40 else "40 finished candidates, 20 of them among these"
        assert known in ranking.notes[0]
        assert "prediction" not in [choice.rule for choice in ranking.outcome.choices]
    other = table.with_columns(post_pass_at_1=pl.col("post_pass_at_1") + 1e-9)
    assert "among these" not in rank(other, fitted).notes[0]


def test_every_rule_chooses_among_the_same_candidates():
    """A surrogate that learnt from the best candidate is not blamed for not choosing it."""
    score = [0.9, 0.3, 0.5, 0.4, 0.2, 0.6, 0.1, 0.8, 0.7, 0.35]
    table = pl.DataFrame({"candidate": list("abcdefghij"), "pre_pass_at_1": score, "base_model": "b"})
    truth = table.select("candidate", post_pass_at_1=pl.col("pre_pass_at_1") * 0.9 + 0.05)
    known = table.join(truth.filter(pl.col("candidate").is_in(list("abcdef"))), on="candidate", how="left")
    ranking = rank(known, "linear", features="pre_pass_at_1", truth=truth)
    prediction, sft, *_ = ranking.outcome.choices
    assert prediction.candidate == sft.candidate == "h"
    assert prediction.regret == sft.regret == 0.0
    assert ranking.outcome.best == "h"


def test_a_surrogate_that_reads_counts_is_fitted_on_flat_tables(runs):
    table = runs.with_columns(
        pl.when(pl.int_range(pl.len()) < 10).then("post_pass_at_1").alias("post_pass_at_1"), base_model=pl.lit("b")
    )
    flat = table.drop([name for name in table.columns if name.endswith("problems")])
    assert rank(flat, "effective_k").frame["prediction"].null_count() == 0


def test_a_curve_that_falls_is_flagged(fresh, fitted):
    swapped = fresh.rename({"pre_pass_at_64": "pre_pass_at_1", "pre_pass_at_1": "pre_pass_at_64"})
    ranking = rank(swapped, fitted)
    assert {flag.candidate for flag in ranking.flags if flag.kind == "falling-curve"} == set(fresh["candidate"])
    assert not any(flag.kind == "falling-curve" for flag in rank(fresh, fitted).flags)


def test_equal_results_share_the_chance_to_be_best(runs, fitted):
    table = runs.with_columns(pl.when(pl.int_range(pl.len()) < 26).then("post_pass_at_1").alias("post_pass_at_1"))
    best = pl.col("candidate").is_in(["c0024", "c0025"])
    table = table.with_columns(post_pass_at_1=pl.when(best).then(0.99).otherwise("post_pass_at_1"))[24:]
    chances = dict(rank(table, fitted).frame.select("candidate", "p_best").rows())
    assert chances["c0024"] == chances["c0025"] > 0.3
    assert sum(chances.values()) == pytest.approx(1.0)


def test_outcomes_that_are_all_equal_teach_nothing(runs):
    with pytest.raises(CorpusError, match=r"all 40 finished candidates have the same post_pass_at_1, 0.5"):
        fit(runs.with_columns(post_pass_at_1=0.5))


def test_what_is_returned_is_shown_in_one_line(fresh, fitted):
    ranking = rank(fresh, fitted)
    assert repr(ranking).startswith("Ranking(16 candidates by the surrogate 'linear', first '")
    assert "<table" in ranking._repr_html_()
    assert repr(fitted) == (
        "FittedSurrogate('linear' of pre_held_out_loss_nats, pre_pass_at_64 for post_pass_at_1, 24 training rows)"
    )


def test_one_name_for_two_protocols_is_refused(runs, fitted):
    other = runs[24:].with_columns(eval_protocol_id=pl.lit("another"))
    with pytest.raises(CorpusError, match="is there with several values of eval_protocol_id"):
        rank(pl.concat([runs[24:], other]), fitted, allow_mixed_protocols=True)


def test_results_without_a_base_model_correct_the_others(runs, fitted):
    table = (
        runs[24:]
        .drop("base_model")
        .with_columns(post_pass_at_1=pl.when(pl.int_range(pl.len()) < 4).then("post_pass_at_1"))
    )
    ranking = rank(table, fitted, allow_unvalidated_base=True)
    assert ranking.frame["prediction"].null_count() == 0


def test_features_are_counted_as_columns(runs):
    table = runs.head(24).with_columns(post_pass_at_1=pl.when(pl.int_range(pl.len()) < 8).then("post_pass_at_1"))
    assert rank(table, "fit", features="all-numeric").surrogate == "ridge"


def test_what_is_misspelt_is_named_with_what_is_near(runs, fresh, fitted):
    with pytest.raises(UsageError, match=r"unknown surrogate 'rigde'.* makes one; did you mean 'ridge'"):
        rank(fresh, "rigde")
    with pytest.raises(UsageError, match="unknown surrogate 'rigde'; did you mean 'ridge'"):
        fit(runs, "rigde")
    with pytest.raises(
        UsageError, match="surrogate 'ridge:both:log': there are no transforms 'log'; did you mean 'log-"
    ):
        rank(runs, "ridge:both:log")
    with pytest.raises(CorpusError, match=r"column 'pass@64' is missing, .*; did you mean 'pre_pass_at_64'"):
        fit(runs, "ridge", "pass@64")
    with pytest.raises(UsageError, match=r"margin=2: .*; for 2 points say margin=0.02"):
        rank(fresh, fitted, gate=0.5, margin=2)
