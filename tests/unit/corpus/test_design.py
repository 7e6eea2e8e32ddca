"""From table to matrix."""

import numpy as np
import polars as pl
import pytest

from quagpredict.corpus import design_matrix
from quagpredict.errors import CorpusError, UsageError


def test_the_matrix_follows_the_order_asked_for(rows):
    design = design_matrix(rows, ["pre_held_out_loss_nats", "pre_pass_at_1"])
    assert design.dtype == np.float64
    assert design.tolist() == [[0.4, 0.0], [0.4, 0.25], [0.4, 0.5]]
    assert not np.isnan(design).any()


def test_missing_values_are_nan_only_if_allowed(rows):
    with pytest.raises(CorpusError, match="column 'pre_pass_at_64' of candidate 'c0' is missing"):
        design_matrix(rows, ["pre_pass_at_64"])
    design = design_matrix(rows, ["pre_pass_at_64", "pre_pass_at_1"], allow_missing=True)
    assert np.isnan(design).tolist() == [[True, False]] * 3


def test_any_numeric_column_can_be_a_feature():
    table = pl.DataFrame({"candidate": ["a"], "weight": pl.Series([1], dtype=pl.UInt8), "on": [True]})
    assert design_matrix(table, ("weight", "on")).tolist() == [[1.0, 1.0]]
    assert design_matrix(table.drop("candidate"), "weight").tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("features", "error", "said"),
    [
        (["pre_pass_at_65"], CorpusError, "column 'pre_pass_at_65' is missing, .* did you mean 'pre_pass_at_64'"),
        (["loss"], CorpusError, "column 'loss' is missing, .* feature; measure it, or name other features"),
        (["candidate"], CorpusError, "column 'candidate' must be numbers, found string"),
        ([], UsageError, "at least one feature"),
        (["pre_pass_at_1", "pre_pass_at_1"], UsageError, "each once"),
    ],
)
def test_what_is_refused(rows, features, error, said):
    with pytest.raises(error, match=said):
        design_matrix(rows, features)


def test_an_infinity_is_refused():
    with pytest.raises(CorpusError, match="column 'x' of candidate 'b' is infinite"):
        design_matrix(pl.DataFrame({"candidate": ["a", "b"], "x": [1.0, float("inf")]}), ["x"], allow_missing=True)
