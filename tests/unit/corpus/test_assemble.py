"""One row from records."""

import math

import polars as pl
import pytest

from quagpredict.corpus import assemble_row, read_corpus, write_corpus
from quagpredict.errors import CorpusError
from quagpredict.schema import COLUMNS

PROBLEMS = pl.DataFrame({"benchmark": ["lab"] * 2, "problem_id": ["p1", "p2"], "n": [8, 8], "c": [8, 0]})


def test_a_row_has_every_column_in_order():
    row = assemble_row({"candidate": "a"}, {"pass_at_1": 0.5}, PROBLEMS)
    assert row.columns == [column.name for column in COLUMNS]
    assert row.schema == {column.name: column.dtype for column in COLUMNS}
    assert [item["c"] for item in row["pre_problems"].item().to_list()] == [8, 0]
    assert row["post_problems"].item() is None


def test_a_finished_run_round_trips(tmp_path):
    curve = [{"step": 0, "reward": 0.25}, {"step": 1, "reward": 1, "entropy": None}]
    row = assemble_row(
        {"candidate": "a", "rl_recipe_id": "r", "rl_seed": 0, "rl_steps": 2},
        {"pass_at_1": 0.5, "pass_at_256": None, "samples_per_problem": 8},
        PROBLEMS,
        {"pass_at_1": 1},
        PROBLEMS,
        curve,
        [{"step": 0, "pass_at_1": 0.5, "samples_per_problem": 8}, {"step": 2, "pass_at_1": 1}],
        {"sft": 1, "rl": None},
    )
    write_corpus(row, tmp_path / "a.parquet")
    back = read_corpus(tmp_path / "a.parquet")
    assert back.equals(row)
    assert [record["reward"] for record in back["rl_curve"].item().to_list()] == [0.25, 1.0]
    assert [record["pass_at_1"] for record in back["post_curve"].item().to_list()] == [0.5, 1.0]
    assert back["post_pass_at_1"].item() == 1.0


def test_an_empty_curve_and_no_problem():
    row = assemble_row({"candidate": "a"}, {}, PROBLEMS.clear(), rl_curve=[])
    assert row["rl_curve"].item().len() == 0
    assert row["pre_problems"].item().len() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"identity": {"candidate": "a", "recipe_epoch": 1.0}},
            "unknown key 'recipe_epoch'; did you mean 'recipe_epochs'",
        ),
        ({"pre": {"pre_pass_at_1": 0.5}}, "pre measurement: unknown key 'pre_pass_at_1'; did you mean 'pass_at_1'"),
        ({"costs": {"grpo": 1.0}}, "costs: unknown key 'grpo'"),
        ({"rl_curve": [{"steps": 1}]}, "rl_curve: unknown key 'steps'; did you mean 'step'"),
        ({"post_curve": [{"steps": 1}]}, "post_curve: unknown key 'steps'; did you mean 'step'"),
        ({"pre": {"pass_at_1": math.nan}}, "column 'pre_pass_at_1': nan"),
        ({"pre": {"pass_at_1": object()}}, "column 'pre_pass_at_1'"),
        ({"pre": {"pass_at_1": 2**70}}, "column 'pre_pass_at_1'"),
        ({"pre_problems": PROBLEMS.with_columns(c=pl.col("n") + 1)}, "c must lie in 0 to n"),
    ],
)
def test_what_is_refused(arguments, said):
    given = {"identity": {"candidate": "a"}, "pre": {}, "pre_problems": PROBLEMS, **arguments}
    with pytest.raises(CorpusError) as caught:
        assemble_row(**given)
    assert said in str(caught.value)
    assert str(caught.value).startswith("candidate 'a': ")
