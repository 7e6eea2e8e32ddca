"""What the check refuses, and how it says so."""

import math

import polars as pl
import pytest

from quagpredict.cli.wording import on_the_command_line
from quagpredict.corpus import check_corpus
from quagpredict.errors import CorpusError, IncomparableError, NothingToRankError


def problem(**changes):
    return {"benchmark": "lab", "problem_id": "p1", "level": 1, "n": 8, "c": 3, **changes}


def test_a_valid_table_comes_back_unchanged(rows):
    assert check_corpus(rows).equals(rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pre_pass_at_1": math.nan}, "column 'pre_pass_at_1': nan of candidate 'a' is not a number"),
        ({"pre_held_out_loss_nats": math.inf}, "column 'pre_held_out_loss_nats': inf of candidate 'a' is not a number"),
        ({"pre_pass_at_1": 1.0001}, "is outside 0 to 1"),
        ({"pre_pass_at_1": 41.5}, "is this per cent"),
        ({"post_pass_at_64": -0.1}, "column 'post_pass_at_64': -0.1 of candidate 'a' is outside 0 to 1"),
        ({"pre_held_out_loss_nats": -0.1}, "is below 0 nats/token"),
        ({"pre_token_log_prob_nats": 0.1}, "is above 0"),
        ({"pre_samples_per_problem": 0}, "column 'pre_samples_per_problem': 0 of candidate 'a' is below 1"),
        ({"pre_samples_per_problem": 2.5}, "column 'pre_samples_per_problem' must be whole numbers, found numbers"),
        ({"pre_pass_at_1": "much"}, "column 'pre_pass_at_1' must be numbers, found text such as 'much'"),
        ({"pre_pass_at_1": True}, "column 'pre_pass_at_1' must be numbers, found boolean"),
        ({"candidate": 1.5}, "column 'candidate' must be text, found numbers such as 1.5"),
        ({"candidate": ""}, "column 'candidate' is empty in row 1"),
        ({"split": "test"}, "column 'split': 'test' of candidate 'a' is none of fit, held_out"),
        (
            {"pre_problems": [problem(c=9)]},
            "'pre_problems': c must lie in 0 to n, but problem 'p1' of candidate 'a' has n",
        ),
        ({"pre_problems": [problem(c=-1)]}, "c must lie in 0 to n"),
        ({"pre_problems": [problem(n=0, c=0)]}, "n must be at least 1"),
        ({"pre_problems": [problem(n=None)]}, "n and c must be given"),
        (
            {"pre_problems": [problem(truncated=9)]},
            "truncated must lie in 0 to n, but problem 'p1' of candidate 'a' has n = 8",
        ),
        ({"pre_problems": [problem(), problem()]}, "problem 'p1' of benchmark 'lab' is listed twice for candidate 'a'"),
        ({"pre_problems": [{"problem_id": "p1", "n": 8}]}, "column 'pre_problems': field 'c' is missing"),
        ({"pre_problems": [problem(n=7.5)]}, "column 'pre_problems': field 'n' must be int64"),
        ({"pre_problems": [1, 2]}, "column 'pre_problems' must be lists of records"),
        ({"rl_curve": [{"reward": 0.5}]}, "column 'rl_curve': field 'step' is missing"),
    ],
)
def test_what_is_refused(row, changes, said):
    with pytest.raises(CorpusError) as caught:
        check_corpus(row(**changes), "runs/a.parquet")
    message = str(caught.value)
    assert said in message
    assert message.startswith("runs/a.parquet: column '")
    assert "\n" not in message


def test_a_missing_candidate_column_names_what_looks_like_it():
    with pytest.raises(CorpusError, match="column 'candidate' is missing; it has candidates, x; 'candidates' looks"):
        check_corpus(pl.DataFrame({"candidates": ["a"], "x": [1]}))


def test_a_table_without_rows_has_nothing_to_rank(rows):
    with pytest.raises(NothingToRankError, match="no row"):
        check_corpus(rows.clear())


def test_a_row_that_is_there_twice_is_refused(rows):
    with pytest.raises(CorpusError, match="'c1' appears 2 times"):
        check_corpus(pl.concat([rows, rows[1]]))


def test_rl_seeds_make_rows_of_their_own(row):
    two = [row(rl_recipe_id="r", rl_seed=seed) for seed in (0, 1)]
    assert check_corpus(pl.concat(two)).height == 2


def test_mixed_protocols_are_refused_unless_allowed(row):
    mixed = pl.concat([row("a"), row("b", eval_protocol_id="e2")])
    with pytest.raises(IncomparableError, match="2 protocols \\(e1, e2\\)") as error:
        check_corpus(mixed)
    assert "takes --allow-mixed-protocols" in on_the_command_line(str(error.value), "rank")
    assert "or pass" not in on_the_command_line(str(error.value), "race")  # which has no such option
    assert check_corpus(mixed, allow_mixed_protocols=True).height == 2


def test_an_unknown_protocol_is_another_protocol(row):
    with pytest.raises(IncomparableError, match="unknown, e1"):
        check_corpus(pl.concat([row("a"), row("b", eval_protocol_id=None)]))


def test_casts_that_lose_nothing_are_made():
    frame = pl.DataFrame(
        {
            "candidate": [1, 2],
            "pre_pass_at_1": pl.Series([0, 1], dtype=pl.Int8),
            "pre_samples_per_problem": [64.0, None],
            "pre_pass_at_2": [None, None],
            "base_family": pl.Series(["x", "y"], dtype=pl.Categorical),
            "pre_problems": [None, None],
        }
    )
    checked = check_corpus(frame)
    assert checked["candidate"].to_list() == ["1", "2"]
    assert checked["pre_samples_per_problem"].to_list() == [64, None]
    assert checked.schema["pre_pass_at_1"] == checked.schema["pre_pass_at_2"] == pl.Float64
    assert checked.schema["base_family"] == pl.String


def test_fields_of_problems_may_come_in_any_order_and_number(row):
    problems = [{"c": 3.0, "n": 8, "extra": "x"}]
    checked = check_corpus(row(pre_problems=problems))
    (kept,) = checked["pre_problems"].item().to_list()
    assert (kept["n"], kept["c"], kept["level"], "extra" in kept) == (8, 3, None, False)


def test_slices_of_many_problems_find_the_candidate(row, monkeypatch):
    monkeypatch.setattr("quagpredict.corpus.check._PROBLEMS_AT_ONCE", 3)
    empty = {"truncated": None, "no_answer": None, "distinct_answers": None}
    problems = [{**problem(), **empty}, {**problem(problem_id="p9", c=9), **empty}]
    bad = row("c7").with_columns(pl.Series("pre_problems", [problems], row().schema["pre_problems"]))
    table = pl.concat([*(row(f"c{number}") for number in range(7)), bad], how="diagonal")
    with pytest.raises(CorpusError, match="problem 'p9' of candidate 'c7'"):
        check_corpus(table)
