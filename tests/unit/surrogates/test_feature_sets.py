import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.corpus.columns import pass_at_columns
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import resolve_features, resolve_transforms, weight_columns

TABLE = pl.DataFrame(
    {
        "pre_held_out_loss_nats": [0.3, 0.4],
        "pre_pass_at_8": [0.5, 0.6],
        "pre_pass_at_16": [0.5, 0.6],
        "pre_pass_at_64": pl.Series([None, None], dtype=pl.Float64),
        "pre_pass_at_128": [0.7, 0.8],
        "pre_length_mean": [10.0, 11.0],
        "weight": [0.1, 0.9],
    }
)


@pytest.mark.parametrize(
    ("named", "columns"),
    [
        ("loss", ("pre_held_out_loss_nats",)),
        ("both", ("pre_held_out_loss_nats", "pre_pass_at_16")),  # 64 was never measured
        ("pass_at_8", ("pre_pass_at_8",)),
        ("pass_at_4", ("pre_pass_at_4",)),  # absent: whoever reads it says so under its full name
        ("loss, pass_at_8", ("pre_held_out_loss_nats", "pre_pass_at_8")),
        ("length_mean+weight", ("pre_length_mean", "weight")),
        (["loss", "pre_held_out_loss_nats", "nonsense"], ("pre_held_out_loss_nats", "nonsense")),
    ],
)
def test_names(named: str | list[str], columns: tuple[str, ...]) -> None:
    assert resolve_features(named, TABLE) == columns


def test_what_cannot_be_resolved_is_refused() -> None:
    with pytest.raises(UsageError, match="no feature"):
        resolve_features(" , ", TABLE)
    with pytest.raises(CorpusError, match="pre_pass_at_K"):
        resolve_features("both", TABLE.select("pre_held_out_loss_nats"))


def test_pass_at_columns_are_sorted_by_k() -> None:
    assert pass_at_columns(TABLE) == ["pre_pass_at_8", "pre_pass_at_16", "pre_pass_at_128"]


def test_trials_of_the_logit_come_from_the_table() -> None:
    counted = TABLE.with_columns(pre_samples_per_problem=100, pre_problems_count=pl.Series([50, None]))
    columns = ["pre_pass_at_8", "pre_pass_at_128", "pre_held_out_loss_nats", "weight"]
    assert resolve_transforms("log-logit", columns, counted) == ("logit(600.0)", "logit(50.0)", "log", "identity")
    assert resolve_transforms("log-logit", columns[:1], TABLE) == ("logit(1000.0)",)
    assert resolve_transforms({"weight": "log"}, columns, TABLE) == ("identity", "identity", "identity", "log")
    with pytest.raises(UsageError, match="'other'"):
        resolve_transforms({"other": "log"}, columns, TABLE)
    with pytest.raises(UsageError, match="log-logit"):
        resolve_transforms("logit", columns, TABLE)  # type: ignore[arg-type]


def test_a_column_of_that_name_comes_before_what_the_name_stands_for():
    own = pl.DataFrame({"loss": [0.5], "pass_at_1": [0.2]})
    assert resolve_features("loss+pass_at_1", own) == ("loss", "pass_at_1")
    assert resolve_features("loss", own.rename({"loss": "pre_held_out_loss_nats"})) == ("pre_held_out_loss_nats",)


@given(
    seed=st.integers(0, 2**32 - 1),
    p=st.integers(2, 20),
    percent=st.booleans(),
    rounded=st.booleans(),
    extra=st.booleans(),
)
def test_weights_are_found_beside_other_columns(seed: int, p: int, percent: bool, rounded: bool, extra: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(p, 0.3), 12)
    X = weights.round(3) if rounded else weights
    X = 100 * X if percent else X
    if extra:
        X = np.column_stack([X, rng.uniform(0.1, 0.9, 12)])
    names = [f"mix.{place}" for place in range(p)] + ["dropout"] * extra
    assert weight_columns(X, names).tolist() == [True] * p + [False] * extra


def test_what_only_looks_like_weights_is_none() -> None:
    assert not weight_columns(np.array([[0.4, 0.5], [0.3, 0.4]])).any()  # adds up to 0.9 and 0.7
    assert not weight_columns(np.array([[1.5, -0.5], [0.5, 0.5]])).any()
    assert not weight_columns(np.array([[1.0], [1.0]])).any()
    assert not weight_columns(np.zeros((0, 3))).any()
    measured = np.array([[0.4, 0.6], [0.5, 0.5]])
    assert not weight_columns(measured, ["pre_pass_at_1", "pre_truncated_share"]).any()
