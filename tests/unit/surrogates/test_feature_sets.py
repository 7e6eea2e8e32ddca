import polars as pl
import pytest

from quagpredict.corpus.columns import pass_at_columns
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import resolve_features, resolve_transforms

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
