"""Tables with headers of their own rank from Python as from the command line, or say what to pass."""

import polars as pl
import pytest

from quagpredict.corpus import write_corpus
from quagpredict.errors import CorpusError, NothingToRankError
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


def test_truth_is_read_under_headers_and_in_the_unit_of_the_candidates(tmp_path):
    table = FOREIGN.with_columns(pl.col("pass@1", "pass@64") * 100)
    truth = tmp_path / "truth.csv"
    pl.DataFrame({"Model": ["mix-b", "mix-a"], "after RL": [48.2, 53.1]}).write_csv(truth)
    ranking = rank(table, "none", percent=True, truth=truth)
    assert ranking.frame["actual"].to_list() == pytest.approx([0.531, 0.482])
    assert any("'after RL' as post_pass_at_1" in note and "columns" not in note for note in ranking.notes)
    written = tmp_path / "ours.parquet"  # fractions, whatever unit a table beside it has
    write_corpus(pl.DataFrame({"candidate": ["mix-a"], "post_pass_at_1": [0.531]}), written)
    assert rank(table, "none", percent=True, truth=written).outcome.best_actual == 0.531
    both = rank([table.rename({"name": "candidate"}), _ours(tmp_path)], "none", percent=True)
    assert dict(both.frame.select("candidate", "pre_pass_at_64").rows())["mix-c"] == 0.69


def test_truth_that_cannot_be_read_names_its_file_and_what_to_call_its_columns(tmp_path):
    truth = tmp_path / "truth.csv"
    pl.DataFrame({"Model": ["mix-a"], "outcome": [0.5]}).write_csv(truth)
    match = r"truth.csv: column 'post_pass_at_1' is missing \(or 'score_after_rl'\); it has candidate, outcome"
    with pytest.raises(CorpusError, match=match):
        rank(FOREIGN, "none", truth=truth)


def _ours(folder):
    row = pl.DataFrame({"candidate": ["mix-c"], "base_model": ["q"], "pre_pass_at_1": [0.3], "pre_pass_at_64": [0.69]})
    write_corpus(row, folder / "base.parquet")
    return folder / "base.parquet"


def test_a_base_is_never_suggested_for_the_candidates():
    table = pl.DataFrame({"base_model": ["q", "r"], "pre_pass_at_64": [0.5, 0.6]})
    with pytest.raises(CorpusError, match=r"column 'candidate' is missing; it has base_model, pre_pass_at_64$"):
        rank(table)
