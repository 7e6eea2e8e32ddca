"""Ranking without a surrogate: the paper's screening, and what it says of tables from elsewhere."""

import polars as pl
import pytest

from quagpredict.errors import CorpusError
from quagpredict.ranking import rank
from quagpredict.validation.screening import screen


def kinds(ranking, candidate):
    return {flag.kind for flag in ranking.flags if flag.candidate == candidate}


def test_screening_follows_the_paper():
    frame = pl.DataFrame(
        {
            "candidate": ["good", "sharp", "poor", "wide"],
            "pre_pass_at_1": [0.5, 0.6, 0.1, 0.2],
            "pre_held_out_loss_nats": [0.3, 0.35, 0.9, 0.31],
            "pre_pass_at_64": [0.8, 0.7, 0.95, 0.9],
            "pre_pass_at_128": [0.9, None, 0.96, 0.92],
        }
    )
    ranking = rank(frame, "none")
    # 128 is not common to all; "poor" has low accuracy and high loss, so that its coverage does not save it.
    assert ranking.frame["candidate"].to_list() == ["wide", "good", "sharp", "poor"]
    assert kinds(ranking, "poor") >= {"screened-out"}
    assert ranking.surrogate is None
    assert "prediction" not in ranking.frame.columns
    assert "no score is predicted" in ranking.notes[0]


@pytest.mark.parametrize(
    ("columns", "order", "said"),
    [
        ({"pre_pass_at_64": [0.7, 0.8]}, ["b", "a"], "no candidate was screened out"),
        ({"pre_held_out_loss_nats": [0.3, 0.4]}, ["a", "b"], "ordered by the held-out loss"),
        ({"pre_pass_at_1": [0.7, 0.8]}, ["b", "a"], "choosing by it misleads"),
        ({"pre_pass_at_64": [0.7, None]}, ["a", "b"], "1 of 2 candidates lack"),
    ],
)
def test_screening_with_what_there_is(columns, order, said):
    ranking = rank(pl.DataFrame({"candidate": ["a", "b"], **columns}), "none")
    assert ranking.frame["candidate"].to_list() == order
    assert any(said in note for note in ranking.notes)


def test_a_screening_shows_the_loss_although_it_orders_by_coverage_alone():
    losses = [0.3, 0.4]
    table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.7, 0.8], "pre_held_out_loss_nats": losses})
    ranking = rank(table, "none")
    assert ranking.frame["pre_held_out_loss_nats"].to_list() == losses[::-1]
    assert ranking.notes[0].startswith("no surrogate: ordered by the paper's screening (Pass@64);")
    assert "Pass@1 was not measured: no candidate was screened out" in ranking.notes
    unknown = table.with_columns(pre_held_out_loss_nats=pl.lit(None, pl.Float64))
    assert "pre_held_out_loss_nats" not in rank(unknown, "none").frame.columns


def test_screening_needs_something():
    with pytest.raises(CorpusError, match="nothing to rank by"):
        rank(pl.DataFrame({"candidate": ["a"], "mine": [1.0]}), "none")


def test_who_holds_the_order_down_is_named():
    table = pl.DataFrame({
        "candidate": ["a", "b", "c"], "pre_pass_at_4": [0.5, 0.6, 0.4], "pre_pass_at_128": [0.9, 0.8, None],
    })  # fmt: skip
    ranking = rank(table, "none")
    assert ranking.frame["candidate"].to_list() == ["b", "a", "c"]
    said = " ".join(ranking.notes)
    assert "ordered by Pass@4 because 'c' lack Pass@128, which 2 of 3 candidates have" in said
    assert "base_model is not given" in said


def test_any_k_orders_and_near_names_are_told():
    table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.6, 0.5], "pre_pass_at_100": [0.6, 0.9]})
    assert rank(table, "none").frame["candidate"].to_list() == ["b", "a"]
    near = table.rename({"pre_pass_at_100": "pass_at_64"}).with_columns(loss=0.3)
    said = " ".join(rank(near, "none").notes)
    assert "'pass_at_64' (did you mean 'pre_pass_at_64'?), 'loss' (did you mean 'pre_held_out_loss_nats'?)" in said
    with pytest.raises(CorpusError, match=r"among the columns candidate, pass_at_64, loss.*did you mean"):
        screen(near.drop("pre_pass_at_1"))


def test_a_loss_that_is_missing_costs_no_rank():
    table = pl.DataFrame({
        "candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8],
        "pre_held_out_loss_nats": [0.3, None],
    })  # fmt: skip
    ranking = rank(table, "none")
    assert ranking.frame["rank"].null_count() == 0
    assert [(flag.candidate, flag.kind) for flag in ranking.flags] == [("b", "not-screened")]
