"""Tables with headers of their own rank from Python as from the command line, or say what to pass."""

import polars as pl
import pytest

from quagpredict.errors import NothingToRankError
from quagpredict.ranking import HeadersError, rank

FOREIGN = pl.DataFrame(
    {"name": ["mix-a", "mix-b"], "base": ["q", "q"], "pass@1": [0.31, 0.36], "pass@64": [0.71, 0.66]}
)


def test_what_can_mean_but_one_thing_is_taken_and_said():
    ranking = rank(FOREIGN, "none")
    assert ranking.frame["candidate"].to_list() == ["mix-a", "mix-b"]
    assert any("'base' as base_model" in note for note in ranking.notes)
    assert "pre_pass_at_64" in ranking.candidates.columns


def test_a_table_of_the_schema_is_given_on_as_it_is():
    table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.5, 0.6]})
    assert rank(table, "none").candidates is table


def test_headers_that_may_mean_something_else_are_named_and_work_as_told():
    table = FOREIGN.rename({"name": "Experiment"}).vstack(FOREIGN.rename({"name": "Experiment"}))
    with pytest.raises(HeadersError, match=r"did you mean columns={'candidate': 'Experiment'}") as caught:
        rank(table.with_columns(Experiment=pl.Series(["a", "b", "a", "b"])), "none")
    told = table.with_columns(Experiment=pl.Series(["a", "b", "c", "d"]))
    assert rank(told, "none", columns=caught.value.columns).frame.height == 4


def test_per_cent_is_asked_for_and_taken():
    table = FOREIGN.with_columns(pl.col("pass@1", "pass@64") * 100)
    with pytest.raises(HeadersError, match="if it is: percent=True") as caught:
        rank(table, "none")
    assert caught.value.percent
    assert rank(table, "none", percent=True).frame["pre_pass_at_64"].max() == pytest.approx(0.71)


def test_rows_of_a_split_are_ranked_under_any_headers():
    table = FOREIGN.with_columns(split=pl.Series(["fit", "held_out"]))
    assert rank(table, "none", split="held_out").frame["candidate"].to_list() == ["mix-b"]
    with pytest.raises(NothingToRankError, match="no candidate has the split 'fit'"):
        rank(FOREIGN, "none", split="fit")
