"""One meaning a column: every place that orders, fits or prints by a column reads the same one."""

import numpy as np
import polars as pl
import pytest

from quagpredict.corpus.columns import column_of, curve_column, derived_of, pass_at, pass_at_columns, share_columns
from quagpredict.corpus.derived import with_derived
from quagpredict.errors import CorpusError, UsageError
from quagpredict.report.formats import heading
from quagpredict.schema import BY_NAME, COLUMNS, FEATURES
from quagpredict.surrogates.feature_sets import resolve_transforms
from quagpredict.surrogates.lightgbm import monotone_directions
from quagpredict.validation.baselines import baseline_names, model_of

DERIVED = (curve_column(1), curve_column(2.5), curve_column(8, "gsm8k"), *share_columns()[:2], "base_model=weak")
NUMBERS = [column.name for column in FEATURES] + ["pre_pass_at_3", "pass_at_64", "web_share", *DERIVED]

#: Decided before looking at any result.
HIGHER = ("pass_at_1", "pass_at_64", "pass_at_1_hard", "agreement_mean", "token_log_prob_nats")
LOWER = ("held_out_loss_nats", "held_out_bits_per_byte", "truncated_share", "no_answer_share")
NEITHER = ("length_mean", "pass_at_1_se", "held_out_loss_se", "token_entropy_nats", "zero_variance_share_g8")


@pytest.mark.parametrize("stage", ["", "pre_", "post_"])
def test_the_direction_is_that_of_the_measurement_before_and_after_rl(stage: str) -> None:
    for names, sign in ((HIGHER, 1), (LOWER, -1), (NEITHER, 0)):
        assert [column_of(stage + name).sign for name in names] == [sign] * len(names)
    assert column_of(f"{stage}held_out_bits_per_byte").scale == column_of(f"{stage}held_out_loss_nats").scale == "log"
    assert column_of(f"{stage}pass_at_1_hard").scale == column_of(f"{stage}pass_at_3").scale == "logit"


@pytest.mark.parametrize("name", NUMBERS)
def test_everyone_reads_that_meaning(name: str) -> None:
    column = column_of(name)
    assert monotone_directions([name]) == (column.sign,)
    assert heading(name) == column.heading
    (transform,) = resolve_transforms("log-logit", [name], pl.DataFrame({name: [0.5]}))
    assert transform.partition("(")[0] == column.scale
    table = pl.DataFrame({name: [0.5, 0.25]})
    if column.sign:
        assert model_of(f"proxy:{name}", table).sign == column.sign
    else:
        with pytest.raises(UsageError, match="is known to be better"):
            model_of(f"proxy:{name}", table)


def test_every_baseline_of_a_table_can_be_built() -> None:
    table = pl.DataFrame({column.name: [0.5, 0.25] for column in FEATURES}).with_columns(pre_pass_at_3=pl.lit(0.5))
    names = baseline_names(table)
    assert "proxy:pass_at_3" in names
    assert [model_of(name, table).name for name in names] == list(names)


def test_the_schema_is_its_own_meaning_and_every_column_has_a_heading() -> None:
    for column in COLUMNS:
        assert column_of(column.name) is BY_NAME[column.name]
        assert column.heading
    headings = {"pre_pass_at_64": "Pass@64", "post_pass_at_64": "Pass@64", "pre_held_out_loss_nats": "loss"}
    headings |= {"pre_problems": "Pass@k at all k", "recipe_epochs": "recipe epochs", "web_share": "web share"}
    assert {name: column_of(name).heading for name in headings} == headings


def test_k_is_that_of_the_name() -> None:
    ks = {"pre_pass_at_8": 8, "pass_at_64": 64, "pre_pass_at_1_hard": 0, curve_column(8): 0}
    assert {name: pass_at(name) for name in ks} == ks
    assert column_of(curve_column(8)).k == 8
    table = pl.DataFrame(
        {f"pre_pass_at_{k}": [0.5] for k in (64, 8)} | {"pre_pass_at_1": [None], "post_pass_at_1": [1]}
    )
    assert pass_at_columns(table) == ["pre_pass_at_8", "pre_pass_at_64"]
    assert pass_at_columns(table, "post") == ["post_pass_at_1"]


def test_a_third_of_the_problems_is_a_third_of_the_trials() -> None:
    counts = pl.DataFrame({"pre_samples_per_problem": [8, 8], "pre_problems_count": [90, 90]})
    trials = {"pre_pass_at_1": 720, "pre_pass_at_8": 90, "pre_pass_at_1_hard": 240, curve_column(2): 360}
    transforms = resolve_transforms("log-logit", list(trials), counts)
    assert transforms == tuple(f"logit({count:.1f})" for count in trials.values())


BENCHMARKS = pl.DataFrame(
    {
        "candidate": ["a", "b", "c"],
        "pre_problems": [
            [{"benchmark": "x", "n": 4, "c": 4}, {"benchmark": "y]. =", "n": 2, "c": 1}],
            [{"benchmark": "x", "n": 4, "c": 0}, {"benchmark": "x", "n": 4, "c": 2}],
            None,
        ],
    }
)


def test_columns_of_one_benchmark_count_its_problems_alone() -> None:
    whole, x, y = curve_column(1), curve_column(1, "x"), curve_column(1, "y]. =")
    derived = derived_of(y)
    assert derived is not None
    assert derived.benchmark == "y]. ="
    made = with_derived(BENCHMARKS, [whole, x, y, *share_columns("x")])
    assert made[whole].to_list() == [0.75, 0.25, None]
    assert made[x].to_list() == [1.0, 0.25, None]
    assert made[y].to_list() == [0.5, None, None]
    alone = BENCHMARKS.with_columns(pre_problems=pl.col("pre_problems").list.head(1))
    first = with_derived(alone, share_columns())[0].select(share_columns()).row(0)
    np.testing.assert_allclose(made[0].select(share_columns("x")).row(0), first)


def test_a_benchmark_needs_the_counts() -> None:
    with pytest.raises(CorpusError, match="'pre_problems' is missing"):
        with_derived(pl.DataFrame({"pre_pass_at_1": [0.5]}), [curve_column(1, "x")])
    unnamed = pl.DataFrame({"pre_problems": [[{"n": 4, "c": 4}]]})
    assert with_derived(unnamed, [curve_column(1, "x")])[curve_column(1, "x")].to_list() == [None]
