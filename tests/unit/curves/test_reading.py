"""Curves in every form, and what is wrong with one."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.curves.reading import read_curves
from quagpredict.errors import CorpusError, QuagpredictError

WHO = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.1, 0.2], "pre_pass_at_16": [0.3, 0.4]})
LONG = pl.DataFrame(
    {
        "candidate": ["a", "a", "b"],
        "step": [50, 100, 50],
        "pass_at_1": [0.25, 0.5, 0.25],
        "pass_at_16": [0.5, None, 0.75],
        "n": [320, 320, 320],
    }
)


def test_every_form_says_the_same(tmp_path):
    expected = read_curves(LONG, WHO)
    assert expected.k == 16
    assert expected.frame.height == 5
    LONG.write_csv(tmp_path / "a.csv")
    LONG.sample(3, shuffle=True, seed=1).write_parquet(tmp_path / "a.parquet")
    points = LONG.select(
        "candidate", post_curve=pl.struct("step", "pass_at_1", "pass_at_16", samples_per_problem=pl.lit(8))
    )
    nested = points.group_by("candidate", maintain_order=True).agg("post_curve").with_columns(pre_problems_count=40)
    for source in (tmp_path / "a.csv", str(tmp_path / "a.parquet"), LONG.to_pandas(), nested):
        found = read_curves(source, WHO)
        assert found.k == 16
        assert found.frame.equals(expected.frame)
    own = WHO.join(nested, on="candidate")
    # None: the candidates' own curves; the problems are known there, and with the samples the responses before RL too.
    assert read_curves(None, own).frame.equals(expected.frame)


def test_scores_before_rl_are_step_0_unless_measured():
    along = pl.DataFrame({"candidate": ["a"], "step": [0], "pass_at_1": [0.15]})
    assert read_curves(along, WHO).frame.select("candidate", "step", "pass_at_1").rows() == [
        ("a", 0, 0.15),
        ("b", 0, 0.2),
    ]
    assert read_curves(None, WHO).frame["pass_at_1"].to_list() == [0.1, 0.2]
    assert read_curves(None, WHO.select("candidate")).frame.is_empty()


def test_a_training_reward_stands_in_where_nothing_was_measured_since_rl_began():
    along = pl.DataFrame(
        {
            "candidate": ["a", "a", "b", "b", "b"],
            "step": [10, 20, 10, 50, 60],
            "pass_at_1": [None, None, None, 0.25, None],
            "reward": [0.3, 0.4, 0.5, 0.6, 0.7],
        }
    )
    expected = [("a", 0, 0.1, None), ("a", 20, None, 0.4), ("b", 0, 0.2, None), ("b", 50, 0.25, None)]
    assert read_curves(along, WHO).frame.select("candidate", "step", "pass_at_1", "reward").rows() == expected
    alone = along.filter(candidate="a").drop("pass_at_1")
    assert read_curves(alone, WHO).frame.select("candidate", "step", "pass_at_1", "reward").rows() == expected[:3]
    with pytest.raises(
        CorpusError, match="'reward' of 'a' at step 10 must be a fraction from 0 to 1, the share of res"
    ):
        read_curves(along.with_columns(reward=pl.col("reward") * 100), WHO)
    with pytest.raises(CorpusError, match="'pass_at_1' of 'a' at step 10 must be a fraction from 0 to 1, got None"):
        read_curves(along.with_columns(reward=None), WHO)


def test_the_k_nearest_to_16_is_taken():
    table = LONG.rename({"pass_at_16": "pass_at_8"}).with_columns(pass_at_4=pl.lit(0.6), pass_at_256=pl.lit(0.9))
    assert read_curves(table, WHO).k == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidate": ["a", "a", "z"]}, "curves: 'z' is none of the 2 candidates"),
        ({"candidate": ["a", None, "b"]}, "'candidate' of 'None' at step 100 must be a name"),
        ({"step": [50, 50, 50]}, "'a' has two measurements at step 50"),
        ({"step": [50, -1, 50]}, "'step' of 'a' at step -1 must be a whole number, 0 or more"),
        ({"step": [50.0, 1.5, 50.0]}, "'step' of 'a' at step 1.5 must be a whole number"),
        ({"step": ["50", "x", "50"]}, "'step' of 'a' must be a number, got x"),
        ({"pass_at_1": [25.0, 50.0, 25.0]}, "'pass_at_1' of 'a' at step 50 must be a fraction from 0 to 1, got 25.0"),
        ({"pass_at_1": [0.25, None, 0.25]}, "'pass_at_1' of 'a' at step 100 must be a fraction from 0 to 1, got None"),
        ({"pass_at_1": [0.25, float("nan"), 0.25]}, "'pass_at_1' of 'a' at step 100 must be a fraction"),
        ({"pass_at_16": [0.2, None, 0.9]}, "'pass_at_16' of 'a' at step 50 must be at least pass_at_1"),
        ({"n": [0, 1, 1]}, "'n' of 'a' at step 50 must be the responses drawn in all"),
    ],
)
def test_a_wrong_value_is_named(change, message):
    table = LONG.with_columns(**{name: pl.Series(values) for name, values in change.items()})
    with pytest.raises(CorpusError, match="curves: ") as raised:
        read_curves(table, WHO)
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["candidate", "step", "pass_at_1"])
def test_a_missing_column_is_named(name):
    with pytest.raises(CorpusError, match=f"column '{name}' is missing; it has "):
        read_curves(LONG.drop(name), WHO)


def test_a_pass_at_k_says_its_k():
    with pytest.raises(CorpusError, match="'pass_at_k' by its k"):
        read_curves(LONG.rename({"pass_at_16": "pass_at_k"}), WHO)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "bad.parquet").write_text("no")
    for name in ("nowhere.csv", "bad.parquet", ""):
        with pytest.raises(QuagpredictError):
            read_curves(tmp_path / name if name else str(tmp_path), WHO)


columns = st.sampled_from(
    [
        pl.Series([1, 2, 3]),
        pl.Series([0.1, 0.2, None]),
        pl.Series(["a", "b", "a"]),
        pl.Series(["0.1", "", "nan"]),
        pl.Series([True, False, True]),
        pl.Series([[1], [2], []], dtype=pl.List(pl.Int64)),
        pl.Series([{"step": 1}] * 3),
        pl.Series([None, None, None]),
        pl.Series([float("inf"), float("nan"), -1.0]),
        pl.Series([b"a", b"b", b"c"]),
        pl.Series(["2024-01-01"] * 3).str.to_date(),
        pl.Series([[{"step": 1, "pass_at_1": 0.2}]] * 3),
        pl.Series([[{"step": "x", "pass_at_1": [1]}]] * 3),
        pl.Series([2**63] * 3, dtype=pl.UInt64),
    ]
)
names = st.sampled_from(["candidate", "step", "pass_at_1", "pass_at_16", "pass_at_0", "n", "post_curve"])


@given(st.dictionaries(names, columns, max_size=7))
@settings(max_examples=300, deadline=None)
def test_any_table_is_read_or_refused_in_words(table):
    frame = pl.DataFrame({name: values.alias(name) for name, values in table.items()})
    try:
        found = read_curves(frame, WHO).frame
    except QuagpredictError:
        return
    assert found["pass_at_1"].is_between(0, 1).all()
    assert (found["step"] >= 0).all()
    assert not found.select("candidate", "step").is_duplicated().any()


def test_fractions_are_not_read_as_per_cent():
    who = pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.2]})
    fractions = pl.DataFrame({"candidate": ["a"], "step": [50], "pass_at_1": [0.31], "pass_at_16": [0.5]})
    with pytest.raises(CorpusError, match="curves: no score is above 1, so they look like fractions"):
        read_curves(fractions, who, percent=True)
    none_solved = fractions.with_columns(pass_at_1=0.0, pass_at_16=0.0)
    assert read_curves(none_solved, who, percent=True).frame["pass_at_1"].to_list() == [0.2, 0.0]
