"""Tables that floats hold badly: each kind is right about them, or says which column is the matter."""

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError
from quagpredict.surrogates import fit

# Of anyone's columns; `mixing_law` needs weights, and `mean` reads none.
KINDS = ("linear", "average", "ridge", "bayesian_ridge", "mixed", "gaussian_process", "lightgbm", "auto")
each = pytest.mark.parametrize("kind", KINDS)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2))
Y = X[:, 0] - 0.5 * X[:, 1] + RNG.normal(0, 0.05, 30)
TABLE = pl.DataFrame(
    {
        "candidate": [f"c{row}" for row in range(30)],
        "base_model": ["a", "b"] * 15,
        "x": X[:, 0],
        "z": X[:, 1],
        "score": Y,
    }
)


def _fit(table: pl.DataFrame, kind: str) -> np.ndarray:
    return fit(table, kind, ["x", "z"], "score").predict_frame(table).mean


def _with(column: str, row: int, value: float) -> pl.DataFrame:
    values = TABLE[column].to_list()
    values[row] = value
    return TABLE.with_columns(pl.Series(column, values))


@each
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (_with("x", 7, float("nan")), "corpus: column 'x' of candidate 'c7' is missing"),
        (_with("x", 7, float("inf")), "corpus: column 'x' of candidate 'c7' is infinite"),
        (_with("x", 7, -1e200), "corpus: column 'x' of candidate 'c7' is beyond 1e[+]100"),
        (_with("score", 7, float("inf")), "corpus: column 'score' of candidate 'c7' is beyond 1e[+]100"),
        (_with("score", 7, 1e200), "corpus: column 'score' of candidate 'c7' is beyond 1e[+]100"),
        (TABLE.with_columns(pl.col("score") * 1e-200), "corpus: column 'score' varies by .*e-200, less than 1e-100"),
        (
            TABLE.with_columns(z=pl.Series(["high", *map(str, range(29))])),
            "corpus: column 'z' must be numbers, found string: 'high' of candidate 'c0'",
        ),
        (
            TABLE.with_columns(z=pl.Series([2**63 + row for row in range(30)], dtype=pl.UInt64)),
            "corpus: column 'z' holds whole numbers up to 9223372036854775837 that differ by at most 29",
        ),
    ],
)
def test_what_cannot_be_fitted_is_named_by_column_and_row(kind: str, table: pl.DataFrame, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        _fit(table, kind)


@each
def test_units_do_not_matter(kind: str) -> None:
    """Targets of 1e90 and of 1e-90, and whole numbers of 2^62: the same predictions in another unit."""
    plain = _fit(TABLE, kind)
    for unit in (1e90, 1e-90):
        scaled = _fit(TABLE.with_columns(pl.col("score") * unit), kind) / unit
        np.testing.assert_allclose(scaled, plain, rtol=1e-3, atol=1e-4 if kind == "lightgbm" else 1e-5)
    tokens = (TABLE["x"].to_numpy() * 2**60).astype(np.int64) + 2**62
    np.testing.assert_allclose(_fit(TABLE.with_columns(x=pl.Series(tokens)), kind), plain, rtol=1e-3, atol=1e-5)


@each
@pytest.mark.parametrize("apart", [1e-3, 1e-6, 1e-9, 1e-12, 0.0])
def test_nearly_equal_columns_predict_what_one_of_them_does(kind: str, apart: float) -> None:
    table = TABLE.with_columns(z=pl.col("x") + apart * pl.col("z"), score=pl.col("x") + 0.05 * pl.col("score"))
    new = table.with_columns(z=pl.col("x"))
    fitted = fit(table, kind, ["x", "z"], "score")
    assert np.abs(fitted.predict_frame(table).mean - table["score"].to_numpy()).max() < 1.0
    if kind != "linear" or apart in (0.0, 1e-12):  # a line through both columns follows their difference, as it must
        assert np.abs(fitted.predict_frame(new).mean - table["score"].to_numpy()).max() < 1.0
